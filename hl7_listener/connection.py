"""One connection: bytes to frames to arrivals on the way in, answers in order on the way out.

It never refuses because of load: it stops reading, and TCP tells the sender to wait. Reading stops while too many of
its own messages are unanswered, while its sender does not take its answers, or while the listener's byte budget is
spent. It ends when the sender has left and is answered, after a frame that is too large, after half a frame that took
too long, after a time in which its sender took no answers, and, unanswered, after a storage failure.

A sender whose frame is too large is still writing it when it is refused. Closing at once would reset the connection,
and with it go answers that the sender has not yet taken from its system. So we say our last word, let it write into
the void for a while, and close when it has left or the while is over.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from hl7_listener.arrival import Arrival, Settled, Taker
from hl7_listener.batch_answers import BatchAnswers
from hl7_listener.budget import ALLOWANCE, ByteBudget
from hl7_listener.framing import Event, Frame
from hl7_listener.intake import Intake
from hl7_listener.interpreter import Interpreter
from hl7_listener.not_stored import not_stored
from hl7_listener.options import ListenerOptions
from hl7_listener.telemetry import Telemetry

MOST_UNANSWERED: Final = 128
"""Messages of one connection that may wait for their answers: enough to fill a commit, few enough to hold."""

PIECE: Final = 1 << 10
"""Bytes that a piece on its way to the writer is counted for, besides its own: a frame of one byte is not free."""

_KEEPALIVE: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
"""A dead peer is found within two minutes, although a quiet one may stay for days."""

_LINGER: Final = 5.0
"""Seconds in which a refused sender may find our answer; it needs one round trip."""


class Connection(asyncio.Protocol):
    """The protocol of one MLLP connection."""

    def __init__(
        self,
        *,
        listener: ListenerOptions,
        ingest: Taker,
        budget: ByteBudget,
        telemetry: Telemetry,
        clock: Callable[[], datetime],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self._listener = listener
        self._interpreter = Interpreter(listener, telemetry)
        self._ingest = ingest
        self._budget = budget
        self._telemetry = telemetry
        self._clock = clock
        self._on_lost = on_lost
        self._batch_answers = BatchAnswers()
        self._intake = Intake(listener.max_frame_bytes)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None
        self._untaken = 0
        self._unanswered = 0
        self._queued = 0
        self._counted = 0
        self._skipped = 0
        self._stop_reading = {"answers": False, "writing": False, "budget": False, "closing": False}
        self._paused = False
        self._eof = False
        self._given_up = False
        self.abandoned = False

    # ---- asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("MLLP needs a stream")
        self._transport = transport
        _keep_alive(transport.get_extra_info("socket"))
        self._telemetry.connected(self._listener.name, 1)
        self._arm_idle()

    def data_received(self, data: bytes) -> None:
        """Take bytes in any chunking."""
        self._telemetry.received(self._listener.name, len(data))
        if self._intake.spent:
            return
        self._intake.put(data)
        self._take_in()
        self._arm_idle()

    def eof_received(self) -> bool:
        """The sender will say no more; what it said is still answered (True keeps the writing side open).

        Over TLS nothing can be: asyncio closes both directions at once, and the sender will ask again.
        """
        self._eof = True
        self._stop_reading["closing"] = True
        self._end_of_stream()
        self._end_if_answered()
        return self._transport is not None and self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """The sender is gone, or was sent away."""
        del exc  # a reset is an ordinary end
        closing = self._stop_reading["closing"]
        self._stop_reading["closing"] = True
        for timer in (self._timer, self._idle, self._taking):
            if timer is not None:
                timer.cancel()
        self._transport = None
        if not closing and not self.abandoned:
            self._take(self._intake.take(MOST_UNANSWERED))
            self._take(self._intake.close())
        self._intake.close()
        self._budget.forget(self)
        self._count()
        self._telemetry.connected(self._listener.name, -1)
        self._on_lost(self)

    def pause_writing(self) -> None:
        """The sender does not take its answers: then there is no point in more questions.

        Nor may it keep others waiting for it: it is nobody's turn that it uses, and one deadline on it is closed.
        """
        self._read_only_if("writing", blocked=True)
        self._press()
        self._watch_taking()

    def resume_writing(self) -> None:
        """It takes them again."""
        if self._taking is not None and not self._stop_reading["closing"]:
            self._taking.cancel()
            self._taking = None
        self._stop_reading["writing"] = False
        self._press()

    # ---- in ----------------------------------------------------------------------------------------------------------

    def _take_in(self) -> None:
        """Take in as much of what was read as may wait for answers at a time; the rest stays bytes."""
        while self._intake.waits and not self._busy:
            self._take(self._intake.take(MOST_UNANSWERED - self._unanswered))
        self._settle_down()

    def _end_of_stream(self) -> None:
        """Take in what is left, as answers make room for it, and then the half of a frame at its end."""
        self._take_in()
        if not self._intake.waits and not self._intake.spent:
            self._take(self._intake.close())
            self._settle_down()

    def _take(self, events: Sequence[Event]) -> None:
        if self._intake.skipped != self._skipped:
            self._telemetry.skipped(self._listener.name, self._intake.skipped - self._skipped)
            self._skipped = self._intake.skipped
        if events:
            now = self._clock()
            arrivals = self._interpreter.arrivals(events, now, self)
            octets = sum(len(arrival.raw) for arrival in arrivals) + PIECE * len(arrivals)
            self._unanswered += len(arrivals)
            self._queued += octets
            self._budget.change(queued=octets)
            self._ingest.submit(arrivals)
            if arrivals[-1].last:
                self._stop_reading["closing"] = True
        self._watch_frame(restart=any(isinstance(event, Frame) for event in events))

    def _settle_down(self) -> None:
        self._count()
        self._press()

    # ---- out ---------------------------------------------------------------------------------------------------------

    def settled(self, settled: Settled) -> None:
        """Send the answer of a committed arrival."""
        self._answered(settled.arrival, settled.answer)

    def failed(self, arrival: Arrival) -> None:
        """Close without a word, or say NAK, as this listener is configured for a storage failure.

        Where a NAK may not be said, because its sender asked for silence, only a closed connection can tell it.
        """
        nak = not_stored(arrival, self._clock())
        self._answered(arrival, nak or b"")
        if nak is None and self._transport is not None:
            self._transport.abort()

    def give_up(self) -> None:
        """Close after a fault of ours: nobody knows what it was told, so it must ask again."""
        if not self._given_up:
            self._given_up = self.abandoned = True
            queued, self._queued, self._unanswered = self._queued, 0, 0
            self._budget.change(queued=-queued)
            self._count()
            self.abort()

    def _answered(self, arrival: Arrival, answer: bytes) -> None:
        if self._given_up:
            return
        octets = len(arrival.raw) + PIECE
        if arrival.batch is not None and self._listener.batch_acknowledgment:
            answer = self._batch_answers.add(arrival.batch, answer, self._clock())
        self._unanswered -= 1
        self._queued -= octets
        self._budget.change(queued=-octets)
        self._count()
        if self._transport is None or self._transport.is_closing():
            return
        if answer:
            self._transport.write(answer)
        if arrival.last:
            self._linger()
            return
        if self._intake.waits and not self._busy:
            self._end_of_stream() if self._eof else self._take_in()
        if self._stop_reading["closing"] and self._done:
            self._close()
        else:
            self._press()

    # ---- limits ------------------------------------------------------------------------------------------------------

    @property
    def _busy(self) -> bool:
        return self._unanswered >= MOST_UNANSWERED or self._queued >= self._listener.max_frame_bytes

    @property
    def _done(self) -> bool:
        """Whether all that was read is answered."""
        return self._unanswered == 0 and not self._intake.waits

    def _press(self) -> None:
        """Read on, or do not. Who would not read in any case waits for no budget, and is in nobody's way there."""
        waits = False
        if self._stop_reading["writing"] or self._stop_reading["closing"]:
            self._budget.forget(self)
        else:
            waits = self._budget.must_wait(self._counted, self)
        self._stop_reading["budget"] = waits
        self._read_only_if("answers", blocked=self._busy or self._intake.waits)

    def resume_for_budget(self) -> None:
        """Read on: there is room again."""
        self._read_only_if("budget", blocked=False)

    def _read_only_if(self, reason: str, *, blocked: bool) -> None:
        self._stop_reading[reason] = blocked
        transport = self._transport
        stop = any(self._stop_reading.values())
        if transport is None or transport.is_closing() or stop == self._paused:
            return
        self._paused = stop
        if stop:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _count(self) -> None:
        """Tell the budget what this connection holds now."""
        held = self._queued + (self._intake.held if self._transport is not None else 0)
        if held != self._counted:
            change, self._counted = held - self._counted, held
            self._budget.change(held=change)

    def _watch_frame(self, *, restart: bool) -> None:
        """Keep one timer for what is being received and not finished: for the whole of it, not from byte to byte.

        Only a whole frame is a new beginning. Junk is none, or a trickle of it would keep half a frame for ever; and a
        run of junk that is more than anyone may hold is watched like a frame.
        """
        watched = self._intake.in_frame or self._intake.unfinished > ALLOWANCE
        if self._timer is not None and (restart or not watched):
            self._timer.cancel()
            self._timer = None
        if self._timer is None and watched and self._transport is not None:
            self._timer = self._later(self._listener.frame_deadline.total_seconds(), self._frame_late)

    def _frame_late(self) -> None:
        self._timer = None
        if self._stop_reading["closing"]:
            return
        if self._stop_reading["answers"] or self._stop_reading["budget"]:  # it is we who do not read
            self._watch_frame(restart=False)
            return
        self._telemetry.limited(self._listener.name, "frame_deadline")
        self._take(self._intake.close())
        self._stop_reading["closing"] = True
        self._settle_down()
        self._end_if_answered()

    def _watch_taking(self) -> None:
        """Give the sender one deadline in which to take some of the answers that wait for it."""
        if self._taking is None and self._transport is not None:
            self._untaken = self._transport.get_write_buffer_size()
            self._taking = self._later(self._listener.frame_deadline.total_seconds(), self._not_taken)

    def _not_taken(self) -> None:
        self._taking = None
        transport = self._transport
        if transport is None or transport.get_write_buffer_size() == 0:
            return
        if transport.get_write_buffer_size() < self._untaken:
            self._watch_taking()
            return
        self._telemetry.limited(self._listener.name, "answers_not_taken")
        transport.abort()

    def _later(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, self._guarded, call)

    def _guarded(self, call: Callable[[], None]) -> None:
        """Run what a timer calls: one that fails would leave a connection that nothing ends."""
        try:
            call()
        except Exception as error:  # noqa: BLE001 (a fault of ours costs this connection, and no more)
            self._telemetry.internal_error(error)
            self.give_up()

    def _arm_idle(self) -> None:
        timeout = self._listener.idle_timeout
        if timeout is None:
            return
        if self._idle is not None:
            self._idle.cancel()
        self._idle = self._later(timeout.total_seconds(), self._idled)

    def _idled(self) -> None:
        self._idle = None
        if self._unanswered or self._paused:
            self._arm_idle()
            return
        self._telemetry.limited(self._listener.name, "idle")
        self.drain()

    # ---- the end -----------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Read no more; close as soon as all that was read is answered."""
        self._read_only_if("closing", blocked=True)
        self._press()
        self._end_if_answered()

    def _end_if_answered(self) -> None:
        if self._done:
            self._close()

    def _linger(self) -> None:
        """Say no more, and let the sender go on writing until it has seen that; nothing of it is kept."""
        transport = self._transport
        if transport is None or self._eof:
            self._close()
            return
        if transport.can_write_eof():  # not over TLS, where only the end of this time ends it
            transport.write_eof()
        transport.resume_reading()
        if self._idle is not None:
            self._idle.cancel()
        self._idle = self._later(_LINGER, self._close)

    def _close(self) -> None:
        """Close when the last answers are taken; within the deadline for that."""
        if self._transport is not None:
            if self._transport.get_write_buffer_size():
                self._watch_taking()
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


def _keep_alive(sock: socket.socket | None) -> None:
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):  # not every system has all three
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
