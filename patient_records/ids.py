"""Row ids that need no round trip and sort by time.

63 bits: 42 of milliseconds since 2020 (until 2159), then 21 that start at a random place in each millisecond and count
on from there. Rows must know their id before they are sealed, because the seal is bound to it; asking the database for
each would cost a round trip a batch. Two daemons may, very rarely, draw the same id in the same millisecond: then the
primary key refuses the transaction, and it is done again with new ids, like every other conflict.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from patient_records.id_time import COUNTER_BITS, EPOCH_MS

_COUNTER_MASK: Final = (1 << COUNTER_BITS) - 1


_LONGEST: Final = 19
"""Digits of 2**63."""


def read_row_id(text: str) -> int | None:
    """Read a row id that came from outside; None for what can be no row's, which no database may be asked for."""
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST):
        return None
    number = int(text)
    return number if number < 1 << 63 else None


class IdSource:
    """Makes row ids; safe to call from several threads.

    ``clock_ms`` gives milliseconds since 1970, ``random_bytes`` so many random bytes (``os.urandom``).
    """

    def __init__(self, clock_ms: Callable[[], int], random_bytes: Callable[[int], bytes]) -> None:
        self._clock_ms = clock_ms
        self._random_bytes = random_bytes
        self._lock = threading.Lock()
        self._tick = 0
        self._next = 0

    def row_id(self) -> int:
        """Make the next row id: positive, below 2**63, larger than any this source gave before."""
        with self._lock:
            tick = max(self._clock_ms() - EPOCH_MS, self._tick)
            if tick != self._tick:
                self._tick = tick
                # Half of the range is left to count in: a million ids before the next millisecond is borrowed.
                self._next = int.from_bytes(self._random_bytes(3), "big") & (_COUNTER_MASK >> 1)
            elif self._next > _COUNTER_MASK:
                self._tick += 1
                self._next = 0
            made = (self._tick << COUNTER_BITS) | self._next
            self._next += 1
            return made

    def opaque(self) -> str:
        """Make an id for the outside: 128 random bits as 32 hexadecimal digits; it tells nothing."""
        return self._random_bytes(16).hex()
