"""The process that owns a private PostgreSQL and never leaves it behind.

Whoever needs the cluster holds the write end of this process's standard input: a pipe for one owner, a named FIFO for
several. The kernel closes those ends however an owner dies (``kill -9`` included), the keeper reads the end of file and
takes the server down with it. Nothing polls and no process id is guessed. The keeper lives in its own session, so that
Ctrl-C or a signal to the test run's process group does not reach it before it has cleaned up.

Orders come over the same input, one a line: ``fast`` (a proper shutdown), ``immediate`` (like a power cut), or ``end``:
immediate, and the cluster's folder goes too. The end of the owners is an ``end``. On standard output the keeper says
``ready`` once, when the server takes connections.

Run as ``python postgres_keeper.py USER_ID|- FOLDER postgres ARGUMENT...``; standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

READY = b"database system is ready to accept connections"
SHUTDOWN = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
PATIENCE = 30.0
"""Seconds that a shutdown may take before the next harder signal."""
PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of the server's own children, so that their end can be waited for after a ``kill -9``."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def await_orphans() -> None:
    """Wait until no process of the server is left."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def copy_log(server: subprocess.Popen[bytes], log: Path) -> None:
    """Write the server's log to ``log``, and say ``ready`` when it says so."""
    assert server.stderr is not None
    announced = False
    with log.open("ab", buffering=0) as sink:
        for line in server.stderr:
            sink.write(line)
            if READY in line and not announced:
                announced = True
                with contextlib.suppress(OSError):
                    os.write(sys.stdout.fileno(), b"ready\n")


def end(server: subprocess.Popen[bytes], mode: str) -> None:
    """Shut the server down, harder each time its patience ends."""
    for number in (SHUTDOWN.get(mode, signal.SIGQUIT), signal.SIGQUIT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            server.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(PATIENCE)
            return


def obey(server: subprocess.Popen[bytes], orders: list[str]) -> None:
    """End the server at the first order, or when every owner is gone."""
    orders.append(sys.stdin.buffer.readline().decode("ascii", "replace").strip() or "end")
    end(server, orders[0])


def main(user: str, folder: str, *command: str) -> int:
    """Run the server until it is told to end, until nobody needs it, or until it dies by itself."""
    adopt_orphans()
    identity = {} if user == "-" else {"user": int(user), "group": int(user), "extra_groups": []}
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        **identity,  # type: ignore[call-overload]
    )
    orders: list[str] = []
    threading.Thread(target=copy_log, args=(server, Path(folder) / "server.log"), daemon=True).start()
    threading.Thread(target=obey, args=(server, orders), daemon=True).start()
    status: int = server.wait()
    await_orphans()
    if orders == ["end"]:
        shutil.rmtree(folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    # os._exit: a thread may still be blocked on standard input, and interpreter shutdown would wait for its lock.
    os._exit(main(*sys.argv[1:]) & 0xFF)
