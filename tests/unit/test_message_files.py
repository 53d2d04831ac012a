"""A replay is only worth something if it sends the bytes that are in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from hl7_listener.message_files import CutShort, normalised, read_messages, split_messages

ONE = b"MSH|^~\\&|A\rPID|1||7\r"
TWO = b"MSH|^~\\&|B\nPID|1||8\n"


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        (ONE, [ONE]),
        (TWO + b"\n\n", [TWO + b"\n\n"]),
        (b"\xef\xbb\xbf" + ONE, [ONE]),
        (TWO + b"\n\n" + ONE + b"\r\r", [TWO, ONE]),
        (b"\x0b" + ONE + b"\x1c\r\x0b" + TWO + b"\x1c", [ONE, TWO]),
        (b"\r\n\x0b" + ONE + b"\x1c\r\n", [ONE]),
        (b"FHS|^~\\&\rBHS|^~\\&\r" + ONE + ONE + b"BTS|2\rBHS|x\r" + TWO + b"BTS|1\rFTS|2\r", [ONE, ONE, TWO]),
        (b"# a note first\n" + TWO, [TWO]),
        (b"not a message", [b"not a message"]),
        (b"MSHX|no\r", [b"MSHX|no\r"]),
        (b"\r\n", []),
        (b"", []),
    ],
)
def test_messages_are_found_and_their_bytes_kept(content: bytes, messages: list[bytes]) -> None:
    assert list(split_messages(content)) == messages


@pytest.mark.parametrize("content", [
    b"\x0b" + ONE + b"\x1c\r\x0bMSH|^~\\&|half",
    b"\x0bMSH|^~\\&|half\x0b" + ONE + b"\x1c\r",
])  # fmt: skip
def test_of_a_capture_that_lost_an_end_the_whole_frames_come_and_then_the_word(content: bytes) -> None:
    found: list[bytes] = []
    with pytest.raises(CutShort) as told:
        found.extend(split_messages(content))
    assert (found, told.value.count) == ([ONE], 1)


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name, content in {"b.hl7": TWO, "a.HL7": ONE, "inner/c.txt": ONE, "b.toml": b"x", "notes.md": b"MSH|"}.items():
        (tmp_path / name).write_bytes(content)
    assert list(read_messages(tmp_path)) == [ONE, TWO, ONE]
    assert list(read_messages(tmp_path / "b.hl7", normalise=True)) == [b"MSH|^~\\&|B\rPID|1||8\r"]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_messages(tmp_path / "none.hl7"))


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (b"MSH|A\r\nPID|1\r\n", b"MSH|A\rPID|1\r"),
        (b"MSH|A\nPID|1", b"MSH|A\rPID|1"),
        (b"MSH|A\rNTE|1||two\nlines\rPID|1\n", b"MSH|A\rNTE|1||two\nlines\rPID|1\r"),
        (b"MSH|A\rEVN|B\nPID|1\r", b"MSH|A\rEVN|B\rPID|1\r"),
        (b"MSH|A\n\rPID|1\n\r", b"MSH|A\rPID|1\r"),
    ],
)
def test_segments_end_in_cr_and_text_keeps_its_line_feeds(sent: bytes, meant: bytes) -> None:
    assert normalised(sent) == meant
