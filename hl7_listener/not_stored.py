"""What a sender is told of a message when storage failed (SPEC 3.2, ``on_storage_failure``).

Nobody knows then whether the message is stored: a commit whose answer got lost may have been made. So the words are
"outcome not known", and the advice holds either way: sent again it is applied, or found to be a duplicate.
"""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Final

from hl7_listener.acknowledgment import AckCode, Fault, FaultCode, acknowledge, due
from hl7_listener.arrival import Arrival, Unanswered
from hl7_listener.framing import encode
from hl7_listener.options import CLOSE
from patient_records.instants import to_micros

_NUMBERS: Final = itertools.count()


def not_stored(arrival: Arrival, now: datetime) -> bytes | None:
    """Write the framed NAK of a message; None where a closed connection is the answer."""
    listener = arrival.listener
    if isinstance(arrival.meaning, Unanswered) or listener.on_storage_failure == CLOSE:
        return None
    codes = due(arrival.header, AckCode(listener.on_storage_failure), always=listener.always_acknowledge)
    if not codes:
        return None
    answer = acknowledge(
        arrival.header,
        codes[0],
        control_id=_control_id(now),
        now=now,
        text="outcome not known, send it again",
        faults=(Fault(FaultCode.APPLICATION_INTERNAL_ERROR),),
    )
    return encode(answer)


def _control_id(now: datetime) -> str:
    """An id of our own that no journal entry has (those are digits), within MSH-10's 20 characters."""
    return f"E{to_micros(now):x}{next(_NUMBERS) & 0xFFFF:04x}"
