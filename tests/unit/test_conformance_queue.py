from __future__ import annotations

import pytest

from hl7_listener import conformance_queue
from hl7_listener.arrival import Unanswered
from hl7_listener.conformance_queue import MOST_SENDERS, MOST_WAITING, CheckQueue
from patient_records.reconcile import Outcome
from tests.support.settled import GOOD, listener, settled


class Watch:
    """A clock that moves when told."""

    now = 5.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


def waiting(queue: CheckQueue) -> list[int]:
    """The journal ids of what waits, taken out."""
    queue.close()
    return [one.journal_id for one in iter(lambda: queue.take(0), None)]


def test_off_checks_nothing(watch: Watch) -> None:
    queue = CheckQueue(watch)
    queue.offer([settled(options=listener("off"))])
    assert waiting(queue) == []


def test_report_checks_everything_but_repeats_and_what_is_no_message(watch: Watch) -> None:
    queue = CheckQueue(watch)
    queue.offer(
        [
            settled(journal_id=1),
            settled(journal_id=2),
            settled(journal_id=3, outcome=Outcome.DUPLICATE),
            settled(journal_id=4, meaning=Unanswered("junk: interrupted")),
        ]
    )
    assert waiting(queue) == [1, 2]


def test_sample_checks_one_a_second_of_each_sender_on_each_listener(watch: Watch) -> None:
    queue, sampled, lab = CheckQueue(watch), listener("sample"), listener("sample", "lab")
    queue.offer([settled(journal_id=1, options=sampled), settled(journal_id=2, options=sampled)])
    queue.offer([settled(journal_id=3, options=lab), settled(GOOD.replace("PAS", "EPR"), 4, sampled)])
    watch.now += 0.9
    queue.offer([settled(journal_id=5, options=sampled)])
    watch.now += 0.1
    queue.offer([settled(journal_id=6, options=sampled)])
    assert waiting(queue) == [1, 3, 4, 6]


def test_a_repeat_does_not_use_up_the_senders_second(watch: Watch) -> None:
    queue, sampled = CheckQueue(watch), listener("sample")
    queue.offer(
        [settled(journal_id=1, options=sampled, outcome=Outcome.DUPLICATE), settled(journal_id=2, options=sampled)]
    )
    assert waiting(queue) == [2]


def test_what_finds_no_room_is_counted(watch: Watch) -> None:
    queue = CheckQueue(watch)
    queue.offer([settled(journal_id=n) for n in range(MOST_WAITING + 3)])
    assert queue.refused == 3
    assert waiting(queue) == list(range(MOST_WAITING))


def test_bytes_are_bounded_and_given_back(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance_queue, "MOST_WAITING_BYTES", 2 * len(GOOD))
    queue = CheckQueue(watch)
    queue.offer([settled(journal_id=n) for n in range(3)])
    assert queue.refused == 1
    queue.take(0)
    queue.offer([settled(journal_id=7)])
    assert waiting(queue) == [1, 7]


def test_a_sender_with_many_names_fills_no_memory(watch: Watch) -> None:
    queue, sampled = CheckQueue(watch), listener("sample")
    queue.offer([settled(GOOD.replace("PAS", f"S{n}"), n, sampled) for n in range(MOST_SENDERS + 10)])
    assert len(queue._due) <= MOST_SENDERS


def test_a_sender_is_kept_in_characters_that_any_database_takes(watch: Watch) -> None:
    queue = CheckQueue(watch)
    queue.offer([settled(GOOD.replace("PAS", "P\0S" + "x" * 5000))])
    taken = queue.take(0)
    assert taken is not None
    assert taken.sender.startswith("P?Sx")
    assert len(taken.sender) <= 200


def test_waiting_shows_no_content(watch: Watch) -> None:
    queue = CheckQueue(watch)
    queue.offer([settled()])
    assert "Lovelace" not in repr(queue.take(0))
