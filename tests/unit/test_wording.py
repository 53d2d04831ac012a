"""What fits a text message, what a template may do, and how a letter's text is read."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.channels.templates import shipped_templates, with_overrides
from invites.wording.errors import WordingError
from invites.wording.gsm7 import is_gsm7, keep_whole, parts, transliterate, units
from invites.wording.letter_text import Heading, Panel, Paragraph, Steps, Title, read_blocks
from invites.wording.phrases import in_groups, in_words, join_link
from invites.wording.wording import Wording

GSM = st.text(st.sampled_from("ab €[}éÖ\n"), max_size=400)
ANY = st.text(st.sampled_from("ab €Ŵ😀\n"), max_size=400)


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("", [0]),
        ("a" * 160, [160]),
        ("a" * 161, [153, 8]),
        ("€" * 80, [80]),
        ("€" * 81, [76, 5]),  # 152 septets: the 77th would be torn in two
        ("a" * 152 + "€" + "a" * 10, [152, 11]),
        ("ж" * 70, [70]),
        ("ж" * 71, [67, 4]),
        ("😀" * 35, [35]),
        ("😀" * 36, [33, 3]),
    ],
)
def test_parts_are_cut_where_a_gateway_cuts(text: str, lengths: list[int]) -> None:
    assert [len(part) for part in parts(text)] == lengths


@given(GSM | ANY)
def test_parts_lose_nothing_and_fit(text: str) -> None:
    cut = parts(text)
    assert "".join(cut) == text
    room = 153 if is_gsm7(text) else 67
    if len(cut) > 1:
        assert all(0 < sum(1 + (c in "€[}" if is_gsm7(text) else c > "\uffff") for c in part) <= room for part in cut)


def test_units_count_the_extension_table_twice() -> None:
    assert units("a€") == 3
    assert units("ж😀") == 3


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("St Mary’s – “A&E”…", 'St Mary\'s - "A&E"...'),
        ("Ysbyty Ŵŷ", "Ysbyty Wy"),
        ("Hôpital Façade", "Hopital Facade"),
        ("Señor Ünal àé", "Señor Ünal àé"),
        ("Больница’s", "Больница’s"),
        ("no\u00a0break\u200b", "no break"),
        ("ﬁne", "fine"),
        ("Łódź", "Lodz"),
    ],
)
def test_typographic_characters_are_put_plainly_or_left_alone(text: str, plain: str) -> None:
    assert transliterate(text) == plain


@given(GSM | ANY, GSM | ANY, st.integers(1, 60))
def test_a_piece_never_straddles_two_parts(before: str, after: str, length: int) -> None:
    piece = "#" * length
    text = f"{before}\n{piece}\n{after}"
    padded = keep_whole(text, [piece])
    assert padded is not None
    assert padded.replace(" ", "") == text.replace(" ", "")
    assert any(piece in part for part in parts(padded))
    assert all(not part.endswith("#") for part in parts(padded)[:-1])  # the longer header would cut one earlier


def test_a_piece_longer_than_a_part_cannot_be_kept_whole() -> None:
    assert keep_whole("a " + "#" * 160, ["#" * 160]) is None


def test_a_label_goes_with_its_code() -> None:
    padded = keep_whole("x" * 140 + "\nCode: 23456 78923\nBye", ["23456 78923"])
    assert padded is not None
    assert parts(padded)[1] == "Code: 23456 78923\nBye"


def test_an_unknown_placeholder_is_an_error_that_names_it() -> None:
    words = Wording({"en/a.txt": "{{ nmae }}"})
    with pytest.raises(WordingError, match="nmae") as caught:
        words.say("a.txt", "en", {"name": "Okafor"})
    assert "Okafor" not in str(caught.value)


@pytest.mark.parametrize(
    "template",
    [
        "{{ name.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ say.__globals__ }}",
        "{{ name.format.__self__.__class__ }}",
        "{% set _ = things.append(1) %}",
        "{{ 1 / 0 }}",
        "{{ name + 1 }}",
        "{{ '%d' % name }}",
        "{% include 'other' %}",
    ],
)
def test_a_template_cannot_leave_the_sandbox_nor_show_values_by_failing(template: str) -> None:
    words = Wording({"en/a.txt": template})
    with pytest.raises(WordingError) as caught:
        words.say("a.txt", "en", {"name": "Okafor", "things": [], "say": test_units_count_the_extension_table_twice})
    assert "Okafor" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_broken_template_is_found_when_it_is_read() -> None:
    with pytest.raises(WordingError, match=r"en/a\.txt, line 2"):
        Wording({"en/a.txt": "fine\n{% if %}"})


def test_html_escapes_what_it_is_given_and_text_does_not() -> None:
    words = Wording({"en/a.html": "{{ name }}", "en/a.txt": "{{ name }}"})
    assert words.say("a.html", "en", {"name": "<b>"}) == "&lt;b&gt;"
    assert words.say("a.txt", "en", {"name": "<b>"}) == "<b>"


def test_a_language_that_is_not_there_falls_back_to_the_default() -> None:
    words = Wording({"en/a.txt": "hello", "cy/a.txt": "helo", "en/b.txt": "bye"})
    assert words.say("a.txt", "cy", {}) == "helo"
    assert words.say("b.txt", "cy", {}) == "bye"
    assert words.say("a.txt", "", {}) == "hello"


def test_a_template_that_is_nowhere_is_named() -> None:
    with pytest.raises(WordingError, match=r"en/none\.txt"):
        Wording({}).say("none.txt", "cy", {})


def test_a_hospitals_own_template_takes_the_place_of_the_shipped_one() -> None:
    assert with_overrides({"en/invitation/sms.txt": "mine"})["en/invitation/sms.txt"] == "mine"
    assert (
        set(with_overrides({}))
        == set(shipped_templates())
        >= {
            f"en/invitation/{name}"
            for name in ("sms.txt", "sms.short.txt", "email.subject.txt", "email.txt", "email.html", "letter.txt")
        }
    )


def test_dates_have_their_month_in_words() -> None:
    assert in_words(date(2026, 12, 2), "en") == "2 December 2026"
    assert in_words(date(2026, 12, 2), "cy") == "2 Rhagfyr 2026"
    assert in_words(date(2026, 12, 2), "xx") == "02/12/2026"


def test_codes_ride_in_the_fragment() -> None:
    assert in_groups("2345678923") == "23456 78923"
    assert join_link("https://a.example/", "C", "T") == "https://a.example/join#c=C&t=T"


def test_a_letters_text_is_read_into_blocks() -> None:
    text = """# Title

Dear A,
one more line

[codes]
Code: 1: 2
scan: look
scan: here
alt: a square

## Heading
\t
1. First
   goes on
2. Second
"""
    assert read_blocks(text) == (
        Title("Title"),
        Paragraph(("Dear A,", "one more line")),
        Panel((("Code", "1: 2"),), ("look", "here"), "a square"),
        Heading("Heading"),
        Steps(("First goes on", "Second")),
    )


def test_the_blocks_of_a_letter_show_nobody() -> None:
    assert "Okafor" not in repr(read_blocks("Dear Okafor\n\n# Okafor\n\n1. Okafor"))
