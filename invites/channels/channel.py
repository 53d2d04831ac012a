"""What every way of reaching a patient has in common.

A **channel** (sms, email, letter) turns an :class:`InvitationText` into a :class:`Request`: the rendered bytes, whole,
so that they can be committed before anybody is called. A **provider** (spool, SMTP, GOV.UK Notify ...) takes a request
and says what became of it. There are four answers and no fifth; an exception that escapes a provider counts as
:class:`Unknown`, because nobody can say how far the call had come (SPEC 5.3).

The reference is the outbox entry's own opaque one, the same at every attempt: a provider that deduplicates or can be
searched does so by it.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

from patient_records.model import Demographics, Masked

SMS = "sms"
EMAIL = "email"
LETTER = "letter"

_REFERENCE: Final = re.compile(r"[A-Za-z0-9-]{1,64}").fullmatch


def is_reference(text: str) -> bool:
    """Whether this can be an entry's reference: it is put in file names, headers and addresses without quoting."""
    return _REFERENCE(text) is not None


class Organisation(Struct, frozen=True):
    """The hospital as a patient meets it: ``code`` (ODS), ``name``, and ``contact`` (telephone) for questions."""

    code: str
    name: str
    contact: str


class InvitationText(Masked, Struct, frozen=True):
    """Everything that a rendered message may say. ``code`` and ``token`` are ten characters, ungrouped.

    ``join_link`` carries both in its fragment; ``expires_on`` is the last day on which they are sure to work (the
    organisation's zone); ``language`` is an ISO 639-1 code, empty for the default. ``issued_at`` (aware) is when the
    pair was made: an email carries it as its Date, and nothing rendered depends on any other clock.

    ``purpose`` names the folder of templates (:mod:`invites.purpose`). A message that carries no code, no token or no
    link has them empty. ``to`` is an address that the person typed, in place of the record's; ``secret`` what its link
    carries, for those who type it; ``expires_at`` (in the organisation's zone) the end of what lives for hours.
    """

    reference: str
    organisation: Organisation
    demographics: Demographics
    code: str
    token: str
    join_link: str
    join_page: str
    expires_on: date
    issued_at: datetime
    language: str = ""
    purpose: str = "invitation"
    to: str = ""
    secret: str = ""
    expires_at: datetime | None = None


class Request(Masked, Struct, frozen=True):
    """A rendered message, complete: what is committed (sealed) before the provider is called, and sent unchanged.

    ``to`` is an E.164 number, an email address, or for a letter the lines of the address joined by line feeds.
    ``body`` is UTF-8 text for an SMS, RFC 5322 bytes for an email, a PDF for a letter.
    """

    channel: str
    reference: str
    to: str
    body: bytes


class Accepted(Struct, frozen=True):
    """The provider has it. ``provider_reference`` is the name it gave it."""

    provider_reference: str


class NotSent(Struct, frozen=True):
    """Certainly not sent, and worth another try, not before ``retry_after`` if given. ``code`` tells why."""

    code: str
    retry_after: timedelta | None = None


class Refused(Struct, frozen=True):
    """Certainly not sent, and no try will change that: the next channel's turn. ``code`` tells why."""

    code: str


class Unknown(Struct, frozen=True):
    """The provider may have it. Never sent again before that is settled.

    ``retry_after`` is how long the provider wants to be left alone by everybody, where it said so.
    """

    code: str
    retry_after: timedelta | None = None


Outcome: TypeAlias = Accepted | NotSent | Refused | Unknown

OUTCOME_NAMES: Final = {Accepted: "accepted", NotSent: "not_sent", Refused: "refused", Unknown: "unknown"}
"""How each outcome is called in counts and labels."""


class HandedOver(Struct, frozen=True):
    """What closing a batch came to: its name, ``letters`` and ``pages``; or why it waits for the next try, a code."""

    batch: str = ""
    letters: int = 0
    pages: int = 0
    code: str = ""


class Settlement(Enum):
    """How an unknown outcome can be settled with this provider."""

    DEDUPLICATES = "deduplicates"
    SEARCHABLE = "searchable"
    NEITHER = "neither"


class Provider(Protocol):
    """Somebody who delivers. Called with no transaction open; may block; may be called from any thread.

    ``settle_after`` is how long a message may be there before a search finds it, nothing where there is no search.
    """

    name: str
    settlement: Settlement
    settle_after: timedelta

    def send(self, request: Request) -> Outcome:
        """Hand the request over and say what became of it."""
        ...

    def search(self, reference: str) -> Outcome:
        """Say whether a request of that reference arrived: Accepted, NotSent, or Unknown when it cannot be told.

        NotSent is what it sees now; whether that is believed, :mod:`invites.absence` decides.
        """
        ...


class Channel(Protocol):
    """One way of reaching a patient: whom it can reach, and how its message looks."""

    kind: str

    def render(self, text: InvitationText) -> Request | Refused:
        """Render the invitation; :class:`Refused` when this person cannot be reached this way after all. Pure."""
        ...
