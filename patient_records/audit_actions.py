"""What can stand in the audit trail: who acts, what is done, and the few details that may be told of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

DetailValue: TypeAlias = str | int | bool


class ActorKind(StrEnum):
    """Who acts; what their id is: a client id, a staff account's id, none, a login name of the machine, none."""

    SYSTEM_CLIENT = "system_client"
    COORDINATOR = "coordinator"
    PATIENT = "patient"
    OPERATOR = "operator"
    DAEMON = "daemon"


class Action(StrEnum):
    """What was done. Everything that looks at, changes or hands out something of a person, and who may do so.

    A new one is a line here; what reads the trail shows the word as it stands.
    """

    # a person
    RECORD_VIEWED = "record_viewed"
    RECORD_FOUND = "record_found"
    RECORD_NOT_FOUND = "record_not_found"
    RECORD_HELD = "record_held"
    RECORD_RELEASED = "record_released"
    RECORD_EXCLUDED = "record_excluded"
    RECORD_INCLUDED = "record_included"
    RECORD_OPTED_OUT = "record_opted_out"
    RECORD_OPTED_IN = "record_opted_in"
    # pairs and what carries them
    PAIR_ISSUED = "pair_issued"
    PAIR_REFUSED = "pair_refused"
    PAIRS_REVOKED = "pairs_revoked"
    PAIR_LOCKED = "pair_locked"
    PAIR_DISOWNED = "pair_disowned"
    LETTER_PRINTED = "letter_printed"
    DELIVERY_SETTLED = "delivery_settled"
    LOCKOUT_LIFTED = "lockout_lifted"
    # accounts of patients
    REGISTRATION_STARTED = "registration_started"
    REGISTERED = "registered"
    PATIENT_LOGGED_IN = "patient_logged_in"
    PATIENT_LOGIN_FAILED = "patient_login_failed"
    PATIENT_LOGGED_OUT = "patient_logged_out"
    PASSWORD_RESET_ASKED = "password_reset_asked"  # noqa: S105 (an action's name)
    PASSWORD_RESET = "password_reset"  # noqa: S105 (an action's name)
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 (an action's name)
    ACCOUNT_CLOSED = "account_closed"
    # staff
    STAFF_ADDED = "staff_added"
    STAFF_DISABLED = "staff_disabled"
    STAFF_ENABLED = "staff_enabled"
    STAFF_RESET = "staff_reset"
    STAFF_PASSWORD_SET = "staff_password_set"  # noqa: S105 (an action's name)
    STAFF_LOGGED_IN = "staff_logged_in"
    STAFF_LOGIN_FAILED = "staff_login_failed"
    STAFF_LOCKED = "staff_locked"
    STAFF_LOGGED_OUT = "staff_logged_out"
    # System Clients
    CLIENT_ADDED = "client_added"
    CLIENT_REVOKED = "client_revoked"
    BEARER_ISSUED = "bearer_issued"
    BEARER_REFUSED = "bearer_refused"
    STATUS_QUERIED = "status_queried"
    # what operators do
    QUARANTINE_SHOWN = "quarantine_shown"
    QUARANTINE_RESUBMITTED = "quarantine_resubmitted"
    QUARANTINE_DISCARDED = "quarantine_discarded"
    MESSAGES_REPLAYED = "messages_replayed"
    PEOPLE_IMPORTED = "people_imported"
    INVITATIONS_PAUSED = "invitations_paused"
    INVITATIONS_RESUMED = "invitations_resumed"
    CONTACTS_LISTED = "contacts_listed"
    KEYS_ROTATED = "keys_rotated"


VIEWS: Final = frozenset({Action.RECORD_VIEWED})
"""Actions that the patient is shown as "has looked at your record"."""


def _code(value: DetailValue) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}", value) is not None


def _client_id(value: DetailValue) -> bool:
    """Accept what :mod:`web.access.clients` makes: its prefix and sixteen bytes."""
    return isinstance(value, str) and re.fullmatch(r"dsc_[0-9a-f]{32}", value) is not None


def _whole(value: DetailValue) -> bool:
    return type(value) is int


def _flag(value: DetailValue) -> bool:
    return type(value) is bool


DETAILS: Final[Mapping[str, Callable[[DetailValue], bool]]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("reason", "before", "after", "channel", "outcome", "origin", "purpose", "role", "scope", "state", "by"),
            _code,
        ),
        "client": _client_id,  # a client id of ours
        "staff": _whole,  # a staff account's row
        "pair": _whole,  # an access token's row
        "entry": _whole,  # an outbox entry's row
        "journal": _whole,  # a message's row
        "count": _whole,
        "refused": _whole,
        "split": _flag,
    }
)
"""Keys that a detail may have, each with what it takes: codes of ours, ids of rows, counts, flags. Nothing that a
person typed, and no number that could be anybody's: an NHS number is no code, and rows have their own keys."""
