"""HL7 timestamps as instants (TS, HL7 2.5.1 chapter 2A.77; DTM from 2.6 on). Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

_STAMP: Final = re.compile(
    r"(?P<date>\d{4}(?:\d{2}){0,2})(?P<time>(?:\d{2}){0,3})(?:\.(?P<fraction>\d{1,9}))?\d*"
    r"(?P<offset>Z|[+-]\d{2}:?\d{2})?\Z",
    re.ASCII,
)
_PUNCTUATED: Final = re.compile(r"\A(\d{4})[-/](\d{2})(?:[-/](\d{2}))?[T ]?(?:(\d{2}):(\d{2})(?::(\d{2}))?)?", re.ASCII)
_LONGEST: Final = 40


@lru_cache(maxsize=4096)  # at any rate worth speaking of, many messages share their second
def instant_of(text: str, zone: ZoneInfo) -> datetime | None:
    """The instant that a timestamp names, in UTC; None when it names none.

    Any precision from a year to a fraction of a second; what is missing counts as its beginning. Without an offset the
    time is the sender's local one (``zone``; the first of the two in the hour that comes twice). Dashes, colons and a T
    between the parts are put up with (corpus, point 7).
    """
    if len(text) > _LONGEST:
        return None
    punctuated = _PUNCTUATED.match(text)
    if punctuated:
        text = "".join(part or "" for part in punctuated.groups()) + text[punctuated.end() :]
    match = _STAMP.match(text)
    if match is None:
        return None
    date, time = match["date"], match["time"]
    try:
        local = datetime(  # noqa: DTZ001 (its zone follows below)
            int(date[:4]),
            int(date[4:6] or 1),
            int(date[6:8] or 1),
            int(time[:2] or 0),
            int(time[2:4] or 0),
            int(time[4:6] or 0),
            int((match["fraction"] or "0")[:6].ljust(6, "0")),
        )
        offset = match["offset"]
        return local.replace(tzinfo=_fixed(offset) if offset else zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _fixed(offset: str) -> timezone:
    if offset == "Z":
        return UTC
    digits = offset[1:].replace(":", "")
    shift = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-shift if offset[0] == "-" else shift)
