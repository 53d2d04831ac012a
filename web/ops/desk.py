"""What the staff pages stand on, handed in by the daemon; and one transaction at a time for what they do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from msgspec import Struct
from sqlalchemy import Connection

from invites.accounts.closing import Closing
from invites.by_hand import ByHand
from invites.front_desk import FrontDesk
from invites.on_request import OnRequest
from invites.options import InviteOptions
from invites.overview import ReasonStory
from patient_records.audit import AuditTrail
from patient_records.decisions import Decisions
from patient_records.errors import StorageConflict
from patient_records.limits import Limits
from patient_records.repository import Records
from patient_records.unit_of_work import Database
from web.access.clients import Clients
from web.ops.accounts import StaffAccounts
from web.pages.network_address import Network

T = TypeVar("T")

_TRIES: Final = 4
"""How often a transaction is done again that somebody else came in between of."""


class InThread(Protocol):
    """Runs a call in a thread and gives what it gives or raises."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """Run it."""
        ...


class Timeline(Protocol):
    """One person's story, as ``doorstep explain`` tells it."""

    @property
    def eligible(self) -> bool:
        """Whether they may be invited now."""
        ...

    @property
    def state(self) -> str:
        """Give "eligible", or the weightiest reason why not."""
        ...

    @property
    def reasons(self) -> list[ReasonStory]:
        """Every reason why not."""
        ...

    @property
    def messages(self) -> Sequence[Any]:
        """The messages about them, oldest first."""
        ...


class OpsDesk(Struct, frozen=True):
    """Everything that the pages need.

    ``find`` gives the record that an identifier finds (its survivor), ``tell`` a record's story, ``service`` what the
    ops page shows to staff of an organisation, ``proxies`` are the networks whose word is taken for where a desk is.
    """

    database: Database
    records: Records
    accounts: StaffAccounts
    trail: AuditTrail
    decisions: Decisions
    on_request: OnRequest
    front_desk: FrontDesk
    by_hand: ByHand
    closing: Closing
    clients: Clients
    limits: Limits
    options: InviteOptions
    find: Callable[[Connection, str], int | None]
    tell: Callable[[Connection, int], Timeline]
    service: Callable[[Connection, str, datetime], Any]
    run: InThread
    proxies: Sequence[Network] = ()

    def transact(self, work: Callable[[Connection, datetime], T]) -> T:
        """Do it in a transaction of its own, and again when somebody came in between. Raises StorageUnavailable."""
        for left in reversed(range(_TRIES)):
            try:
                with self.database.begin() as connection:
                    return work(connection, self.database.now(connection))
            except StorageConflict:
                if not left:
                    raise
        raise AssertionError("a loop that ends by returning or raising")

    def look(self, work: Callable[[Connection, datetime], T]) -> T:
        """Do it in one snapshot, reading only."""
        with self.database.read() as connection:
            return work(connection, self.database.now(connection))
