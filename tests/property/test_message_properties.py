"""The reader gives back what was built, raises nothing but its own error, and works no more than its input asks."""

from __future__ import annotations

import multiprocessing
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from datetime import UTC, datetime
from types import FrameType
from typing import Any, SupportsIndex

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hl7_listener import message as reader
from hl7_listener.acknowledgment import AckCode, acknowledge
from hl7_listener.charset import decode
from hl7_listener.delimiters import STANDARD, Delimiters
from hl7_listener.errors import Unreadable
from hl7_listener.escapes import escape, unescape
from hl7_listener.message import Message, read

NOW = datetime(2026, 3, 1, 10, 15, tzinfo=UTC)
MARKS = "|^~\\&!#$%*+,-/:;<=>?@[]_`{}.§¦"
DELIMITERS = st.one_of(
    st.just(STANDARD),
    st.permutations(MARKS).map(lambda marks: Delimiters(*marks[:5])),
    st.permutations(MARKS).map(lambda marks: Delimiters(*marks[:6])),
)
TEXT = st.text(
    alphabet=st.one_of(
        st.sampled_from(MARKS + 'FSTREPXHN.br0Dé日\r\n\v\0\x1c "'),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=12,
)
FIELDS = st.lists(  # of repetitions, of components, of subcomponents
    st.lists(st.lists(st.lists(TEXT, min_size=1, max_size=3), min_size=1, max_size=4), min_size=1, max_size=3),
    min_size=1,
    max_size=8,
)


def _build(fields: list[list[list[list[str]]]], marks: Delimiters) -> bytes:
    written = marks.field.join(
        marks.repetition.join(
            marks.component.join(
                marks.subcomponent.join(escape(text, marks) for text in component) for component in repetition
            )
            for repetition in field
        )
        for field in fields
    )
    f = marks.field
    header = f"MSH{f}{marks.encoding_characters}{f}A{f * 15}UNICODE UTF8"  # no hyphen, it may be a delimiter
    return f"{header}\rPID{f}{written}{f}end\r".encode()


def _read_back(message: Message, count: int) -> list[list[list[list[str]]]]:
    segment = message.segment("PID")
    assert segment is not None
    return [
        [
            [
                [message.unescape(sub) for sub in message.subcomponents(component)]
                for component in message.components(repetition)
            ]
            for repetition in segment.repetitions(n) or [""]
        ]
        for n in range(1, count + 1)
    ]


@settings(max_examples=300)
@given(fields=FIELDS, marks=DELIMITERS)
@example(fields=[[[[""]]]], marks=Delimiters("§", "¦"))  # in UTF-8 both begin with the same byte
def test_what_was_built_is_read_back(fields: list[list[list[list[str]]]], marks: Delimiters) -> None:
    message = read(_build(fields, marks))
    assert message.delimiters == marks
    assert not message.charset_guessed
    assert _read_back(message, len(fields)) == fields
    segment = message.segment("PID")
    assert segment is not None
    for n, field in enumerate(fields, 1):
        for c, component in enumerate(field[0], 1):
            for s, text in enumerate(component, 1):
                assert segment.text(n, c, s) == text.strip()


@settings(max_examples=300)
@given(text=TEXT, marks=DELIMITERS)
def test_escaping_hides_every_delimiter_and_comes_off_again(text: str, marks: Delimiters) -> None:
    written = escape(text, marks)
    assert unescape(written, marks, "utf-8") == text
    outside = {marks.field, marks.component, marks.repetition, marks.subcomponent, *"\r\n\v\0\x1c"}
    assert not outside.intersection(written)


PRINTABLE = rb'MSH|^~\& MSH msh| | ^ ~ \ & "" \X 41\ \F\ \.br\ ACK^A28 2.5 ASCII 8859/1 GBK AL NE A'.split(b" ")
OTHERS = b"\rPID|,\nPID|,\r,\n, ,\0,\x0b,\x1c,\xef\xbb\xbf,\xe9,\x81,\xe6\x97\xa5,\x1b$B,ISO IR87,UNICODE UTF-8".split(
    b","
)
TOKENS = st.sampled_from([*PRINTABLE, *OTHERS, b"|" * 17])
HOSTILE = st.one_of(st.binary(max_size=80), st.lists(TOKENS, max_size=40).map(b"".join))


def _ask_everything(message: Message) -> None:
    for segment in [*message.segments(), *message.segments("PID"), *message.segments("PID", "NK1", "")]:
        for n in (0, 1, 3, 5, 70, 200):
            segment.text(n)
            segment.text(n, 3, 2)
            segment.repetition_count(n)
            for repetition in segment.repetitions(n):
                for component in message.components(repetition)[:3]:
                    message.subcomponents(component)
                    message.unescape(component)


@settings(max_examples=500)
@given(start=st.sampled_from([b"", b"MSH|^~\\&|", b"MSH@~&#\\@"]), rest=HOSTILE, text=TEXT)
def test_any_bytes_are_a_message_or_unreadable_and_get_an_answer(start: bytes, rest: bytes, text: str) -> None:
    try:
        message = read(start + rest, charset=None)
    except Unreadable as fault:
        header = fault.header
    else:
        header = message.header
        assert message.raw == start + rest
        _ask_everything(message)
    answer = acknowledge(header, AckCode.AR, control_id="1", now=NOW, text=text)
    assert answer.startswith(b"MSH")
    assert answer.count(b"\r") == 2


@settings(max_examples=300)
@given(control_id=st.text(st.characters(exclude_characters="|\r\n", exclude_categories=["Cs"])), text=TEXT)
def test_the_control_id_comes_back_byte_for_byte(control_id: str, text: str) -> None:
    raw = f"MSH|^~\\&|||||||ADT^A28|{control_id}|P|2.5\r".encode()
    header = read(raw).header
    answer = acknowledge(header, AckCode.AA, control_id="1", now=NOW, text=text)
    fields = answer.split(b"\r")[1].split(b"|")
    assert fields[2] == control_id.encode()
    assert unescape((fields[3:] or [b""])[0].decode(), STANDARD, "utf-8") == text


def _operations(work: Callable[[], object]) -> int:
    """Count calls, of Python functions and of C functions: each of the latter passes over its text once."""
    count = 0

    def called(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    previous = sys.getprofile()
    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(previous)
    return count


def _message(filling: bytes, size: int) -> bytes:
    return b"MSH|^~\\&|A|B|C|D|2026||ADT^A28|1|P|2.5\rPID|" + filling * (size // len(filling))


def _work(filling: bytes, size: int) -> Callable[[], object]:
    raw = _message(filling, size)

    def work() -> None:
        message = read(raw)
        for segment_id in ("EVN", "PID", "MRG", "ZZZ"):
            segment = message.segment(segment_id)
            if segment is not None:
                for n in (1, 3, 5, 11, 13, 30, 70):
                    segment.text(n, 5, 2)
                    segment.repetition_count(n)
                    for repetition in segment.repetitions(n):
                        for component in message.components(repetition):
                            message.subcomponents(component)

    return work


FILLINGS = [
    b"|",
    b"^",
    b"~",
    b"&",
    b"\\",
    b"\\X",
    b"\\F",
    b"\\F\\",
    b"\\X41",
    b" ",
    b"A",
    b"\xe9",
    "é".encode(),
    b"\x81",
]
FILLINGS += [
    b"\r",
    b"\n",
    b"\n\r",
    b"\r\n",
    b"\r ",
    b"\n ",
    b"\rA",
    b"\rAB\n",
    b"\rPID",
    b"\rPID|",
    b"\rpid|",
    b"\npid|",
]


@pytest.mark.parametrize("filling", FILLINGS)
def test_work_grows_no_faster_than_the_input(filling: bytes) -> None:
    _operations(_work(filling, 100))  # patterns are compiled once
    small, large = (_operations(_work(filling, size)) for size in (20_000, 80_000))
    assert large <= 4 * small + 50


class CountedText(str):
    """Text that counts how many of its characters were searched, split or copied; so do all pieces of it."""

    __slots__ = ()
    touched = 0

    def _all(self) -> None:
        CountedText.touched += len(self)

    def find(self, sub: str, start: Any = 0, end: Any = None) -> int:
        stop = len(self) if end is None else min(end, len(self))
        found = super().find(sub, start, stop)
        CountedText.touched += (stop if found < 0 else found + 1) - start
        return found

    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        CountedText.touched += len(range(*key.indices(len(self)))) if isinstance(key, slice) else 1
        return CountedText(super().__getitem__(key))

    def __contains__(self, sub: object) -> bool:
        self._all()
        return isinstance(sub, str) and str.find(self, sub) >= 0

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[Any]:
        self._all()
        return [CountedText(piece) for piece in super().split(sep, maxsplit)]

    def partition(self, sep: str) -> Any:
        self._all()
        return tuple(CountedText(piece) for piece in super().partition(sep))

    def count(self, sub: str, *place: Any) -> int:
        self._all()
        return super().count(sub, *place)

    def replace(self, old: str, new: str, count: SupportsIndex = -1) -> Any:
        self._all()
        return CountedText(super().replace(old, new, count))

    def strip(self, chars: str | None = None) -> Any:
        self._all()
        return CountedText(super().strip(chars))


def _touched(monkeypatch: pytest.MonkeyPatch, filling: bytes, size: int) -> int:
    """How many characters the reader looks at in a message of that size, asked for all that adt.py asks for."""

    def counted(*given: Any, **named: Any) -> Any:
        decoded = decode(*given, **named)
        return replace(decoded, text=CountedText(decoded.text))

    mended = reader._mended
    with monkeypatch.context() as patch:
        patch.setattr("hl7_listener.message.decode", counted)
        patch.setattr(reader, "_mended", lambda text: CountedText(mended(text)))
        CountedText.touched = 0
        _work(filling, size)()
        message = read(_message(filling, size))
        for segment in [*message.segments(), *message.segments("PID"), *message.segments("PID", "NK1", "ZZZ")]:
            segment.text(3)
    return CountedText.touched


@pytest.mark.parametrize("filling", FILLINGS)
def test_no_character_is_looked_at_more_often_in_a_longer_message(
    monkeypatch: pytest.MonkeyPatch, filling: bytes
) -> None:
    small, large = (_touched(monkeypatch, filling, size) for size in (20_000, 80_000))
    assert small  # something was counted; of blanks at the end nothing is left to look at
    assert large <= 4 * small + 2_000


def _peak(filling: bytes, size: int) -> int:
    """How many bytes Python holds at most while a message of that size is worked on."""
    work = _work(filling, size)
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def own_process() -> Iterator[Executor]:
    """A new process: tracing counts all of a process, so threads and garbage that other tests left here would count."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("filling", FILLINGS)
def test_memory_stays_a_small_multiple_of_the_input(own_process: Executor, filling: bytes) -> None:
    size = 100_000
    assert own_process.submit(_peak, filling, size).result() < 40 * size
