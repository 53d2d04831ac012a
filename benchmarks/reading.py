"""Microseconds a message, one core, no disk: our reader and our acknowledgment beside those of the two libraries.

Ours is asked for everything that the way to the commit asks for (all of :class:`PatientUpdate`, validated). The two
libraries are asked for the fifteen fields of :data:`FIELDS` as plain text, which is less.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import hl7

from benchmarks.feed import a28
from benchmarks.report import Column, Row, Table, ratio
from benchmarks.workbench import Workbench
from hl7_listener.acknowledgment import AckCode, acknowledge
from hl7_listener.adt import interpret
from hl7_listener.framing import FrameDecoder, encode
from hl7_listener.message import Message, read
from hl7_listener.options import ListenerOptions
from hl7_listener.sender_profile import SenderProfile
from patient_records.update import PatientUpdate

FIELDS: Final = (
    *(("MSH", field) for field in (3, 4, 7, 10, 12)),
    ("EVN", 2),
    *(("PID", field) for field in (3, 5, 7, 8, 11, 13, 14, 29, 30)),
)

_NOW: Final = datetime(2026, 3, 1, 8, 30, 15, tzinfo=UTC)
_BEST_OF: Final = 5
_HL7APY_SHARE: Final = 40
"""hl7apy is given one message in so many: it takes hundreds of times as long."""

_COLUMNS: Final = (
    Column("what", "what"),
    Column("doorstep", "doorstep us", ",.1f"),
    Column("python_hl7", "python-hl7 us", ",.1f"),
    Column("hl7apy", "hl7apy us", ",.0f"),
    Column("times_python_hl7", "x python-hl7", ",.0f"),
    Column("times_hl7apy", "x hl7apy", ",.0f"),
)

T = TypeVar("T")


def run(bench: Workbench) -> Table:
    """Time each step over many messages."""
    bench.say("reading")
    raws = [a28(serial) for serial in range(bench.scale.readings)]
    few = raws[: max(1, len(raws) // _HL7APY_SHARE)]
    rows = [
        _row("taking it out of its frame", doorstep=_framing(raws)),
        _row("reading and interpreting", _ours(raws), _python_hl7(raws), _hl7apy(few)),
        _row("building the acknowledgment", _our_ack(raws), _python_hl7_ack(raws), _hl7apy_ack(few)),
    ]
    notes = (
        f"Best of {_BEST_OF} passes over {len(raws):,} messages ({len(few):,} for hl7apy). x: so many times faster.",
    )
    return Table("reading", "Reading one A28 of about 900 bytes, one core", _COLUMNS, rows, notes)


def _row(what: str, doorstep: float | None = None, python_hl7: float | None = None, hl7apy: float | None = None) -> Row:
    return {
        "what": what,
        "doorstep": doorstep,
        "python_hl7": python_hl7,
        "hl7apy": hl7apy,
        "times_python_hl7": ratio(python_hl7, doorstep),
        "times_hl7apy": ratio(hl7apy, doorstep),
    }


def _timed(work: Callable[[T], object], inputs: Sequence[T]) -> float:
    """Microseconds for one input, the best of several passes: what disturbs a pass only ever makes it longer."""
    best = float("inf")
    for _ in range(_BEST_OF):
        began = time.perf_counter()
        for one in inputs:
            work(one)
        best = min(best, time.perf_counter() - began)
    return 1e6 * best / len(inputs)


def _framing(raws: Sequence[bytes]) -> float:
    decoder = FrameDecoder()
    return _timed(decoder.feed, [encode(raw) for raw in raws])


def _ours(raws: Sequence[bytes]) -> float:
    listener, profile = _listener(), SenderProfile()
    if not isinstance(interpret(read(raws[0]), listener, profile, _NOW), PatientUpdate):
        raise TypeError("the message means no update")
    return _timed(lambda raw: interpret(read(raw), listener, profile, _NOW), raws)


def _listener() -> ListenerOptions:
    return ListenerOptions(name="pas", host="127.0.0.1", port=0, organisation="RX1", timezone=ZoneInfo("Europe/London"))


def _our_ack(raws: Sequence[bytes]) -> float:
    def answer(message: Message) -> bytes:
        return acknowledge(message.header, AckCode.AA, control_id="1", now=_NOW, text="applied")

    return _timed(answer, [read(raw) for raw in raws])


def _python_hl7(raws: Sequence[bytes]) -> float:
    def fields(raw: bytes) -> list[str]:
        message = hl7.parse(raw.decode())
        return [str(segment[field]) if len(segment := message.segment(name)) > field else "" for name, field in FIELDS]

    return _timed(fields, raws)


def _python_hl7_ack(raws: Sequence[bytes]) -> float:
    return _timed(lambda message: str(message.create_ack()), [hl7.parse(raw.decode()) for raw in raws])


def _hl7apy(raws: Sequence[bytes]) -> float:
    from hl7apy.parser import parse_message  # noqa: PLC0415 (half a second that the other benchmarks need not wait)

    def fields(text: str) -> list[str]:
        message = parse_message(text)
        segments = {name: getattr(message, name.lower()) for name in ("MSH", "EVN", "PID")}
        return [getattr(segments[name], f"{name.lower()}_{field}").value for name, field in FIELDS]

    return _timed(fields, [raw.decode() for raw in raws])


def _hl7apy_ack(raws: Sequence[bytes]) -> float:
    from hl7apy.core import Message as Hl7apyMessage  # noqa: PLC0415 (likewise)

    def answer(header: hl7.Segment) -> str:
        message: Any = Hl7apyMessage("ACK", version="2.5.1")
        for ours, theirs in ((3, 5), (4, 6), (5, 3), (6, 4), (10, 10), (11, 11)):
            setattr(message.msh, f"msh_{ours}", str(header[theirs]))
        message.msh.msh_9 = "ACK^A28^ACK"
        message.msa.msa_1 = "AA"
        message.msa.msa_2 = str(header[10])
        return str(message.to_er7())

    return _timed(answer, [hl7.parse(raw.decode()).segment("MSH") for raw in raws])
