"""What the reader makes of real senders' habits, one by one (SPEC 3.4)."""

from __future__ import annotations

import pytest

from hl7_listener.charset import codec_for
from hl7_listener.delimiters import MAX_PARTS, NONE, STANDARD, Delimiters
from hl7_listener.errors import Unreadable
from hl7_listener.message import MAX_REPETITIONS, NULL, Message, Segment, read

MSH = r"MSH|^~\&|PAS^1|RX1^2|DS|RX1|20260301101500||ADT^A28^ADT_A05|MSG1|P^T|2.5.1^GBR|7||AL|NE||UNICODE UTF-8"
PID = r"PID|1||9434765919^^^NHS&X&L^NH~RX1000123^^^RX1^MR||HARGREAVES^MATILDA^^^MRS|  "


def message(*lines: str, end: str = "\r", charset: str = "utf-8") -> Message:
    return read((end.join(lines) + end).encode(charset))


def pid(line: str, header: str = "MSH|^~\\&|||||||ADT^A28|1|P|2.5") -> Segment:
    segment = message(header, line).segment("PID")
    assert segment is not None
    return segment


def test_the_header_is_read_whole() -> None:
    header = message(MSH, PID).header
    assert header.delimiters == STANDARD
    assert (header.sending_application, header.sending_facility) == ("PAS^1", "RX1^2")
    assert (header.receiving_application, header.receiving_facility) == ("DS", "RX1")
    assert (header.timestamp, header.message_code, header.trigger) == ("20260301101500", "ADT", "A28")
    assert (header.control_id, header.processing_id, header.version) == ("MSG1", "P", "2.5.1")
    assert (header.processing_field, header.version_field) == ("P^T", "2.5.1^GBR")
    assert (header.sequence, header.accept_ack, header.application_ack) == ("7", "AL", "NE")
    assert (header.charset_field, header.charset) == ("UNICODE UTF-8", "utf-8")


def test_a_short_header_leaves_the_rest_empty() -> None:
    header = read(b"MSH|^~\\&|A").header
    assert header.sending_application == "A"
    assert (header.message_code, header.control_id, header.version, header.charset_field) == ("", "", "", "")


def test_parts_of_a_field() -> None:
    segment = pid(PID)
    assert segment.id == "PID"
    assert segment.field(3).startswith("9434765919^")
    assert segment.text(3) == "9434765919"
    assert segment.text(3, 4) == "NHS"
    assert segment.text(3, 4, 3) == "L"
    assert segment.text(3, 4, 4) == segment.text(3, 9) == segment.text(5, 1, 2) == segment.text(1, 2) == ""
    assert segment.text(6) == ""
    assert segment.field(99) == segment.text(99) == ""
    assert segment.repetitions(3) == ["9434765919^^^NHS&X&L^NH", "RX1000123^^^RX1^MR"]
    assert segment.repetitions(4) == []
    assert segment.repetition_count(3) == 2
    assert segment.repetition_count(4) == 0


def test_components_and_subcomponents_are_raw() -> None:
    read_message = message(MSH, PID)
    assert read_message.components(r"A&B^C\S\D") == ["A&B", r"C\S\D"]
    assert read_message.subcomponents("A&B&") == ["A", "B", ""]
    assert read_message.unescape(r"C\S\D") == "C^D"


def test_fields_of_msh_have_their_numbers_in_hl7() -> None:
    segment = message(MSH).segment("MSH")
    assert segment is not None
    assert [segment.field(n) for n in (1, 2, 3, 10)] == ["|", r"^~\&", "PAS^1", "MSG1"]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r", "\n\r", "\r\n\r\n", "\n\n", "\r\n\n"])
def test_segment_ends(end: str) -> None:
    read_message = message(MSH, "EVN|A28", PID, end=end)
    assert [segment.id for segment in read_message.segments()] == ["MSH", "EVN", "PID"]
    assert read_message.header.charset_field == "UNICODE UTF-8"


def test_the_last_end_may_be_missing() -> None:
    assert pid("PID|1").field(1) == "1"
    last = read(f"{MSH}\r{PID}".encode()).segment("PID")
    assert last is not None
    assert last.text(3) == "9434765919"


def test_among_crs_an_lf_ends_a_segment_only_before_an_id_and_a_separator() -> None:
    read_message = read(b"MSH|^~\\&|A\nEVN|A28\rPID|1|line one\nline two\nand so|on\rZZ1\nPV1|1")
    assert [segment.raw for segment in read_message.segments()] == [
        "MSH|^~\\&|A",
        "EVN|A28",
        "PID|1|line one\nline two\nand so|on",
        "ZZ1",
        "PV1|1",
    ]


@pytest.mark.parametrize(("last", "charset"), [("»", "utf-8"), ("¿", "utf-8"), ("naï", "latin-1")])
def test_a_last_letter_that_shares_bytes_with_the_bom_stays(last: str, charset: str) -> None:
    segment = read(f"MSH|^~\\&|\rPID|{last}".encode(charset)).segment("PID")
    assert segment is not None
    assert segment.field(1) == last


@pytest.mark.parametrize("before", [b"", b" \t", b"\xef\xbb\xbf", b"\x0b", b"\r\n\0", b"\x1c\r\x0b\xef\xbb\xbf "])
@pytest.mark.parametrize("behind", [b"", b"\x1c\r", b"\r\n\0\x1c", b"  "])
def test_what_is_around_the_message_is_ignored_and_kept(before: bytes, behind: bytes) -> None:
    raw = before + MSH.encode() + b"\rPID|1|x" + behind
    read_message = read(raw)
    segment = read_message.segment("PID")
    assert read_message.raw == raw
    assert read_message.header.control_id == "MSG1"
    assert segment is not None
    assert segment.raw == "PID|1|x"


def test_ids_in_lower_case_and_indented() -> None:
    read_message = read(b"msh|^~\\&|A\rpid|1|lower\r  Nk1|1\r\t\0zzz\rstray line of text\r")
    assert [segment.raw for segment in read_message.segments()] == [
        "MSH|^~\\&|A",
        "PID|1|lower",
        "NK1|1",
        "ZZZ",
        "stray line of text",
    ]


def test_segments_by_id_in_the_order_of_the_message() -> None:
    read_message = message(MSH, "PID|1", "MRG|a", "PIDX|no", "PID|2", "MRG|b", "PID", "PID2|no")
    assert [segment.raw for segment in read_message.segments("PID")] == ["PID|1", "PID|2", "PID"]
    assert [segment.raw for segment in read_message.segments("PID", "MRG")] == [
        "PID|1",
        "MRG|a",
        "PID|2",
        "MRG|b",
        "PID",
    ]
    assert list(read_message.segments("NK1")) == []
    assert read_message.segment("NK1") is None
    assert read_message.segment("MRG") is read_message.segment("MRG")


@pytest.mark.parametrize(
    ("start", "delimiters"),
    [
        ("MSH|^~\\&|", STANDARD),
        ("MSH|^~\\\\&|", STANDARD),
        ("MSH|^~\\&#|", Delimiters(truncation="#")),
        ("MSH@~&#\\@", Delimiters("@", "~", "&", "#", "\\")),
        ("MSH|^~|", STANDARD),
        ("MSH|^|", STANDARD),
        ("MSH||", STANDARD),
        ("MSH|", STANDARD),
        ("MSH|A1 \t|", STANDARD),
        ("MSH|~|", Delimiters(component="~", repetition=NONE)),
        ("MSH^|^", Delimiters(field="^", component="|")),
        ("MSH&|", Delimiters(field="&", subcomponent=NONE, component="|")),
        ("MSH|^^^^|", STANDARD),
        ("MSH|$%*!|", Delimiters("|", "$", "%", "*", "!")),
        ("MSH|^~\\&^|", STANDARD),
    ],
)
def test_delimiters(start: str, delimiters: Delimiters) -> None:
    assert read(start.encode()).delimiters == delimiters


def test_a_missing_delimiter_divides_nothing() -> None:
    segment = pid("PID|a~b", header="MSH|~|A")
    assert segment.repetitions(1) == ["a~b"]
    assert segment.text(1, 2) == "b"


def test_what_we_write_as_encoding_characters() -> None:
    assert STANDARD.encoding_characters == "^~\\&"
    assert read(b"MSH|^~\\\\&|").delimiters.encoding_characters == "^~\\&"
    assert read(b"MSH|^~\\&#|").delimiters.encoding_characters == "^~\\&#"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"),
        (r"\E\F\E\ ", r"\F" + "\\"),
        (r"one\.br\two\.BR\three", "one\ntwo\nthree"),
        (r"\H\loud\N\ quiet", "loud quiet"),
        (r"caf\XC3A9\ ", "café"),
        (r"caf\XE9\ ", "café"),
        (r"\X81\ ", "\x81"),
        (r"\X4142\C", "ABC"),
        (r"C:\temp\x\F\y", r"C:\temp\x|y"),
        (r"\X4\ \X\ \XGG\ \Z1\ \.sp3\ \P\ ", r"\X4\ \X\ \XGG\ \Z1\ \.sp3\ \P" + "\\"),
        ("\\", "\\"),
        ("  a b  ", "a b"),
    ],
)
def test_escapes_are_undone_after_splitting(raw: str, text: str) -> None:
    assert pid(f"PID|{raw}").text(1) == text


def test_the_truncation_character_has_an_escape_where_it_is_declared() -> None:
    assert pid(r"PID|a\P\b", header="MSH|^~\\&#|A").text(1) == "a#b"


def test_escapes_follow_the_declared_delimiters() -> None:
    assert pid("PID@a#F#b#S#c#E#", header="MSH@~&#\\@A").text(1) == "a@b~c#"


def test_null_is_told_from_empty_on_every_level() -> None:
    segment = pid('PID|""||""~x|""^a|^""|a&""')
    assert segment.field(1) == segment.text(1) == NULL
    assert segment.field(2) == segment.text(2) == segment.text(1, 2) == ""
    assert segment.repetitions(3) == [NULL, "x"]
    assert (segment.text(4), segment.text(4, 2), segment.text(5), segment.text(5, 2)) == (NULL, "a", "", NULL)
    assert segment.text(6, 1, 2) == NULL


def test_more_repetitions_than_the_limit_can_be_seen() -> None:
    segment = pid("PID|" + "~".join("x" * 500))
    assert len(segment.repetitions(1)) == MAX_REPETITIONS
    assert len(segment.repetitions(1, limit=3)) == 3
    assert segment.repetition_count(1) == 500


def test_components_and_subcomponents_have_a_limit() -> None:
    assert len(STANDARD.components("^" * 1000)) == len(STANDARD.subcomponents("&" * 1000)) == MAX_PARTS


def test_a_field_beyond_any_real_segment_is_found() -> None:
    segment = pid("PID|" + "|".join(str(n) for n in range(1, 1001)))
    assert [segment.field(n) for n in (5, 62, 63, 64, 65, 127, 128, 129, 999, 1000, 1001)] == [
        *("5", "62", "63", "64", "65", "127", "128", "129", "999", "1000"),
        "",
    ]


@pytest.mark.parametrize(
    ("code", "raw", "charset", "guessed"),
    [
        ("UNICODE UTF-8", "é".encode(), "utf-8", False),
        ("8859/1", b"\xe9", "latin-1", False),
        ("8859/15", b"\xa4", "iso8859-15", False),
        ("ISO-8859-1", b"\xe9", "latin-1", False),
        ("windows-1252", b"\x80", "cp1252", False),
        ("GB 18030-2000", "é".encode("gb18030"), "gb18030", False),
        ("ISO IR87", "日本".encode("iso2022_jp"), "iso2022_jp_2", False),
        ("ASCII~8859/2", b"\xe9", "iso8859-2", False),
        ("", b"plain", "utf-8", False),
        ("ASCII", b"plain", "ascii", False),
        ("", "é".encode(), "utf-8", True),
        ("ASCII", "é".encode(), "utf-8", True),
        ("code1~code2", "é".encode(), "utf-8", True),
        ("UNICODE UTF-8", b"\xe9", "cp1252", True),
        ("", b"\x80 \xe9", "cp1252", True),
        ("", b"\x81 \xe9", "latin-1", True),
    ],
)
def test_the_charset_is_told_or_guessed(code: str, raw: bytes, charset: str, *, guessed: bool) -> None:
    read_message = read(f"MSH|^~\\&|||||||ADT^A28|1|P|2.5||||||{code}\rPID|".encode() + raw)
    segment = read_message.segment("PID")
    assert (read_message.charset, read_message.charset_guessed) == (charset, guessed)
    assert read_message.header.charset_field == code
    assert segment is not None
    assert segment.field(1) == raw.decode(charset)


def test_the_listeners_charset_goes_first_and_its_default_last() -> None:
    raw = b"MSH|^~\\&|||||||ADT^A28|1|P|2.5||||||8859/1\rPID|\xe9"
    undeclared = raw.replace(b"8859/1", b"")
    assert read(raw, charset="8859/2", default_charset="8859/5").charset == "iso8859-2"
    assert read(raw, default_charset="8859/5").charset == "latin-1"
    assert read(undeclared, default_charset="8859/5").charset == "iso8859-5"
    assert not read(undeclared, default_charset="8859/5").charset_guessed
    assert read(raw, charset="UTF-8").charset == "latin-1"  # told to, but the bytes are not
    assert read(undeclared, charset="no such").charset == "cp1252"


@pytest.mark.parametrize(
    ("name", "codec"),
    [("unicode utf-8", "utf-8"), ("8859/9", "iso8859-9"), ("CP1250", "cp1250"), ("", None), ("UNICODE UTF-16", None)],
)
def test_codecs_by_the_names_senders_use(name: str, codec: str | None) -> None:
    assert codec_for(name) == codec


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "empty"),
        (b"\r\n \0", "empty"),
        (b"EVN|A28\rPID|1", "no_msh"),
        (b"FHS|^~\\&|", "no_msh"),
        (b"hello", "no_msh"),
        (b"MSH", "no_delimiter"),
        (b"MSHA", "no_delimiter"),
        (b"MSH1^~\\&", "no_delimiter"),
        (b"MSH\r|^~\\&|", "no_delimiter"),
        (b"MSH ^~\\&", "no_delimiter"),
        ("MSHé^~\\&".encode(), "no_delimiter"),
    ],
)
def test_what_is_no_message_says_why(raw: bytes, code: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(raw)
    assert caught.value.code == str(caught.value) == code
    assert caught.value.header.delimiters == STANDARD


def test_a_lost_header_is_salvaged_for_the_answer() -> None:
    with pytest.raises(Unreadable) as caught:
        read(b"EVN|A28\rMSH|^~\\&|PAS|RX1|||||ADT^A28|MSG9|P|2.4\rPID|1")
    header = caught.value.header
    assert (header.sending_application, header.control_id, header.version) == ("PAS", "MSG9", "2.4")


def test_no_repr_and_no_error_shows_content() -> None:
    read_message = message(MSH.replace("PAS", "CANARY"), "PID|CANARY")
    shown = [repr(read_message), repr(read_message.header), *map(repr, read_message.segments())]
    with pytest.raises(Unreadable) as caught:
        read(b"CANARY")
    assert "CANARY" not in " ".join([*shown, repr(caught.value), str(caught.value)])


def test_more_segments_in_lower_case_than_anybody_sends_are_not_all_mended() -> None:
    """Each costs a call of ours, unlike anything else in reading, and a megabyte has room for 200,000."""
    odd = read(b"MSH|^~\\&|A\r" + b"obx|1\r" * 30_000 + b"PID|1\r")
    assert sum(1 for _ in odd.segments("OBX")) == 10_000
    assert odd.segment("PID") is not None
    good = read(b"MSH|^~\\&|A\r" + b"OBX|1\r" * 30_000 + b" pid|1\r")
    assert sum(1 for _ in good.segments("OBX")) == 30_000
    assert good.segment("PID") is not None


def test_the_beginning_of_a_long_text_cuts_no_escape_sequence() -> None:
    message = read(MSH.encode())
    for most in range(1, 60):
        found = message.unescape(r"ab\X41\cd\F\\.br\ef\X4142434445\\\T\g" + "h" * 99, most)
        assert ("abAcd|\nefABCDE\\&g" + "h" * 99).startswith(found)
        assert len(found) <= most
