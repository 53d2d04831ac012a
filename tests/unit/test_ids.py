from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from patient_records.ids import IdSource

EPOCH_MS = 1_577_836_800_000


def source(clock_ms: Callable[[], int], random_bytes: Callable[[int], bytes] = os.urandom) -> IdSource:
    return IdSource(clock_ms, random_bytes)


def test_ids_grow_within_a_millisecond_and_when_the_clock_goes_back() -> None:
    ticks = iter([EPOCH_MS + 5, EPOCH_MS + 5, EPOCH_MS + 6, EPOCH_MS + 2, EPOCH_MS + 6, EPOCH_MS + 7])
    ids = source(lambda: next(ticks))
    made = [ids.row_id() for _ in range(6)]
    assert made == sorted(set(made))


def test_an_id_tells_its_millisecond_and_fits_63_bits_until_2159() -> None:
    last = (1 << 42) - 1
    made = source(lambda: EPOCH_MS + last).row_id()
    assert made >> 21 == last
    assert 0 < made < 1 << 63


def test_a_full_millisecond_borrows_from_the_next() -> None:
    ids = source(lambda: EPOCH_MS + 1, lambda n: b"\xff" * n)
    first = ids.row_id()
    count = (1 << 20) + 1
    for _ in range(count - 1):
        ids.row_id()
    assert ids.row_id() >> 21 == (first >> 21) + 1


def test_threads_never_get_the_same_id() -> None:
    ids = source(lambda: EPOCH_MS + 1)
    with ThreadPoolExecutor(8) as pool:
        made = [one for many in pool.map(lambda _: [ids.row_id() for _ in range(500)], range(8)) for one in many]
    assert len(set(made)) == 4000


def test_two_daemons_start_at_different_places_in_a_millisecond() -> None:
    assert len({source(lambda: EPOCH_MS + 1).row_id() for _ in range(50)}) > 40


def test_an_opaque_id_is_nothing_but_128_random_bits() -> None:
    ids = source(lambda: EPOCH_MS, lambda n: bytes(range(n)))
    assert ids.opaque() == bytes(range(16)).hex()
