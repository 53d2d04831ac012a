"""Languages, colours, cookies' names and where a request comes from: what pages stand on, without any page."""

from __future__ import annotations

from importlib.resources import files
from ipaddress import ip_network
from pathlib import Path

import pytest
from starlette.requests import Request

from web.join.site import FOLDER
from web.pages.language import LanguageFault, Languages, placeholders
from web.pages.network_address import UNKNOWN, network_address
from web.pages.pages import KIT
from web.pages.theme import DEFAULT_COLOUR, LEAST_CONTRAST, contrast_with_white, theme

SHIPPED = Languages([KIT.joinpath("languages"), FOLDER.joinpath("languages")])
OTHERS = [code for code in SHIPPED.names if code != "en"]


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_says_everything_and_names_the_same_values(language: str) -> None:
    english, other = SHIPPED.keys("en"), SHIPPED.keys(language)
    assert other.keys() == english.keys()
    for key, text in english.items():
        assert placeholders(other[key]) == placeholders(text), key
        assert other[key].strip(), key


def test_every_text_is_used_and_every_use_has_its_text() -> None:
    templates = [
        file.read_text("utf-8")
        for folder in (KIT, FOLDER)
        for file in folder.joinpath("templates").iterdir()
        if file.name.endswith(".html")
    ]
    code = [file.read_text("utf-8") for file in files("web.join").iterdir() if file.name.endswith(".py")]
    everything = "\n".join(templates + code)
    made_up = (
        "error.",
        "password.t",
        "password.common",
        "record.sexes.",
        "views.role.",
        "codes.",
        "language.",
        "login.",
    )
    unused = [key for key in SHIPPED.keys("en") if f'"{key}"' not in everything and not key.startswith(made_up)]
    assert [key for key in unused if f"'{key}'" not in everything] == []


@pytest.mark.parametrize(
    ("wanted", "accept", "chosen"),
    [
        (None, "", "en"),
        (None, "cy-GB,cy;q=0.9,en;q=0.8", "cy"),
        (None, "en;q=0.5, cy;q=0.6", "cy"),
        (None, "fr, de;q=0.9", "en"),
        (None, "cy;q=0, en", "en"),
        (None, "cy;q=x", "en"),
        ("cy", "en", "cy"),
        ("xx", "cy", "cy"),
        ("../../etc", "", "en"),
    ],
)
def test_the_language_is_the_person_s_wish_then_the_browser_s(wanted: str | None, accept: str, chosen: str) -> None:
    assert SHIPPED.choose(wanted, accept) == chosen


def test_a_hospital_adds_a_language_and_other_words_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "fr.toml").write_text('continue = "Continuer"\n[language]\nname = "Français"\n')
    (tmp_path / "en.toml").write_text('[codes]\ntitle = "Come in"\n')
    languages = Languages([KIT.joinpath("languages"), FOLDER.joinpath("languages"), tmp_path])
    assert languages.names["fr"] == "Français"
    assert languages.say("fr", "continue", {}) == "Continuer"
    assert languages.say("fr", "codes.title", {}) == "Come in"
    assert languages.say("cy", "codes.title", {}) == "Agor eich cofnod iechyd"


@pytest.mark.parametrize(
    "text", ['a = "{0}"', 'a = "{x.__class__}"', 'a = "{x[0]}"', 'a = "{"', "a = 5", "a ="], ids=lambda text: text
)
def test_a_language_file_that_cannot_be_used_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "en.toml").write_text(text)
    with pytest.raises(LanguageFault, match=r"en\.toml"):
        Languages([tmp_path])


def test_contrast_is_that_of_wcag() -> None:
    assert contrast_with_white("#ffffff") == pytest.approx(1)
    assert contrast_with_white("#000000") == pytest.approx(21)
    assert contrast_with_white("#767676") == pytest.approx(4.54, abs=0.01)
    assert contrast_with_white(DEFAULT_COLOUR) > LEAST_CONTRAST
    with pytest.raises(ValueError, match="rrggbb"):
        contrast_with_white("red")
    assert "url" not in theme("#123456")


def request(peer: str, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return Request({"type": "http", "client": (peer, 1), "headers": headers})


PROXIES = [ip_network("10.0.0.0/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("192.0.2.7", (), "192.0.2.7"),
        ("192.0.2.7", ("198.51.100.1",), "192.0.2.7"),  # nobody's word is taken who is not trusted
        ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("203.0.113.9, 198.51.100.1",), "198.51.100.1"),  # what the patient wrote himself is not read
        ("10.0.0.1", ("203.0.113.9", "198.51.100.1, 10.0.0.2"), "198.51.100.1"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("nonsense",), "10.0.0.1"),
        ("10.0.0.1", ("10.0.0.3",), "10.0.0.3"),
        ("2001:db8:1:2:3::4", (), "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", (), "192.0.2.7"),
        ("testclient", (), UNKNOWN),
    ],
)
def test_where_a_request_comes_from(peer: str, forwarded: tuple[str, ...], counted: str) -> None:
    assert network_address(request(peer, *forwarded), PROXIES) == counted
