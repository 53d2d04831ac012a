"""Invented people with pairs and accounts, for tests of what the join site stands on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from sqlalchemy import event

from invites.access_token import AccessToken, draw
from invites.accounts.assembly import Accounts, assemble
from invites.accounts.challenge import Proven
from invites.accounts.registration import Wish
from invites.channels import composition
from invites.channels.channel import EMAIL, Request
from invites.mint import API
from patient_records import bulk
from patient_records.audit import AuditTrail
from patient_records.keys import KeyRing
from patient_records.limits import Exceeded, Limits
from patient_records.passwords import Parameters
from patient_records.repository import Records
from tests.support.people import House, ScriptedProvider, person

BORN = date(1980, 12, 10)
"""The date of birth of :func:`tests.support.people.person`."""

PASSWORD = "seven purple otters"
ADDRESS = "ada@example.net"
HERE = "192.0.2.7"
CHEAP = Parameters(memory_kib=64, iterations=1, lanes=1)
"""What a derivation costs in tests: nothing."""


class Registry:
    """A house with accounts, and the ways of patients through it."""

    def __init__(self, house: House, ring: KeyRing | None = None, parameters: Parameters = CHEAP) -> None:
        """``ring`` is what the join site's half has, by default everything."""
        self.house = house
        self.ring = ring or house.ring
        self.records = Records(self.ring, house.ids)
        self.limits = Limits(house.records.blind_index)
        self.audit = AuditTrail(house.ring, house.ids)
        self.accounts: Accounts = assemble(
            house.database,
            self.records,
            self.ring,
            house.ids,
            options=house.options,
            gate=house.invites.gate,
            consequences=house.consequences,
            limits=self.limits,
            audit=self.audit,
            random_bytes=os.urandom,
            parameters=parameters,
        )

    def somebody(self, number: int = 0, **given: object) -> int:
        """A new person; gives their record's id."""
        [record_id] = self.house.arrive([person(number, **given)])
        return record_id

    def pair(self, record_id: int) -> AccessToken:
        """A pair for somebody, as the API gives it."""
        house = self.house
        with house.database.begin() as connection:
            opened = house.records.load(connection, [record_id])[record_id]
            [made] = house.invites.mint.pairs(connection, [opened], API, house.database.now(connection))
            return made.pair

    def prove(self, pair: AccessToken, born: date = BORN, address: str = HERE) -> Proven | Exceeded | None:
        """Answer the challenge."""
        database = self.house.database
        with database.begin() as connection:
            return self.accounts.challenge(connection, pair, born, address, database.now(connection))

    def begin(self, pair: AccessToken, email: str = ADDRESS, password: str = PASSWORD) -> bool | Exceeded:
        """Prove, and ask for an account."""
        proven = self.prove(pair)
        assert isinstance(proven, Proven)
        return self.accounts.registration.begin(Wish(proven.token_id, proven.opened.key, email, password, "en", HERE))

    def mails(self) -> list[Request]:
        """Send what waits for the email lane; gives the messages."""
        provider = ScriptedProvider()
        self.house.lane(provider, composition.build()[EMAIL]).run()
        return provider.sent

    def register(self, record_id: int, email: str = ADDRESS) -> None:
        """The whole way to an account."""
        assert self.begin(self.pair(record_id), email) is True
        assert self.accounts.confirmation.confirm(carried(self.mails()[-1]), HERE) == "now"

    def audited(self) -> list[str]:
        """The actions in the audit trail, oldest first."""
        with self.house.database.read() as connection:
            return [entry.action for entry in reversed(self.audit.entries(connection, limit=1000))]


def carried(mail: Request) -> AccessToken:
    """What the link of a mail carries."""
    text = mail.body.decode()
    secret = text.partition("#k=")[2][:20]
    assert secret, text
    return AccessToken(secret[:10], secret[10:])


def draw_one() -> AccessToken:
    """A pair that is nobody's."""
    return draw(1, os.urandom)[0]


def without_organisation_keys(ring: KeyRing) -> KeyRing:
    """The same key file, its organisation keys taken out."""
    keys = [key for key in ring.keys if key.organisation is None]
    return KeyRing(keys, {purpose: id_ for purpose, id_ in ring.current.items() if not purpose.startswith("organ")})


@contextmanager
def statements(house: House, monkeypatch: Any) -> Iterator[list[str]]:
    """Every statement that the database is sent, its text without any value, in order."""
    seen: list[str] = []
    look, add = bulk.BulkSelect.run, bulk.BulkInsert.run

    def looked(self: Any, connection: Any, values: Any, *rest: Any) -> Any:
        seen.append(f"{self._head} {len(values)} {rest}")
        return look(self, connection, values, *rest)

    def added(self: Any, connection: Any, rows: Any) -> Any:
        seen.append(f"insert {len(rows)}")
        return add(self, connection, rows)

    def told(_connection: Any, _cursor: Any, text: str, *_rest: Any) -> None:
        seen.append(text)

    monkeypatch.setattr(bulk.BulkSelect, "run", looked)
    monkeypatch.setattr(bulk.BulkInsert, "run", added)
    event.listen(house.database.engine, "before_cursor_execute", told)
    try:
        yield seen
    finally:
        event.remove(house.database.engine, "before_cursor_execute", told)
        monkeypatch.setattr(bulk.BulkSelect, "run", look)
        monkeypatch.setattr(bulk.BulkInsert, "run", add)
