"""From what the decoder gives to arrivals: read a frame, say what it means, and never stumble over one.

Whatever the bytes are, an arrival comes of them: a message with its meaning, a refusal, or evidence for a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from hl7_listener.acknowledgment import AckCode, Fault, FaultCode, Location
from hl7_listener.adt import interpret
from hl7_listener.arrival import INTERNAL_ERROR, Answerable, Arrival, Ignored, Meaning, Refused, Unanswered
from hl7_listener.batch_frame import Joined, is_batch, take_apart
from hl7_listener.errors import Unreadable
from hl7_listener.framing import Event, Frame, Oversize
from hl7_listener.header import Header
from hl7_listener.message import Message, read
from hl7_listener.options import ListenerOptions
from hl7_listener.sender_profile import SenderProfile
from hl7_listener.senders import PLAIN
from hl7_listener.telemetry import Telemetry

_HEAD = 4096
"""Bytes at the beginning of a message that is too large in which its header is looked for."""


_BATCH_REFUSED = {
    "batch count": Refused(
        AckCode.AE,
        "batch count: BTS-1 is not the number of messages",
        (Fault(FaultCode.DATA_TYPE_ERROR, Location("BTS", 1, 1)),),
        never_positive=True,
    ),
    "file count": Refused(
        AckCode.AE,
        "file count: FTS-1 is not the number of batches",
        (Fault(FaultCode.DATA_TYPE_ERROR, Location("FTS", 1, 1)),),
        never_positive=True,
    ),
}
"""What every message of a batch is told that something is missing of."""

REASONS_OF_A_BATCH: Final = frozenset(refused.reason for refused in _BATCH_REFUSED.values())
"""The reasons in the journal of messages that were refused with their whole batch."""


class Interpreter:
    """Makes the arrivals of one connection."""

    def __init__(self, listener: ListenerOptions, telemetry: Telemetry) -> None:
        self._listener = listener
        self._telemetry = telemetry
        self._towards: tuple[SenderProfile, ListenerOptions] = (PLAIN, listener)

    def arrivals(self, events: Sequence[Event], now: datetime, source: Answerable) -> list[Arrival]:
        """Make the arrivals of frames and pieces of junk, in their order: one each, or as many as a batch has."""
        found: list[Arrival] = []
        for event in events:
            if isinstance(event, Frame) and event.payload[:1] != b"M" and is_batch(event.payload):
                found += self._batch(event, now, source)
            else:
                found.append(self.arrival(event, now, source))
        return found

    def arrival(self, event: Event, now: datetime, source: Answerable) -> Arrival:
        """Make an arrival of a frame or piece of junk. Never raises."""
        listener = self._listener
        if isinstance(event, Frame):
            return self._frame(event, now, source)
        if isinstance(event, Oversize):
            self._telemetry.limited(listener.name, "too_large")
            header, refused = _header_of(event.payload), Refused(AckCode.AR, "too large")
            return Arrival(listener, now, event.offset, event.payload, header, refused, source, last=True)
        junk = Unanswered(f"junk: {event.reason}")
        return Arrival(listener, now, event.offset, event.payload, Header(), junk, source)

    def _batch(self, frame: Frame, now: datetime, source: Answerable) -> list[Arrival]:
        listener = self._listener
        batch = take_apart(frame.payload)
        if not batch.parts:
            meaning = Refused(AckCode.AR, batch.fault) if batch.fault else Ignored("empty batch")
            joined = Joined(batch, 0)
            return [Arrival(listener, now, frame.offset, frame.payload, batch.header, meaning, source, batch=joined)]
        arrivals = [
            replace(self._frame(Frame(part.raw, frame.offset + part.offset), now, source), batch=Joined(batch, place))
            for place, part in enumerate(batch.parts)
        ]
        if not batch.fault:
            return arrivals
        refused = _BATCH_REFUSED[batch.fault]
        return [replace(one, meaning=refused) if _is_judged(one) else one for one in arrivals]

    def _frame(self, frame: Frame, now: datetime, source: Answerable) -> Arrival:
        listener = self._listener
        try:
            message = read(frame.payload, charset=listener.charset, default_charset=listener.default_charset)
            profile = listener.senders.profile(message.header.sending_application, message.header.sending_facility)
            if profile is not PLAIN:
                listener = self._options(profile)
                if (profile.charset, profile.default_charset) != (None, None):
                    message = read(frame.payload, charset=listener.charset, default_charset=listener.default_charset)
        except Unreadable as error:
            refused = Refused(AckCode.AR, f"unreadable: {error.code}")
            return Arrival(listener, now, frame.offset, frame.payload, error.header, refused, source)
        except Exception as error:  # noqa: BLE001 (as below)
            self._telemetry.internal_error(error)
            return Arrival(listener, now, frame.offset, frame.payload, Header(), INTERNAL_ERROR, source)
        meaning = self._meaning(message, listener, profile, now)
        guessed = message.charset_guessed
        return Arrival(listener, now, frame.offset, frame.payload, message.header, meaning, source, guessed)

    def _options(self, profile: SenderProfile) -> ListenerOptions:
        """The listener's options towards that sender; most connections have one sender."""
        known, options = self._towards
        if known is not profile:
            options = self._listener.towards(profile)
            self._towards = (profile, options)
        return options

    def _meaning(self, message: Message, listener: ListenerOptions, profile: SenderProfile, now: datetime) -> Meaning:
        """Say what the message means; one that we fail over is kept for a person, and those behind it go on."""
        try:
            return interpret(message, listener, profile, now)
        except Exception as error:  # noqa: BLE001 (a fault of ours in one message must not stop the feed)
            self._telemetry.internal_error(error)
            return INTERNAL_ERROR


def _is_judged(arrival: Arrival) -> bool:
    """Whether it is up to the batch what a message comes to: one that is refused in any case is, with its reason."""
    return not isinstance(arrival.meaning, Refused | Unanswered)


def _header_of(payload: bytes) -> Header:
    """As much header as the beginning of a message has."""
    try:
        return read(payload[:_HEAD]).header
    except Unreadable as error:
        return error.header
