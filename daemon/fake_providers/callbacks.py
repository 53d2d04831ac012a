"""Delivery receipts, told later: to whoever asked to be called back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import httpx
from msgspec import Struct

from daemon.fake_providers.script import Receipt

_TIMEOUT: Final = 10.0
_TRIES: Final = 5
_PAUSE: Final = 1.0


class CallbackOptions(Struct, frozen=True):
    """Where receipts go, and the bearer token that they show; without a ``url`` nobody is told."""

    url: str = ""
    secret: str = ""


class Callbacks:
    """Tells receipts when they are due; in one event loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: httpx.AsyncClient | None = None

    def tell(self, options: CallbackOptions, receipt: Receipt, said: Callable[[], dict[str, Any]]) -> None:
        """Tell it when its time has come; ``said`` is asked for the words then, and may note that it was."""
        task = asyncio.get_running_loop().create_task(self._told(options, receipt, said))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Tell no more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def _told(self, options: CallbackOptions, receipt: Receipt, said: Callable[[], dict[str, Any]]) -> None:
        await asyncio.sleep(receipt.after)
        for _ in range(receipt.times):
            words = said()
            if options.url:
                await self._posted(options, words)

    async def _posted(self, options: CallbackOptions, words: dict[str, Any]) -> None:
        if self._client is None:
            self._client = httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT)
        headers = {"Authorization": f"Bearer {options.secret}"} if options.secret else {}
        for _ in range(_TRIES):
            try:
                answer = await self._client.post(options.url, json=words, headers=headers)
            except httpx.HTTPError:
                pass
            else:
                if answer.is_success:
                    return
            await asyncio.sleep(_PAUSE)
