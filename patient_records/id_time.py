"""What a row id says by itself: when it was made (see :mod:`patient_records.ids`)."""

from __future__ import annotations

from typing import Final

EPOCH_MS: Final = 1_577_836_800_000  # 2020-01-01T00:00:00Z
COUNTER_BITS: Final = 21


def made_at_ms(row_id: int) -> int:
    """When a row id was made: milliseconds since 1970."""
    return (row_id >> COUNTER_BITS) + EPOCH_MS
