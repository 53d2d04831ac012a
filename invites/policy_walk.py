"""A policy that is new reaches everybody: a walk over all records of an organisation, once.

Eligibility is a table, kept by those who change a record. A changed configuration changes no record, so the first
daemon that runs under it looks at everybody, a chunk at a time, in the order of ids, and notes how far it is: a restart
goes on from there.

Two daemons may run under two policies at once, for the length of a rolling restart or by mistake. Each has its own
note, walks once in its life, and does not answer the other's walk with another: they would never end. What remains is
what the later walk said, and what each daemon says of the messages that it takes. Who starts under a policy that is not
the one begun last walks again, for the last walk has overwritten what an earlier one found.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from invites import repository
from invites.consequences import look_again
from invites.eligibility import RULES, Policy
from invites.legible import legible
from invites.options import InviteOptions
from patient_records.repository import Records
from patient_records.unit_of_work import Database

CHUNK: Final = 200  # people unsealed in one transaction: some 10 ms, in which SQLite's other writers wait


class PolicyWalk:
    """Walks over everybody under the policy of this process. One object serves all of the process's sweeps."""

    def __init__(self, database: Database, records: Records, options: InviteOptions) -> None:
        self._database = database
        self._records = records
        self._options = options
        self._policy = fingerprint(options.policy)
        self._begun: set[str] = set()
        self._finished: set[str] = set()

    def __call__(self, organisation: str, stopping: Callable[[], bool]) -> int:
        """Walk on to the end, or until stopping; gives how many people were looked at. Raises StorageUnavailable."""
        if organisation in self._finished or stopping():
            return 0
        self._begin(organisation)
        looked_at, last = 0, 0
        while not stopping():
            with self._database.read() as connection:
                noted = repository.walked_through(connection, organisation, self._policy)
                page = repository.assessed_page(connection, max(last, noted or 0), CHUNK) if noted is not None else []
            ids = [record_id for record_id, owner in page if owner == organisation]
            if noted is not None and (ids or not page):
                self._step(organisation, ids, page[-1][0] if page else None)
            if not page:
                self._finished.add(organisation)
                break
            last = page[-1][0]
            looked_at += len(ids)
        return looked_at

    def _begin(self, organisation: str) -> None:
        """Begin or go on; once in the life of this process, so that it never answers another's walk."""
        if organisation not in self._begun:
            with self._database.begin() as connection:
                repository.begin_walk(connection, organisation, self._policy, self._database.now(connection))
            self._begun.add(organisation)

    def _step(self, organisation: str, ids: list[int], through: int | None) -> None:
        """Look at these people and note how far the walk has come, in one transaction."""
        with self._database.begin() as connection:
            now = self._database.now(connection)
            opened = legible(partial(self._records.load, lock=True), connection, ids)
            look_again(connection, [person.record for person in opened.values()], self._options, now)
            repository.note_walk(connection, organisation, self._policy, through, now)


def fingerprint(policy: Policy) -> str:
    """Tell policies and rules apart: sixteen hexadecimal digits that change when any part of either does."""
    whole = msgspec.json.encode((RULES, policy), enc_hook=_plain, order="deterministic")
    return hashlib.sha256(whole).hexdigest()[:16]


def _plain(value: Any) -> object:
    """What a policy holds that JSON does not know. Not ``str``: that of a long pattern is cut."""
    if isinstance(value, re.Pattern):
        return {"pattern": value.pattern, "flags": value.flags}
    raise NotImplementedError(type(value).__name__)
