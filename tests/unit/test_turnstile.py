from __future__ import annotations

import threading

import pytest

from patient_records.turnstile import Turnstile


def test_turns_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    turnstile, order = Turnstile(), []
    asked = [threading.Event() for _ in range(5)]

    def take(number: int) -> None:
        asked[number].set()
        with turnstile:
            order.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(5)]
    with turnstile:
        for number, thread in enumerate(threads):
            thread.start()
            asked[number].wait(10)
            while len(turnstile._waiting) <= number:  # it has said that it will ask; now it has
                pass
    for thread in threads:
        thread.join(10)
    assert order == [0, 1, 2, 3, 4]


def test_who_comes_back_at_once_does_not_overtake_who_waits() -> None:
    turnstile, order = Turnstile(), []

    def wait_once() -> None:
        with turnstile:
            order.append("waiter")

    waiter = threading.Thread(target=wait_once)
    with turnstile:
        waiter.start()
        while not turnstile._waiting:
            pass
    with turnstile:
        order.append("returner")
    waiter.join(10)
    assert order == ["waiter", "returner"]


def test_an_error_inside_hands_over_all_the_same() -> None:
    turnstile = Turnstile()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), turnstile:
            _ = 1 / 0
    with turnstile:
        assert turnstile._taken
    assert not turnstile._taken
