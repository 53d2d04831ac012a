"""What a hospital's own template may say, and what is said of one that it may not."""

from __future__ import annotations

import pytest

from invites.channels.channel import Organisation
from invites.channels.templates import shipped_templates, with_overrides
from invites.channels.wording_rules import Remark, remarks
from invites.channels.wording_trial import Trials, WordingTrial, sample
from invites.purpose import PURPOSES
from invites.wording.languages import language_of
from invites.wording.placeholders import PLACEHOLDERS, RULES, rule_of
from invites.wording.wording import Wording

SHIPPED = shipped_templates()
HOSPITALS = {"RX1": Organisation("RX1", "Example Hospital", "01632 960000")}
SMS = "{{ code }} {{ token }} {{ link }}"


def said(name: str, source: str) -> list[Remark]:
    return remarks({name: source}, SHIPPED, ["RX1"])


def tried(own: dict[str, str], language: str = "en", organisation: str = "RX1") -> Trials:
    trial = WordingTrial(Wording(with_overrides(own)), "https://records.example.org")
    return trial.run({organisation: HOSPITALS["RX1"]}, {organisation: frozenset({language})})


def test_what_ships_keeps_the_rules_and_every_purpose_has_them() -> None:
    assert remarks(SHIPPED, SHIPPED, ["RX1"]) == []
    assert set(RULES) >= set(PURPOSES)
    assert {name: rule_of(name) for name in SHIPPED if rule_of(name) is None} == {}
    assert {placeholder for purpose in RULES.values() for rule in purpose.values() for placeholder in rule.may} == set(
        PLACEHOLDERS
    )


@pytest.mark.parametrize("language", ["en", "cy"])
def test_every_message_ships_in_english_and_welsh(language: str) -> None:
    wanted = {f"{language}/{purpose}/{what}" for purpose, templates in RULES.items() for what in templates}
    assert {name for name in SHIPPED if name.startswith(f"{language}/")} == wanted
    found = tried({}, language)
    assert found.remarks == []
    assert all(trial.alphabet == "GSM-7" for trial in found.trials if trial.channel == "sms")


def test_welsh_is_not_english_left_over() -> None:
    for name, source in SHIPPED.items():
        if name.startswith("cy/") and not name.endswith(("sms.short.txt",)):
            assert source != SHIPPED["en" + name[2:]]
            assert not {" the ", " your ", " you "} & {f" {word} " for word in source.lower().split()}, name


@pytest.mark.parametrize("language", ["en", "cy"])
@pytest.mark.parametrize(("what", "between"), [("email.txt", "\n\n"), ("email.html", "\n"), ("letter.txt", "\n")])
def test_a_reminder_differs_from_its_invitation_by_one_paragraph(language: str, what: str, between: str) -> None:
    """Each is whole, so that a hospital changes one without the other; this keeps the shipped ones from drifting."""
    first, again = (SHIPPED[f"{language}/{purpose}/{what}"].split(between) for purpose in ("invitation", "reminder"))
    assert len(first) == len(again)
    [(was, becomes)] = [pair for pair in zip(first, again, strict=True) if pair[0] != pair[1]]
    assert "{{ hospital }}" in was
    assert "{{ hospital }}" in becomes


@pytest.mark.parametrize(
    ("source", "line", "wrong"),
    [
        ("hello\n{{ cod }} {{ token }} {{ link }}", 2, "has a placeholder {{ cod }} that does not exist"),
        (f"{SMS}\n\nDear {{{{ name }}}}", 3, "has a placeholder {{ name }} that may not stand here"),
        (f"{SMS}\n{{% if %}}", 2, "is no template: Expected an expression, got 'end of statement block'"),
        ("{{ code }} {{ link }}", None, "does not show {{ token }}"),
        ("{{ code }} {{ token }}", None, "does not show {{ link }}"),
    ],
)
def test_a_fault_is_named_with_its_line(source: str, line: int | None, wrong: str) -> None:
    assert (wrong, line) in {(remark.wrong, remark.line) for remark in said("en/invitation/sms.txt", source)}


def test_the_right_placeholder_is_offered() -> None:
    [remark] = [r for r in said("en/invitation/sms.txt", SMS + "{{ hopsital }}") if r.line]
    assert remark.mend.startswith("Did you mean hospital?")


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("en/invitation/smss.txt", "Name it en/invitation/sms.txt"),
        ("cy/invitatoin/letter.txt", "Name it cy/invitation/letter.txt"),
        ("sms.txt", "Name it "),
        ("en/confirm_account/sms.txt", "Name it en/confirm_account/"),
    ],
)
def test_a_file_that_nothing_is_written_with_is_a_fault(name: str, mend: str) -> None:
    [remark] = said(name, "x")
    assert remark.mend.startswith(mend)


def test_an_organisation_or_language_that_is_none_is_a_fault() -> None:
    assert said("organisations/RX1/en/invitation/sms.txt", SMS) == []
    assert "not configured" in said("organisations/RX9/en/invitation/sms.txt", SMS)[0].wrong
    assert "no language" in said("zz/invitation/sms.txt", SMS)[0].wrong


def test_one_email_is_in_one_language() -> None:
    found = said("pl/invitation/email.txt", "{{ code }} {{ token }} {{ link }} {{ expires }}")
    assert {remark.mend for remark in found} == {
        "Write pl/invitation/email.html, too",
        "Write pl/invitation/email.subject.txt, too",
    }
    assert said("organisations/RX1/cy/invitation/email.subject.txt", "Helo") == []


def test_a_code_that_a_condition_hides_is_found_by_writing_it() -> None:
    found = tried({"en/invitation/sms.txt": "{% if hospital == 'x' %}{{ code }}{% endif %} {{ token }} {{ link }}"})
    assert [remark.wrong for remark in found.remarks] == ["shows no {{ code }} when it is written"]
    assert found.remarks[0].template == "en/invitation/sms.txt"


def test_an_html_link_that_is_escaped_is_a_link() -> None:
    assert tried({}).remarks == []
    broken = SHIPPED["en/invitation/email.html"].replace("{{ link }}", "{{ link | upper }}")
    assert [r.template for r in tried({"en/invitation/email.html": broken}).remarks] == ["en/invitation/email.html"]


def test_a_long_text_is_a_fault_and_a_foreign_letter_a_warning() -> None:
    long = "x" * 300
    found = tried({"en/invitation/sms.txt": long + SMS, "en/invitation/sms.short.txt": long + SMS})
    assert "needs more than 2 parts" in found.remarks[0].wrong
    [warning] = tried({"en/invitation/sms.txt": "ж" + SMS}).remarks
    assert not warning.fault
    assert warning.wrong.endswith("for: ж")


def test_a_template_that_fails_when_it_is_written_shows_no_value() -> None:
    [remark] = tried({"en/invitation/sms.txt": SMS + "{{ code.__class__ }}"}).remarks
    assert remark.wrong.startswith("cannot be written: ")


def test_a_subject_of_two_lines_is_a_fault() -> None:
    [remark] = tried({"en/invitation/email.subject.txt": "a\nb"}).remarks
    assert (remark.template, remark.wrong) == ("en/invitation/email.subject.txt", "makes no subject")


def test_an_organisation_s_own_words_are_its_patients_alone() -> None:
    words = Wording({"en/a.txt": "all", "organisations/RX2/en/a.txt": "two"}, {"RX1": "cy", "RX2": "en"})
    assert words.say("a.txt", "en", {}, "RX1") == "all"
    assert words.say("a.txt", "en", {}, "RX2") == "two"


def test_the_language_is_the_patient_s_then_the_organisation_s_then_english() -> None:
    words = Wording({"en/a.txt": "hello", "cy/a.txt": "helo", "en/b.txt": "bye", "pl/a.txt": "hej"}, {"RX1": "cy"})
    assert words.say("a.txt", "pl", {}, "RX1") == "hej"
    assert words.say("a.txt", "de", {}, "RX1") == "helo"
    assert words.say("a.txt", "", {}, "RX1") == "helo"
    assert words.say("b.txt", "", {}, "RX1") == "bye"
    assert words.say("a.txt", "de", {}, "RX2") == "hello"


@pytest.mark.parametrize(
    ("said", "means"),
    [("cy", "cy"), ("CY", "cy"), ("cym", "cy"), ("wel", "cy"), ("cy-GB", "cy"), ("en_GB", "en"), ("eng", "en"),
     ("", ""), ("1", ""), ("Welsh", ""), ("xxq", ""), ("ŵ", "")],
)  # fmt: skip
def test_pid_15_is_read_generously(said: str, means: str) -> None:
    assert language_of(said) == means


def test_the_sample_is_nobody() -> None:
    text = sample(HOSPITALS["RX1"], "https://x.example", "invitation", "en")
    assert text.demographics.birth is None
