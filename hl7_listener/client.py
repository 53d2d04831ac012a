"""The sending side of MLLP: what an interface engine does, for ``doorstep send``, the demo and the tests.

A *lane* is one connection with the messages that go over it, in order. It keeps at most ``in_flight`` messages
unanswered (one, as engines do, unless told otherwise). When the connection ends, or an answer does not come in time,
the lane cannot know whether its unanswered messages were stored: it connects again, with back-off, and sends them
again, byte for byte. The receiver recognises them as duplicates, which is what makes the whole exactly-once.

With several lanes, messages of one patient (the first repetition of PID-3) share a lane, so that their order is kept.
A message with MRG or a second PID speaks of two patients, so it waits for all that came before it, and all that follows
waits for it.

Enhanced mode (HL7 2.5.1 chapter 2.9.3): a message whose MSH-15 and MSH-16 are both NE expects no answer and gets no
wait. With ER or SU an answer may or may not come: then silence until the timeout is taken as consent, and nothing is
sent again.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final
from zlib import crc32

import hl7
from msgspec import Struct

from hl7_listener.framing import encode
from hl7_listener.lane import Answer, GaveUp, Lane, Parcel, Tally, Target, segment
from hl7_listener.message_files import normalised

_PID: Final = re.compile(rb"(?:\A|[\r\n])PID[^A-Za-z0-9\r\n]")

TIMEOUT: Final = 30.0
"""Seconds for a connection and for each answer; engines wait 10 to 60."""
TRIES: Final = 8
"""Connections in a row that may fail before a lane gives up: about 13 seconds, a restart's length."""


class Summary(Struct, frozen=True):
    """How a sending went: messages ``sent``, answers by MSA-1 in ``codes`` (silence under ``""``), ``resent`` ones.

    ``stopped`` says why it ended early, empty when every message was answered or rightly silent.
    """

    sent: int
    codes: dict[str, int]
    resent: int
    seconds: float
    stopped: str = ""

    @property
    def answered(self) -> int:
        """Messages that got an answer."""
        return sum(number for code, number in self.codes.items() if code)

    @property
    def accepted(self) -> bool:
        """Whether everything was sent and nothing was refused."""
        return not self.stopped and set(self.codes) <= {"AA", "CA", ""}


def tls_context(
    ca: Path | None = None, certificate: Path | None = None, key: Path | None = None, *, insecure: bool = False
) -> ssl.SSLContext:
    """Make a client's TLS context: TLS 1.2 and up, the server checked against ``ca`` or the system's authorities.

    ``certificate`` and ``key`` (PEM) prove who we are, for mutual TLS. ``insecure`` checks nothing: for a laboratory
    only. Raises OSError or ssl.SSLError when a file is missing or unusable.
    """
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def edited(message: bytes, changes: Mapping[str, str]) -> bytes:
    """Set whole fields of a message, ``{"MSH-10": "42", "PID-7": "19800229"}``, as raw ER7 text; by python-hl7.

    Only the first segment of each name is changed. Bytes beyond ASCII pass through untouched, whatever their charset;
    segments end in CR afterwards. Raises KeyError when a segment is not there.
    """
    parsed = hl7.parse(normalised(message).decode("latin-1"))
    for place, value in changes.items():
        segment, _, field = place.partition("-")
        parsed.assign_field(value, segment, 1, int(field))
    return str(parsed).encode("latin-1")


def patient_key(message: bytes) -> bytes:
    """Give the first repetition of PID-3, which decides a message's lane; empty without one."""
    repetition = message[5:6] or b"~"
    fields = segment(message, b"PID")
    return fields[3].split(repetition)[0].strip() if len(fields) > 3 else b""  # noqa: PLR2004 (PID-3)


def send(
    messages: Iterable[bytes],
    host: str,
    port: int,
    *,
    connections: int = 1,
    rate: float | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float = TIMEOUT,
    in_flight: int = 1,
    tries: int = TRIES,
    on_answer: Callable[[Answer], None] = lambda _answer: None,
) -> Summary:
    """Send messages and wait for all their answers; :func:`deliver` for callers without an event loop."""
    return asyncio.run(
        deliver(
            messages,
            host,
            port,
            connections=connections,
            rate=rate,
            tls=tls,
            timeout=timeout,
            in_flight=in_flight,
            tries=tries,
            on_answer=on_answer,
        )
    )


async def deliver(
    messages: Iterable[bytes],
    host: str,
    port: int,
    *,
    connections: int = 1,
    rate: float | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 (of each answer, not of the call)
    in_flight: int = 1,
    tries: int = TRIES,
    on_answer: Callable[[Answer], None] = lambda _answer: None,
) -> Summary:
    """Send messages over ``connections`` lanes and wait for all their answers.

    ``rate`` caps the messages started in one second over all lanes (None: as fast as answers come). ``timeout`` is in
    seconds, for each connection and answer. ``in_flight`` above 1 pipelines. ``on_answer`` is called for each answer as
    it comes; what it raises ends the sending. A receiver that cannot be reached gives a summary that says so, not an
    exception. Raises :class:`hl7_listener.errors.Unframeable` for a message that holds VT or FS.
    """
    began = time.monotonic()
    tally = Tally(on_answer)
    target = Target(host, port, tls, timeout, tries)
    lanes = [Lane(target, in_flight, tally) for _ in range(connections)]
    stopped = ""
    try:
        async with asyncio.TaskGroup() as group:
            for lane in lanes:
                group.create_task(lane.run())
            await _distribute(messages, lanes, rate)
    except ExceptionGroup as failures:
        first = _first(failures)
        if not isinstance(first, GaveUp):
            raise first from failures
        stopped = f"{first.code} {host}:{port}"
    return Summary(tally.sent, dict(tally.codes), tally.resent, time.monotonic() - began, stopped)


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    inner = failures.exceptions[0]
    return _first(inner) if isinstance(inner, ExceptionGroup) else inner


async def _distribute(messages: Iterable[bytes], lanes: list[Lane], rate: float | None) -> None:
    """Give every message to its lane, no faster than ``rate``, and tell the lanes when there are no more."""
    due = time.monotonic()
    for index, message in enumerate(messages):
        if rate is not None:
            await asyncio.sleep(due - time.monotonic())
            due = max(due, time.monotonic() - 1) + 1 / rate
        key = patient_key(message)
        lane = lanes[(crc32(key) if key else index) % len(lanes)]
        barrier = len(lanes) > 1 and _speaks_of_two(message)
        if barrier:
            await _idle(lanes)
        await lane.parcels.put(Parcel(index, encode(message), *_expectation(message)))
        if barrier:
            await _idle(lanes)
    for lane in lanes:
        await lane.parcels.put(None)


def _speaks_of_two(message: bytes) -> bool:
    """Whether it names a second person: by MRG, or (A24, A37) by another PID."""
    return bool(segment(message, b"MRG")) or len(_PID.findall(message)) > 1


async def _idle(lanes: list[Lane]) -> None:
    for lane in lanes:
        await lane.parcels.join()


def _expectation(message: bytes) -> tuple[bytes, str]:
    """Give the control id, and whether silence is never, perhaps or certainly the answer.

    MSH-15 and MSH-16 say so; and an acknowledgment is never acknowledged (HL7 2.5.1 chapter 2.9.1).
    """
    header = segment(message, b"MSH") + [b""] * 17
    if header[8].strip()[:3].upper() == b"ACK":
        return header[9], "must"
    asked = {header[14].strip().upper(), header[15].strip().upper()}
    if asked == {b"NE"}:
        return header[9], "must"
    return header[9], "may" if asked & {b"NE", b"ER", b"SU"} and b"AL" not in asked else "never"
