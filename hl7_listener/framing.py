r"""MLLP framing: bytes in any chunks become frames, and whatever is not a frame becomes evidence.

The wire is ``<VT> payload <FS> <CR>`` (Minimal Lower Layer Protocol; HL7 2.5.1 appendix C.4). The decoder knows no
socket. It is a machine of two states, *between frames* and *in a frame*, and a function of the byte stream alone: fed
whole or byte by byte it gives the same events and the same counts.

Between frames: VT opens a frame. CR, LF, NUL, space and tab are fillers, skipped and counted (the CR that closes a
frame belongs to it and is not counted). Any other byte starts a run of junk, which VT, the end of the stream or the
cap ends; fillers at its end are skipped, fillers inside it stay.

In a frame: FS completes it, with or without a CR behind. VT interrupts it: the sender began anew, so what came before
is evidence and never a message. A byte beyond the cap makes the frame oversize. From then on nothing says where the
next message starts, so the decoder is spent and the connection must go.

Work is linear in the bytes fed. Both searches only move forward, and the position of the next FS is kept while VTs
before it are dealt with; otherwise a megabyte of VTs would cost a scan to the end for each of them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

from hl7_listener.errors import Unframeable
from patient_records.model import Masked

VT: Final = b"\x0b"
FS: Final = b"\x1c"
CR: Final = b"\r"
FILLERS: Final = b"\r\n\0 \t"
MAX_FRAME: Final = 1 << 20
"""Default cap on a payload, 1 MiB: five times the largest message of our corpus (200 kB of base64 in an OBX)."""


class JunkReason(StrEnum):
    """Why bytes are no frame."""

    BETWEEN_FRAMES = "between_frames"
    INTERRUPTED = "interrupted"
    UNFINISHED = "unfinished"


class Frame(Masked, Struct, frozen=True):
    """One whole frame. ``offset`` is the place of the payload's first byte in the stream, counted from 0."""

    payload: bytes
    offset: int


class Junk(Masked, Struct, frozen=True):
    """Bytes that are no frame, for the quarantine; ``offset`` as in :class:`Frame`."""

    payload: bytes
    offset: int
    reason: JunkReason


class Oversize(Masked, Struct, frozen=True):
    """A frame that outgrew the cap: its first bytes, as many as the cap allows. Nothing follows it."""

    payload: bytes
    offset: int


Event: TypeAlias = Frame | Junk | Oversize


class FrameDecoder(Masked):
    """Turns the bytes of one connection into events.

    ``max_frame`` caps a payload, and each piece of junk, in bytes; never more than that is held. ``skipped`` counts
    the fillers between frames that were passed over.
    """

    __slots__ = ("_after_frame", "_held", "_in_frame", "_max", "_next_fs", "_offset", "_spent", "_start", "skipped")

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        """Start at the beginning of a stream."""
        if max_frame < 1:
            raise ValueError("max_frame must be at least 1 byte")
        self.skipped = 0
        self._max = max_frame
        self._held = bytearray()  # the unfinished frame, or the run of junk
        self._start = 0  # where in the stream the held bytes began
        self._offset = 0  # where in the stream the data being fed began
        self._in_frame = False
        self._after_frame = False  # the last byte was FS, so a CR is part of its frame
        self._next_fs = -1  # in the data being fed; below the scan position: not searched yet
        self._spent = False

    @property
    def in_frame(self) -> bool:
        """Whether a frame has begun and not ended: the time of the mid-frame deadline."""
        return self._in_frame

    @property
    def buffered(self) -> int:
        """Bytes held for an unfinished frame or run of junk."""
        return len(self._held)

    @property
    def spent(self) -> bool:
        """Whether all further input is ignored: after an :class:`Oversize`, or after :meth:`close`."""
        return self._spent

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes of the stream, in any chunking, and return what they completed. Never raises."""
        events: list[Event] = []
        position, end = 0, len(data)
        self._next_fs = -1
        while position < end and not self._spent:
            read_on = self._inside if self._in_frame else self._between
            position = read_on(data, position, events)
        self._offset += end
        return events

    def close(self) -> list[Event]:
        """Say that the peer has left: what was half received comes out as junk; nothing if it was only fillers."""
        events: list[Event] = []
        if not self._spent:
            self._flush(events, JunkReason.UNFINISHED if self._in_frame else JunkReason.BETWEEN_FRAMES)
        self._spent, self._in_frame = True, False
        return events

    def _inside(self, data: bytes, position: int, events: list[Event]) -> int:
        """Read on in a frame, up to its end, its interruption, its cap or the end of the data."""
        if self._next_fs < position:
            found = data.find(FS, position)
            self._next_fs = len(data) if found < 0 else found
        stop = min(self._next_fs, position + self._max - len(self._held) + 1)
        interruption = data.find(VT, position, stop)
        if interruption >= 0:
            self._held += data[position:interruption]
            self._flush(events, JunkReason.INTERRUPTED)
            self._start = self._offset + interruption + 1
            return interruption + 1
        if stop - position + len(self._held) > self._max:
            return self._outgrow(data, position, events)
        if self._next_fs == len(data):
            self._held += data[position:]
            return len(data)
        return self._complete(data, position, events)

    def _complete(self, data: bytes, position: int, events: list[Event]) -> int:
        payload = data[position : self._next_fs]
        if self._held:
            self._held += payload
            payload = bytes(self._held)
            self._held.clear()
        events.append(Frame(payload, self._start))
        self._in_frame, self._after_frame = False, True
        return self._next_fs + 1

    def _outgrow(self, data: bytes, position: int, events: list[Event]) -> int:
        self._held += data[position : position + self._max - len(self._held)]
        events.append(Oversize(bytes(self._held), self._start))
        self._held.clear()
        self._spent, self._in_frame = True, False
        return len(data)

    def _between(self, data: bytes, position: int, events: list[Event]) -> int:
        """Read on between frames, up to the VT that opens one or the end of the data."""
        if self._after_frame:
            self._after_frame = False
            if data[position] == 0x0D:  # noqa: PLR2004 (CR)
                return position + 1
        found = data.find(VT, position)
        stop = len(data) if found < 0 else found
        if position < stop:
            self._gather(data, position, stop, events)
        if found < 0:
            return stop
        if self._held:
            self._flush(events, JunkReason.BETWEEN_FRAMES)
        self._in_frame = True
        self._start = self._offset + found + 1
        return found + 1

    def _gather(self, data: bytes, position: int, stop: int, events: list[Event]) -> None:
        """Skip fillers and hold junk, piece by piece, so that no remainder is copied again and again."""
        while position < stop:
            piece = data[position : min(stop, position + self._max - len(self._held))]
            position += len(piece)
            if not self._held:
                junk = piece.lstrip(FILLERS)
                self.skipped += len(piece) - len(junk)
                self._start = self._offset + position - len(junk)
                piece = junk
            self._held += piece
            if len(self._held) == self._max:
                self._flush(events, JunkReason.BETWEEN_FRAMES)

    def _flush(self, events: list[Event], reason: JunkReason) -> None:
        """Let the held bytes out as junk, unless there is nothing in them but fillers."""
        payload = bytes(self._held)
        self._held.clear()
        if reason is JunkReason.BETWEEN_FRAMES:
            junk = payload.rstrip(FILLERS)
            self.skipped += len(payload) - len(junk)
            payload = junk
        elif not payload.strip(FILLERS):
            self.skipped += len(payload)
            return
        if payload:
            events.append(Junk(payload, self._start, reason))


def encode(payload: bytes) -> bytes:
    """Put a payload into a frame.

    Raises :class:`Unframeable` when it holds VT or FS, for the receiver would cut it there.
    """
    if VT in payload or FS in payload:
        raise Unframeable("control_byte_in_payload")
    return b"\x0b" + payload + b"\x1c\r"
