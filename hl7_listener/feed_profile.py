"""A sender profile drafted from what a sender sends: what is certain is written, what is a guess stands in comments."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from hl7_listener.feed_description import RARE, FeedDescription

_FEW: Final = 20
"""Messages below which nothing is concluded."""
_MOST: Final = 0.9


def draft(sender: str, feed: FeedDescription) -> str:
    """Write a profile as ``config/senders/*.toml`` has them, for the sender with that MSH-3/MSH-4."""
    return "\n".join([*_top(sender, feed), *_match(sender), *_identifiers(feed), *_text(feed), *_events(feed)]) + "\n"


def _top(sender: str, feed: FeedDescription) -> Iterator[str]:
    yield f"# Drafted by doorstep describe-feed from {feed.messages} messages. Read it, and then try it on a test feed."
    yield f"description = {json.dumps(f'{sender}, drafted from its feed')}"
    yield "# Habits that need more than a rule; what speaks for each is said beside it."
    yield "quirks = ["
    bare = next((kind for authority, type_, kind in feed.kinds() if (authority, type_) == ("", "")), None)
    if bare is not None and bare.nhs_like == bare.count >= _FEW:
        yield f'    "bare_nhs_number",  # {bare.count} identifiers have neither authority nor type, all the check digit'
    elif bare is not None and bare.nhs_like:
        yield f'    # "bare_nhs_number",  # {bare.nhs_like} of {bare.count} bare identifiers have the check digit'
    if feed.null_fillers:
        yield f'    # "null_says_nothing",  # {feed.null_fillers} messages have five fields or more that erase'
    if feed.death_date_alone:
        yield f'    # "death_date_means_nothing",  # {feed.death_date_alone} messages have PID-29 and no Y in PID-30'
    yield "]"


def _match(sender: str) -> Iterator[str]:
    application, _, facility = sender.partition("/")
    yield from ("", "[match]", f"application = {json.dumps([application])}")
    if facility:
        yield f"facility = {json.dumps([facility])}"


def _identifiers(feed: FeedDescription) -> Iterator[str]:
    yield from ("", "[identifiers]")
    kinds = feed.kinds()
    total = sum(kind.count for _, _, kind in kinds) or 1
    for authority, type_, kind in kinds:
        name = "rare ones" if authority == RARE else f"authority {authority or '-'}, type {type_ or '-'}"
        yield f"# seen: {name}: {kind.count} of {total}"
    nameless = sum(kind.count for authority, _, kind in kinds if not authority)
    if nameless:
        yield f"# {nameless} have no authority; say here what that means:"
    yield '# default_authority = ""'
    for authority, type_ in feed.unnamed_nhs_numbers():
        if not authority and not type_:
            continue
        yield from ("", "# All of these have the check digit of an NHS number.", "[[identifiers.rules]]")
        yield f"authority = {json.dumps(authority.upper())}"
        yield f"type = {json.dumps(type_.upper())}"
        yield "nhs_number = true"


def _text(feed: FeedDescription) -> Iterator[str]:
    yield from ("", "[text]")
    silent = feed.declared_charsets["(empty)"]
    codec, count = feed.beyond_ascii.most_common(1)[0] if feed.beyond_ascii else ("", 0)
    beyond = feed.beyond_ascii.total()
    if silent >= _MOST * feed.messages and beyond >= _FEW and count >= _MOST * beyond:
        yield f"# MSH-18 is empty in {silent} of {feed.messages}; of {beyond} beyond ASCII {count} are {codec}."
        yield f"default_charset = {json.dumps(codec)}"
    else:
        yield '# default_charset = ""'


def _events(feed: FeedDescription) -> Iterator[str]:
    yield from ("", "[events]")
    triggers = sorted({event.partition("^")[2] for event in feed.events if event.startswith("ADT^")} - {""})
    yield "# Seen so far; without this line all are taken."
    yield f"# taken = {json.dumps(triggers)}"
