"""Which structure a message of some event has, where MSH-9.3 does not say (HL7 2.5.1 table 0354).

Before 2.3.1 there was no MSH-9.3, and many senders still leave it out. The first structure that the message's version
knows is its own: 2.3 has ADT_A01 where 2.4 and later have ADT_A05.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_ADT: Final = {
    ("ADT_A01",): "A04 A08 A13",
    ("ADT_A05", "ADT_A01"): "A05 A14 A28 A31",
    ("ADT_A06",): "A07",
    ("ADT_A09",): "A10 A11",
    ("ADT_A12", "ADT_A09"): "A12",
    ("ADT_A21", "ADT_A20"): "A22 A23 A25 A26 A27 A29 A32 A33",
    ("ADT_A30",): "A34 A35 A36 A46 A47 A48 A49",
    ("ADT_A37", "ADT_A24"): "A37",
    ("ADT_A39",): "A40 A41 A42",
    ("ADT_A43",): "A44",
    ("ADT_A50",): "A51",
    ("ADT_A52",): "A53",
    ("ADT_A54",): "A55",
    ("ADT_A61",): "A62",
}
_OTHERS: Final = {
    ("SIU_S12",): ["SIU", *(f"S{n}" for n in range(12, 27))],
    ("MDM_T01",): ["MDM", "T03", "T05", "T07", "T09", "T11"],
    ("MDM_T02",): ["MDM", "T04", "T06", "T08", "T10"],
}
_BY_EVENT: Final = {("ADT", event): names for names, events in _ADT.items() for event in events.split()} | {
    (events[0], event): names for names, events in _OTHERS.items() for event in events[1:]
}


def structures(code: str, trigger: str, declared: str) -> Iterator[str]:
    """Give the structures that a message can have, the likeliest first: MSH-9.3, the event's own, table 0354's."""
    if declared:
        yield declared
    yield f"{code}_{trigger}"
    yield from _BY_EVENT.get((code, trigger), ())
