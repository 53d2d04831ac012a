"""An invented patient and an invitation for them, for tests of everything that renders one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, Final

from msgspec.structs import replace

from invites.channels.channel import InvitationText, Organisation
from invites.wording.phrases import join_link, join_page
from patient_records.model import Address, BirthDate, ContactPoint, Demographics, PersonName

CODE: Final = "2345678923"
TOKEN: Final = "BCDFGHJKLM"

PATIENT: Final = Demographics(
    names=(PersonName(family="Okafor", given="Amara", prefix="Ms", use="L"),),
    birth=BirthDate("19840229"),
    addresses=(Address(("Flat 3", "12 Rosemount Terrace"), "Leeds", "West Yorkshire", "LS1 4AP", "GBR", "H"),),
    home=(
        ContactPoint("landline", "+441132000000"),
        ContactPoint("mobile", "+447700900123"),
        ContactPoint("email", "amara@example.org"),
    ),
)


def patient(**changes: Any) -> Demographics:
    """Give the invented patient with these fields changed."""
    return replace(PATIENT, **changes)


def invitation(
    demographics: Demographics = PATIENT,
    *,
    hospital: str = "Example Hospital",
    url: str = "http://127.0.0.1:8081",
    **changes: Any,
) -> InvitationText:
    """Give an invitation for them, with these fields changed."""
    text = InvitationText(
        reference="ref-1",
        organisation=Organisation("RX1", hospital, "01632 960000"),
        demographics=demographics,
        code=CODE,
        token=TOKEN,
        join_link=join_link(url, CODE, TOKEN),
        join_page=join_page(url),
        expires_on=date(2026, 12, 22),
        issued_at=datetime(2026, 11, 22, 9, 0, tzinfo=UTC),
    )
    return replace(text, **changes)
