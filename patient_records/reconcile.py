"""Laying one update over one record: what SPEC 3.5 means by "upsert". Pure.

Four questions, in this order:

1. Is there such a person? If not, the update must bring a family and a given name, and makes them.
2. Whose record is it? Another organisation's message adds its own identifiers and stops contact (death, which its own
   sender may take back); what else it says differently is a finding, not a change.
3. Is the event older than what is stored? Then it changes no demographics. Death is never too old to stop contact.
4. What does it say of each field: nothing (leave it), ``""`` (erase it), a value (set it)?
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from patient_records.model import Death, DeathReport, Demographics, Identifier, PatientRecord
from patient_records.update import ERASED, OMITTED, DeathNews, PatientUpdate, Silence

_SETTABLE: Final = {
    "names": (),
    "birth": None,
    "sex": "",
    "addresses": (),
    "home": (),
    "work": (),
    "language": "",
    "publicity": "",
    "protection": "",
    "vip": "",
}
"""The fields that an update may set, with what each is when erased."""


class Outcome(StrEnum):
    """What became of a message (glossary: outcome)."""

    APPLIED = "applied"
    HELD = "held"
    DUPLICATE = "duplicate"
    STALE = "stale"
    IGNORED = "ignored"
    REJECTED = "rejected"


class Reconciliation(Struct, frozen=True):
    """What an update makes of a record.

    ``demographics`` is the content from now on (None when the update cannot make a person: ``missing`` then names the
    field, as PID-5). ``changes`` names the fields that changed ("created" for a new person), ``findings`` are codes.
    """

    outcome: Outcome
    demographics: Demographics | None
    changes: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    missing: str = ""


def reconcile(current: PatientRecord | None, update: PatientUpdate) -> Reconciliation:
    """Lay the update over the record (None: there is no such person yet)."""
    if current is None:
        return _create(update)
    stored = current.demographics
    death, death_findings = _death(stored, update, current.organisation)
    if update.organisation != current.organisation:
        return _from_elsewhere(stored, update, death, death_findings)
    stale = update.event_at < stored.last_event_at
    identifiers, aliases = _identifiers(stored, update.identifiers, update.prior, replaces=not stale)
    values: dict[str, object] = {} if stale else _said(update)
    if not stale:
        values["last_event_at"] = update.event_at
    after = replace(stored, identifiers=identifiers, aliases=aliases, death=death, **values)
    return Reconciliation(Outcome.STALE if stale else Outcome.APPLIED, after, _changed(stored, after), death_findings)


def _create(update: PatientUpdate) -> Reconciliation:
    names = () if isinstance(update.names, Silence) else update.names
    if not any(name.family and name.given for name in names):
        return Reconciliation(Outcome.REJECTED, None, missing="PID-5")
    empty = Demographics(sender=update.sender)
    identifiers, aliases = _identifiers(empty, update.identifiers, update.prior, replaces=True)
    death, findings = _death(empty, update, update.organisation)
    made = replace(
        empty,
        identifiers=identifiers,
        aliases=aliases,
        death=death,
        last_event_at=update.event_at,
        **_said(update),
    )
    return Reconciliation(Outcome.APPLIED, made, ("created",), findings)


def _from_elsewhere(
    stored: Demographics, update: PatientUpdate, death: Death | None, findings: tuple[str, ...]
) -> Reconciliation:
    local = tuple(identifier for identifier in update.identifiers if not identifier.national)
    prior = tuple(identifier for identifier in update.prior if not identifier.national)
    identifiers, aliases = _identifiers(stored, local, prior, replaces=True)
    after = replace(stored, identifiers=identifiers, aliases=aliases, death=death)
    differs = [name for name, value in _said(update).items() if getattr(stored, name) != value]
    known = {*stored.identifiers, *stored.aliases}
    if any(identifier.national and identifier not in known for identifier in update.identifiers):
        differs.append("identifiers")
    findings += tuple(f"differs_from_owner:{name}" for name in differs)
    return Reconciliation(Outcome.APPLIED, after, _changed(stored, after), findings)


def _said(update: PatientUpdate) -> dict[str, object]:
    values: dict[str, object] = {}
    for name, erased in _SETTABLE.items():
        said = getattr(update, name)
        if said is not OMITTED:
            values[name] = erased if said is ERASED else said
    return values


def _identifiers(
    stored: Demographics, sent: tuple[Identifier, ...], prior: tuple[Identifier, ...], *, replaces: bool
) -> tuple[tuple[Identifier, ...], tuple[Identifier, ...]]:
    """Current identifiers and aliases after these were sent; a late event adds what is unknown and replaces nothing.

    Of several values of one kind in one message the last is current, the others are aliases. Prior ones are aliases.
    """
    current = {identifier.kind: identifier for identifier in stored.identifiers}
    aliases = dict.fromkeys(stored.aliases)
    last = {identifier.kind: identifier for identifier in sent}
    for identifier in sent:
        held = current.get(identifier.kind)
        if held == identifier:
            continue
        if last[identifier.kind] == identifier and (held is None or replaces):
            current[identifier.kind] = identifier
            aliases.pop(identifier, None)
            if held is not None:
                aliases[held] = None
        else:
            aliases[identifier] = None
    for identifier in prior:
        if current.get(identifier.kind) != identifier:
            aliases[identifier] = None
        elif replaces and identifier not in sent:
            del current[identifier.kind]
            aliases[identifier] = None
    return tuple(current.values()), tuple(aliases)


def _death(stored: Demographics, update: PatientUpdate, owner: str) -> tuple[Death | None, tuple[str, ...]]:
    """The death that stands after the update's word on it, and findings about that word; ``owner`` has the record."""
    if update.death is None:
        return stored.death, ()
    told = () if stored.death is None else stored.death.reports
    reports = {(report.organisation, report.sender): report for report in told}
    elsewhere = "" if update.organisation == owner else update.organisation
    own = reports.get((elsewhere, update.sender))
    if update.death.dead:
        reports[elsewhere, update.sender] = _later(own, update, update.death, elsewhere)
    elif own is not None and update.event_at >= own.at:
        del reports[elsewhere, update.sender]
    elif reports and own is None:
        return stored.death, ("death_denied_by_another_sender:PID-30",)
    return (Death(tuple(reports.values())) if reports else None), ()


def _later(own: DeathReport | None, update: PatientUpdate, news: DeathNews, elsewhere: str) -> DeathReport:
    if own is None:
        return DeathReport(update.sender, update.event_at, news.on, elsewhere)
    if update.event_at < own.at:
        return DeathReport(update.sender, own.at, own.on or news.on, elsewhere)
    return DeathReport(update.sender, update.event_at, news.on or own.on, elsewhere)


def _changed(before: Demographics, after: Demographics) -> tuple[str, ...]:
    names = ("identifiers", "aliases", "death", *_SETTABLE)
    return tuple(name for name in names if getattr(before, name) != getattr(after, name))
