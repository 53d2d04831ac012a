"""Rows of a spreadsheet as A28 messages (SPEC 3.7): the same rules as a feed, because it *is* a feed.

Each good row becomes an ADT^A28 in ER7 text, to be interpreted, journalled and applied like one from an engine. Its
MSH-10 is made of the row's content and its times are the file's, so that the same file, imported again, is a feed of
duplicates, and a row that was overtaken by the real feed is stale. Pure: bytes and files are :mod:`csv_file`'s.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from hl7_listener.delimiters import STANDARD
from hl7_listener.escapes import escape
from hl7_listener.sender_profile import NHS, nhs_number_is_valid
from patient_records.model import Masked

COLUMNS: Final = (
    "title",
    "first_name",
    "last_name",
    "date_of_birth",
    "sex",
    "national_id",
    "national_id_type",
    "organisation_id",
    "email",
    "mobile",
    "address1",
    "address2",
    "city",
    "county",
    "postcode",
    "country",
)
"""Every column there is, by its normal name; a file brings those that it has, in any order and case."""

REQUIRED: Final = ("first_name", "last_name", "national_id")

SENDER: Final = "DOORSTEP-CSV"
"""MSH-3 of what a row becomes."""

_NHS_TYPES: Final = frozenset({"", "NHS", "NH", "NHS_NUMBER", "NHSNUMBER"})
_SEXES: Final = {
    "": "", "m": "M", "male": "M", "1": "M", "f": "F", "female": "F", "2": "F",
    "o": "O", "other": "O", "9": "O", "u": "U", "unknown": "U", "0": "U", "a": "A", "n": "N",
}  # fmt: skip
_NOISE: Final = re.compile(r"[\s_.\-/]+")
_KIND: Final = re.compile(r"[A-Z0-9_]{1,40}\Z")
_CONTROLS: Final = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LONGEST: Final = 500
"""Characters of one value: what the reader keeps of a text (SPEC 3.5's bounds)."""


class DateForm(StrEnum):
    """How dates of birth are written. The file says which; a row is never guessed."""

    ISO = "iso"
    DAY_FIRST = "dmy"

    @property
    def example(self) -> str:
        """The form, for people."""
        return "YYYY-MM-DD" if self is DateForm.ISO else "DD/MM/YYYY"

    def read(self, text: str) -> date | None:
        """Read a date in this form; None when it is in another, or no day of any calendar."""
        found = _FORMS[self].match(text)
        if found is None:
            return None
        try:
            return date(int(found["y"]), int(found["m"]), int(found["d"]))
        except ValueError:
            return None


_FORMS: Final = {
    DateForm.ISO: re.compile(r"(?P<y>\d{4})-?(?P<m>\d{2})-?(?P<d>\d{2})\Z"),
    DateForm.DAY_FIRST: re.compile(r"(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>\d{4})\Z"),
}


class HeaderFault(ValueError):
    """A header line that cannot be used; the text says what to do, and names columns only."""


class BadRow(Struct, frozen=True):
    """Why a row is no message: for the file of rejected rows, whose reader has the row beside it."""

    reason: str


class RowMessage(Masked, Struct, frozen=True):
    """A row as a message: its organisation's code and the A28."""

    organisation: str
    raw: bytes


def columns_of(header: Sequence[str]) -> tuple[str | None, ...]:
    """The normal name of each column of the header line; None for one that is none of ours and is passed over.

    ``First Name``, ``FIRST_NAME`` and ``firstname`` are one. Raises HeaderFault for a column that comes twice or is
    missing.
    """
    by_shape = {_shape(name): name for name in COLUMNS}
    found = tuple(by_shape.get(_shape(name)) for name in header)
    named = [name for name in found if name is not None]
    twice = sorted({name for name in named if named.count(name) > 1})
    missing = [name for name in REQUIRED if name not in named]
    if twice:
        raise HeaderFault(f"the header names {', '.join(twice)} twice: keep one of each")
    if missing:
        raise HeaderFault(
            f"the header lacks {', '.join(missing)}: the first line must name the columns, of {', '.join(COLUMNS)}"
        )
    return found


def _shape(name: str) -> str:
    return _NOISE.sub("", name).casefold()


def form_of(first: str) -> DateForm:
    """The form that the file's first date states. Raises HeaderFault when it is neither."""
    for form in DateForm:
        if _FORMS[form].match(first):
            return form
    raise HeaderFault(
        "the first date of birth is written neither YYYY-MM-DD nor DD/MM/YYYY: say --dates iso or --dates dmy "
        "to reject such rows one by one"
    )


class Rows(Struct, frozen=True):
    """Turns rows into messages. ``default`` is the organisation of rows that name none; empty refuses them.

    ``as_of`` (aware) is when the file's statements were true: EVN-2 and MSH-7 of every message.
    """

    organisations: frozenset[str]
    default: str
    dates: DateForm
    as_of: datetime

    def message(self, row: Mapping[str, str]) -> RowMessage | BadRow:
        """Make the A28 of one row, given by normal column names, or say why there is none."""
        values = {name: row.get(name, "").strip() for name in COLUMNS}
        faults = list(self._faults(values))
        if faults:
            return BadRow("; ".join(faults))
        organisation = values["organisation_id"] or self.default
        return RowMessage(organisation, self._a28(values, organisation))

    def _faults(self, values: Mapping[str, str]) -> Iterator[str]:
        yield from _unusable_texts(values)
        missing = [name for name in REQUIRED if not values[name]]
        if missing:
            yield f"{' and '.join(missing)} missing"
        organisation, known = values["organisation_id"] or self.default, ", ".join(sorted(self.organisations))
        if not organisation:
            yield f"organisation_id missing, which is one of {known}"
        elif organisation not in self.organisations:
            yield f"organisation_id is not one of {known}"
        if values["date_of_birth"] and self.dates.read(values["date_of_birth"]) is None:
            yield f"date_of_birth is no date written {self.dates.example}"
        if values["sex"].casefold() not in _SEXES:
            yield "sex is none of M, F, O, U (or male, female, other, unknown)"
        yield from _unusable_number(values)

    def _a28(self, values: Mapping[str, str], organisation: str) -> bytes:
        at = self.as_of.strftime("%Y%m%d%H%M%S%z")
        body = f"EVN|A28|{at}\r{self._pid(values)}\r"
        # One row, one control id: the same file again is a feed of duplicates.
        digest = hashlib.blake2b(f"{organisation}\r{body}".encode(), digest_size=10).hexdigest()
        facility = escape(organisation, STANDARD)
        header = (
            f"MSH|^~\\&|{SENDER}|{facility}|DOORSTEP|{facility}|{at}||ADT^A28^ADT_A05|{digest}|P|2.5||||||UNICODE UTF-8"
        )
        return f"{header}\r{body}".encode()

    def _pid(self, values: Mapping[str, str]) -> str:
        v = {name: escape(value, STANDARD) for name, value in values.items()}
        kind = _kind(values["national_id_type"])
        born = self.dates.read(values["date_of_birth"])
        address = "^".join(v[part] for part in ("address1", "address2", "city", "county", "postcode", "country"))
        telecom = [f"{v['mobile']}^PRN^CP"] if v["mobile"] else []
        telecom += [f"^NET^Internet^{v['email']}"] if v["email"] else []
        fields = {
            1: "1",
            3: f"{v['national_id']}^^^{kind}^{'NH' if kind == NHS[0] else 'NI'}",
            5: f"{v['last_name']}^{v['first_name']}^^^{v['title']}",
            7: f"{born:%Y%m%d}" if born else "",
            8: _SEXES[values["sex"].casefold()],
            11: address if address.strip("^") else "",
            13: "~".join(telecom),
        }
        return "|".join(["PID", *(fields.get(number, "") for number in range(1, 14))])


def _unusable_texts(values: Mapping[str, str]) -> Iterator[str]:
    for name, value in values.items():
        if _CONTROLS.search(value):
            yield f"{name} holds control characters"
        if len(value) > _LONGEST:
            yield f"{name} is longer than {_LONGEST} characters"


def _unusable_number(values: Mapping[str, str]) -> Iterator[str]:
    kind = _kind(values["national_id_type"])
    if not _KIND.match(kind):
        yield "national_id_type has characters other than letters, digits and _"
    if values["national_id"] and kind == NHS[0] and not nhs_number_is_valid(_NOISE.sub("", values["national_id"])):
        yield "national_id is no NHS number: ten digits, of which the last checks the others"


def _kind(text: str) -> str:
    kind = text.strip().upper().replace(" ", "_")
    return NHS[0] if kind in _NHS_TYPES else kind
