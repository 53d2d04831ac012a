"""Many interface engines at once, which never give up: what is not acknowledged is sent again, byte for byte, in order.

Each lane is a thread with one connection. Its people are its own, so that the order of each person's messages is the
order of a lane. What came back is kept, to be held against what the database says.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from types import TracebackType
from typing import Self

from hl7_listener.framing import encode
from tests.support.feed import a28
from tests.support.mllp import Wire, msa
from tests.support.patience import SAFETY

CONNECTIONS = 32


class Senders:
    """Senders to whatever ``port`` says at the moment; 0 while there is nobody.

    ``acknowledged`` are the control ids that were answered AA, ``people`` the local numbers of everybody who was sent,
    ``faults`` what must never happen. ``gate`` holds them back while it is clear.
    """

    def __init__(self, port: int, *, seed: int, connections: int = CONNECTIONS) -> None:
        self.port = port
        self.acknowledged: dict[str, bytes] = {}
        self.refused: dict[str, str] = {}
        self.people: set[str] = set()
        self.faults: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self._finishing = threading.Event()
        self._lock = threading.Lock()
        lanes = range(connections)
        self._lanes = [threading.Thread(target=self._lane, args=(seed, lane), daemon=True) for lane in lanes]

    def __enter__(self) -> Self:
        for lane in self._lanes:
            lane.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def finish(self) -> None:
        """Begin with nobody new, and wait until everything is acknowledged."""
        self.gate.set()
        self._finishing.set()
        limit = time.monotonic() + SAFETY
        for lane in self._lanes:
            lane.join(max(0, limit - time.monotonic()))
        assert not any(lane.is_alive() for lane in self._lanes), "a sender still waits for an acknowledgment"

    @property
    def count(self) -> int:
        """How many messages are acknowledged so far."""
        return len(self.acknowledged)

    def _lane(self, seed: int, lane: int) -> None:
        dice = random.Random(seed * 1000 + lane)
        wire: Wire | None = None
        number = 0
        while not self._finishing.is_set():
            self.gate.wait(SAFETY)
            number += 1
            wire = self._deliver(wire, self._messages(f"{lane}x{number}", dice))
        if wire is not None:
            wire.socket.close()

    def _messages(self, person: str, dice: random.Random) -> list[bytes]:
        """One person's messages, to be sent in one write: a registration, perhaps changes, perhaps a copy of it."""
        self.people.add(person)
        first = a28(person, f"{person}-0", mobile=f"07700900{dice.randrange(1000):03}")
        changes = [
            a28(person, f"{person}-{n}", event="A31", at=f"2025060112{n:02}00+0000", family=f"Changed{n}")
            for n in range(1, dice.choice([1, 1, 2, 3]))
        ]
        copies = [first] * dice.choice([0, 0, 0, 1])
        return [first, *changes, *copies]

    def _deliver(self, wire: Wire | None, messages: list[bytes]) -> Wire:
        """Send until everything is acknowledged, over as many connections as it takes."""
        tick = threading.Event()
        while messages:
            try:
                wire = wire or self._connect()
                wire.write(b"".join(map(encode, messages)))
                while messages:
                    self._note(wire.receive())
                    messages.pop(0)
            except (OSError, EOFError):
                if wire is not None:
                    with contextlib.suppress(OSError):
                        wire.socket.close()
                wire = None
                tick.wait(0.02)
        assert wire is not None
        return wire

    def _connect(self) -> Wire:
        if not self.port:
            raise ConnectionRefusedError
        return Wire(self.port)

    def _note(self, answer: bytes) -> None:
        code, control_id, _ = msa(answer)
        with self._lock:
            if code != "AA":
                self.refused[control_id] = code
                raise EOFError  # to be sent again
            earlier = self.acknowledged.setdefault(control_id, answer)
            if earlier != answer:
                self.faults.append(f"{control_id} was acknowledged in two ways")
