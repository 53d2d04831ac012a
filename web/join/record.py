"""What somebody sees who is logged in: ``/record``, ``/record/views`` and ``/record/password``.

The record is opened for each page anew, with the key that the session holds, so it shows what the hospital knows now.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import phonenumbers
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from patient_records import model
from patient_records.audit_actions import ActorKind
from patient_records.limits import Exceeded
from patient_records.model import Address, Demographics, Masked, PatientRecord, PersonName
from patient_records.passwords import weakness
from patient_records.sessions import Session
from web.join.house import JoinHouse, held
from web.pages.pages import Look

_MOST_VIEWS: Final = 100
_SEXES: Final = frozenset({"F", "M", "O", "U", "A", "N"})
"""HL7 table 0001."""


class Shown(Masked, Struct, frozen=True):
    """A record as its page shows it. Each field is text, empty where the hospital has told us nothing."""

    name: str
    born: object
    sex: str
    numbers: Sequence[tuple[str, str]]
    address: Sequence[str]
    phones: Sequence[str]
    emails: Sequence[str]


class View(Struct, frozen=True):
    """Somebody looked: when, of which hospital, in what role."""

    at: datetime
    hospital: str
    role: str


def routes(house: JoinHouse) -> list[Route]:
    """The routes of somebody who is logged in."""
    face = _Record(house)
    return [
        Route("/record", face.show, methods=["GET"]),
        Route("/record/views", face.views, methods=["GET"]),
        Route("/record/password", face.choose, methods=["GET"]),
        Route("/record/password", face.change, methods=["POST"]),
    ]


class _Record:
    def __init__(self, house: JoinHouse) -> None:
        self._house = house
        self._pages = house.pages

    async def show(self, request: Request) -> Response:
        found = await self._house.threads.quick(self._open, request)
        if found is None:
            return self._out(request)
        record = found[1]
        return self._pages.show(
            request, "record.html", look=self._look(record), record=shown(record.demographics), here="/record"
        )

    async def views(self, request: Request) -> Response:
        found = await self._house.threads.quick(self._open, request)
        if found is None:
            return self._out(request)
        seen = await self._house.threads.quick(self._views, found[1])
        return self._pages.show(
            request, "views.html", look=self._look(found[1]), views=seen, most=_MOST_VIEWS, here="/record/views"
        )

    async def choose(self, request: Request) -> Response:
        found = await self._house.threads.quick(self._open, request)
        return self._out(request) if found is None else self._password_page(request, found[1], {})

    async def change(self, request: Request) -> Response:
        """Take another password."""
        form = await self._pages.forms.read(request)
        found = await self._house.threads.quick(self._open, request)
        if found is None:
            return self._out(request)
        session, record = found
        old, new, errors = form.secret("old"), form.secret("password"), {}
        weak = await self._house.threads.quick(weakness, new, [self._pages.look.name])
        if weak is not None:
            errors["password"] = self._pages.say(request, f"password.{weak.value}")
        if errors:
            return self._password_page(request, record, errors)
        change = self._house.accounts.password_change
        said = await self._house.threads.slow(change, held(session).subject, old, new, session)
        if isinstance(said, Exceeded):
            return self._house.too_many(request, said)
        if not said:
            return self._password_page(request, record, {"old": self._pages.say(request, "change.wrong")})
        return self._pages.show(request, "password_changed.html", look=self._look(record), here="/record/password")

    def _open(self, request: Request) -> tuple[Session, PatientRecord] | None:
        session = self._house.patients.current(request)
        if session is None:
            return None
        kept = held(session)
        opened = self._house.accounts.login.look(kept.subject, kept.key)
        return None if opened is None else (session, opened.record)

    def _views(self, record: PatientRecord) -> list[View]:
        with self._house.database.read() as connection:
            seen = self._house.audit.views(connection, record.id, limit=_MOST_VIEWS)
        return [View(view.at, self._hospital(view.organisation), _role(view.role)) for view in seen]

    def _hospital(self, code: str) -> str:
        known = self._house.organisations.get(code)
        return known.name if known is not None else code

    def _look(self, record: PatientRecord) -> Look:
        """The hospital that the record belongs to; a database may have several."""
        own = self._house.organisations.get(record.organisation)
        face = self._pages.look
        return face if own is None else Look(own.name, own.contact, face.colour)

    def _out(self, request: Request) -> Response:
        response = self._pages.go(request, "/login")
        self._house.patients.forget(response)
        return response

    def _password_page(self, request: Request, record: PatientRecord, errors: dict[str, str]) -> Response:
        return self._pages.show(
            request,
            "password.html",
            422 if errors else 200,
            look=self._look(record),
            errors=errors,
            here="/record/password",
        )


def shown(person: Demographics) -> Shown:
    """Put a record as a person reads it."""
    birth = person.birth
    return Shown(
        name=_full(person.name),
        born=birth.full if birth is not None else None,
        sex=person.sex if person.sex in _SEXES else "",
        numbers=[(number.authority, _grouped(number)) for number in person.identifiers],
        address=_lines(person.addresses[0]) if person.addresses else [],
        phones=[_spaced(each.value) for kind in (model.MOBILE, model.LANDLINE) for each in person.contacts(kind)],
        emails=[each.value for each in person.contacts(model.EMAIL)],
    )


def _full(name: PersonName | None) -> str:
    if name is None:
        return ""
    return " ".join(part for part in (name.prefix, name.given, name.middle, name.family, name.suffix) if part)


def _grouped(number: model.Identifier) -> str:
    """Write an NHS number as the NHS does: 943 476 5919."""
    value = number.value
    return f"{value[:3]} {value[3:6]} {value[6:]}" if number.national else value


def _spaced(number: str) -> str:
    """Write a telephone number in groups, as people read it (ITU-T E.123)."""
    try:
        return phonenumbers.format_number(phonenumbers.parse(number), phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    except phonenumbers.NumberParseException:
        return number


def _lines(address: Address) -> list[str]:
    return [line for line in (*address.lines, address.city, address.county, address.postcode) if line]


def _role(kind: ActorKind) -> str:
    """The key of the role's name in the language files."""
    return f"views.role.{kind.value}"
