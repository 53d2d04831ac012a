"""One answer to a batch: the acknowledgments of its messages in a batch of their own (HL7 2.5.1 chapter 2.10.3.3).

BHS-12 repeats the sender's batch control id, BTS-1 counts the acknowledgments. Where MSH-15 and MSH-16 ask for silence
a message has none in it, and where all of them do there is no answer at all.
"""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Final

from hl7_listener.acknowledgment import timestamp
from hl7_listener.batch_frame import BatchFrame, Joined, envelope_header
from hl7_listener.framing import encode
from patient_records.instants import to_micros

_NUMBERS: Final = itertools.count()
_FRAME_END: Final = b"\x1c\r"


class BatchAnswers:
    """Gathers the answers of one connection's batches; they come in order."""

    def __init__(self) -> None:
        self._gathered: list[tuple[int, bytes]] = []

    def add(self, joined: Joined, answer: bytes, now: datetime) -> bytes:
        """Take one message's framed answer (or silence); with the last one give what to send."""
        frame = joined.frame
        if frame.parts or frame.fault:
            batch = frame.parts[joined.place].batch if frame.parts else 0
            self._gathered += [(batch, one.lstrip(b"\x0b")) for one in answer.split(_FRAME_END) if one]
        if not joined.last:
            return b""
        gathered, self._gathered = self._gathered, []
        return encode(_response(frame, gathered, now)) if gathered or not frame.parts else b""


def _response(frame: BatchFrame, answers: list[tuple[int, bytes]], now: datetime) -> bytes:
    """Write the batch, in a file where the messages came in one."""
    written = []
    batches: dict[int, list[bytes]] = {}
    for batch, answer in answers:
        batches.setdefault(batch, []).append(answer)
    for batch, own in (batches or {0: []}).items():
        line = (frame.lines[batch] if frame.lines else b"") or frame.file_line
        written += [_opening("BHS", line, now), *own, _closing("BTS", line, len(own))]
    if frame.file_line:
        written.insert(0, _opening("FHS", frame.file_line, now))
        written.append(_closing("FTS", frame.file_line, len(batches) or 1))
    return b"".join(written)


def _opening(kind: str, line: bytes, now: datetime) -> bytes:
    theirs = envelope_header(line)
    own_id = f"B{to_micros(now):x}{next(_NUMBERS) & 0xFFFF:04x}"
    fields = [
        theirs.delimiters.encoding_characters,
        theirs.receiving_application,
        theirs.receiving_facility,
        theirs.sending_application,
        theirs.sending_facility,
        timestamp(now),
        "",
        "",
        "",
        own_id,
        theirs.control_id,
    ]
    f = theirs.delimiters.field
    return f"{kind}{f}{f.join(fields)}\r".encode("latin-1", "replace")


def _closing(kind: str, line: bytes, count: int) -> bytes:
    return f"{kind}{envelope_header(line).delimiters.field}{count}\r".encode("latin-1", "replace")
