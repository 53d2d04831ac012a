"""One connection of the sending side, and the messages that go over it in their order.

A lane is the client's unit of trust: it alone knows what it has sent and what has been answered. When its connection
ends, the unanswered messages are in doubt; it sends them again over a new one, byte for byte, oldest first.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from hl7_listener.errors import ListenerError
from hl7_listener.framing import Frame, FrameDecoder
from patient_records.model import Masked

FIRST_RETRY: Final = 0.1
LONGEST_RETRY: Final = 5.0
MAX_ANSWER: Final = 1 << 20
BACKLOG: Final = 64
"""Messages read ahead for each lane: enough to keep it busy, few enough to keep memory flat."""


class Answer(Masked, Struct, frozen=True):
    """What came back for one message.

    ``index`` counts the messages from 0. ``code`` is MSA-1 (AA, AE, AR, CA, CE, CR), empty for permitted silence.
    ``control_id`` is MSA-2, ``text`` MSA-3, ``raw`` the whole acknowledgment. ``seconds`` runs from the first
    sending to the answer; ``sendings`` is 1 unless the message had to be sent again.
    """

    index: int
    code: str
    control_id: str
    text: str
    raw: bytes
    seconds: float
    sendings: int


class GaveUp(ListenerError):
    """The receiver could not be reached, or did not answer, so often that going on makes no sense.

    Codes: ``no_connection``, ``no_answer``. What was unanswered may or may not be stored; send it again later.
    """


class Parcel(Masked, Struct):
    """One message on its way, and what is needed to recognise its answer."""

    index: int
    frame: bytes
    control_id: bytes
    silence: str  # "never", "may" or "must"
    started: float = 0.0
    sendings: int = 0


class Target(Struct, frozen=True):
    """Where to send, and how patiently."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    timeout: float
    tries: int


class Tally:
    """Counts, and passes answers on."""

    def __init__(self, on_answer: Callable[[Answer], None]) -> None:
        self.sent = 0
        self.resent = 0
        self.codes: Counter[str] = Counter()
        self._on_answer = on_answer

    def sending(self, parcel: Parcel) -> None:
        """Count a sending, the first or another."""
        parcel.sendings += 1
        if parcel.sendings == 1:
            parcel.started = time.monotonic()
            self.sent += 1
        else:
            self.resent += 1

    def answered(self, parcel: Parcel, raw: bytes) -> None:
        """Count an answer (``raw`` is empty for permitted silence) and pass it on."""
        msa = [part.decode("latin-1") for part in segment(raw, b"MSA")[:4]] + [""] * 4
        self.codes[msa[1]] += 1
        seconds = time.monotonic() - parcel.started
        self._on_answer(Answer(parcel.index, msa[1], msa[2], msa[3], raw, seconds, parcel.sendings))


class Lane:
    """One connection, and the messages that go over it."""

    def __init__(self, target: Target, in_flight: int, tally: Tally) -> None:
        self.parcels: asyncio.Queue[Parcel | None] = asyncio.Queue(BACKLOG)
        self._target = target
        self._in_flight = in_flight
        self._tally = tally
        self._unanswered: deque[Parcel] = deque()
        self._last = False
        self._failures = 0

    async def run(self) -> None:
        """Send everything, over as many connections as it takes."""
        while not (self._last and not self._unanswered):
            if not self._unanswered and not await self._take():
                return
            try:
                async with asyncio.timeout(self._target.timeout):
                    reader, writer = await asyncio.open_connection(
                        self._target.host, self._target.port, ssl=self._target.tls
                    )
            except (OSError, TimeoutError):
                await self._back_off("no_connection")
                continue
            try:
                await self._converse(reader, writer)
            except (OSError, EOFError, TimeoutError):
                await self._back_off("no_answer")
            finally:
                await _close(writer)

    async def _take(self) -> bool:
        """Wait for the next message; False when there are no more."""
        parcel = await self.parcels.get()
        if parcel is None:
            self._last = True
            return False
        self._unanswered.append(parcel)
        return True

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send what is unanswered again, then go on until there is no more; raises when the connection fails."""
        answers = _Answers(reader)
        for parcel in tuple(self._unanswered):
            await self._write(writer, parcel)
        while self._unanswered or await self._send_next(writer):
            while len(self._unanswered) < self._in_flight and not self._last and not self.parcels.empty():
                await self._send_next(writer)
            if self._unanswered:
                await self._await_answer(answers)

    async def _send_next(self, writer: asyncio.StreamWriter) -> bool:
        if self._last or not await self._take():
            return False
        await self._write(writer, self._unanswered[-1])
        return True

    async def _write(self, writer: asyncio.StreamWriter, parcel: Parcel) -> None:
        self._tally.sending(parcel)
        writer.write(parcel.frame)
        async with asyncio.timeout(self._target.timeout):
            await writer.drain()

    async def _await_answer(self, answers: _Answers) -> None:
        """Take the answer to the oldest unanswered message."""
        parcel = self._unanswered[0]
        raw = b""
        if parcel.silence != "must":
            try:
                async with asyncio.timeout(self._target.timeout):
                    raw = await answers.to(parcel.control_id)
            except TimeoutError:
                if parcel.silence == "never":
                    raise
        self._failures = 0
        self._unanswered.popleft()
        self._tally.answered(parcel, raw)
        self.parcels.task_done()

    async def _back_off(self, code: str) -> None:
        self._failures += 1
        if self._failures >= self._target.tries:
            raise GaveUp(code) from None
        await asyncio.sleep(min(FIRST_RETRY * 2 ** (self._failures - 1), LONGEST_RETRY))


class _Answers:
    """The acknowledgments that come over one connection."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._decoder = FrameDecoder(MAX_ANSWER)
        self._waiting: deque[bytes] = deque()

    async def to(self, control_id: bytes) -> bytes:
        """Wait for the answer to that message.

        Answers that name another message are passed over: a second one to an earlier message (enhanced mode with both),
        or one that came although silence was asked for. Raises EOFError when the peer closes.
        """
        while True:
            while self._waiting:
                raw = self._waiting.popleft()
                named = (segment(raw, b"MSA")[2:3] or [b""])[0]
                if named in (b"", control_id):
                    return raw
            data = await self._reader.read(1 << 16)
            if not data:
                raise EOFError
            self._waiting.extend(event.payload for event in self._decoder.feed(data) if isinstance(event, Frame))


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError):
        await writer.wait_closed()


def segment(message: bytes, name: bytes) -> list[bytes]:
    """Give the raw fields of the first segment of that name, its name first; nothing when there is none.

    For MSH, whose first field is the separator itself, MSH-n is at n - 1.
    """
    separator = message[3:4] or b"|"
    for line in message.replace(b"\n", b"\r").split(b"\r"):
        if line.startswith(name + separator):
            return line.split(separator)
    return []
