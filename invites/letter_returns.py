"""What a print house says in a return file, read into receipts (SPEC 6).

A CSV file with a header: ``reference`` (a letter's, as in the manifest), ``state`` and ``date``, in any order and case;
other columns are passed over. States are ``accepted`` (taken for printing), ``rejected`` (it will not be printed),
``posted`` and ``returned undelivered``. Dates are ISO 8601, a day or an instant; a day counts as its noon in the
organisation's zone.

A line that cannot be read is a fault with its number and costs no other line anything.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final

from msgspec import Struct

from invites.receipt import Receipt, ReceiptState

COLUMNS: Final = ("reference", "state", "date")

_REFERENCE: Final = re.compile(r"[0-9a-f]{32}").fullmatch
_EARLIEST: Final = date(2020, 1, 1)
_AHEAD: Final = timedelta(days=1)
"""What a print house's clock may be ahead of ours."""


class _Meaning(Struct, frozen=True):
    state: ReceiptState
    code: str
    permanent: bool = False


_RETURNED: Final = _Meaning(ReceiptState.FAILED, "returned_undelivered", permanent=True)
_STATES: Final = {
    "accepted": _Meaning(ReceiptState.SENT, "accepted"),
    "posted": _Meaning(ReceiptState.SENT, "posted"),
    "rejected": _Meaning(ReceiptState.FAILED, "rejected"),
    "returned": _RETURNED,
    "returned undelivered": _RETURNED,
}


class LineFault(Struct, frozen=True):
    """A line of a return file (from 1) that says nothing that can be used, and what is wrong with it."""

    line: int
    wrong: str


class Returns(Struct, frozen=True):
    """What a return file says: receipts, in its order, and the lines that could not be read."""

    receipts: tuple[Receipt, ...]
    faults: tuple[LineFault, ...]


def read_returns(content: bytes, provider: str, zone: tzinfo, now: datetime) -> Returns:
    """Read a return file. ``provider`` is the drop folder's name in the outbox, ``now`` an aware time."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("windows-1252", "replace")
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    receipts: list[Receipt] = []
    faults: list[LineFault] = []
    try:
        header = [name.strip().casefold() for name in next(rows, [])]
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            return Returns((), (LineFault(1, f"the header has no column {', '.join(missing)}"),))
        places = {name: header.index(name) for name in COLUMNS}
        for row in rows:
            if any(cell.strip() for cell in row):
                said = _receipt(row, places, provider, zone, now)
                if isinstance(said, Receipt):
                    receipts.append(said)
                else:
                    faults.append(LineFault(rows.line_num, said))
    except csv.Error:
        faults.append(LineFault(rows.line_num, "is no CSV from here on; what follows was not read"))
    return Returns(tuple(receipts), tuple(faults))


def faults_as_csv(faults: tuple[LineFault, ...]) -> Iterator[str]:
    """Tell the faults as the lines of a CSV file."""
    yield "line,fault\r\n"
    for fault in faults:
        yield f'{fault.line},"{fault.wrong}"\r\n'


def _receipt(row: list[str], places: dict[str, int], provider: str, zone: tzinfo, now: datetime) -> Receipt | str:
    """Read a row, or say what is wrong with it, without quoting it."""
    if len(row) <= max(places.values()):
        return "has too few columns"
    reference, state, day = (row[places[name]].strip() for name in COLUMNS)
    if not _REFERENCE(reference.lower()):
        return "has no reference of ours (32 hexadecimal digits, as in the manifest)"
    meaning = _STATES.get(" ".join(re.split(r"[\s_-]+", state.casefold())))
    if meaning is None:
        return "has a state other than accepted, rejected, posted, returned undelivered"
    at = _instant(day, zone)
    if at is None or at > now + _AHEAD or at.date() < _EARLIEST:
        return "has no date that can be: write 2026-11-26"
    return Receipt(
        provider, meaning.state, at, reference=reference.lower(), permanent=meaning.permanent, code=meaning.code
    )


def _instant(text: str, zone: tzinfo) -> datetime | None:
    try:
        if len(text) <= len("2026-11-26"):
            return datetime.combine(date.fromisoformat(text), time(12), zone)
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)
