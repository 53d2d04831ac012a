"""Log lines on their way out: a queue with an end, and one thread that renders and writes.

Whoever logs hands over values and goes on. Writing is the one thing that can stop for ever, for a pipe that nobody
reads is full after 64 KiB; it must stop neither messages nor the end of the process. So the queue is bounded in lines
and bytes; what finds no room is dropped and counted, and a line says how many as soon as there is room.

The thread waits a moment before it writes, so that many lines cost one system call and one change of threads. It
writes to the descriptor itself: a buffered stream has a lock, and a thread that hangs in a write would hold it at the
interpreter's end.
"""

from __future__ import annotations

import io
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TextIO

MOST_LINES: Final = 10_000
MOST_BYTES: Final = 8 << 20
_GATHER: Final = 0.02
"""Seconds that a line may wait for company."""
_LINE: Final = 128
"""Bytes that a line counts for, besides its texts."""
_LONGEST: Final = 5000
"""Characters; no key takes a text as long as this, so none is kept."""
_PLAIN: Final = frozenset({int, float, bool, type(None)})

Render = Callable[[dict[str, Any], float], str]
"""Makes a line of an event's values and the time that it happened (seconds of the epoch)."""


class Withheld:
    """Stands for a value that no key takes; it keeps hold of nothing."""


WITHHELD: Final = Withheld()


class LogThread:
    """Writes lines to ``stream``. ``dropped`` makes the values of the line that says how many were dropped."""

    def __init__(self, stream: TextIO, render: Render, dropped: Callable[[int], dict[str, Any]]) -> None:
        self._write = _writer(stream)
        self._render = render
        self._dropped_line = dropped
        self._queue: deque[tuple[float, dict[str, Any]]] = deque()
        self._changed = threading.Condition()
        self._bytes = 0
        self._dropped = 0
        self._resting = False  # the thread waits for a first line
        self._writing = False
        self._hurry = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, event: Mapping[str, Any]) -> None:
        """Hand over an event. Takes its values as they are now; never blocks for longer than a lock, never raises."""
        at, size, kept = time.time(), _LINE, {}
        for key, value in event.items():
            if isinstance(value, str):
                size += len(value)
                kept[key] = value if len(value) <= _LONGEST else WITHHELD
            else:
                kept[key] = value if type(value) in _PLAIN else WITHHELD
        with self._changed:
            if len(self._queue) >= MOST_LINES or self._bytes + size > MOST_BYTES:
                self._dropped += 1
                return
            self._queue.append((at, kept))
            self._bytes += size
            if self._resting:
                self._resting = False
                self._changed.notify_all()

    def flush(self, deadline: float) -> bool:
        """Wait until all is written, ``deadline`` seconds at most; whether it is."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            done = self._changed.wait_for(lambda: not (self._queue or self._writing or self._dropped), deadline)
            self._hurry = False
            return done

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._dropped:
                    self._resting = True
                    self._changed.wait()
                self._resting = False
                if not self._hurry:
                    self._changed.wait(_GATHER)
                lines, self._queue, self._bytes = self._queue, deque(), 0
                dropped, self._dropped = self._dropped, 0
                self._writing = True
            with suppress(Exception):  # a line that fails is silent, and so is a pipe that broke
                self._put_out(lines, dropped)
            with self._changed:
                self._writing = False
                self._changed.notify_all()

    def _put_out(self, lines: deque[tuple[float, dict[str, Any]]], dropped: int) -> None:
        if dropped:
            lines.append((time.time(), self._dropped_line(dropped)))
        rendered = []
        for at, event in lines:
            with suppress(Exception):
                rendered.append(self._render(event, at))
        self._write("\n".join([*rendered, ""]))


def _writer(stream: TextIO) -> Callable[[str], object]:
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, io.UnsupportedOperation):
        return stream.write
    stream.flush()
    return lambda text: _write(descriptor, text.encode("utf-8", "replace"))


def _write(descriptor: int, octets: bytes) -> None:
    while octets:
        try:
            octets = octets[os.write(descriptor, octets) :]
        except BlockingIOError:  # whoever gave us the descriptor uses it without blocking
            select.select([], [descriptor], [])
