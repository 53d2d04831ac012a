"""The dry run, for people and for scripts: how many, on which days, for how much, and why not the rest."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any, Final

from daemon.bootstrap import House
from daemon.wording_files import own_templates
from invites.channels.channel import SMS
from invites.channels.sms import MOST_PARTS, Sms
from invites.channels.templates import with_overrides
from invites.channels.wording_trial import sample
from invites.forecast import Backlog, DayPlan, Plan, Prices
from invites.invitation import FIRST, REMINDER
from invites.outlook import Outlook, Progress
from invites.wording.gsm7 import parts
from invites.wording.wording import Wording

TOO_LATE: Final = "too_late"
"""Why a reminder is not written that found no place for too long."""


def dry_run(house: House, progress: Progress = lambda _looked_at: None) -> dict[str, Any]:
    """Say what the next days would send and cost; nothing is changed. Raises StorageUnavailable.

    ``progress`` hears of each page of people that was looked at.
    """
    outlook = Outlook(house.database, house.records, house.invite_options, progress)
    found = outlook.forecast()
    remind = _Reminders()
    days: list[dict[str, Any]] = []
    later: Counter[str] = Counter()
    issued: Counter[str] = Counter()
    for organisation, waiting in found.by_organisation.items():
        outbox = outlook.in_outbox(organisation)
        plan = outlook.plan(house.invites.gate, organisation, Backlog(waiting, outbox), remind.why_not)
        days += _rows(plan.days)
        later.update(plan.later)
        for each, count in outbox.items():
            issued[each.invitee.channel] += count
        remind.add(organisation, plan)
    sms_parts = _sms_parts(house, found.languages, FIRST)
    reminder_parts = _sms_parts(house, remind.languages, REMINDER)
    invitations, money = _money(house, found.by_channel, sms_parts)
    reminders, more_money = _money(house, remind.by_channel, reminder_parts)
    return {
        "would_invite": dict(found.by_channel),
        "days": days,
        "later": dict(later),
        "sms_parts": sms_parts,
        "cost": invitations,
        "why_not": dict(found.why_not),
        "in_outbox": dict(issued),
        "reminders": {
            "would_remind": dict(remind.by_channel),
            "days": remind.days,
            "later": dict(remind.later),
            "sms_parts": reminder_parts,
            "cost": reminders,
            "why_not": dict(remind.why_not),
        },
        "cost_in_all": str(money + more_money),
    }


class _Reminders:
    """The reminders of all organisations."""

    def __init__(self) -> None:
        self.days: list[dict[str, Any]] = []
        self.later: Counter[str] = Counter()
        self.why_not: Counter[str] = Counter()
        self.by_channel: Counter[str] = Counter()
        self.languages: Counter[tuple[str, str]] = Counter()

    def add(self, organisation: str, plan: Plan) -> None:
        """Count an organisation's as well."""
        self.days += _rows(plan.reminder_days)
        self.later.update(plan.reminders_later)
        for (channel, language), count in plan.reminders.items():
            self.by_channel[channel] += count
            if channel == SMS:
                self.languages[organisation, language] += count
        if plan.too_late:
            self.why_not[TOO_LATE] += plan.too_late


def _rows(days: list[DayPlan]) -> list[dict[str, Any]]:
    return [{"organisation": each.organisation, "day": each.day.isoformat(), **each.by_channel} for each in days]


def _money(house: House, by_channel: Counter[str], sms_parts: int) -> tuple[dict[str, str], Decimal]:
    """What so many cost, for the document, and in all."""
    configured = house.settings.invitations.prices
    prices = Prices(Decimal(configured.sms_part), Decimal(configured.email), Decimal(configured.letter))
    cost = prices.of(by_channel, sms_parts)
    total = sum(cost.values(), Decimal(0))
    told = {channel: str(amount) for channel, amount in cost.items()}
    return {"currency": configured.currency, **told, "total": str(total)}, total


def _sms_parts(house: House, languages: Counter[tuple[str, str]], purpose: str) -> int:
    """Parts of all text messages: one of each organisation and language is rendered, for no name is in them.

    Its date is among the longest, so the real ones have no more.
    """
    settings = house.settings
    preferred = {one.code: one.language for one in settings.all_organisations}
    channel = Sms(Wording(with_overrides(own_templates(settings)), preferred))
    total = 0
    for (code, language), count in languages.items():
        text = sample(house.invite_options.organisations[code], house.invite_options.public_url, purpose, language)
        body = channel.text_of(text)
        total += count * (len(parts(body)) if body is not None else MOST_PARTS)
    return total


def lines(numbers: dict[str, Any]) -> list[str]:
    """The same for people."""
    remind = numbers["reminders"]
    told = _block("would invite", numbers["would_invite"], numbers)
    told.append(f"why not: {sum(numbers['why_not'].values())}")
    told += _counts(numbers["why_not"])
    if numbers["in_outbox"]:
        told.append(f"in the outbox already, not in the cost: {_named(numbers['in_outbox'])}")
    told += _block("would remind", remind["would_remind"], remind)
    if remind["why_not"]:
        told.append(f"why not remind: {sum(remind['why_not'].values())}")
        told += _counts(remind["why_not"])
    told.append(f"cost in all: {numbers['cost_in_all']} {numbers['cost']['currency']}")
    return told


def _block(title: str, by_channel: dict[str, int], numbers: dict[str, Any]) -> list[str]:
    """Messages of one kind: how many, when, and for how much."""
    cost = numbers["cost"]
    told = [f"{title}: {sum(by_channel.values())}", *_counts(by_channel)]
    for day in numbers["days"]:
        counts = ", ".join(f"{count} {name}" for name, count in day.items() if name not in {"organisation", "day"})
        told.append(f"  {day['day']} {day['organisation']}: {counts}")
    if numbers["later"]:
        told.append(f"  later, or when nothing is paused and the canary is let go: {_named(numbers['later'])}")
    told.append(f"SMS parts: {numbers['sms_parts']}")
    by = ", ".join(f"{channel} {cost[channel]}" for channel in ("sms", "email", "letter"))
    told.append(f"cost: {cost['total']} {cost['currency']} ({by})")
    return told


def _counts(counts: dict[str, int]) -> list[str]:
    return [f"  {name.replace('_', ' ')}: {count}" for name, count in sorted(counts.items())]


def _named(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
