"""What every page of the join site is handed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from invites.accounts.assembly import Accounts
from invites.channels.channel import Organisation
from patient_records.audit import AuditTrail
from patient_records.limits import Exceeded
from patient_records.model import Masked
from patient_records.sealing import SealingKey
from patient_records.sessions import Session
from patient_records.unit_of_work import Database
from web.pages.forms import Form
from web.pages.in_thread import InThread
from web.pages.network_address import Network, network_address
from web.pages.pages import Pages
from web.pages.visit import Visits

_LONGEST_PART: Final = 4


class JoinHouse(Struct, frozen=True):
    """Everything that the pages work with.

    ``password_reset`` says whether the hospital allows it; ``count`` hears what became of each step: codes of ours.
    """

    database: Database
    accounts: Accounts
    audit: AuditTrail
    pages: Pages
    threads: InThread
    joining: Visits
    patients: Visits
    organisations: Mapping[str, Organisation]
    proxies: Sequence[Network]
    password_reset: bool
    count: Callable[[str, str], None] = lambda _step, _outcome: None

    def address(self, request: Request) -> str:
        """Where a request comes from, as limits count it."""
        return network_address(request, self.proxies)

    def too_many(self, request: Request, exceeded: Exceeded) -> Response:
        """Say that there were too many tries, and for how long to wait (429)."""
        response = self.pages.error(request, 429)
        response.headers["retry-after"] = str(exceeded.retry_after)
        return response


class Held(Masked, Struct, frozen=True):
    """What a session holds, sealed under its cookie: a record key, and the pair or the account that it came by."""

    record_key: bytes
    subject: int

    def encode(self) -> bytes:
        """As the session keeps it."""
        return _encode(self)

    @property
    def key(self) -> SealingKey:
        """The record key."""
        return SealingKey(self.record_key)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Held).decode


def held(session: Session) -> Held:
    """Open what a session holds."""
    return _decode(session.data)


def date_in(form: Form, name: str) -> tuple[Mapping[str, str], date | None]:
    """Read a date of three fields: as it was typed, and the day if it is one.

    The month may be a number; two digits of a year are not guessed at.
    """
    typed = {part: form.text(f"{name}_{part}", _LONGEST_PART) for part in ("day", "month", "year")}
    if not all(value.isascii() and value.isdigit() for value in typed.values()) or len(typed["year"]) < _LONGEST_PART:
        return typed, None
    try:
        return typed, date(int(typed["year"]), int(typed["month"]), int(typed["day"]))
    except ValueError:
        return typed, None
