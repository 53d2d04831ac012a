"""The daemon's side of the checking process: starts it with the first message, gives it a deadline, replaces it.

A check ends in findings or in :class:`CheckFailed`; what was being checked is not tried again, for it may be what ended
the process. A process that fails again and again is not started more often than a few times a minute.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

import msgspec

from hl7_listener.conformance_worker import LONGEST_ANSWER, CheckRequest, packed, receive
from hl7_listener.errors import ListenerError
from hl7_listener.finding import Finding

DEADLINE: Final = timedelta(seconds=10)
"""For one message, the start of the process included: some hundred times what a slow one takes."""
MOST_STARTS: Final = 6
"""Starts of the process in one minute."""
COMMAND: Final = (sys.executable, "-P", "-m", "hl7_listener.conformance_worker")
_MINUTE: Final = 60.0

_findings = msgspec.msgpack.Decoder(tuple[Finding, ...])


class CheckFailed(ListenerError):
    """A message could not be checked.

    Codes: ``late`` (the deadline passed and the process was ended), ``ended`` (the process ended by itself, or was
    ended from outside), ``resting`` (it was started too often and waits for the minute to pass).
    """


class CheckingProcess:
    """The process, or none. One thread checks and closes; :meth:`end` may be called from another."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        deadline: timedelta = DEADLINE,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._monotonic = monotonic
        self._deadline = deadline.total_seconds()
        self._command = tuple(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._peer: socket.socket | None = None
        self._changing = threading.Lock()
        self._ended = False
        self._started: deque[float] = deque(maxlen=MOST_STARTS)
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """The process's id, when there is one."""
        return self._process.pid if self._process else None

    def check(self, raw: bytes, charset: str, profiles: tuple[str, ...] = ()) -> tuple[Finding, ...]:
        """Have one message checked, also by those of the profiles (paths) that are for it. Raises CheckFailed."""
        peer = self._peer or self._start()
        limit = self._monotonic() + self._deadline
        try:
            peer.settimeout(self._deadline)
            peer.sendall(packed(CheckRequest(raw, charset, profiles)))
            # Answers are short and come in one piece: what remains of the deadline holds for all of it, near enough.
            peer.settimeout(max(limit - self._monotonic(), 0.001))
            return _findings.decode(receive(peer, LONGEST_ANSWER))
        except TimeoutError:
            self._replace()
            raise CheckFailed("late") from None
        except (OSError, EOFError, msgspec.DecodeError):
            self._replace()
            raise CheckFailed("ended") from None

    def end(self) -> None:
        """End the process for good, also in the middle of a check: that one and all later ones fail."""
        with self._changing:
            self._ended = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """End the process and wait for it; for the checking thread."""
        self._replace()

    def _start(self) -> socket.socket:
        now = self._monotonic()
        if len(self._started) == MOST_STARTS and now - self._started[0] < _MINUTE:
            raise CheckFailed("resting")
        with self._changing:
            if self._ended:
                raise CheckFailed("ended")
            self._started.append(now)
            self.starts += 1
            self._peer, self._process = self._connected()
        return self._peer

    def _connected(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        ours, theirs = socket.socketpair()
        try:
            process = subprocess.Popen(  # noqa: S603 (our own module)
                self._command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # a traceback may show content
                env=_environment(),
            )
        except OSError:
            ours.close()
            raise CheckFailed("ended") from None
        finally:
            theirs.close()
        return ours, process

    def _replace(self) -> None:
        with self._changing:
            process, peer = self._process, self._peer
            self._process = self._peer = None
        if peer is not None:
            peer.close()
        if process is not None:
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    """What the process needs of ours: where modules are. Secrets may stand in the rest."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONDONTWRITEBYTECODE": "1"}
