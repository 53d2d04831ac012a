"""The dry run, for people and for scripts: how many, on which days, for how much, and why not the rest."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from daemon.bootstrap import House
from daemon.wording_files import own_templates
from invites import forecast, overview
from invites.channels.sms import MOST_PARTS, Sms
from invites.channels.templates import with_overrides
from invites.channels.wording_trial import sample
from invites.forecast import Prices
from invites.invitation import FIRST
from invites.wording.gsm7 import parts
from invites.wording.wording import Wording


def dry_run(house: House) -> dict[str, Any]:
    """Say what the next days would send and cost; nothing is changed. Raises StorageUnavailable."""
    options, rhythm = house.invite_options, house.invite_options.rhythm
    found = overview.forecast(house.database, house.records, options)
    days: list[dict[str, Any]] = []
    later: Counter[str] = Counter()
    for organisation, waiting in found.by_organisation.items():
        with house.database.read() as connection:
            now = house.database.now(connection)
            standing = house.invites.gate.standing(connection, organisation, now)
        local = now.astimezone(options.zone_of(organisation))
        plan = forecast.spread(organisation, waiting, rhythm, standing, local)
        days += [{"organisation": organisation, "day": each.day.isoformat(), **each.by_channel} for each in plan.days]
        later.update(plan.later)
    sms_parts = _sms_parts(house, found.languages)
    configured = house.settings.invitations.prices
    prices = Prices(Decimal(configured.sms_part), Decimal(configured.email), Decimal(configured.letter))
    cost = prices.of(found.by_channel, sms_parts)
    return {
        "would_invite": dict(found.by_channel),
        "days": days,
        "later": dict(later),
        "sms_parts": sms_parts,
        "cost": {
            "currency": configured.currency,
            **{channel: str(amount) for channel, amount in cost.items()},
            "total": str(sum(cost.values(), Decimal(0))),
        },
        "why_not": dict(found.why_not),
    }


def _sms_parts(house: House, languages: Counter[tuple[str, str]]) -> int:
    """Parts of all text messages: one of each organisation and language is rendered, for no name is in them.

    Its date is among the longest, so the real ones have no more.
    """
    settings = house.settings
    preferred = {one.code: one.language for one in settings.all_organisations}
    channel = Sms(Wording(with_overrides(own_templates(settings)), preferred))
    total = 0
    for (code, language), count in languages.items():
        text = sample(house.invite_options.organisations[code], house.invite_options.public_url, FIRST, language)
        body = channel.text_of(text)
        total += count * (len(parts(body)) if body is not None else MOST_PARTS)
    return total


def lines(numbers: dict[str, Any]) -> list[str]:
    """The same for people."""
    cost = numbers["cost"]
    told = [f"would invite: {sum(numbers['would_invite'].values())}"]
    told += [f"  {channel}: {count}" for channel, count in sorted(numbers["would_invite"].items())]
    for day in numbers["days"]:
        counts = ", ".join(f"{count} {name}" for name, count in day.items() if name not in {"organisation", "day"})
        told.append(f"  {day['day']} {day['organisation']}: {counts}")
    if numbers["later"]:
        counts = ", ".join(f"{count} {name}" for name, count in sorted(numbers["later"].items()))
        told.append(f"  later, or when nothing is paused and the canary is let go: {counts}")
    told.append(f"SMS parts: {numbers['sms_parts']}")
    by_channel = ", ".join(f"{channel} {cost[channel]}" for channel in ("sms", "email", "letter"))
    told.append(f"cost: {cost['total']} {cost['currency']} ({by_channel})")
    told.append(f"why not: {sum(numbers['why_not'].values())}")
    told += [f"  {name.replace('_', ' ')}: {count}" for name, count in sorted(numbers["why_not"].items())]
    return told
