"""The journal read back as a feed: each sender's messages opened, described and forgotten again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, func, select

from hl7_listener.errors import Unreadable
from hl7_listener.feed_description import FeedDescription
from hl7_listener.message import read
from patient_records import tables
from patient_records.errors import SealBroken
from patient_records.instants import from_micros, to_micros
from patient_records.journal import Journal
from patient_records.repository import Records
from patient_records.unit_of_work import Database

_PAGE: Final = 500
_J: Final = tables.journal.c


class SenderFeed:
    """One sender on one listener: what it sent, and when. ``unopened`` messages could be neither opened nor read."""

    def __init__(self, listener: str, sender: str) -> None:
        self.listener = listener
        self.sender = sender
        self.description = FeedDescription()
        self.outcomes: Counter[str] = Counter()
        self.hours: Counter[int] = Counter()
        self.repeats = 0
        self.unopened = 0
        self.first_at: datetime | None = None
        self.last_at: datetime | None = None
        self.longest_silence = timedelta(0)
        self.silence_from: datetime | None = None

    def heard(self, at: datetime) -> None:
        """Note when a message came; they come in order."""
        if self.last_at is not None and at - self.last_at > self.longest_silence:
            self.longest_silence, self.silence_from = at - self.last_at, self.last_at
        self.first_at = self.first_at or at
        self.last_at = at
        self.hours[int(at.timestamp()) // 3600] += 1

    @property
    def messages_an_hour(self) -> float:
        """The average over the time in which it was heard, an hour at least."""
        if self.first_at is None or self.last_at is None:
            return 0.0
        return self.hours.total() / max(1.0, (self.last_at - self.first_at) / timedelta(hours=1))


class Window(Struct, frozen=True):
    """Which messages: of that sender (None: all) received since then, and no more than the newest so many."""

    sender: str | None
    since: datetime
    most: int


class FeedReader:
    """Reads the journal; needs the key file, for messages are sealed."""

    def __init__(self, database: Database, journal: Journal, records: Records) -> None:
        self._database = database
        self._journal = journal
        self._records = records

    def count(self, window: Window) -> int:
        """Count the messages in a window, up to its most. Raises StorageUnavailable."""
        with self._database.read() as connection:
            found = connection.scalar(select(func.count()).where(*_wanted(window)))
        return min(int(found or 0), window.most)

    def describe(self, window: Window, progress: Callable[[int], None] = lambda _done: None) -> list[SenderFeed]:
        """Describe each sender in a window, the busiest first. Raises StorageUnavailable and KeyFault."""
        feeds: dict[tuple[str, str], SenderFeed] = {}
        done = 0
        for rows in self._pages(window):
            for row, raw in rows:
                key = (row.listener, row.sender)
                feed = feeds.setdefault(key, SenderFeed(*key))
                feed.heard(from_micros(row.received_at))
                feed.outcomes[row.outcome] += 1
                feed.repeats += row.repeats
                _describe(feed, raw)
            done += len(rows)
            progress(done)
        return sorted(feeds.values(), key=lambda feed: (-feed.description.messages, feed.listener, feed.sender))

    def _pages(self, window: Window) -> Iterator[list[tuple[Any, bytes | None]]]:
        after = self._first(window)
        columns = (_J.id, _J.listener, _J.sender, _J.received_at, _J.outcome, _J.repeats, _J.record_id)
        while True:
            with self._database.read() as connection:
                page = select(*columns).where(*_wanted(window), _J.id > after).order_by(_J.id).limit(_PAGE)
                rows = connection.execute(page).all()
                if not rows:
                    return
                after = rows[-1].id
                owners = {row.record_id for row in rows} - {None}
                keys = {id_: opened.key for id_, opened in self._records.load(connection, owners).items()}
                opened = [(row, self._raw(connection, row, keys)) for row in rows]
            yield opened

    def _raw(self, connection: Any, row: Any, keys: dict[int, Any]) -> bytes | None:
        try:
            return self._journal.raw(connection, row.id, keys.get(row.record_id))
        except (LookupError, SealBroken):
            return None

    def _first(self, window: Window) -> int:
        """The id behind which the newest so many begin."""
        with self._database.read() as connection:
            newest = select(_J.id).where(*_wanted(window)).order_by(_J.id.desc()).offset(window.most).limit(1)
            return int(connection.scalar(newest) or 0)


def _describe(feed: SenderFeed, raw: bytes | None) -> None:
    try:
        message = None if raw is None else read(raw)
    except Unreadable:
        message = None
    if message is None:
        feed.unopened += 1
    else:
        feed.description.add(message)


def _wanted(window: Window) -> Sequence[ColumnElement[bool]]:
    conditions = [_J.received_at >= to_micros(window.since), _J.event != "", _J.replay_of.is_(None)]
    if window.sender is not None:
        conditions.append(_J.sender == window.sender)
    return conditions
