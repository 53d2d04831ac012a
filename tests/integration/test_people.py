"""The people of a batch: what is remembered of them is come back to, at the cost of what changed since."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime

import pytest

from hl7_listener.people import People
from patient_records.model import Demographics, Identifier
from tests.support.hospital import ORGANISATION, Hospital


def test_to_remember_how_everybody_is_costs_nothing_by_their_number(sqlite_url: str) -> None:
    """A batch may have ten thousand merges of several groups, each of which may have to be undone."""
    hospital = Hospital(sqlite_url)
    with hospital.database.begin() as connection:
        people = People(hospital.records, connection, datetime.now(UTC))
        blinds = [people.blind(Identifier("RX1", "MR", str(n), ORGANISATION)) for n in range(5000)]
        people.finds(blinds, 1)
        tracemalloc.start()
        try:
            mark = people.mark()
            assert tracemalloc.get_traced_memory()[1] < 10_000
        finally:
            tracemalloc.stop()
        people.finds(blinds[:2], 2)
        inner = people.mark()
        record_id = people.make(ORGANISATION, Demographics())
        people.put(record_id, Demographics(sex="F"))
        people.finds(blinds[1:3], record_id)
        people.back(inner)
        assert [people.direct(blind) for blind in blinds[:3]] == [2, 2, 1]
        people.back(mark)
        assert [people.direct(blind) for blind in blinds[:3]] == [1, 1, 1]
        with pytest.raises(KeyError):
            people.record(record_id)
    hospital.close()
