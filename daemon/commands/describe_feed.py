"""``doorstep describe-feed``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from daemon.commands.shared_options import config_option, failures_told, progress_of, require_database, settings_of

if TYPE_CHECKING:
    from daemon.settings import Settings
    from hl7_listener.feed_reader import SenderFeed

_SHOWN: Final = 16
_COUNTERS: Final = (
    *("versions", "events", "processing_ids", "declared_charsets", "codecs", "beyond_ascii", "line_ends", "delimiters"),
    *("acknowledgments", "present", "nulls", "date_shapes", "time_shapes"),
)


@click.command("describe-feed", epilog="Example: doorstep describe-feed --sender PAS/RX1 --draft-profile > pas.toml")
@config_option
@click.option("--sender", help="Only this sender, as MSH-3/MSH-4.")
@click.option("--days", type=click.IntRange(1, 3660), default=7, show_default=True, help="How far back to look.")
@click.option("--most", type=click.IntRange(1), default=20_000, show_default=True, help="The newest so many messages.")
@click.option("--draft-profile", is_flag=True, help="Write a draft of the sender's profile; needs --sender if several.")
@click.option("--json", "as_document", is_flag=True, help="Print the description as JSON.")
@click.pass_context
def command(
    context: click.Context,
    config: Path | None,
    *,
    sender: str | None,
    days: int,
    most: int,
    draft_profile: bool,
    as_document: bool,
) -> None:
    """Describe what each sender really sends, from the journal; nothing of a patient is in it.

    It opens sealed messages, so it needs the key file. A sender's own words (authorities and types of identifiers) are
    shown once five different identifiers came with them.
    """
    settings = settings_of(context, config)
    require_database(settings)
    with failures_told():
        feeds = _described(settings, sender, timedelta(days=days), most)
    if draft_profile:
        click.echo(_drafted(feeds), nl=False)
    elif as_document:
        click.echo(msgspec.json.format(msgspec.json.encode([_document(feed) for feed in feeds]), indent=2).decode())
    else:
        nothing = f"nothing was received in the last {days} days" + (f" from {sender}" if sender else "")
        click.echo("\n".join(line for feed in feeds for line in _lines(feed)) or nothing)


def _described(settings: Settings, sender: str | None, back: timedelta, most: int) -> list[SenderFeed]:
    from daemon.bootstrap import build, utc_now  # noqa: PLC0415 (the whole house: not for --help)
    from hl7_listener.feed_reader import FeedReader, Window  # noqa: PLC0415

    house = build(settings)
    try:
        reader = FeedReader(house.database, house.stores.journal, house.records)
        window = Window(sender, utc_now() - back, most)
        with progress_of("describing", reader.count(window)) as progress:
            return reader.describe(window, progress)
    finally:
        house.close()


def _drafted(feeds: list[SenderFeed]) -> str:
    from hl7_listener.feed_profile import draft  # noqa: PLC0415

    if len({feed.sender for feed in feeds}) > 1:
        names = ", ".join(sorted({feed.sender for feed in feeds}))
        raise click.UsageError(f"a profile is one sender's: name it with --sender; there are {names}")
    if not feeds:
        raise click.ClickException("nothing was received from this sender in that time, so nothing can be drafted")
    return draft(feeds[0].sender, feeds[0].description)


def _document(feed: SenderFeed) -> dict[str, Any]:
    one = feed.description
    return {
        "listener": feed.listener,
        "sender": feed.sender,
        "messages": one.messages,
        "unopened": feed.unopened,
        "repeats": feed.repeats,
        "outcomes": dict(feed.outcomes),
        "first_at": feed.first_at,
        "last_at": feed.last_at,
        "messages_an_hour": round(feed.messages_an_hour, 2),
        "busiest_hour": max(feed.hours.values(), default=0),
        "longest_silence_seconds": int(feed.longest_silence.total_seconds()),
        "longest_silence_from": feed.silence_from,
        "charset_guessed": one.guessed,
        "numbered": one.numbered,
        **{name: dict(getattr(one, name).most_common()) for name in _COUNTERS},
        "segments": dict(one.known_segments().most_common()),
        "missing": _missing(feed),
        "identifiers": [
            {"authority": authority, "type": type_, "count": kind.count, "nhs_check_digit": kind.nhs_like}
            for authority, type_, kind in one.kinds()
        ],
    }


def _missing(feed: SenderFeed) -> dict[str, int]:
    from hl7_listener.feed_description import FIELDS  # noqa: PLC0415

    one = feed.description
    return {name: one.messages - one.present[name] - one.nulls[name] for name in FIELDS}


def _lines(feed: SenderFeed) -> Iterator[str]:
    one = feed.description
    yield f"{feed.sender or '(no sender)'} on {feed.listener}: {one.messages} messages, {_outcomes(feed)}"
    busiest = max(feed.hours.values(), default=0)
    yield f"  heard            {_when(feed.first_at)} to {_when(feed.last_at)}"
    yield f"  rate             {feed.messages_an_hour:.3g} an hour on average, {busiest} in the busiest"
    if feed.silence_from is not None:
        yield f"  longest silence  {_span(feed.longest_silence)} from {_when(feed.silence_from)}"
    yield from _counted("events", one.events, one.messages)
    yield from _counted("versions", one.versions, one.messages)
    yield from _counted("processing ids", one.processing_ids, one.messages)
    yield from _counted("MSH-15/16", one.acknowledgments, one.messages)
    yield from _counted("MSH-18", one.declared_charsets, one.messages)
    yield from _counted("read as", one.codecs, one.messages)
    yield from _counted("beyond ASCII", one.beyond_ascii, one.messages)
    yield from _counted("segments end in", one.line_ends, one.messages)
    yield from _counted("delimiters", one.delimiters, one.messages)
    yield from _counted("segments", one.known_segments(), one.messages)
    yield from _counted("PID-7 looks like", one.date_shapes, one.messages)
    yield from _counted("EVN-2 looks like", one.time_shapes, one.messages)
    yield from _counted(
        "missing", Counter({name: count for name, count in _missing(feed).items() if count}), one.messages
    )
    yield from _counted("erased", one.nulls, one.messages)
    for authority, type_, kind in one.kinds():
        check = f", {kind.nhs_like} with the check digit of an NHS number" if kind.nhs_like else ""
        yield f"  identifier       authority {authority or '-'}, type {type_ or '-'}: {kind.count}{check}"
    for name, count in (
        ("sequence numbers", one.numbered),
        ("sent again", feed.repeats),
        ("not opened", feed.unopened),
    ):
        if count:
            yield f"  {name:<16} {count}"


def _outcomes(feed: SenderFeed) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in feed.outcomes.most_common())


def _counted(name: str, counter: Counter[str], of: int) -> Iterator[str]:
    if counter:
        shown = [f"{key} {_share(count, of)}" for key, count in counter.most_common(_SHOWN)]
        more = f", and {len(counter) - _SHOWN} more" if len(counter) > _SHOWN else ""
        yield f"  {name:<16} {', '.join(shown)}{more}"


def _share(count: int, of: int) -> str:
    return f"{100 * count / of:.3g} %" if of else "-"


def _when(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%d %H:%MZ") if at else "-"


def _span(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"  # noqa: PLR2004 (two hours)
