"""People with something in the outbox, and its rows, for tests of the way out."""

from __future__ import annotations

from tests.support.people import House, person


def queued(house: House, count: int = 1) -> list[int]:
    """People with one invitation each in the outbox, by text message."""
    ids = house.arrive([person(number) for number in range(count)])
    assert house.issue.run().total == count
    return ids


def entry(house: House, number: int = 0) -> dict[str, object]:
    """The row of the outbox with that number, from 0."""
    return house.rows("outbox")[number]
