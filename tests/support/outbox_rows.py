"""People with something in the outbox, and its rows, for tests of the way out."""

from __future__ import annotations

from tests.support.people import House, person


def queued(house: House, count: int = 1, *, first: int = 0) -> list[int]:
    """People (of the numbers from ``first``) with one invitation each in the outbox, by text message."""
    ids = house.arrive([person(number) for number in range(first, first + count)])
    assert house.issue.run().total == count
    return ids


def entry(house: House, number: int = 0) -> dict[str, object]:
    """The row of the outbox with that number, from 0."""
    return house.rows("outbox")[number]
