"""What a replay does not apply although it could, and how much of it is in memory at a time.

That is parts of a batch that was refused as a whole, and what is not conformant where that is enforced.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sequence

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select

from hl7_listener import replay_candidates
from hl7_listener.arrival import Arrival, Settled
from hl7_listener.batch import Batch
from hl7_listener.conformance_judge import ConformanceJudge
from hl7_listener.conformance_process import CheckFailed
from hl7_listener.finding import Finding
from hl7_listener.replay import PASSED_OVER, Replay
from hl7_listener.reprocessing import Reprocessing
from patient_records import tables
from tests.support.desk import A28, NO_GIVEN_NAME, Desk

BHS = b"BHS|^~\\&|PAS|RX1|doorstep|RX1|20260101||||B7\r"
NAMELESS = NO_GIVEN_NAME.replace(b"9990000018", b"9990000034").replace(b"|1|P", b"|3|P")
SECOND = A28.replace(b"9990000018", b"9990000026").replace(b"|1|P", b"|2|P")


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    made = Desk(database_url)
    yield made
    made.database.close()


def people(desk: Desk) -> int:
    with desk.database.read() as connection:
        return int(connection.scalar(select(func.count()).select_from(tables.patient_records)) or 0)


def outcomes(desk: Desk, *, rehearse: bool = False) -> dict[str, int]:
    if rehearse:
        return desk.replay.rehearse(since=None, statuses=PASSED_OVER, show=lambda _difference: None).outcomes
    return desk.replay.run(since=None, statuses=PASSED_OVER).outcomes


# ---- batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trailer", [b"BTS|3\r", b"BTS|2\rFTS|2\r"], ids=["batch", "file"])
def test_of_a_batch_that_lost_a_message_nothing_is_replayed(desk: Desk, trailer: bytes) -> None:
    refused = desk.receive_frame(BHS + A28 + SECOND + trailer)
    assert [str(one.outcome) for one in refused] == ["rejected", "rejected"]
    assert outcomes(desk, rehearse=True) == {"incomplete_batch": 2}
    assert outcomes(desk) == {"incomplete_batch": 2}
    assert people(desk) == 0
    assert len(desk.waiting()) == 2
    assert desk.replay.count(since=None, statuses=PASSED_OVER) == 2


def test_nor_is_what_was_wrong_besides_and_is_not_any_more(desk: Desk) -> None:
    """Its own reason stands in the journal; that its batch was refused stands there, too."""
    of_a_trial = A28.replace(b"|1|P|", b"|1|X|")
    desk.receive_frame(BHS + of_a_trial + SECOND + b"BTS|3\r")
    desk.listeners["pas"] = replace(desk.listeners["pas"], processing_ids=("P", "X"))
    assert sorted(entry.reason.split(":")[0] for entry in desk.waiting()) == [
        "batch count",
        "processing id is not taken here",
    ]
    assert outcomes(desk) == {"incomplete_batch": 2}
    assert people(desk) == 0


def test_what_was_refused_before_the_finding_was_written_down_is_known_by_its_reason(desk: Desk) -> None:
    desk.receive_frame(BHS + A28 + b"BTS|2\r")
    with desk.database.begin() as connection:
        connection.execute(tables.journal.update().values(findings=""))
    assert outcomes(desk) == {"incomplete_batch": 1}


def test_a_person_may_still_resubmit_one_of_them(desk: Desk) -> None:
    [refused, _] = desk.receive_frame(BHS + A28 + SECOND + b"BTS|3\r")
    assert desk.curator.resubmit(refused.journal_id, []).outcome == "applied"
    assert people(desk) == 1


def test_what_was_refused_by_itself_in_a_whole_batch_is_replayed(desk: Desk) -> None:
    desk.receive_frame(BHS + A28.replace(b"|1|P|", b"|1|X|") + SECOND + b"BTS|2\r")
    desk.listeners["pas"] = replace(desk.listeners["pas"], processing_ids=("P", "X"))
    assert outcomes(desk) == {"applied": 1}


# ---- conformance -----------------------------------------------------------------------------------------------------


class Names:
    """A checker that finds fault with the names it is told, and fails over others."""

    def __init__(self, wrong: bytes, late: bytes = b"nobody") -> None:
        self.starts = 0
        self.wrong, self.late = wrong, late

    def check(self, raw: bytes, charset: str, profiles: tuple[str, ...] = ()) -> tuple[Finding, ...]:
        del charset, profiles
        if self.late in raw:
            raise CheckFailed("late")
        return (Finding("not_in_table", "PID-5"),) if self.wrong in raw else ()

    def end(self) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """There is nothing to let go of."""


def judging(desk: Desk, checker: Names) -> Desk:
    """Give the desk a replay that judges as the command's does."""
    judge = ConformanceJudge(checker, desk.telemetry.internal_error)

    def judged(arrival: Arrival) -> Arrival:
        return judge.judged(arrival) if arrival.listener.enforces else arrival

    clock = desk.reprocessing._clock
    settling = Reprocessing(desk.database, desk.stores, desk.telemetry, clock, judged)
    desk.replay = Replay(desk.database, desk.journal, desk.records, settling, desk.listeners)
    return desk


def refused_when_it_came(desk: Desk, raw: bytes) -> None:
    """Leave a message in the journal that its listener refuses no more for what it says."""
    plain = desk.listeners["pas"]
    desk.listeners["pas"] = replace(plain, processing_ids=("D",))
    assert str(desk.receive(raw).outcome) == "rejected"
    desk.listeners["pas"] = plain


def test_an_enforcing_listener_s_messages_are_judged_again(desk: Desk) -> None:
    for raw in (A28, SECOND.replace(b"Una", b"Odd"), NAMELESS):
        refused_when_it_came(desk, raw)
    desk.listeners["pas"] = replace(desk.listeners["pas"], validation="enforce")
    judging(desk, Names(b"Odd"))
    assert outcomes(desk, rehearse=True) == {"applied": 1, "rejected": 2}
    assert outcomes(desk) == {"applied": 1, "rejected": 2}
    assert people(desk) == 1
    assert len(desk.waiting()) == 2
    desk.listeners["pas"] = replace(desk.listeners["pas"], validation="report")
    assert outcomes(desk) == {"applied": 1, "rejected": 1}
    assert people(desk) == 2


def test_what_cannot_be_checked_is_not_replayed_either(desk: Desk) -> None:
    refused_when_it_came(desk, A28)
    desk.listeners["pas"] = replace(desk.listeners["pas"], validation="enforce")
    assert outcomes(judging(desk, Names(b"nobody", late=b"Una"))) == {"rejected": 1}
    assert people(desk) == 0


# ---- memory ----------------------------------------------------------------------------------------------------------

LARGE = 1 << 20


def leave_large_ones(desk: Desk, count: int) -> None:
    for number in range(count):
        raw = A28.replace(b"|1|P|", b"|%d|X|" % number) + b"NTE|1||" + b"x" * LARGE + b"\r"
        assert str(desk.receive(raw).outcome) == "rejected"
    desk.listeners["pas"] = replace(desk.listeners["pas"], processing_ids=("X",))


@pytest.mark.parametrize("rehearse", [True, False], ids=["rehearsed", "run"])
def test_large_messages_are_settled_in_bounded_pieces(
    desk: Desk,
    rehearse: bool,  # noqa: FBT001 (a parameter)
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leave_large_ones(desk, 10)
    monkeypatch.setattr(replay_candidates, "MOST_BYTES", 3 * LARGE + LARGE // 2)
    pieces: list[int] = []
    settle = Batch.settle

    def counting(self: Batch, arrivals: Sequence[Arrival]) -> list[Settled]:
        pieces.append(len(arrivals))
        return settle(self, arrivals)

    monkeypatch.setattr(Batch, "settle", counting)
    found = outcomes(desk, rehearse=rehearse)
    assert sum(found.values()) == 10
    assert pieces == [3, 3, 3, 1]


def test_one_that_is_larger_than_a_piece_is_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_large_ones(desk, 2)
    monkeypatch.setattr(replay_candidates, "MOST_BYTES", 1000)
    assert sum(outcomes(desk).values()) == 2


def test_a_rehearsal_of_more_takes_no_more_memory(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_candidates, "MOST_BYTES", 2 * LARGE)
    desk = Desk(sqlite_url)
    leave_large_ones(desk, 5)
    outcomes(desk, rehearse=True)
    few = peak(lambda: outcomes(desk, rehearse=True))
    desk.listeners["pas"] = replace(desk.listeners["pas"], processing_ids=("P",))
    leave_large_ones(desk, 20)
    many = peak(lambda: outcomes(desk, rehearse=True))
    desk.database.close()
    assert many < few + 4 * LARGE


def peak(work: Callable[[], object]) -> int:
    """Bytes that Python held at most while this was done."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
