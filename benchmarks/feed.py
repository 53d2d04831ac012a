"""The messages that are sent: A28 of about 900 bytes, each about somebody new, all of them invented.

A message is one ``bytes`` template with a few values put in, so a hundred thousand are built in under a second. NHS
numbers come from the range that begins with 999, phones from Ofcom's numbers for drama, mail from the domains of
RFC 2606, postcodes from an area that does not exist (as in :mod:`daemon.demo_people`; not ZZ99, which the NHS writes
for no fixed abode). That leaves only a thousand mobile numbers, which people then share.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from daemon.demo_people import nhs_number

SMS: Final = "sms"
EMAIL: Final = "email"
LETTER: Final = "letter"
ALL: Final = "all"
"""By what a person can be reached: one channel alone, or (as the ingest sends them) all."""

_TEMPLATE: Final = (
    "MSH|^~\\&|PAS|RX1|DOORSTEP|RX1|20260301083015.120+0000||ADT^A28^ADT_A05|B%(serial)09d|P|2.5.1||||||UNICODE UTF-8\r"
    "EVN|A28|20260301083015.120+0000||REG|OP%(two)02d^Clerk^Ward^^^Mrs|20260301083000+0000\r"
    "PID|1||%(serial)09d^^^RX1^MR~%(second)s||%(family)s^%(given)s^Mary^^Mrs^^L||%(birth)s|F||A"
    "|%(house)d Long Meadow Lane^Flat %(two)d^Thornmouth^Exampleshire^YD%(two)d 4QD^GBR^H^^EX01"
    "||%(reach)s||EN|M^Married^HL70002|C22|V%(serial)09d^^^RX1^VN|||||Thornmouth|N||||||N|||20260301083000+0000|PAS^RX1\r"
    "PD1|||Long Meadow Surgery^D^Y%(house)05d|G%(serial)07d^Doctor^Grace^^^Dr^^^GMC\r"
    "NK1|1|%(family)s^Peter^^^Mr|SPO^Spouse^HL70063|%(house)d Long Meadow Lane^^Thornmouth^Exampleshire^YD%(two)d 4QD"
    "^GBR|01632 960%(three)03d^PRN^PH||C^Emergency Contact^HL70131\r"
    "PV1|1|N|OPD^^^RX1^^^^^Outpatients||||G%(serial)07d^Doctor^Grace^^^Dr||||||||||||V%(serial)09d^^^RX1^VN|||||||||||||||||||||||||20260301\r"
)

_REACH: Final = {
    SMS: "07700 900%(three)03d^PRN^CP",
    EMAIL: "^NET^Internet^person.%(serial)09d@example.org",
    LETTER: "01632 960%(three)03d^PRN^PH",
    ALL: ("07700 900%(three)03d^PRN^CP~01632 960%(three)03d^PRN^PH~^NET^Internet^person.%(serial)09d@example.org"),
}

_FAMILIES: Final = ("Abernethwaite", "Brankowska", "Fernández-Quill", "Hollingberry", "O'Neillan", "Zielińskaja", "Oak")
_GIVEN: Final = ("Ada", "Beatrix", "Chidi", "Eilidh", "Ffion", "Imogen", "Kwame", "Niamh", "Thérèse", "Wilfred", "Zoë")


_NHS_NUMBERS: Final = 999_999
"""Serials of the test range; the last would be ten nines, which senders write for "none"."""


def a28(serial: int, reach: str = ALL) -> bytes:
    """Build the message about the person of that number, unframed; ``reach`` says how they can be written to."""
    values = {
        "serial": serial,
        "second": _second_identifier(serial),
        "family": _FAMILIES[serial % len(_FAMILIES)],
        "given": _GIVEN[serial % len(_GIVEN)],
        "birth": f"{1930 + serial % 70}{1 + serial % 12:02d}{1 + serial % 28:02d}",
        "house": 1 + serial % 240,
        "two": 10 + serial % 90,
        "three": serial % 1000,
    }
    return (_TEMPLATE % {**values, "reach": _REACH[reach] % values}).encode()


def _second_identifier(serial: int) -> str:
    """The NHS number of that serial, or a case note number where there is none (or no more of the test range)."""
    number = nhs_number(serial) if serial < _NHS_NUMBERS else None
    return f"{number}^^^NHS^NH" if number else f"N{serial:09d}^^^RX1^PI"


def framed(first: int, count: int) -> Iterator[bytes]:
    """Build frames, ready for the wire, of ``count`` people from serial ``first`` on."""
    return (b"\x0b%b\x1c\r" % a28(serial) for serial in range(first, first + count))
