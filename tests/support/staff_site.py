"""The staff's pages on a real port, over a real house: all that the daemon wears, without its engines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from sqlalchemy import select
from starlette.applications import Starlette

from daemon.bootstrap import House, build
from daemon.settings import load
from daemon.staff_pages import staff_pages
from invites.channels.loop_thread import LoopThread
from patient_records.audit import Actor, WrittenEntry
from patient_records.audit_actions import ActorKind
from patient_records.model import Demographics, Standing
from patient_records.passwords import Parameters
from patient_records.ports import RecordChange
from patient_records.tables import patient_records
from tests.support.daemon_process import configuration, merged, toml
from tests.support.patience import SAFETY
from web.ops.accounts import StaffAccount
from web.server import WebFace

PASSWORD = "three blue teapots"
ROOT = Actor(ActorKind.OPERATOR, "root")


class StaffSite:
    """A house with two organisations, its staff pages on a free port; for ``with``."""

    def __init__(self, folder: Path, database_url: str, changes: dict[str, Any] | None = None) -> None:
        file = folder / "doorstep.toml"
        second = {"organisations": [{"code": "RX2", "name": "Other Hospital", "contact": "01632 960001"}]}
        file.write_text(toml(merged(merged(configuration(database_url), second), changes or {})))
        self.house: House = build(load(file, {}))
        self.house.passwords.parameters = Parameters(64, 1, 1)
        self._loop = LoopThread("staff-site")
        self._face = WebFace(Starlette(routes=staff_pages(self.house)), "127.0.0.1", 0)
        self.url = ""

    def __enter__(self) -> Self:
        self.url = f"http://127.0.0.1:{self._loop.run(self._face.start, SAFETY)}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.close(self._face.stop, SAFETY)
        self.house.close()

    def staff(self, login: str = "anna", organisation: str = "RX1") -> StaffAccount:
        """An account that has set its password."""
        made = self.house.staff.add(login, organisation, ROOT)
        account = self.house.staff.set_password(made.account, PASSWORD)
        assert isinstance(account, StaffAccount)
        return account

    def arrive(self, people: Iterable[Demographics], organisation: str = "RX1") -> list[str]:
        """Store new people as an ingest does; gives their public ids."""
        now = datetime.now(UTC)
        with self.house.database.begin() as connection:
            made = [self.house.records.make(organisation, each, now) for each in people]
            saved = self.house.records.save(connection, [(None, one) for one in made], now)
            told = [RecordChange(None, one.record, one.key) for one in saved]
            self.house.invites.consequences.records_changed(connection, told, now)
        return [one.record.public_id for one in saved]

    def record_id(self, public_id: str) -> int:
        """The row of that person."""
        statement = select(patient_records.c.id).where(patient_records.c.public_id == public_id)
        with self.house.database.read() as connection:
            return int(connection.scalar(statement) or 0)

    def standing(self, public_id: str) -> Standing:
        """What was decided about that person."""
        id_ = self.record_id(public_id)
        with self.house.database.read() as connection:
            return self.house.records.load(connection, [id_])[id_].record.standing

    def trail(self, public_id: str | None = None) -> list[WrittenEntry]:
        """The audit trail, newest first; of one person, or all of it."""
        record_id = self.record_id(public_id) if public_id else None
        with self.house.database.read() as connection:
            return self.house.audit.entries(connection, limit=1000, record_id=record_id)

    def actions(self, public_id: str | None = None) -> list[str]:
        """What the trail says was done, newest first."""
        return [entry.action for entry in self.trail(public_id)]

    def rows(self, table: Any, **where: object) -> list[Any]:
        """Rows of a table, in the order of their keys."""
        statement = select(table).order_by(*table.primary_key.columns)
        for column, value in where.items():
            statement = statement.where(table.c[column] == value)
        with self.house.database.read() as connection:
            return list(connection.execute(statement))

    def visitor(self) -> Visitor:
        """Somebody with a browser of their own."""
        return Visitor(self.url)

    def logged_in(self, login: str = "anna") -> Visitor:
        """Somebody who has logged in."""
        visitor = self.visitor()
        visitor.log_in(login)
        return visitor


class Visitor:
    """A browser as far as HTTP goes: keeps cookies, follows nothing by itself, sends forms with their token."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def get(self, path: str) -> httpx.Response:
        """Open a page."""
        return self.client.get(path)

    def post(self, path: str, *, page: str | None = None, **fields: str) -> httpx.Response:
        """Send a form: its token is from ``page`` (the search, by default)."""
        token = re.search(r'name="form_token" value="([0-9a-f]+)"', self.get(page or "/staff/login").text)
        assert token is not None
        return self.client.post(path, data={"form_token": token[1], **fields})

    def log_in(self, login: str = "anna", password: str = PASSWORD) -> httpx.Response:
        """Log in."""
        return self.post("/staff/login", login=login, password=password)
