"""Numbers and addresses that nothing is sent to any more (SPEC 6): known by keyed hash, never in clear.

A contact is bad from a receipt that calls its failure permanent, or from the :data:`TEMPORARY_LIMIT`-th that called it
temporary with nothing delivered between. It is bad for everybody who has it: for those of the time, their rows are made
with the receipt. It stays bad until something is delivered there or staff say that it is right; a person becomes
reachable again as soon as the feed brings them another, for a row speaks of a contact and not of a person.

:func:`without_bad` gives a person as they are to be reached: without those contacts. What decides about channels
(:mod:`invites.eligibility`, :mod:`invites.recipient`) then needs to know nothing of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, delete, func, select, text

from invites.channels.channel import EMAIL, LETTER, SMS
from invites.options import InviteOptions
from invites.recipient import reachable
from invites.recipient.postal_address import postal_address
from invites.tables import bad_contacts, destinations
from patient_records import model
from patient_records.blind_index import BlindIndex
from patient_records.bulk import BulkInsert
from patient_records.instants import from_micros, maybe_instant, maybe_micros, to_micros
from patient_records.model import Address, ContactPoint, Demographics, PatientRecord
from patient_records.tables import contact_points

TEMPORARY_LIMIT: Final = 3
"""So many failures that were called temporary, one after the other, are one for good: each is days of trying."""

BAD: Final = "bad_since IS NOT NULL"
"""The condition of the index, in its very words."""

_SHARED: Final = 1000  # people whose rows one receipt makes: a switchboard's number may be everybody's

_PUT: Final = BulkInsert(
    bad_contacts,
    ("record_id", "blind", "organisation", "channel", "code", "failures", "last_at", "bad_since"),
    key=("record_id", "blind"),
    update=("code", "failures", "last_at", "bad_since"),
)


class Failure(Struct, frozen=True):
    """One failed message: whose, where it went, by which channel, when, and whether the address is at fault."""

    record_id: int
    organisation: str
    blind: bytes
    channel: str
    at: datetime
    code: str
    permanent: bool


class BadContact(Struct, frozen=True):
    """A row: a contact of a record that failed, and since when nothing is sent there (None: it may be yet)."""

    record_id: int
    organisation: str
    blind: bytes
    channel: str
    code: str
    failures: int
    last_at: datetime
    bad_since: datetime | None


def blind_of(index: BlindIndex, channel: str, to: str) -> bytes:
    """Index where a message goes; a number or mailbox is found in the table ``contact_points`` by the same."""
    if channel == LETTER:
        return index.envelope(to)
    return index.contact(ContactPoint(model.EMAIL if channel == EMAIL else model.MOBILE, to))


def destination(options: InviteOptions, channel: str, to: str) -> bytes | None:
    """Where a message goes, to be kept with its entry; None where nothing is known of bad contacts."""
    return blind_of(options.blind_index, channel, to) if options.blind_index is not None else None


def destinations_of(connection: Connection, entry_ids: Collection[int]) -> dict[int, bytes]:
    """Where the latest attempts of these entries went; those without one are left out."""
    if not entry_ids:
        return {}
    rows = connection.execute(select(destinations).where(destinations.c.entry_id.in_(list(entry_ids))))
    return {row.entry_id: bytes(row.blind) for row in rows}


def bad_blinds(connection: Connection, record_ids: Collection[int]) -> dict[int, set[bytes]]:
    """The bad contacts of these records; those without one are left out, nearly all."""
    if not record_ids:
        return {}
    table = bad_contacts
    rows = connection.execute(
        select(table.c.record_id, table.c.blind).where(text(BAD), table.c.record_id.in_(list(record_ids)))
    )
    found: dict[int, set[bytes]] = {}
    for row in rows:
        found.setdefault(row.record_id, set()).add(bytes(row.blind))
    return found


def without_bad(
    connection: Connection, records: Iterable[PatientRecord], options: InviteOptions
) -> dict[int, Demographics]:
    """Who those of these people are without their bad contacts that have any; all others are left out."""
    by_id = {record.id: record for record in records}
    index = options.blind_index
    if index is None:
        return {}
    return {
        id_: stripped(by_id[id_].demographics, blinds, index) for id_, blinds in bad_blinds(connection, by_id).items()
    }


def stripped(person: Demographics, blinds: Collection[bytes], index: BlindIndex) -> Demographics:
    """Leave out the numbers, mailboxes and postal addresses of these indexes."""
    return msgspec.structs.replace(
        person,
        home=_good_points(person.home, blinds, index),
        work=_good_points(person.work, blinds, index),
        addresses=_good_addresses(person, blinds, index),
    )


def _good_points(
    points: tuple[ContactPoint, ...], blinds: Collection[bytes], index: BlindIndex
) -> tuple[ContactPoint, ...]:
    return tuple(point for point in points if not _is_bad(point, blinds, index))


def _is_bad(point: ContactPoint, blinds: Collection[bytes], index: BlindIndex) -> bool:
    """Whether a message to this point would go to one of those: an address is compared as it is written in a header."""
    channel = {model.MOBILE: SMS, model.EMAIL: EMAIL}.get(point.kind)
    to = reachable(Demographics(home=(point,)), channel) if channel else None
    return to is not None and to.channel != LETTER and blind_of(index, to.channel, to.to) in blinds


def _good_addresses(person: Demographics, blinds: Collection[bytes], index: BlindIndex) -> tuple[Address, ...]:
    """Take away the address that post would go to for as long as it is a bad one."""
    addresses = person.addresses
    while True:
        there = msgspec.structs.replace(person, addresses=addresses)
        to, chosen = reachable(there, LETTER), postal_address(addresses)
        if to is None or isinstance(chosen, str) or blind_of(index, LETTER, to.to) not in blinds:
            return addresses
        addresses = tuple(address for address in addresses if address is not chosen)


def note_failures(connection: Connection, failures: Iterable[Failure]) -> int:
    """Count these failures against their contacts, whoever has them; gives how many contacts became bad by it."""
    became_bad = 0
    for failure in failures:
        rows = {(row.record_id, row.blind): row for row in _of_blind(connection, failure)}
        fresh = [_counted(rows.get((id_, failure.blind)), failure, id_) for id_ in _sharing(connection, failure)]
        before = rows.get((failure.record_id, failure.blind))
        became_bad += any(
            row.record_id == failure.record_id and row.bad_since and not (before and before.bad_since) for row in fresh
        )
        _PUT.run(connection, [_row(row) for row in sorted(fresh, key=lambda row: row.record_id)])
    return became_bad


def forgive(connection: Connection, delivered: Mapping[int, bytes]) -> None:
    """Forget what was held against these contacts (by record), for everybody who has them: something arrived there."""
    if delivered:
        known = bad_blinds_any(connection, delivered)
        if known:
            connection.execute(delete(bad_contacts).where(bad_contacts.c.blind.in_(known)))


def bad_blinds_any(connection: Connection, of_records: Mapping[int, bytes]) -> list[bytes]:
    """Those of these contacts that anything is held against, asked by their records."""
    table = bad_contacts
    rows = connection.execute(select(table.c.record_id, table.c.blind).where(table.c.record_id.in_(list(of_records))))
    return sorted({bytes(row.blind) for row in rows if bytes(row.blind) == of_records[row.record_id]})


def count_bad(connection: Connection) -> dict[str, int]:
    """How many contacts are bad, by channel; one that two people share counts twice."""
    table = bad_contacts
    statement = select(table.c.channel, func.count()).where(text(BAD)).group_by(table.c.channel)
    return {channel: count for channel, count in connection.execute(statement)}  # noqa: C416 (a row is no pair to mypy)


def bad_page(connection: Connection, after: tuple[int, bytes], size: int) -> list[BadContact]:
    """The next bad contacts in the order of records; ``after`` is the last of the page before, (0, b"") at first."""
    table = bad_contacts
    record_id, blind = after
    statement = (
        select(table)
        .where(
            text(BAD), (table.c.record_id > record_id) | ((table.c.record_id == record_id) & (table.c.blind > blind))
        )
        .order_by(table.c.record_id, table.c.blind)
        .limit(size)
    )
    return [_read(row) for row in connection.execute(statement)]


def _sharing(connection: Connection, failure: Failure) -> set[int]:
    """Everybody who has this contact, the one whose message failed in any case."""
    ids = select(contact_points.c.record_id).where(contact_points.c.blind == failure.blind).limit(_SHARED)
    return {failure.record_id, *connection.scalars(ids)}


def _of_blind(connection: Connection, failure: Failure) -> list[BadContact]:
    table, sharing = bad_contacts, _sharing(connection, failure)
    rows = select(table).where(table.c.record_id.in_(sorted(sharing)), table.c.blind == failure.blind)
    return [_read(row) for row in connection.execute(rows)]


def _counted(before: BadContact | None, failure: Failure, record_id: int) -> BadContact:
    failures = (before.failures if before else 0) + (not failure.permanent)
    bad = failure.permanent or failures >= TEMPORARY_LIMIT
    since = before.bad_since if before else None
    return BadContact(
        record_id=record_id,
        organisation=failure.organisation,
        blind=failure.blind,
        channel=failure.channel,
        code=failure.code,
        failures=failures,
        last_at=max(failure.at, before.last_at) if before else failure.at,
        bad_since=since or (failure.at if bad else None),
    )


def _row(row: BadContact) -> tuple[object, ...]:
    return (
        row.record_id,
        row.blind,
        row.organisation,
        row.channel,
        row.code,
        row.failures,
        to_micros(row.last_at),
        maybe_micros(row.bad_since),
    )


def _read(row: object) -> BadContact:
    values = row._mapping  # type: ignore[attr-defined]  # noqa: SLF001 (SQLAlchemy's own name for it)
    return BadContact(
        **{
            **values,
            "blind": bytes(values["blind"]),
            "last_at": from_micros(values["last_at"]),
            "bad_since": maybe_instant(values["bad_since"]),
        }
    )
