"""What a log line may say: an allow list of keys, each with its sentence and the only values that it takes.

A log is copied, searched and shipped to people who may not see a patient, so nothing gets into it by not having been
thought of (SPEC 4): a key that is not here is dropped, and so is a value that does not look as its key's must. Texts
are held to character sets and lengths in which codes, names of our own and numbers fit and prose does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from types import MappingProxyType
from typing import Final, TypeAlias

from msgspec import Struct

LARGEST: Final = 1 << 53
"""Beyond it JSON's readers round."""
_LONGEST_KNOWN: Final = 96
Accepts: TypeAlias = Callable[[object], bool]


class LogKey(Struct, frozen=True):
    """One key of the allow list: its ``meaning``, and which values it ``accepts``."""

    meaning: str
    accepts: Accepts


def _text(pattern: str) -> Accepts:
    fits = re.compile(pattern).fullmatch
    return lambda value: isinstance(value, str) and fits(value) is not None


def _few(pattern: str) -> Accepts:
    """Like :func:`_text`, for keys whose values come again and again: the last 512 are looked at once."""
    fits = re.compile(pattern).fullmatch
    known = lru_cache(maxsize=512)(lambda text: fits(text) is not None)

    def accepts(value: object) -> bool:
        if type(value) is str and len(value) <= _LONGEST_KNOWN:
            return known(value)
        return isinstance(value, str) and fits(value) is not None

    return accepts


def _whole(value: object) -> bool:
    return type(value) is int and abs(value) < LARGEST


def _number(value: object) -> bool:
    return _whole(value) or type(value) is float


_code = _few(r"(?=.{1,64}\Z)[a-z][a-z0-9]*(?:[._-][a-z0-9]+){0,7}")
"""A code of our own: lower case words, joined."""
_id_text = _text(r"[A-Za-z0-9_-]{1,64}")
_NAME: Final = r"[A-Za-z0-9_.:-]{1,64}"
_sender = _few(r"[A-Za-z0-9_.:/^@-]{1,96}")
_type_names = _text(r"[A-Za-z_][A-Za-z0-9_.]{0,63}(?: < [A-Za-z_][A-Za-z0-9_.]{0,63}){0,9}")
_places = _text(r"[A-Za-z0-9_.<>-]{1,120}:\d{1,6}(?: > [A-Za-z0-9_.<>-]{1,120}:\d{1,6}){0,31}")
_route = _text(r"/[A-Za-z0-9_.${}:/-]{0,120}")
_address = _text(r"[A-Za-z0-9_.:%\[\]-]{1,128}")
_location = _text(r"(?:sqlite|postgresql|https?)(?:\+[a-z0-9]+)?://[A-Za-z0-9_.:/%\[\]~+-]{0,400}")


def _id(value: object) -> bool:
    return _whole(value) or _id_text(value)


def _status(value: object) -> bool:
    return _whole(value) or _code(value)


def _literal(value: object) -> bool:
    """Accept what has been proved to stand in a program's text (see :mod:`daemon.logs`), and is one printable line."""
    return isinstance(value, Literal) and value.isprintable() and value.isascii()


class Literal(str):
    """A text that is a constant of some code object: a programmer wrote it, no message did."""

    __slots__ = ()


def _key(meaning: str, accepts: Accepts) -> LogKey:
    return LogKey(meaning, accepts)


ALLOW_LIST: Final = MappingProxyType(
    {
        "timestamp": _key("When, ISO 8601 in UTC.", _text(r"[0-9TZ:.+-]{19,35}")),
        "level": _key("debug, info, warning, error or critical.", _code),
        "event": _key("What happened: a code of ours, words joined by underscores.", _code),
        "message_id": _key("The journal's id of a message: one id for its whole journey.", _id),
        "control_id": _key("MSH-10, where it has only letters, digits and _ . : -.", _text(_NAME)),
        "sender": _key("MSH-3 and MSH-4, where they have only letters, digits and _ . : / ^ @ -.", _sender),
        "listener": _key("The listener's name.", _few(_NAME)),
        "connection": _key("The number of a connection since the start.", _id),
        "peer": _key("The network address at the other end.", _address),
        "trigger": _key("The trigger event (MSH-9.2), such as A28.", _few(r"[A-Z][A-Z0-9]{2}")),
        "outcome": _key("applied, held, duplicate, stale, ignored, rejected; or what became of an attempt.", _code),
        "reason": _key("Why, as a code.", _code),
        "bytes": _key("A size in bytes.", _whole),
        "offset": _key("A position in bytes, from 0.", _whole),
        "count": _key("How many.", _whole),
        "batch": _key("How many in one transaction.", _whole),
        "letter_batch": _key("The name of a batch of letters, which is its folder's.", _id_text),
        "attempt": _key("The number of an attempt, from 1.", _whole),
        "duration_ms": _key("How long it took, in milliseconds.", _number),
        "record_id": _key("The id of a patient record's row: it tells nothing without the database.", _id),
        "invitation_id": _key("The id of an invitation's row.", _id),
        "entry_id": _key("The id of an outbox entry.", _id),
        "organisation": _key("The organisation's code.", _few(_NAME)),
        "channel": _key("sms, email or letter.", _code),
        "provider": _key("Who carries it, such as spool.", _code),
        "state": _key("A state that was entered.", _code),
        "error": _key("The type of an exception, and after < that of its cause; never its text.", _type_names),
        "error_code": _key("Our own code of an error.", _text(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")),
        "where": _key("module:line of each frame of an exception, the outermost first.", _places),
        "host": _key("An address or host name that we listen on or call.", _address),
        "port": _key("A port.", _whole),
        "client": _key("The client id of who calls the API.", _id_text),
        "method": _key("The method of an HTTP request.", _text(r"[A-Z]{3,7}|other")),
        "path": _key("The template of a route, such as /v1/users/{id}; never a path as it was called.", _route),
        "url": _key("A database or address without user, password, query and fragment.", _location),
        "status": _key("An HTTP status, or the status of a command.", _status),
        "version": _key("A version of doorstep or of its database.", _text(r"[A-Za-z0-9_.+-]{1,64}")),
        "head": _key(
            "The head of the audit trail: number and hash of its newest seal.", _text(r"\d{1,18}:[0-9a-f]{64}")
        ),
        "logger": _key("The library's logger that said it.", _text(_NAME)),
        "template": _key("A library's message before its values were put in, if it stands so in its code.", _literal),
        "next": _key("What to do about it: a sentence that stands so in our code.", _literal),
        "withheld": _key("How many keys of this line were dropped, for their name or their value.", _whole),
    }
)

LOG_KEYS: Final = MappingProxyType({name: key.meaning for name, key in ALLOW_LIST.items()})
"""Every key that a log line can have, and its meaning."""
