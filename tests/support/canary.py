"""A patient whose every value is recognisable, to prove that no value gets where it must not be (SPEC 4).

Each value carries a token of its own, so that a leak names the field that leaked. :func:`assert_absent` looks for the
tokens as they are, in any case, and in the disguises in which values travel by accident: base64, hex, URL encoding,
JSON and repr escapes. A canary that could not sing would prove nothing, so ``tests/unit/test_canary.py`` plants each of
them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, quote_plus

NHS_NUMBER: Final = "9998877660"
PHONE: Final = "07700900987"
BIRTH: Final = "19610523"

VALUES: Final[Mapping[str, str]] = {
    "PID-2": "KANARIOLD2",
    "PID-3 local": "KANARIMRN3",
    "PID-3 national": NHS_NUMBER,
    "PID-4": "KANARIALT4",
    "PID-5 family": "Kanarifamé",
    "PID-5 given": "Kanarigiven",
    "PID-5 middle": "Kanarimiddle",
    "PID-5 suffix": "Kanarisuffix",
    "PID-6": "Kanarimaiden",
    "PID-7": BIRTH,
    "PID-9": "Kanarialias",
    "PID-11 street": "19 Kanaristreet",
    "PID-11 other": "Kanarihouse",
    "PID-11 city": "Kanaritown",
    "PID-11 county": "Kanarishire",
    "PID-11 postcode": "YD29 7KQ",
    "PID-13 mobile": PHONE,
    "PID-13 email": "kanarimail@example.org",
    "PID-14": "01632960987",
    "PID-18": "KANARIACC18",
    "PID-19": "KANARISSN19",
    "PID-20": "KANARILIC20",
    "PID-21": "KANARIMOTHER21",
    "PID-23": "Kanaribirthplace",
    "NK1-2": "Kanarinextofkin",
    "NK1-5": "01632960986",
    "OBX-5": "Kanariresult",
    "ZPD-1": "Kanarilocal",
}
"""Every value of the canary, by its place."""


def message(event: str = "A28", control_id: str = "CANARY-1", at: str = "20240305101500+0000", **changes: str) -> bytes:
    """Build a message with a canary in every place; ``changes`` replace whole segments, as in ``PV1="PV1|1|N"``."""
    v = VALUES
    pid = {
        1: "1",
        2: v["PID-2"],
        3: f"{v['PID-3 local']}^^^RX1^MR~{v['PID-3 national']}^^^NHS^NH",
        4: v["PID-4"],
        5: f"{v['PID-5 family']}^{v['PID-5 given']}^{v['PID-5 middle']}^{v['PID-5 suffix']}^Mx^^L",
        6: v["PID-6"],
        7: v["PID-7"],
        8: "F",
        9: v["PID-9"],
        11: "^".join(v[f"PID-11 {part}"] for part in ("street", "other", "city", "county", "postcode")) + "^GBR^H",
        13: f"{v['PID-13 mobile']}^PRN^CP~^NET^Internet^{v['PID-13 email']}",
        14: f"{v['PID-14']}^WPN^PH",
        18: v["PID-18"],
        19: v["PID-19"],
        20: v["PID-20"],
        21: v["PID-21"],
        23: v["PID-23"],
    }
    segments = {
        "MSH": f"MSH|^~\\&|PAS|RX1|doorstep|RX1|{at}||ADT^{event}|{control_id}|P|2.5.1||||||UNICODE UTF-8",
        "EVN": f"EVN|{event}|{at}",
        "PID": "PID|" + "|".join(pid.get(number, "") for number in range(1, 24)),
        "NK1": f"NK1|1|{v['NK1-2']}|||{v['NK1-5']}",
        "PV1": "PV1|1|N",
        "OBX": f"OBX|1|ST|X||{v['OBX-5']}||||||F",
        "ZPD": f"ZPD|{v['ZPD-1']}",
    } | changes
    return ("\r".join(segment for segment in segments.values() if segment) + "\r").encode()


def leaks(haystack: str | bytes, values: Mapping[str, str] | None = None) -> list[str]:
    """Name the places whose values are in there, plainly or in disguise; an empty list is what one wants to see."""
    text = haystack if isinstance(haystack, bytes) else haystack.encode("utf-8", "surrogateescape")
    folded = text.decode("utf-8", "surrogateescape").lower().encode("utf-8", "surrogateescape")
    return [
        place
        for place, value in (VALUES if values is None else values).items()
        if any(form in (text if exact else folded) for form, exact in _forms(value))
    ]


def assert_absent(haystack: str | bytes, where: str = "", values: Mapping[str, str] | None = None) -> None:
    """Fail when a canary's value is in there; the failure names the places, not the values."""
    found = leaks(haystack, values)
    assert not found, f"patient data in {where or 'the text'}: {', '.join(found)}"


def _forms(value: str) -> set[tuple[bytes, bool]]:
    """Give the forms to look for, and whether each is looked for exactly or in any case (then in lower case)."""
    spelled = {value, *_dates(value), *_phones(value)}
    forms: set[tuple[bytes, bool]] = set()
    for text in spelled:
        for charset in ("utf-8", "latin-1"):
            raw = text.encode(charset)
            forms.add((raw.lower(), False))
            forms.add((raw.hex().encode(), False))
            forms.update((core, True) for core in _base64_cores(raw))
        forms.update((form.lower().encode(), False) for form in (quote(text), quote_plus(text), json.dumps(text)[1:-1]))
        forms.add((ascii(text)[1:-1].lower().encode(), False))
    return forms


def _base64_cores(raw: bytes) -> list[bytes]:
    """Give what of its base64 does not depend on the neighbours, at each of the three places in a group."""
    cores = []
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + raw)
        first = (0, 2, 3)[shift]
        last = (len(raw) + shift) * 8 // 6
        cores += [coded[first:last], coded[first:last].translate(bytes.maketrans(b"+/", b"-_"))]
    return [core for core in cores if len(core) >= 8]


def _dates(value: str) -> list[str]:
    if value != BIRTH:
        return []
    return ["1961-05-23", "23/05/1961", "23.05.1961", "1961, 5, 23", "23 May 1961"]


def _phones(value: str) -> list[str]:
    """Spell a phone number as it is stored and shown, and an NHS number in its three groups."""
    if value == NHS_NUMBER:
        return [f"{value[:3]} {value[3:6]} {value[6:]}"]
    if not value.startswith("0"):
        return []
    return [f"+44{value[1:]}", value[1:], f"{value[:5]} {value[5:]}"]
