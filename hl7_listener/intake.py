r"""The bytes of one connection on their way to frames, in portions: no more at a time than somebody can take in.

A read of 256 KiB is one large frame, or a hundred ordinary ones, or a hundred thousand of one byte. Each piece costs
far more than its bytes on its way to the writer, so what is more than a portion stays here as the bytes that it came
in, and waits until there is room. Meanwhile the socket is not read.

VT inside a frame makes a piece of junk of what came before it. Pieces of one read that follow each other so are put
together again, with the VTs between them: they are one piece of evidence, and one row in the quarantine.
"""

from __future__ import annotations

from typing import Final

from hl7_listener.framing import FS, VT, Event, FrameDecoder, Junk, JunkReason
from patient_records.model import Masked

_SLICE: Final = 64 << 10
"""Bytes that are looked through at a time."""


class Intake(Masked):
    """A decoder and what has not been fed to it yet."""

    __slots__ = ("_decoder", "_most", "_position", "_rest")

    def __init__(self, max_frame: int) -> None:
        self._decoder = FrameDecoder(max_frame)
        self._most = max_frame
        self._rest = b""
        self._position = 0

    @property
    def waits(self) -> bool:
        """Whether there are bytes that were not looked at yet."""
        return bool(self._rest)

    @property
    def held(self) -> int:
        """Bytes held: the unfinished frame or run of junk, and what was not looked at yet."""
        return self._decoder.buffered + len(self._rest) - self._position

    @property
    def unfinished(self) -> int:
        """Bytes of an unfinished frame or run of junk."""
        return self._decoder.buffered

    @property
    def in_frame(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._decoder.in_frame

    @property
    def spent(self) -> bool:
        """Whether all further input is ignored."""
        return self._decoder.spent

    @property
    def skipped(self) -> int:
        """Fillers between frames that were passed over."""
        return self._decoder.skipped

    def put(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._rest = self._rest[self._position :] + data if self._rest else data
        self._position = 0

    def take(self, most: int) -> list[Event]:
        """Give the next events: about ``most``, never twice as many; fewer, when there are no bytes left."""
        found: list[Event] = []
        run: list[Junk] = []
        while self._rest and len(found) + bool(run) < most and not self._decoder.spent:
            for event in self._decoder.feed(self._slice(most - len(found))):
                if isinstance(event, Junk) and event.reason is JunkReason.INTERRUPTED and _fits(run, event, self._most):
                    run.append(event)
                    continue
                _close(run, found)
                found.append(event)
        _close(run, found)
        if self._decoder.spent:
            self._rest, self._position = b"", 0
        return found

    def close(self) -> list[Event]:
        """Say that the peer has left: what was half received comes out as junk, what was not looked at is dropped."""
        self._rest, self._position = b"", 0
        return self._decoder.close()

    def _slice(self, most: int) -> bytes:
        """Cut off the next bytes: so many that ``most`` ordinary frames fit, which have two marks each."""
        rest, start = self._rest, self._position
        end = min(len(rest), start + _SLICE)
        while end - start > 1 and rest.count(FS, start, end) + rest.count(VT, start, end) > 2 * most:
            end = start + (end - start) // 2
        if end == len(rest):
            self._rest, self._position = b"", 0
        else:
            self._position = end
        return rest[start:end]


def _fits(run: list[Junk], event: Junk, most: int) -> bool:
    return not run or event.offset + len(event.payload) - run[0].offset <= most


def _close(run: list[Junk], found: list[Event]) -> None:
    """Put a run of interrupted frames together."""
    if run:
        payload = VT.join([junk.payload for junk in run]) if len(run) > 1 else run[0].payload
        found.append(Junk(payload, run[0].offset, JunkReason.INTERRUPTED))
        run.clear()
