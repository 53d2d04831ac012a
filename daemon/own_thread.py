"""A call that blocks, in a thread of its own that the end of the process does not wait for.

``asyncio.to_thread`` shares a few threads, and the interpreter joins them at its end. A database that is silent would
hold them all, and then everything that needs one, and the exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
A = TypeVarTuple("A")


async def in_own_thread(call: Callable[[Unpack[A]], T], *given: *A) -> T:
    """Wait for what the call gives or raises. Cancelled, the wait ends, and the call goes on unheard."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # with no error there is a T

    def run() -> None:
        result: T | None = None
        failed: BaseException | None = None
        try:
            result = call(*given)
        except BaseException as error:  # noqa: BLE001 (it is raised where it is waited for)
            failed = RuntimeError(str(error)) if isinstance(error, StopIteration) else error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(tell, result, failed)

    threading.Thread(target=run, daemon=True, name=getattr(call, "__name__", "call")).start()
    return await future
