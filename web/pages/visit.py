"""Who is visiting: the session behind a request's cookie.

A page asks :meth:`Visits.current`; a login calls :meth:`Visits.begin` in its transaction and then lets the answer carry
the cookie. Everything here that touches the database is for a thread, not for the event loop.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from patient_records.sessions import Session, Sessions
from patient_records.unit_of_work import Database
from web.pages.cookies import Cookie


class Visits:
    """The sessions of one kind on one face, under a cookie of their own."""

    def __init__(self, database: Database, sessions: Sessions, kind: str, *, secure: bool) -> None:
        self._database = database
        self._sessions = sessions
        self._kind = kind
        self._cookie = Cookie(f"doorstep-{kind}", secure=secure)

    def current(self, request: Request) -> Session | None:
        """The live session of this request; its idle time begins anew. Raises StorageUnavailable."""
        cookie = self._cookie.read(request)
        if cookie is None:
            return None
        with self._database.read() as connection:
            now = self._database.now(connection)
            session = self._sessions.find(connection, self._kind, cookie, now)
            due = session is not None and self._sessions.due_to_be_noted(connection, session, now)
        if session is not None and due:
            with self._database.begin() as connection:
                self._sessions.note_use(connection, session, now)
        return session

    def begin(self, connection: Connection, subject: int | None, data: bytes, now: datetime) -> Session:
        """Begin a session, always a new one: what a cookie was worth before a login, it is not after it."""
        return self._sessions.begin(connection, self._kind, subject, data, now)

    def end(self, session: Session) -> None:
        """End a session. Raises StorageUnavailable."""
        with self._database.begin() as connection:
            self._sessions.end(connection, session)

    def keep(self, response: Response, session: Session) -> None:
        """Have the browser keep the session's cookie until it is closed."""
        self._cookie.write(response, session.cookie)

    def forget(self, response: Response) -> None:
        """Have the browser forget it."""
        self._cookie.clear(response)
