"""The pre-flight: what a print house would send back, and what it would not."""

from __future__ import annotations

import io

import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invites.channels.channel import Refused, Request
from invites.channels.ink import Box, ink
from invites.channels.letter import Letter
from invites.channels.letter_check import AREAS, address_fault, letter_fault
from invites.channels.templates import shipped_templates
from invites.wording.wording import Wording
from patient_records.model import Address, PersonName
from tests.support.invitation_texts import invitation, patient

WORDING = Wording(shipped_templates())
ADDRESS_AT = "dy: 40mm - top-edge, block(width: 120mm"


def changed(*changes: tuple[str, str]) -> Request | Refused:
    """Render with a layout in which this is that, as somebody who changes it might."""
    letter = Letter(WORDING)
    layout = letter._press._layout.decode()
    for before, after in changes:
        assert before in layout
        layout = layout.replace(before, after)
    letter._press._layout = layout.encode()
    return letter.render(invitation())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (('paper: "a4"', 'paper: "us-letter"'), "letter_not_a4"),
        (('paper: "a4"', 'paper: "a4", flipped: true'), "letter_not_a4"),
        (("#let left-edge = 24.6mm", "#let left-edge = 10mm"), "letter_outside_print_area"),
        (("#let right-edge = 20mm", "#let right-edge = 10mm"), "letter_outside_print_area"),
        ((ADDRESS_AT, ADDRESS_AT.replace("40", "34")), "letter_in_clear_zone"),
        ((ADDRESS_AT, ADDRESS_AT.replace("40", "55")), "letter_in_clear_zone"),
        (("#let sender-left = 125mm", "#let sender-left = 118mm"), "letter_in_clear_zone"),
        (("#block(height: 95mm - top-edge", "#block(height: 90mm - top-edge"), "letter_in_clear_zone"),
        (("26.2mm, address)", "26.2mm)"), "letter_without_address"),
        (("#for it in letter.blocks", "#pagebreak()\n" * 4 + "#for it in letter.blocks"), "letter_too_long"),
    ],
)  # fmt: skip
def test_a_letter_that_no_print_house_takes_is_refused(change: tuple[str, str], code: str) -> None:
    assert changed(change) == Refused(code)


def test_ink_beside_the_window_is_seen_though_it_is_no_text() -> None:
    square = "#place(top + left, dx: 80mm, dy: 60mm, rect(width: 5mm, height: 5mm, fill: black))\n#block(height"
    assert changed(("#block(height: 95mm", f"{square}: 95mm")) == Refused("letter_in_clear_zone")


@pytest.mark.parametrize(
    "made", [b"", b"%PDF-1.7", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<</Root 1 0 R>>\n%%EOF"]
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_no_pdf_is_unreadable(made: bytes) -> None:
    assert letter_fault(made) == "letter_unreadable"


def test_a_font_that_is_only_named_is_refused() -> None:
    request = Letter(WORDING).render(invitation())
    assert isinstance(request, Request)
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(request.body))
    font = next(iter(writer.pages[0]["/Resources"]["/Font"].values())).get_object()  # type: ignore[index]
    descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
    for key in {"/FontFile2", "/FontFile3"} & set(descriptor):
        del descriptor[key]
    out = io.BytesIO()
    writer.write(out)
    assert letter_fault(out.getvalue()) == "letter_font_not_embedded"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (("A", "B", "LS1 4AP"), None),
        (("A", "B", "SW1A 1AA"), None),
        (("A", "B", "GIR 0AA"), None),
        (("A", "B", "BFPO 801"), None),
        (("A", "B", "75001 Paris", "FRANCE"), None),
        (("A", "B", "Ffrainc"), None),
        (("A", "LS1 4AP"), "address_line_count"),
        (("A", "B", "C", "D", "E", "F", "G", "LS1 4AP"), "address_line_count"),
        (("A", "B", "Leeds"), "address_without_postcode"),
        (("A", "B", "LS14AP"), "address_without_postcode"),
        (("A", "B", "ls1 4ap"), "address_without_postcode"),
        (("A", "B", "QX1 4AP"), "address_without_postcode"),
        (("A", "B", "LS1 4CP"), "address_without_postcode"),
        (("A", "(flat 2)", "LS1 4AP"), "address_characters"),
        (("A", " ", "LS1 4AP"), "address_characters"),
    ],
)
def test_an_address_is_held_to_what_machines_sort(lines: tuple[str, ...], code: str | None) -> None:
    assert address_fault(lines) == code


NAMES = st.text(st.sampled_from("ABCÉŵ mw'-."), min_size=1, max_size=60)


@settings(max_examples=40)
@given(NAMES, NAMES, st.lists(NAMES, min_size=1, max_size=4), NAMES, st.booleans())
def test_whatever_the_names_a_letter_is_in_its_areas_or_refused(
    family: str,
    hospital: str,
    lines: list[str],
    city: str,
    large: bool,  # noqa: FBT001
) -> None:
    person = patient(
        names=(PersonName(family, "Ada"),), addresses=(Address(tuple(lines), city, "", "LS1 4AP", "", "H"),)
    )
    said = Letter(WORDING, large_print=large).render(invitation(person, hospital=hospital))
    if isinstance(said, Refused):
        assert said.code not in {"letter_unreadable", "letter_outside_print_area", "letter_in_clear_zone"}
        return
    page = pypdf.PdfReader(io.BytesIO(said.body)).pages[0]
    assert all(any(area.holds(box, 1.0) for area in AREAS) for box in ink(page))


def test_a_box_holds_what_sticks_out_by_no_more_than_the_slack() -> None:
    assert Box(0, 0, 10, 10).holds(Box(-1, -1, 11, 11), 1)
    assert not Box(0, 0, 10, 10).holds(Box(0, 0, 11.1, 5), 1)
