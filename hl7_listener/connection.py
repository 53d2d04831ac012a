"""One connection: bytes to frames to arrivals on the way in, answers in order on the way out.

It never refuses because of load: it stops reading, and TCP tells the sender to wait. Reading stops while too many of
its own messages are unanswered, while its sender does not take its answers, or while the listener's byte budget is
spent. It ends when the sender has left and is answered, after a frame that is too large, after half a frame that took
too long, and, unanswered, after a storage failure.

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

from hl7_listener.acknowledgment import AckCode, Fault, FaultCode, acknowledge, due
from hl7_listener.adt import interpret
from hl7_listener.arrival import INTERNAL_ERROR, Arrival, Meaning, Refused, Settled, Unanswered
from hl7_listener.budget import ByteBudget
from hl7_listener.errors import Unreadable
from hl7_listener.framing import Event, Frame, FrameDecoder, Junk, Oversize, encode
from hl7_listener.header import Header
from hl7_listener.ingest import Ingest
from hl7_listener.message import Message, read
from hl7_listener.options import CLOSE, ListenerOptions
from hl7_listener.sender_profile import SenderProfile
from hl7_listener.telemetry import Telemetry

MOST_UNANSWERED: Final = 128
"""Messages of one connection that may wait for their answers: enough to fill a commit, few enough to hold."""

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
        profile: SenderProfile,
        ingest: Ingest,
        budget: ByteBudget,
        telemetry: Telemetry,
        clock: Callable[[], datetime],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self._listener = listener
        self._profile = profile
        self._ingest = ingest
        self._budget = budget
        self._telemetry = telemetry
        self._clock = clock
        self._on_lost = on_lost
        self._decoder = FrameDecoder(listener.max_frame_bytes)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._unanswered = 0
        self._queued = 0
        self._counted = 0
        self._skipped = 0
        self._stop_reading = {"answers": False, "writing": False, "budget": False, "closing": False}
        self._paused = False
        self._eof = False
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
        if self._decoder.spent:
            return
        self._take(self._decoder.feed(data))
        self._arm_idle()

    def eof_received(self) -> bool:
        """The sender will say no more; what it said is still answered (True keeps the writing side open)."""
        self._eof = True
        self._take(self._decoder.close())
        self._stop_reading["closing"] = True
        return self._unanswered > 0

    def connection_lost(self, exc: Exception | None) -> None:
        """The sender is gone, or was sent away."""
        del exc  # a reset is an ordinary end
        closing = self._stop_reading["closing"]
        for timer in (self._timer, self._idle):
            if timer is not None:
                timer.cancel()
        if not closing:
            self._take(self._decoder.close())
        self._budget.forget(self)
        self._transport = None
        self._count()
        self._telemetry.connected(self._listener.name, -1)
        self._on_lost(self)

    def pause_writing(self) -> None:
        """The sender does not take its answers: then there is no point in more questions."""
        self._read_only_if("writing", blocked=True)

    def resume_writing(self) -> None:
        """It takes them again."""
        self._read_only_if("writing", blocked=False)

    # ---- in ----------------------------------------------------------------------------------------------------------

    def _take(self, events: Sequence[Event]) -> None:
        if self._decoder.skipped != self._skipped:
            self._telemetry.skipped(self._listener.name, self._decoder.skipped - self._skipped)
            self._skipped = self._decoder.skipped
        if events:
            now = self._clock()
            arrivals = [self._arrival(event, now) for event in events]
            octets = sum(len(arrival.raw) for arrival in arrivals)
            self._unanswered += len(arrivals)
            self._queued += octets
            self._budget.change(queued=octets)
            self._ingest.submit(arrivals)
            if arrivals[-1].last:
                self._stop_reading["closing"] = True
        self._watch_frame(restart=bool(events))
        self._count()
        self._press()

    def _arrival(self, event: Event, now: datetime) -> Arrival:
        listener = self._listener
        if isinstance(event, Frame):
            try:
                message = read(event.payload, charset=listener.charset, default_charset=listener.default_charset)
            except Unreadable as error:
                return self._made(event, now, error.header, Refused(AckCode.AR, f"unreadable: {error.code}"))
            return self._made(event, now, message.header, self._meaning(message, now), guessed=message.charset_guessed)
        if isinstance(event, Oversize):
            self._telemetry.limited(listener.name, "too_large")
            return self._made(event, now, _header_of(event.payload), Refused(AckCode.AR, "too large"), last=True)
        return self._made(event, now, Header(), Unanswered(f"junk: {event.reason}"))

    def _meaning(self, message: Message, now: datetime) -> Meaning:
        """Say what the message means; one that we fail over is kept for a person, and those behind it go on."""
        try:
            return interpret(message, self._listener, self._profile, now)
        except Exception as error:  # noqa: BLE001 (a fault of ours in one message must not stop the feed)
            self._telemetry.internal_error(error)
            return INTERNAL_ERROR

    def _made(
        self,
        event: Frame | Junk | Oversize,
        now: datetime,
        header: Header,
        meaning: Meaning,
        *,
        guessed: bool = False,
        last: bool = False,
    ) -> Arrival:
        return Arrival(self._listener, now, event.offset, event.payload, header, meaning, self, guessed, last)

    # ---- out ---------------------------------------------------------------------------------------------------------

    def settled(self, settled: Settled) -> None:
        """Send the answer of a committed arrival."""
        self._answered(settled.arrival, settled.answer)

    def failed(self, arrival: Arrival) -> None:
        """Close without a word, or say NAK, as this listener is configured for a storage failure.

        Where a NAK may not be said, because its sender asked for silence, only a closed connection can tell it.
        """
        nak = None if isinstance(arrival.meaning, Unanswered) else self._nak(arrival)
        self._answered(arrival, nak or b"")
        if nak is None and self._transport is not None:
            self._transport.abort()

    def _nak(self, arrival: Arrival) -> bytes | None:
        """Write what a sender is told of a message that could not be stored; None: nothing."""
        policy = self._listener.on_storage_failure
        if policy == CLOSE:
            return None
        codes = due(arrival.header, AckCode(policy), always=self._listener.always_acknowledge)
        if not codes:
            return None
        now = self._clock()
        answer = acknowledge(
            arrival.header,
            codes[0],
            control_id=f"E{now:%Y%m%d%H%M%S%f}",
            now=now,
            text="not stored, send it again",
            faults=(Fault(FaultCode.APPLICATION_INTERNAL_ERROR),),
        )
        return encode(answer)

    def _answered(self, arrival: Arrival, answer: bytes) -> None:
        octets = len(arrival.raw)
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
        elif self._stop_reading["closing"] and self._unanswered == 0:
            self._close()
        else:
            self._press()

    # ---- limits ------------------------------------------------------------------------------------------------------

    def _press(self) -> None:
        self._stop_reading["budget"] = self._budget.must_wait(self._counted, self)
        busy = self._unanswered >= MOST_UNANSWERED or self._queued >= self._listener.max_frame_bytes
        self._read_only_if("answers", blocked=busy)

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
        held = self._queued + (self._decoder.buffered if self._transport is not None else 0)
        if held != self._counted:
            change, self._counted = held - self._counted, held
            self._budget.change(held=change)

    def _watch_frame(self, *, restart: bool) -> None:
        """Keep one timer for the frame that is being received: for the whole of it, not from byte to byte."""
        if self._timer is not None and (restart or not self._decoder.in_frame):
            self._timer.cancel()
            self._timer = None
        if self._timer is None and self._decoder.in_frame and self._transport is not None:
            seconds = self._listener.frame_deadline.total_seconds()
            self._timer = asyncio.get_running_loop().call_later(seconds, self._frame_late)

    def _frame_late(self) -> None:
        self._timer = None
        if self._paused:  # it is we who do not read
            self._watch_frame(restart=False)
            return
        self._telemetry.limited(self._listener.name, "frame_deadline")
        self._take(self._decoder.close())
        self._stop_reading["closing"] = True
        self._end_if_answered()

    def _arm_idle(self) -> None:
        timeout = self._listener.idle_timeout
        if timeout is None:
            return
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(timeout.total_seconds(), self._idled)

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
        self._end_if_answered()

    def _end_if_answered(self) -> None:
        if self._unanswered == 0:
            self._close()

    def _linger(self) -> None:
        """Say no more, and let the sender go on writing until it has seen that; nothing of it is kept."""
        transport = self._transport
        if transport is None or self._eof or not transport.can_write_eof():
            self._close()
            return
        transport.write_eof()
        transport.resume_reading()
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(_LINGER, self._close)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


def _header_of(payload: bytes) -> Header:
    """As much header as the beginning of a message has."""
    try:
        return read(payload[:4096]).header
    except Unreadable as error:
        return error.header


def _keep_alive(sock: socket.socket | None) -> None:
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):  # not every system has all three
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
