"""What came over a connection, read and understood, on its way into the batch. Pure values.

An :class:`Arrival` is one frame, or one piece of a stream that is none. Its *meaning* is an update to apply, or the
reason why there is nothing to apply; either way it is journalled, and either way it is answered from the batch, so that
no answer overtakes the commit that it speaks of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

from hl7_listener.acknowledgment import AckCode, Fault, FaultCode
from hl7_listener.batch_frame import Joined
from hl7_listener.finding import Finding
from hl7_listener.header import Header
from hl7_listener.options import ListenerOptions
from hl7_listener.person_event import PersonEvent
from patient_records.model import Masked
from patient_records.reconcile import Outcome
from patient_records.update import PatientUpdate


class Ignored(Struct, frozen=True):
    """A message that is kept and changes nothing; ``reason`` says why, for MSA-3."""

    reason: str


class Refused(Struct, frozen=True):
    """A message that is answered AE (it could be mended) or AR (it never can be); ``reason`` is for MSA-3.

    ``never_positive``: no profile may have it answered AA, for the content is not what is wrong: our own code failed
    over it, or it came in a batch that lost a message on the way.
    """

    code: AckCode
    reason: str
    faults: tuple[Fault, ...] = ()
    never_positive: bool = False


class Unanswered(Struct, frozen=True):
    """Bytes that are kept for a person and get no answer: junk, an interrupted frame, an acknowledgment."""

    reason: str
    waits: bool = True


INTERNAL_ERROR: Final = Refused(
    AckCode.AE, "internal error", (Fault(FaultCode.APPLICATION_INTERNAL_ERROR),), never_positive=True
)
"""What a message means that our own code fails over: kept for a person, and answered as one that can be mended."""

_CODE: Final = re.compile(r"[A-Z][A-Z0-9]{2}\Z", re.ASCII)
_VERSION: Final = re.compile(r"(?:\d(?:\.\d{1,2}){0,2})?\Z", re.ASCII)
_LONGEST_CODE: Final = 3
_LONGEST_VERSION: Final = 7
_LONGEST_PROCESSING_ID: Final = 3
_LONGEST_LABEL: Final = 200
"""Characters; HL7 2.5.1 allows 227 for MSH-3 and 4 (HD), 20 for MSH-10. PostgreSQL indexes no more than 2,700 bytes."""

Meaning: TypeAlias = PatientUpdate | PersonEvent | Ignored | Refused | Unanswered


class Answerable(Protocol):
    """Who is told what became of an arrival: the connection that it came over."""

    abandoned: bool
    """Set (from the writer's thread) when something of this connection could not be stored and it is to be closed: what
    it still has in the queue must not be applied, for its sender will send all of it again, in order."""

    def settled(self, settled: Settled) -> None:
        """Hear that the arrival is committed, and send its answer."""
        ...

    def failed(self, arrival: Arrival) -> None:
        """Hear that the arrival could not be stored: nothing of it is committed."""
        ...

    def give_up(self) -> None:
        """Hear that a fault of ours lost track of its answers: close, and hear nothing of later ones."""
        ...


class Taker(Protocol):
    """Who takes arrivals in: the writer, or the gate in front of it."""

    def submit(self, arrivals: Sequence[Arrival]) -> None:
        """Take arrivals of one connection, in their order. Never blocks."""
        ...


class Arrival(Masked, Struct, frozen=True):
    """One frame or piece of a stream, understood.

    ``offset`` is where it began in its connection's stream; ``last`` says that the connection ends with its answer
    (SPEC 3.1, too large). ``replay_of`` is the journal entry whose message this is, when staff have it applied again:
    it is no repeat, and nobody waits for an answer. ``batch`` is its place where it came with others in one frame.
    ``checked`` are the findings of a message whose conformance was checked before (None: it was not).
    """

    listener: ListenerOptions
    received_at: datetime
    offset: int
    raw: bytes
    header: Header
    meaning: Meaning
    source: Answerable
    charset_guessed: bool = False
    last: bool = False
    replay_of: int | None = None
    batch: Joined | None = None
    checked: tuple[Finding, ...] | None = None

    @property
    def follows(self) -> bool:
        """Whether it is committed with the one before it: they came in one batch frame."""
        return self.batch is not None and self.batch.place > 0

    @property
    def sender(self) -> str:
        """MSH-3 and MSH-4, as one label: who speaks on this listener; empty where MSH is not in shape."""
        header = self.header
        return _label(f"{header.sending_application}/{header.sending_facility}") if _in_shape(header) else ""

    @property
    def control_id(self) -> str:
        """MSH-10 as a label to look for; empty where MSH is not in shape. The answer repeats it as it came."""
        return _label(self.header.control_id) if _in_shape(self.header) else ""

    @property
    def event(self) -> str:
        """Message code and trigger event as in MSH-9, such as ADT^A28; empty where there is none."""
        header = self.header
        if not _in_shape(header):
            return ""
        return _label("^".join(part for part in (header.message_code, header.trigger) if part))


def _in_shape(header: Header) -> bool:
    """Whether MSH can be believed to be one: its event, processing id and version look like what they must be.

    Where a segment end was lost or fields are missing, MSH-10 may be somebody's name. Labels are kept and logged in
    clear; such a message's are not.
    """
    return (
        len(header.message_code) == _LONGEST_CODE
        and len(header.trigger) <= _LONGEST_CODE
        and len(header.processing_id) <= _LONGEST_PROCESSING_ID
        and len(header.version) <= _LONGEST_VERSION
        and _is_type(header.message_code, header.trigger, header.version)
    )


@lru_cache(maxsize=512)
def _is_type(code: str, trigger: str, version: str) -> bool:
    """Whether these are such as MSH-9 and MSH-12 hold; asked many times of each message, and few are ever different."""
    return (
        _CODE.match(code) is not None
        and _CODE.match(trigger or "A00") is not None
        and _VERSION.match(version) is not None
    )


def _label(text: str) -> str:
    """Make a sender's text fit for a column, an index and a terminal: printable (no NUL, above all) and not endless."""
    if len(text) > _LONGEST_LABEL:
        text = text[:_LONGEST_LABEL]
    if text.isprintable():
        return text
    return "".join([character if character.isprintable() else "?" for character in text])


class Settled(Masked, Struct, frozen=True):
    """What became of an arrival, committed. ``answer`` is framed and ready to send; empty where silence is asked for.

    ``changes`` and ``findings`` are names and codes, never content.
    """

    arrival: Arrival
    journal_id: int
    outcome: Outcome
    reason: str
    code: str
    answer: bytes
    record_id: int | None = None
    changes: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
