"""Opening many records when one of them may be broken.

A row that does not open (a lost key, a damaged page) is a fault for a person to mend. It must not keep the other people
of its batch from being invited, so where a batch does not open as a whole it is opened one by one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from typing import TypeAlias

from sqlalchemy import Connection

from patient_records.errors import KeyFault, SealBroken
from patient_records.repository import OpenRecord

Load: TypeAlias = Callable[[Connection, Collection[int]], dict[int, OpenRecord]]


def legible(load: Load, connection: Connection, ids: Collection[int]) -> dict[int, OpenRecord]:
    """Give those of these records that are there and open; ``load`` is a way of loading of the records' repository."""
    try:
        return load(connection, ids)
    except (SealBroken, KeyFault):
        opened: dict[int, OpenRecord] = {}
        for id_ in sorted(ids):
            with contextlib.suppress(SealBroken, KeyFault):
                opened |= load(connection, [id_])
        return opened
