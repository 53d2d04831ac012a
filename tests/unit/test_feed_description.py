"""A feed is described by what it does; nobody is in the description, and the drafted profile is one that works."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.settings.senders import load_profile
from hl7_listener.feed_description import OTHER, PEOPLE, RARE, FeedDescription
from hl7_listener.feed_profile import draft
from hl7_listener.message import read
from hl7_listener.sender_profile import read_identifier
from tests.support import canary

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NHS_NUMBERS = ["9434765919", "9434765870", "4010232137", "9000000009", "9990000042"]


def message(number: int, pid3: str = "", *, birth: str = "19800229", header: str = "", tail: str = "") -> bytes:
    pid3 = pid3 or f"{number}^^^RX1^MR"
    return (
        f"MSH|^~\\&|PAS|RX1|D|D|2026||ADT^A28|{number}|P|2.4{header}\rEVN|A28|20260101120000\r"
        f"PID|1||{pid3}||Name{number}^Given||{birth}\r{tail}"
    ).encode()


def described(*messages: bytes) -> FeedDescription:
    feed = FeedDescription()
    for raw in messages:
        feed.add(read(raw))
    return feed


def kinds(feed: FeedDescription) -> list[tuple[str, str, int]]:
    return [(authority, type_, kind.count) for authority, type_, kind in feed.kinds()]


def test_what_is_counted() -> None:
    feed = described(
        *(message(n, tail="ZPI|x\r") for n in range(PEOPLE)),
        message(7, birth='""', header="||||||8859/1"),
        message(8, birth="1980-02-29").replace(b"\r", b"\n"),
    )
    assert feed.messages == PEOPLE + 2
    assert feed.versions == {"2.4": PEOPLE + 2}
    assert feed.events == {"ADT^A28": PEOPLE + 2}
    assert feed.date_shapes == {"99999999": PEOPLE, "9999-99-99": 1}
    assert feed.nulls["PID-7"] == 1
    assert feed.declared_charsets["latin-1"] == 1
    assert feed.line_ends == {"CR": PEOPLE + 1, "LF": 1}
    assert feed.known_segments()["ZPI"] == PEOPLE
    assert feed.present["PID-3"] == PEOPLE + 2
    assert kinds(feed) == [("RX1", "MR", PEOPLE + 2)]


def test_every_field_that_is_read_is_counted() -> None:
    contacts = "|" * 33 + "07700900123"
    feed = described(
        message(1, birth="19800229" + contacts, tail="PD1|||||||||||N|Y\rPV1||||||||||||||||S\r"), message(2)
    )
    assert [feed.present[name] for name in ("PID-40", "PD1-11", "PD1-12", "PV1-16")] == [1, 1, 1, 1]


def test_a_word_of_the_sender_s_is_shown_once_five_people_had_it() -> None:
    few = [message(n, f"{n}^^^Kanarifame^MR") for n in range(PEOPLE - 1)]
    again = message(0, "0^^^Kanarifame^MR")
    assert kinds(described(*few, again, again)) == [(RARE, RARE, PEOPLE + 1)]
    assert kinds(described(*few, message(9, "9^^^Kanarifame^MR"))) == [("Kanarifame", "MR", PEOPLE)]


@pytest.mark.parametrize("word", ["Jo Doe; 1980", "x" * 65, "Zoë", "a\\T\\b*"])
def test_what_looks_like_no_code_is_never_shown(word: str) -> None:
    feed = described(*(message(n, f"{n}^^^{word}^MR") for n in range(50)))
    assert kinds(feed) == [(RARE, RARE, 50)]


def test_broken_text_names_no_segment() -> None:
    feed = described(message(1, tail="ZOE|was here\rJIM|too\rjo|3\r"))
    assert feed.known_segments()[RARE] == 2
    assert not {"ZOE", "JIM"} & feed.known_segments().keys()
    assert feed.known_segments()[OTHER] == 1


def test_nobody_is_in_it() -> None:
    feed = described(*(canary.message(control_id=str(n)) for n in range(20)))
    text = repr(
        [
            {name: value for name, value in vars(feed).items() if name != "_kinds"},
            feed.known_segments(),
            [(a, t, kind.count) for a, t, kind in feed.kinds()],
            draft("PAS/RX1", feed),
        ]
    )
    canary.assert_absent(text, "the description")
    assert "Kanari" not in repr(feed)


def test_what_a_message_puts_where_codes_belong_is_not_shown() -> None:
    raw = (
        b"MSH|^~\\&|PAS|RX1|D|D|2026||Kanarifame^Kanarigiven^x|1|Kanari|Kanaritown|||Kanaria|Kanarib||Kanaricharset\r"
        b"PID|1||Kanarivalue^^^Kanariauthority^Kanaritype||||Kanaridate\rKAN|1\r"
    )
    feed = described(raw)
    text = repr([vars(feed)[name] for name in vars(feed) if name not in {"_kinds", "segments"}])
    text += repr(feed.known_segments()) + repr(kinds(feed)) + draft("PAS/RX1", feed)
    assert "anari" not in text
    assert "KAN" not in text.upper().replace("KANNOT", "")


def drafted(tmp_path: Path, feed: FeedDescription, sender: str = "PAS/RX1") -> Path:
    path = tmp_path / "pas.toml"
    path.write_text(draft(sender, feed), encoding="utf-8")
    return path


def test_a_draft_is_a_profile_and_knows_the_nhs_number_under_its_odd_name(tmp_path: Path) -> None:
    feed = described(*(message(n, f"{nhs}^^^X01^NI~{n}^^^RX1^MR") for n, nhs in enumerate(NHS_NUMBERS)))
    assert feed.unnamed_nhs_numbers() == [("X01", "NI")]
    profile = load_profile(drafted(tmp_path, feed)).profile
    found = read_identifier("9434765919", "X01", "NI", profile, "RX1").identifier
    assert found is not None
    assert found.authority == "NHS"
    plain = read_identifier("17", "RX1", "MR", profile, "RX1").identifier
    assert plain is not None
    assert plain.authority == "RX1"


def test_a_draft_of_little_says_nothing_that_acts(tmp_path: Path) -> None:
    document = tomllib.loads(drafted(tmp_path, described(message(1))).read_text("utf-8"))
    assert document["quirks"] == []
    assert document["identifiers"] == document["text"] == document["events"] == {}
    assert document["match"] == {"application": ["PAS"], "facility": ["RX1"]}


def test_a_draft_takes_the_charset_that_the_bytes_show(tmp_path: Path) -> None:
    feed = described(*(message(n).replace(b"Given", b"Zo\xeb") for n in range(30)))
    path = drafted(tmp_path, feed)
    assert tomllib.loads(path.read_text("utf-8"))["text"] == {"default_charset": "cp1252"}
    assert load_profile(path).profile.default_charset == "cp1252"


def test_ascii_says_nothing_of_a_charset(tmp_path: Path) -> None:
    feed = described(*(message(n) for n in range(100)))
    assert tomllib.loads(drafted(tmp_path, feed).read_text("utf-8"))["text"] == {}


def test_bare_nhs_numbers_are_a_quirk_when_there_are_enough(tmp_path: Path) -> None:
    feed = described(*(message(n, NHS_NUMBERS[n % 5]) for n in range(25)))
    assert load_profile(drafted(tmp_path, feed)).profile.quirks == {"bare_nhs_number"}


@pytest.mark.parametrize("sender", ['P"A\\S/RX1', "PAS", "P*/R]"])
def test_a_sender_of_any_name_can_be_drafted(tmp_path: Path, sender: str) -> None:
    assert tomllib.loads(drafted(tmp_path, described(message(1)), sender).read_text("utf-8"))["match"]
