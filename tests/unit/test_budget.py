"""Who is read on when the connections together hold too much."""

from __future__ import annotations

from hl7_listener.budget import ALLOWANCE, ByteBudget

LIMIT = 10 * ALLOWANCE


class Peer:
    """A connection as the budget sees it: it holds bytes, and is read or not."""

    def __init__(self, budget: ByteBudget) -> None:
        self.budget = budget
        self.holding = 0
        self.reading = True

    def resume_for_budget(self) -> None:
        self.reading = True

    def receive(self, octets: int) -> None:
        """Hold so many bytes more of an unfinished frame."""
        self.holding += octets
        self.budget.change(held=octets)
        self.press()

    def finish(self) -> None:
        """Hand the frame to the writer."""
        self.budget.change(queued=self.holding)
        self.press()

    def answered(self) -> None:
        """Have it answered."""
        held, self.holding = self.holding, 0
        self.budget.change(queued=-held)
        self.budget.change(held=-held)
        self.press()

    def leave(self) -> None:
        """Go, in the middle of a frame."""
        self.budget.forget(self)
        held, self.holding = self.holding, 0
        self.budget.change(held=-held)

    def press(self) -> None:
        self.reading = not self.budget.must_wait(self.holding, self)


def peers(number: int, *, limit: int = LIMIT) -> list[Peer]:
    budget = ByteBudget(limit)
    return [Peer(budget) for _ in range(number)]


def test_within_the_budget_nobody_waits() -> None:
    some = peers(10)
    for peer in some:
        peer.receive(ALLOWANCE)
    assert all(peer.reading for peer in some)


def test_past_the_budget_ordinary_messages_still_pass() -> None:
    large, small = peers(2)
    large.receive(2 * LIMIT)
    small.receive(ALLOWANCE)
    assert small.reading


def test_while_the_writer_has_something_the_large_ones_wait_for_it() -> None:
    first, second = peers(2)
    first.receive(LIMIT)
    first.finish()
    second.receive(2 * ALLOWANCE)
    assert not second.reading
    first.answered()
    assert second.reading


def test_of_frames_that_none_has_finished_one_is_read_on_and_after_it_the_next() -> None:
    some = peers(4)
    for peer in some:
        peer.receive(LIMIT // 2)
    assert [peer.reading for peer in some] == [True, True, True, False]
    some[0].receive(ALLOWANCE)  # whoever asks next, now that there is too much, has to wait as well
    some[1].receive(ALLOWANCE)
    some[2].receive(ALLOWANCE)
    assert sum(peer.reading for peer in some) == 1
    favourite = next(peer for peer in some if peer.reading)
    favourite.receive(ALLOWANCE)
    assert favourite.reading
    favourite.finish()
    favourite.answered()
    assert sum(peer.reading for peer in some if peer is not favourite) >= 1


def test_a_favourite_that_leaves_makes_room_for_the_next() -> None:
    some = peers(5, limit=ALLOWANCE)
    for peer in some:
        peer.receive(3 * ALLOWANCE)
    assert [peer.reading for peer in some] == [True, False, False, False, False]
    some[0].leave()
    assert [peer.reading for peer in some[1:]] == [True, False, False, False]
    some[2].leave()  # one that waited goes without a trace
    some[1].leave()
    assert [peer.reading for peer in some[3:]] == [True, False]


def test_a_frame_larger_than_the_budget_gets_through() -> None:
    (only,) = peers(1, limit=1)
    for _ in range(100):
        only.receive(ALLOWANCE)
        assert only.reading
    only.finish()
    only.answered()
    assert (only.budget.held, only.budget.queued) == (0, 0)


def test_everybody_gets_through_in_the_end() -> None:
    some = peers(50, limit=4 * ALLOWANCE)
    waiting = list(some)
    for peer in waiting:
        peer.receive(2 * ALLOWANCE)
    for _ in range(50):
        reader = next(peer for peer in waiting if peer.reading)
        reader.receive(ALLOWANCE)
        reader.finish()
        reader.answered()
        waiting.remove(reader)
    assert some[0].budget.held == 0
