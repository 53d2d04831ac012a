"""How large a run is. Three sizes: the one that is published, a quick look, and one that only shows that it runs."""

from __future__ import annotations

from typing import Final

from msgspec import Struct


class Scale(Struct, frozen=True):
    """The size of everything in a run.

    Ingest: each measurement runs ``warm_up`` + ``seconds`` seconds, at each of ``connections``, in ``rounds`` rounds
    that take turns; ``pool`` messages at most go to one receiver that stores. ``seeded`` are sizes of databases that
    hold people already, none unless asked for. ``fsync_seconds`` is for each group size.

    Others: ``people`` are invited; ``rows`` stand in the eligibility table, ``repeats`` look-ups are timed; ``sms``,
    ``emails`` and ``letters`` are dispatched; ``batch_of_letters`` go to a print house at once; ``start_records`` lie
    in the database of a start, ``starts`` are timed; ``readings`` messages are read.
    """

    name: str
    warm_up: float
    seconds: float
    connections: tuple[int, ...]
    rounds: int
    pool: int
    fsync_seconds: float
    people: int
    rows: int
    repeats: int
    sms: int
    emails: int
    letters: int
    batch_of_letters: int
    start_records: int
    starts: int
    rest: float
    readings: int
    seeded: tuple[int, ...] = ()


FULL: Final = Scale(
    name="full",
    warm_up=1.0,
    seconds=6.0,
    connections=(1, 8, 32),
    rounds=3,
    pool=120_000,
    fsync_seconds=2.0,
    people=100_000,
    rows=1_000_000,
    repeats=15,
    sms=10_000,
    emails=2_000,
    letters=500,
    batch_of_letters=20_000,
    start_records=100_000,
    starts=7,
    rest=5.0,
    readings=4_000,
)

QUICK: Final = Scale(
    name="quick",
    warm_up=0.5,
    seconds=2.0,
    connections=(1, 32),
    rounds=1,
    pool=30_000,
    fsync_seconds=0.5,
    people=5_000,
    rows=100_000,
    repeats=5,
    sms=1_000,
    emails=200,
    letters=50,
    batch_of_letters=1_000,
    start_records=5_000,
    starts=3,
    rest=2.0,
    readings=1_000,
)

TINY: Final = Scale(
    name="tiny",
    warm_up=0.05,
    seconds=0.2,
    connections=(2,),
    rounds=1,
    pool=2_000,
    fsync_seconds=0.02,
    people=120,
    rows=500,
    repeats=2,
    sms=5,
    emails=2,
    letters=1,
    batch_of_letters=2,
    start_records=20,
    starts=1,
    rest=0.0,
    readings=4,
    seeded=(30,),
)
"""For tests: every benchmark runs, and no number of it means anything."""
