"""The letter, read back out of its PDF."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pypdf
import pytest
import segno

from invites.channels.channel import InvitationText, Refused, Request
from invites.channels.letter import Letter, qr_code
from invites.channels.templates import shipped_templates, with_overrides
from invites.wording.wording import Wording
from patient_records.model import Address, PersonName
from tests.support.invitation_texts import invitation, patient

LETTER = Letter(Wording(shipped_templates()))
MILLIMETRE = 72 / 25.4
WINDOW = (24.6, 40.0, 120.0, 66.2)
"""Left, top, right, bottom in millimetres: GOV.UK Notify, notifications-template-preview, app/precompiled.py."""


def printed(text: InvitationText, letter: Letter = LETTER) -> pypdf.PdfReader:
    request = letter.render(text)
    assert isinstance(request, Request), request
    return pypdf.PdfReader(io.BytesIO(request.body))


def words(pdf: pypdf.PdfReader) -> str:
    return " ".join("\n".join(page.extract_text() for page in pdf.pages).split())


def placed(pdf: pypdf.PdfReader) -> list[tuple[float, float, str]]:
    """Give every piece of text on the first page: millimetres from the left and from the top, and the text."""
    found: list[tuple[float, float, str]] = []

    def visit(text: str, matrix: list[float], position: list[float], *_: Any) -> None:
        if text.strip():
            x = position[4] * matrix[0] + position[5] * matrix[2] + matrix[4]
            y = position[4] * matrix[1] + position[5] * matrix[3] + matrix[5]
            found.append((x / MILLIMETRE, 297 - y / MILLIMETRE, text.strip()))

    pdf.pages[0].extract_text(visitor_text=visit)
    return found


def test_it_says_all_that_is_needed_on_one_a4_page() -> None:
    pdf = printed(invitation())
    assert len(pdf.pages) == 1
    assert [round(side / MILLIMETRE) for side in (pdf.pages[0].mediabox.width, pdf.pages[0].mediabox.height)] == [
        210,
        297,
    ]
    said = words(pdf)
    for part in ("Ms Amara Okafor", "12 Rosemount Terrace", "LS1 4AP", "Example Hospital", "01632 960000",
                 "Dear Ms Amara Okafor,", "23456 78923", "BCDFG HJKLM", "22 December 2026",
                 "http://127.0.0.1:8081/join", "If this letter is not for you"):  # fmt: skip
        assert part in said, part


@pytest.mark.parametrize("language", ["en", "cy"])
@pytest.mark.parametrize("purpose", ["invitation", "pair_code", "pair_token"])
def test_a_long_hospital_and_seven_lines_still_make_one_page(language: str, purpose: str) -> None:
    person = patient(
        names=(PersonName("Featherstonehaugh", "Maximilian", prefix="Professor"),),
        addresses=(
            Address(("Flat 3", "The Old Coach House", "12 Rosemount Terrace"), "Leeds", "Yorkshire", "LS1 4AP"),
        ),
    )
    hospital = "St Bartholomew’s and the Royal Infirmary NHS Foundation Trust"
    url = "https://records.royal-infirmary.nhs.uk"
    text = invitation(person, hospital=hospital, url=url, language=language, purpose=purpose)
    assert len(printed(text).pages) == 1


def test_the_date_of_birth_is_nowhere() -> None:
    pdf = printed(invitation())
    everything = words(pdf) + str(pdf.metadata) + str(pdf.xmp_metadata and pdf.xmp_metadata.stream.get_data())
    assert not any(secret in everything for secret in ("1984", "29 February", "29/02"))


def test_it_is_tagged_and_claims_pdf_ua() -> None:
    pdf = printed(invitation())
    root: Any = pdf.trailer["/Root"]
    assert root["/Lang"] == "en"
    assert root["/MarkInfo"]["/Marked"]
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert b"<pdfuaid:part>1</pdfuaid:part>" in root["/Metadata"].get_data()
    assert pdf.metadata is not None
    assert pdf.metadata.title == "See your health record online"


def test_the_qr_code_has_words_for_those_who_listen() -> None:
    root: Any = printed(invitation()).trailer["/Root"]
    assert list(_alternatives(root["/StructTreeRoot"])) == [
        "QR code. It opens http://127.0.0.1:8081/join with both codes filled in."
    ]


def _alternatives(element: Any) -> Iterator[str]:
    """Walk the structure tree and give every alternative text in it."""
    if isinstance(element, dict):
        if "/Alt" in element:
            yield str(element["/Alt"])
        kids = element.get("/K", [])
        for kid in kids if isinstance(kids, list) else [kids]:
            yield from _alternatives(kid.get_object())


def test_every_font_is_embedded() -> None:
    page: Any = printed(invitation()).pages[0]
    fonts = page["/Resources"]["/Font"]
    for font in fonts.values():
        descriptor = font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
        assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor)


@pytest.mark.parametrize("lines", [1, 4])
def test_the_address_stands_in_the_window_and_nothing_around_it(lines: int) -> None:
    address = Address(tuple(f"{'MW' * 19} {line}" for line in range(lines)), "Leeds", "", "LS1 4AP", "", "H")
    left, top, right, bottom = WINDOW
    in_zone = [
        (x, y, text)
        for x, y, text in placed(printed(invitation(patient(addresses=(address,)))))
        if 30 < y < 95 and x < 125
    ]
    assert len({round(y, 1) for _, y, _ in in_zone}) == lines + 3  # each line on a baseline of its own, none folded
    assert all(left - 0.1 <= x < right and top < y <= bottom for x, y, _ in in_zone)


def test_the_same_invitation_gives_the_same_bytes() -> None:
    assert LETTER.render(invitation()) == Letter(Wording(shipped_templates())).render(invitation())


@pytest.mark.parametrize(
    "family",
    ['#panic("x")', "] #eval(1) [", "$x^2$", "\\u{41} \\", "<label> @ref", "`raw` *b* _e_", '"}, "x": {"', "// c /* d",
     "= H", "[codes]"],
)  # fmt: skip
def test_a_name_that_is_markup_is_printed_as_it_is_written(family: str) -> None:
    said = words(printed(invitation(patient(names=(PersonName(family, "Amara"),)))))
    assert said.count(f"Amara {' '.join(family.split())}") == 3  # the window, the greeting, and who else might open it


def test_a_hospital_that_is_markup_is_text_too() -> None:
    assert "A #b] $c$ \\d" in words(printed(invitation(hospital="A #b] $c$ \\d")))


def large(text: InvitationText) -> pypdf.PdfReader:
    return printed(text, Letter(Wording(shipped_templates()), large_print=True))


@pytest.mark.parametrize("language", ["en", "cy"])
def test_large_print_has_nothing_below_16_points_but_the_envelope(language: str) -> None:
    pdf = large(invitation(language=language))
    assert len(pdf.pages) == 2
    sizes: dict[str, float] = {}

    def visit(text: str, _matrix: list[float], _position: list[float], _font: Any, size: float) -> None:
        if text.strip():
            sizes[text.strip()] = min(size, sizes.get(text.strip(), size))

    for page in pdf.pages:
        page.extract_text(visitor_text=visit)
    envelope = {"Ms Amara Okafor", "Flat 3", "12 Rosemount Terrace", "Leeds", "West Yorkshire", "LS1 4AP"}
    assert {text for text, size in sizes.items() if size < 16} == envelope


def test_large_print_says_the_same_on_numbered_pages_and_no_date_of_birth() -> None:
    plain, big = words(printed(invitation())), words(large(invitation()))
    assert set(plain.split()) - set(big.split()) == {"ref-1"}
    assert "1 / 2" in big
    assert "2 / 2" in big
    assert "1984" not in big + str(large(invitation()).metadata)


@pytest.mark.parametrize("large_print", [False, True])
def test_a_welsh_letter_is_welsh_and_says_so(large_print: bool) -> None:  # noqa: FBT001
    letter = Letter(Wording(shipped_templates()), large_print=large_print)
    pdf = printed(invitation(language="cy"), letter)
    root: Any = pdf.trailer["/Root"]
    assert root["/Lang"] == "cy"
    for part in ("Annwyl Ms Amara Okafor,", "22 Rhagfyr 2026", "Cod gwahoddiad", "22 Tachwedd 2026"):
        assert part in words(pdf), part


def test_it_bears_the_day_on_which_it_was_made() -> None:
    assert "22 November 2026" in words(printed(invitation()))


def test_an_address_that_no_machine_sorts_is_refused_by_its_own_code() -> None:
    nowhere = Address(("1 Long Lane",), "Leeds", "", "", "", "H")
    assert LETTER.render(invitation(patient(addresses=(nowhere,)))) == Refused("address_without_postcode")
    abroad = Address(("1 rue Longue",), "Paris", "", "75001", "FRANCE", "H")
    assert isinstance(LETTER.render(invitation(patient(addresses=(abroad,)))), Request)


def test_a_wording_too_long_for_two_sheets_is_refused() -> None:
    letter = Letter(Wording(with_overrides({"en/invitation/letter.txt": "# Long\n\n" + "word " * 9000})))
    assert letter.render(invitation()) == Refused("letter_too_long")


def test_a_script_without_a_font_is_refused_rather_than_printed_blank() -> None:
    request = LETTER.render(invitation(patient(names=(PersonName("李", "明"),))))
    assert request == Refused("letter_unprintable")


@pytest.mark.parametrize(("address", "code"), [
    ((), "no_postal_address"),
    ((Address(("HMP Leeds",), "Leeds"),), "prison_address"),
])  # fmt: skip
def test_nobody_without_an_address_gets_one(address: tuple[Address, ...], code: str) -> None:
    assert LETTER.render(invitation(patient(addresses=address))) == Refused(code)


def test_a_hospitals_own_words_are_set() -> None:
    letter = Letter(Wording(with_overrides({"en/invitation/letter.txt": "# Welcome\n\nYour code is {{ code }}."})))
    said = words(printed(invitation(), letter))
    assert "Welcome" in said
    assert "Your code is 23456 78923." in said


def test_the_qr_code_is_the_links() -> None:
    """Every dark module of segno's own matrix is drawn, and no other."""
    link = invitation().join_link
    drawn = re.search(r' d="([^"]+)"', qr_code(link))
    assert drawn is not None
    expected = segno.make(link, error="m", micro=False, mask=2, boost_error=False)
    dark = {(x, y) for y, row in enumerate(expected.matrix) for x, module in enumerate(row) if module}
    assert _modules(drawn[1]) == dark


def _modules(path: str) -> set[tuple[int, int]]:
    """Follow an SVG path of horizontal strokes (``M``/``m`` moves, ``h`` draws)."""
    x, y = 0.0, 0.0
    found: set[tuple[int, int]] = set()
    for command, arguments in re.findall(r"([Mmh])([^Mmh]*)", path):
        numbers = [float(number) for number in re.findall(r"-?\d*\.?\d+", arguments)]
        if command == "h":
            found |= {(int(x) + step, int(y)) for step in range(int(numbers[0]))}
            x += numbers[0]
        else:
            x, y = (numbers[0], numbers[1]) if command == "M" else (x + numbers[0], y + numbers[1])
    return found
