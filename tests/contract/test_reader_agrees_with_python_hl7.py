r"""Our reader and python-hl7 see the same fields in every message that both can read.

The messages are our fixtures, a few invented here and, where it lies beside the project, a corpus of public ones. Each
goes to ours as received; python-hl7 gets text that this test prepares the way SPEC 3.4 wants, because it knows only CR
as the end of a segment; it leaves the charset to its caller, so it gets the one that ours chose. The comparison is of
raw text: segments, fields, repetitions, components and subcomponents, and of the header's parts; then of single parts
and of unescaped text.

Where the two differ on purpose (pinned at the end of this file, so that a change in either is seen):

* *Doubled backslash* (``^~\\&``): python-hl7 takes the second one for the subcomponent delimiter; we read ``^~\&``,
  which is what every such sender means. For the comparison it is given the mended header.
* *A letter as a delimiter* (``MSH|A``): python-hl7 fails; we use the default.
* *Segment ids in lower case*: python-hl7 keeps them, and then does not find the segment; we read them in upper case.
* *Unknown escapes* (``C:\temp\x``, ``\Z1\``, ``\P\``): python-hl7 drops them, and logs their content; we keep them, and
  undo ``\P\`` where the message declares a truncation character.
* *Hexadecimal escapes*: python-hl7 makes a character of each byte; we decode the bytes together, in the charset.
* *Highlighting* (``\H\``, ``\N\``): python-hl7 writes ``_``; we write nothing.
* *No MSH*: python-hl7 raises ParseException or IndexError; ours raises Unreadable, with a header to answer to.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import hl7
import pytest

from hl7_listener.errors import Unreadable
from hl7_listener.message import Message, Segment, read

PROJECT = Path(__file__).resolve().parents[2]
CORPUS = PROJECT / "../shared/corpus"
FIXTURES = sorted((PROJECT / "fixtures").rglob("*.hl7"))
PUBLIC = sorted(CORPUS.glob("*.hl7"))

needs_corpus = pytest.mark.skipif(
    not PUBLIC, reason="the corpus of public messages (../shared/corpus) is not beside the project"
)

NOT_MESSAGES = {"malformed_cosyte_01.hl7": "no_msh"}
"""What neither reads, and the code that ours gives."""

NO_DELIMITERS = {"malformed_cosyte_03.hl7"}
"""What python-hl7 cannot divide, for a letter stands where a delimiter should; ours uses the defaults."""

INVENTED = {
    "plain": b"MSH|^~\\&|A|B|C|D|2026||ADT^A28^ADT_A05|1|P|2.5|7||AL|NE||ASCII\rEVN|A28\rPID|1||1^^^X&Y&Z^MR~2||N^G\r",
    "line feeds": b"MSH|^~\\&|A\nPID|1||1^2~3&4||\n\nNK1|1\n",
    "both": b"MSH|^~\\&|A\r\nPID|1||1^2~3&4||\r\nNK1|1",
    "mixed": b"MSH|^~\\&|A\nPID|1|text\nof a field\rNK1|1\n\r",
    "own delimiters": b"MSH@~&#\\@A@B\rPID@1@a~b\\c&d|e^f",
    "two encoding characters": b"MSH|^~|A\rPID|a^b~c&d",
    "escapes": b"MSH|^~\\&|A\rPID|a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f|x\\.br\\y",
    "nulls": b'MSH|^~\\&|A\rPID|""|""^a|^""|""~x|a&""\rNK1|""\rNK1',
    "accents": "MSH|^~\\&|É\rPID|é^日本".encode(),
    "accents of Windows": "MSH|^~\\&|É\rPID|é^€".encode("cp1252"),
}

KNOWN_TO_BOTH = re.compile(r"\\(?:[FSTRE]|\.br)\\")


def prepared(raw: bytes, charset: str = "utf-8") -> str:
    """Divide as SPEC 3.4 says, written a second time and plainly."""
    text = raw.decode(charset).strip("\ufeff \t\r\n\0\x0b\x1c").replace("\\\\&", "\\&", 1)
    if "\r" not in text:
        return re.sub("\n+", "\r", text)
    lines = [line.strip("\n") for line in text.split("\r")]
    ends = re.compile(r"\n(?=[A-Z][A-Z0-9]{2}" + re.escape(text[3]) + ")")
    return re.sub("\r+", "\r", ends.sub("\r", "\r".join(lines)))


def parts(value: Any) -> list[Any]:
    """The pieces of a python-hl7 container, or the one piece that a plain text is."""
    return list(value) if isinstance(value, hl7.Container) else [value]


def same_field(ours: Segment, message: Message, n: int, field: Any) -> None:
    repetitions = parts(field)
    assert ours.field(n) == str(field)
    assert ours.repetitions(n, limit=10_000) == ([str(repetition) for repetition in repetitions] if str(field) else [])
    for c, component in enumerate(parts(repetitions[0]), 1):
        for s, sub in enumerate(parts(component), 1):
            assert ours.text(n, c, s) == message.unescape(str(sub)).strip()
    for repetition, raw in zip(repetitions, ours.repetitions(n, limit=10_000), strict=False):
        components = parts(repetition)
        assert message.components(raw) == [str(component) for component in components]
        for component in components:
            assert message.subcomponents(str(component)) == [str(sub) for sub in parts(component)]


def same_unescaped(message: Message, theirs: Any, field: Any) -> int:
    """Compare unescaped text where it holds only escapes that both undo; says how many were compared."""
    compared = 0
    for repetition in parts(field):
        for component in parts(repetition):
            for sub in map(str, parts(component)):
                if KNOWN_TO_BOTH.search(sub) and not KNOWN_TO_BOTH.sub("", sub).count("\\"):
                    assert message.unescape(sub) == theirs.unescape(sub, {".br": "\n"})
                    compared += 1
    return compared


def paths(found: list[Path]) -> list[Any]:
    return [pytest.param(path, id=path.name) for path in found]


def agree(raw: bytes) -> int:
    """Compare the two readings of one message; gives the number of fields compared."""
    message = read(raw)
    theirs = hl7.parse(prepared(raw, message.charset))
    ours = list(message.segments())
    assert [segment.id for segment in ours] == [str(segment[0]).upper() for segment in theirs]
    fields = 0
    for segment, their_segment in zip(ours, theirs, strict=True):
        first = 3 if segment.id in {"MSH", "FHS", "BHS"} else 1
        for n in range(first, len(their_segment)):
            same_field(segment, message, n, their_segment[n])
            same_unescaped(message, theirs, their_segment[n])
            fields += 1
        assert segment.field(len(their_segment)) == ""
    return fields


def same_header(raw: bytes) -> None:
    header = read(raw).header
    theirs = hl7.parse(prepared(raw, header.charset)).segment("MSH")
    fields = [str(theirs[n]) if n < len(theirs) else "" for n in range(19)]
    assert [header.sending_application, header.sending_facility] == fields[3:5]
    assert [header.receiving_application, header.receiving_facility] == fields[5:7]
    assert [header.timestamp, header.sequence] == [fields[7].strip(), fields[13].strip()]
    assert [header.control_id, header.charset_field] == [fields[10], fields[18]]
    assert [header.processing_field, header.version_field] == [fields[11], fields[12]]
    assert [header.accept_ack, header.application_ack] == [fields[15].strip(), fields[16].strip()]
    kind = [*fields[9].split(header.delimiters.component), ""]
    assert [header.message_code, header.trigger] == kind[:2]


@pytest.mark.parametrize("name", INVENTED)
def test_on_invented_messages(name: str) -> None:
    assert agree(INVENTED[name]) > 0
    same_header(INVENTED[name])


@pytest.mark.parametrize("path", paths(FIXTURES))
def test_on_our_fixtures(path: Path) -> None:
    raw = path.read_bytes()
    try:
        read(raw)
    except Unreadable:  # a fixture of bytes that are no message; another test has its expectation
        return
    assert agree(raw) > 0
    same_header(raw)


@needs_corpus
def test_on_every_public_message() -> None:
    compared = 0
    for path in PUBLIC:
        raw = path.read_bytes()
        if path.name in NOT_MESSAGES | dict.fromkeys(NO_DELIMITERS):
            continue
        try:
            compared += agree(raw)
            same_header(raw)
        except AssertionError as difference:
            raise AssertionError(f"{path.name}: the two readers differ") from difference
    assert compared > 10_000


@needs_corpus
@pytest.mark.parametrize(("name", "code"), NOT_MESSAGES.items())
def test_on_what_is_no_message(name: str, code: str) -> None:
    raw = (CORPUS / name).read_bytes()
    with pytest.raises(Unreadable) as caught:
        read(raw)
    assert caught.value.code == code
    with pytest.raises(hl7.ParseException):
        hl7.parse(prepared(raw))


@pytest.mark.parametrize(
    ("text", "ours", "theirs"),
    [
        (r"C:\temp\x", r"C:\temp\x", "C:x"),
        (r"a\P\b", r"a\P\b", "ab"),
        (r"\XC3A9\ ", "é ", "Ã© "),
        (r"\H\a\N\b", "ab", "_a_b"),
    ],
)
def test_where_escapes_differ(text: str, ours: str, theirs: str, caplog: pytest.LogCaptureFixture) -> None:
    raw = b"MSH|^~\\&|A"
    assert read(raw).unescape(text) == ours
    with caplog.at_level("CRITICAL", logger="hl7"):
        assert hl7.parse(raw.decode()).unescape(text) == theirs


@pytest.mark.parametrize(
    ("raw", "subcomponents"), [(b"MSH|^~\\\\&|A\rPID|a&b", ["a", "b"]), (b"MSH|A\rPID|a&b", ["a", "b"])]
)
def test_where_delimiters_differ(raw: bytes, subcomponents: list[str]) -> None:
    message = read(raw)
    segment = message.segment("PID")
    assert segment is not None
    assert message.subcomponents(segment.field(1)) == subcomponents
    try:
        theirs = [str(sub) for sub in parts(hl7.parse(raw.decode())["PID"][0][1][0])]
    except AssertionError:
        theirs = []
    assert theirs != subcomponents


@pytest.mark.parametrize("raw", [b"", b"MSH", b"EVN|A28", b"hello"])
def test_where_there_is_no_header(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        read(raw)
    with pytest.raises((hl7.ParseException, IndexError)):
        hl7.parse(raw.decode())


@needs_corpus
@pytest.mark.parametrize("name", sorted(NO_DELIMITERS))
def test_where_python_hl7_finds_no_delimiters_ours_uses_the_defaults(name: str) -> None:
    message = read((CORPUS / name).read_bytes())
    assert message.delimiters.encoding_characters == "^~\\&"
    assert next(message.segments()).id == "MSH"
