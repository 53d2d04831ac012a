"""From what the decoder gives to arrivals: read a frame, say what it means, and never stumble over one.

Whatever the bytes are, an arrival comes of them: a message with its meaning, a refusal, or evidence for a person.
"""

from __future__ import annotations

from datetime import datetime

from hl7_listener.acknowledgment import AckCode
from hl7_listener.adt import interpret
from hl7_listener.arrival import INTERNAL_ERROR, Answerable, Arrival, Meaning, Refused, Unanswered
from hl7_listener.errors import Unreadable
from hl7_listener.framing import Event, Frame, Oversize
from hl7_listener.header import Header
from hl7_listener.message import Message, read
from hl7_listener.options import ListenerOptions
from hl7_listener.sender_profile import SenderProfile
from hl7_listener.telemetry import Telemetry

_HEAD = 4096
"""Bytes at the beginning of a message that is too large in which its header is looked for."""


class Interpreter:
    """Makes the arrivals of one connection."""

    def __init__(self, listener: ListenerOptions, profile: SenderProfile, telemetry: Telemetry) -> None:
        self._listener = listener
        self._profile = profile
        self._telemetry = telemetry

    def arrival(self, event: Event, now: datetime, source: Answerable) -> Arrival:
        """Make an arrival of a frame or piece of junk. Never raises."""
        listener = self._listener
        if isinstance(event, Frame):
            return self._frame(event, now, source)
        if isinstance(event, Oversize):
            self._telemetry.limited(listener.name, "too_large")
            header, refused = _header_of(event.payload), Refused(AckCode.AR, "too large")
            return Arrival(listener, now, event.offset, event.payload, header, refused, source, last=True)
        junk = Unanswered(f"junk: {event.reason}")
        return Arrival(listener, now, event.offset, event.payload, Header(), junk, source)

    def _frame(self, frame: Frame, now: datetime, source: Answerable) -> Arrival:
        listener = self._listener
        try:
            message = read(frame.payload, charset=listener.charset, default_charset=listener.default_charset)
        except Unreadable as error:
            refused = Refused(AckCode.AR, f"unreadable: {error.code}")
            return Arrival(listener, now, frame.offset, frame.payload, error.header, refused, source)
        except Exception as error:  # noqa: BLE001 (as below)
            self._telemetry.internal_error(error)
            return Arrival(listener, now, frame.offset, frame.payload, Header(), INTERNAL_ERROR, source)
        meaning = self._meaning(message, now)
        guessed = message.charset_guessed
        return Arrival(listener, now, frame.offset, frame.payload, message.header, meaning, source, guessed)

    def _meaning(self, message: Message, now: datetime) -> Meaning:
        """Say what the message means; one that we fail over is kept for a person, and those behind it go on."""
        try:
            return interpret(message, self._listener, self._profile, now)
        except Exception as error:  # noqa: BLE001 (a fault of ours in one message must not stop the feed)
            self._telemetry.internal_error(error)
            return INTERNAL_ERROR


def _header_of(payload: bytes) -> Header:
    """As much header as the beginning of a message has."""
    try:
        return read(payload[:_HEAD]).header
    except Unreadable as error:
        return error.header
