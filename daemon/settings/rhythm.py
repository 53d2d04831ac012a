"""What [invitations] has about rhythm and exclusion: hours, caps, reminders, whom a rule leaves out, prices."""

from __future__ import annotations

import re
from datetime import date, time, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Struct
from pydantic import AfterValidator, BeforeValidator, Field, Strict, ValidationInfo

from daemon.settings.faults import Wrong
from daemon.settings.section import Section
from daemon.settings.value_types import Duration, DurationOrOff, Many, Sender, place_of
from invites.holidays import HolidaysUnreadable, read_holidays

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_QUIET: Final = re.compile(r"(([01]\d|2[0-3]):[0-5]\d)-(([01]\d|2[0-3]):[0-5]\d)")
_PRICE: Final = re.compile(r"\d{1,6}(\.\d{1,6})?")


class Holidays(Struct, frozen=True):
    """A file of holidays, read once: its path and its days."""

    file: Path | None = None
    days: frozenset[date] = frozenset()


def _quiet_hours(text: str) -> str:
    if text and _QUIET.fullmatch(text) is None:
        raise Wrong("are no quiet hours", 'Write when they begin and end, such as "20:00-08:00", or "" for none')
    return text


def _holidays(given: object, info: ValidationInfo) -> Holidays:
    if isinstance(given, Holidays):
        return given
    if given == "":
        return Holidays()
    if not isinstance(given, str) or "\0" in given:
        raise Wrong("is no path", "Write the path of a file of dates or an iCalendar file, in quotes")
    file = place_of(info).folder / Path(given).expanduser()
    try:
        return Holidays(file, read_holidays(file.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise Wrong(f"cannot be read ({error.strerror})", "Correct the path or the file's rights") from None
    except UnicodeDecodeError:
        raise Wrong("is not UTF-8 text", "Save the file as UTF-8") from None
    except HolidaysUnreadable as error:
        raise Wrong(
            f"is not understood: its line {error.line} {error.wrong}",
            "Write one date a line, such as 2026-12-25, or give an iCalendar file with whole days",
        ) from None


def _price(text: str) -> str:
    if _PRICE.fullmatch(text) is None:
        raise Wrong("is no price", 'Write a number in quotes, such as "0.0227"')
    return text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise Wrong(f"is no pattern ({error.msg})", "Write a regular expression for FAMILY, Given") from None
    return text


def _iso_day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise Wrong("is no day", 'Write it as "2026-12-25", in quotes') from None


IsoDay: TypeAlias = Annotated[str, AfterValidator(_iso_day)]
QuietHours: TypeAlias = Annotated[str, AfterValidator(_quiet_hours)]
HolidayFile: TypeAlias = Annotated[Holidays, BeforeValidator(_holidays)]
Price: TypeAlias = Annotated[str, AfterValidator(_price)]
NamePattern: TypeAlias = Annotated[str, Field(max_length=500), AfterValidator(_pattern)]
Cap: TypeAlias = Annotated[int, Strict(), Field(ge=0, le=10_000_000)]
Percent: TypeAlias = Annotated[int, Strict(), Field(ge=0, le=100)]
Channel: TypeAlias = Literal["sms", "email", "letter"]


class Hours(Section):
    """[invitations.hours]: when invitations and reminders go out, in the organisation's zone."""

    quiet: QuietHours = ""
    """When none go out."""
    weekdays: Many[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = WEEKDAYS
    """Days on which they go out."""
    holidays: HolidayFile = Holidays()
    """Days on which none go out."""
    channels: Many[Channel] = ("sms", "email")
    """Channels that keep these hours."""

    @property
    def quiet_times(self) -> tuple[time | None, time | None]:
        """When the quiet hours begin and end."""
        found = _QUIET.fullmatch(self.quiet)
        return (time.fromisoformat(found[1]), time.fromisoformat(found[3])) if found else (None, None)


class DailyCap(Section):
    """[invitations.daily_cap]: how many an organisation sends on one local day; 0: any number."""

    all: Cap = 0
    """By all channels together."""
    sms: Cap = 0
    """By text message."""
    email: Cap = 0
    """By email."""
    letter: Cap = 0
    """By letter."""


class Canary(Section):
    """[invitations.canary]: an organisation's first run invites so many and waits."""

    size: Cap = 0
    """How many; 0: no canary."""
    wait: DurationOrOff = None
    """After how long a good result lets the others go."""


class AutomaticPause(Section):
    """[invitations.automatic_pause]: what pauses by itself; 0: never."""

    failures: Percent = 0
    """Percentage of refused or failed messages of a channel."""
    challenges: Percent = 0
    """Percentage of wrong dates of birth on the join site."""
    at_least: Annotated[int, Strict(), Field(ge=1, le=1_000_000)] = 50
    """Results of a day from which it is judged."""


class Reminder(Section):
    """[[invitations.reminders]]: write again to who is not registered."""

    after: Duration = timedelta(days=7)
    """How long after the invitation was accepted."""
    channel: Channel = "letter"
    """By which channel."""


class Confidentiality(Section):
    """[invitations.confidentiality]: flags that keep a person from being invited, compared in capitals."""

    publicity: Many[str] = ("N",)
    """Values of PD1-11 that exclude."""
    protection: Many[str] = ("Y",)
    """Values of PD1-12 that exclude."""
    harmless_vip: Many[str] = ("", "N", "0")
    """Values of PV1-16 that do not exclude."""


class CohortRule(Section):
    """[[invitations.cohorts]]: whom to invite; a person has to be in one of them, where there are any."""

    organisations: Many[str] = ()
    """Codes of organisations; empty: all."""
    senders: Many[Sender] = ()
    """Senders; empty: all."""
    minimum_age: Annotated[int, Strict(), Field(ge=0, le=150)] = 0
    """Years of age from which; 0: any."""
    maximum_age: Annotated[int, Strict(), Field(ge=0, le=150)] = 0
    """Years of age up to which; 0: any."""
    postcodes: Many[str] = ()
    """Beginnings of postcodes; empty: all."""
    created_since: IsoDay = ""
    """The first day of records that are in; empty: any."""
    percent: Annotated[int, Strict(), Field(ge=0, le=100)] = 100
    """How many of a hundred."""


class Prices(Section):
    """[invitations.prices]: what the dry run reckons with."""

    currency: Annotated[str, Field(min_length=1, max_length=8)] = "GBP"
    """The currency."""
    sms_part: Price = "0"
    """One part of a text message."""
    email: Price = "0"
    """One email."""
    letter: Price = "0"
    """One letter with its postage."""
