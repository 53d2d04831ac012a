"""The work-list of bad contacts, for the people who keep the hospital's records: whose number or address to ask for.

It names people in clear, so it goes to a file that only its owner reads, and each list is audited. Whoever has another
contact by now is not on it any more. Corrections come back by the feed, and by nothing else.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from invites import bad_contacts
from invites.bad_contacts import BadContact, blind_of
from invites.channels.channel import EMAIL, LETTER
from invites.legible import legible
from invites.recipient import reachable
from patient_records import model
from patient_records.blind_index import BlindIndex
from patient_records.model import Demographics, Masked, PatientRecord
from patient_records.repository import Records
from patient_records.unit_of_work import Database

COLUMNS: Final = (
    "organisation", "nhs_number", "local_numbers", "family_name", "given_name", "channel", "contact", "code", "since",
)  # fmt: skip

_PAGE: Final = 200
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula at the beginning of a cell (CWE-1236)."""


class BadContactLine(Masked, Struct, frozen=True):
    """One person's bad contact, in clear."""

    organisation: str
    nhs_number: str
    local_numbers: str
    family_name: str
    given_name: str
    channel: str
    contact: str
    code: str
    since: str


def lines(database: Database, records: Records) -> Iterator[BadContactLine]:
    """Everybody whose record still has a bad contact, page by page. Raises StorageUnavailable."""
    after = (0, b"")
    while True:
        with database.read() as connection:
            page = bad_contacts.bad_page(connection, after, _PAGE)
            people = legible(records.load, connection, {bad.record_id for bad in page})
        if not page:
            return
        after = (page[-1].record_id, page[-1].blind)
        for bad in page:
            person = people.get(bad.record_id)
            contact = _in_clear(person.record.demographics, bad, records.blind_index) if person else None
            if person is not None and contact is not None:
                yield _line(person.record, bad, contact)


def write_csv(path: Path, found: Iterator[BadContactLine]) -> int:
    """Write the list to a new file (mode 0600), whole or not at all; gives its lines. Raises OSError."""
    draft = path.with_name(f".{path.name}.part")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    count = 0
    try:
        with os.fdopen(handle, "w", encoding="utf-8-sig", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            for count, line in enumerate(found, 1):  # noqa: B007 (the last number is the count)
                rows.writerow([_cell(getattr(line, name)) for name in COLUMNS])
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return count


def _cell(text: str) -> str:
    """Keep a spreadsheet from reckoning with what a sender wrote; a telephone number is a number to it at most."""
    return f"'{text}" if text.startswith(_FORMULA) and not text[1:].isdigit() else text


def _line(record: PatientRecord, bad: BadContact, contact: str) -> BadContactLine:
    person = record.demographics
    name = person.name
    return BadContactLine(
        organisation=record.organisation,
        nhs_number=" ".join(one.value for one in person.identifiers if one.national),
        local_numbers=" ".join(one.value for one in person.identifiers if not one.national),
        family_name=name.family if name else "",
        given_name=name.given if name else "",
        channel=bad.channel,
        contact=contact,
        code=bad.code,
        since=bad.bad_since.date().isoformat() if bad.bad_since else "",
    )


def _in_clear(person: Demographics, bad: BadContact, index: BlindIndex) -> str | None:
    """The contact as the record has it; None when it has another by now."""
    if bad.channel == LETTER:
        to = reachable(person, LETTER)
        return ", ".join(to.lines[1:]) if to is not None and blind_of(index, LETTER, to.to) == bad.blind else None
    kind = model.EMAIL if bad.channel == EMAIL else model.MOBILE
    for point in person.contacts(kind):
        to = reachable(Demographics(home=(point,)), bad.channel)
        if to is not None and blind_of(index, bad.channel, to.to) == bad.blind:
            return point.value
    return None
