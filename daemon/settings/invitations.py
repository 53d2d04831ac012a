"""[invitations]: whom to invite, and when."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, Strict

from daemon.settings.rhythm import (
    AutomaticPause,
    Canary,
    CohortRule,
    Confidentiality,
    DailyCap,
    Hours,
    NamePattern,
    Prices,
    Reminder,
)
from daemon.settings.section import Section
from daemon.settings.value_types import Choices, Duration, Many, Sender


class Invitations(Section):
    """[invitations]: whom to invite, and how often to look."""

    lifetime_days: Annotated[int, Strict(), Field(ge=1, le=366)] = 30
    """Days that a pair lives from its generation."""
    minimum_age: Annotated[int, Strict(), Field(ge=0, le=120)] = 16
    """Years of age from which a person may be invited."""
    channels: Choices[Literal["sms", "email", "letter"]] = ("sms", "email", "letter")
    """Allowed channels, the preferred one first."""
    every: Duration = timedelta(minutes=1)
    """How often to look for people to invite."""
    batch: Annotated[int, Strict(), Field(ge=1, le=10_000)] = 100
    """Invitations issued in one transaction."""
    excluded_organisations: Many[str] = ()
    """Organisations (codes) that invite nobody."""
    excluded_senders: Many[Sender] = ()
    """Senders whose records are not invited."""
    test_patients: NamePattern = r"^(XX|ZZ+)[-_ ]?TEST"
    """What names of test patients look like."""
    cohorts: Many[CohortRule] = ()
    """Whom to invite; a person has to be in one of them, where there are any."""
    hours: Hours = Hours()
    daily_cap: DailyCap = DailyCap()
    canary: Canary = Canary()
    automatic_pause: AutomaticPause = AutomaticPause()
    reminders: Many[Reminder] = ()
    """When to write again to who has not registered."""
    confidentiality: Confidentiality = Confidentiality()
    prices: Prices = Prices()
