"""Calls that block, the end that comes in any case, and descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import threading

import pytest
import structlog

from daemon import descriptors
from daemon.last_resort import LastResort
from daemon.own_thread import in_own_thread
from tests.support.patience import SAFETY


def test_it_gives_what_the_call_gives_and_raises_what_it_raises() -> None:
    async def main() -> int:
        with pytest.raises(KeyError):
            await in_own_thread({2: 2}.__getitem__, 1)
        return await in_own_thread(max, 1, 2)

    assert asyncio.run(main()) == 2


def test_a_call_that_hangs_keeps_no_loop() -> None:
    """With ``asyncio.to_thread`` the end of ``asyncio.run`` would wait for it."""
    never = threading.Event()
    ended = threading.Event()

    def hang() -> None:
        never.wait(SAFETY)
        ended.set()

    async def main() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(in_own_thread(hang), 0.0)
        task = asyncio.create_task(in_own_thread(hang))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(main())
    assert not ended.is_set()
    never.set()
    assert ended.wait(SAFETY)


def test_the_last_resort_comes() -> None:
    ended = threading.Event()
    LastResort(ended.set).arm(0.0)
    assert ended.wait(SAFETY)


def test_the_last_resort_does_not_come_for_who_has_ended() -> None:
    ended = threading.Event()
    last = LastResort(ended.set)
    last.disarm()
    last._wait(0.0)
    assert not ended.is_set()


@pytest.mark.parametrize(("connections", "warned"), [(2000, True), (10, False)])
def test_descriptors_are_raised_to_the_hard_limit_and_too_few_are_told(
    connections: int, monkeypatch: pytest.MonkeyPatch, *, warned: bool
) -> None:
    said: list[str] = []

    class Log:
        def warning(self, event: str, **_keys: object) -> None:
            said.append(event)

    limits = [(256, 1024)]
    monkeypatch.setattr(resource, "getrlimit", lambda _which: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _which, new: limits.append(new))
    monkeypatch.setattr(structlog, "get_logger", lambda _name: Log())
    assert descriptors.provide(connections) == 1024
    assert limits[-1] == (1024, 1024)
    assert said == ["few_descriptors"] * warned
