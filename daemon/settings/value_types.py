"""The kinds of value a setting can have, each with its check.

A file's types are taken strictly (``port = "8080"`` is a fault), for a lenient reading hides slips. Values arrive with
a :class:`Place`, which says from which folder relative paths are taken and which environment secrets may name.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, TypeAlias, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from msgspec import Struct
from pydantic import AfterValidator, BeforeValidator, Field, Strict, ValidationInfo
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from daemon.settings.faults import Wrong
from daemon.settings.secret import Secret, fetch
from invites.throttle import RateLimit

UNITS: Final = MappingProxyType({"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0})
LONGEST: Final = timedelta(days=3660)
"""Ten years: beyond that a duration is a slip, and arithmetic with dates could overflow."""
_DURATION: Final = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
_RATE: Final = re.compile(r"(\d{1,9})/([smhd])")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_HOST: Final = re.compile(r"[A-Za-z0-9_.:%-]{1,253}")
_BATCH: Final = re.compile(r"immediate|daily ([01]\d|2[0-3]):[0-5]\d")
_MAIL_ADDRESS: Final = re.compile(r"[!-;=?A-~]{1,64}@[A-Za-z0-9.-]{1,255}")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
_ASCII: Final = "".join(map(chr, range(128)))


class Place(Struct, frozen=True):
    """Where a configuration stands: the ``folder`` of relative paths, and the environment that secrets may name."""

    folder: Path
    environ: Mapping[str, str]


NOWHERE: Final = Place(folder=Path(), environ=MappingProxyType({}))
"""The place of settings made in code: relative paths stay relative and no secret is fetched from the environment."""


def place_of(info: ValidationInfo) -> Place:
    """Say where the configuration stands that is being validated."""
    return info.context if isinstance(info.context, Place) else NOWHERE


def parse_duration(given: object) -> timedelta:
    """Read ``"30s"``, ``"1m"``, ``"48h"``, ``"7d"`` or ``"250ms"``. Raise :class:`Wrong` for anything else."""
    if isinstance(given, timedelta):
        return given
    found = _DURATION.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        raise Wrong("is no duration", 'Write a whole number and its unit (ms, s, m, h, d) in quotes, such as "30s"')
    seconds = int(found[1]) * UNITS[found[2]]
    if not 0 < seconds <= LONGEST.total_seconds():
        raise Wrong("is no usable duration", "Choose more than nothing and no more than ten years")
    return timedelta(seconds=seconds)


def _duration_or_off(given: object) -> timedelta | None:
    return None if given is None or given == "" else parse_duration(given)


def _matching(pattern: re.Pattern[str], wrong: str, mend: str) -> AfterValidator:
    def check(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise Wrong(wrong, mend)
        return text

    return AfterValidator(check)


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ValueError, OSError, LookupError):
        raise Wrong("is no time zone", 'Write an IANA name, such as "Europe/London"') from None
    return text


def _charset(text: str) -> str:
    """Know the character set, and that a frame's bytes and delimiters mean the same in it as in ASCII."""
    try:
        usable = not text or _ASCII.encode(text) == _ASCII.encode("ascii")
        canonical = text and codecs.lookup(text).name
    except (LookupError, UnicodeError, ValueError):
        usable, canonical = False, text
    if not usable:
        raise Wrong(
            "is no character set that an MLLP message can be in",
            'Write one that holds ASCII, such as "utf-8", "windows-1252" or "iso-8859-15"',
        )
    return canonical


def _network(given: object) -> IPv4Network | IPv6Network:
    try:
        return given if isinstance(given, IPv4Network | IPv6Network) else ip_network(str(given))
    except ValueError:
        raise Wrong(
            "is no network", 'Write an address or a CIDR network without host bits, such as "10.1.0.0/16"'
        ) from None


def _public_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        whole = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if not whole or "?" in text or "#" in text or "@" in text or not text.isprintable() or " " in text:
        raise Wrong(
            "is no address for the join site", 'Write "https://host" or "https://host/path", with no "?", "#" or "@"'
        )
    return text.rstrip("/")


def _web_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and text.isprintable() and " " not in text
    except ValueError:
        whole = False
    if not whole:
        raise Wrong("is no web address", 'Write "https://host" or "https://host/path"')
    return text.rstrip("/")


def _web_url_or_none(text: str) -> str:
    return _web_url(text) if text else text


def _absolute(path: Path, info: ValidationInfo) -> Path:
    return place_of(info).folder / path.expanduser()


def _path(given: object) -> Path:
    if isinstance(given, Path):
        return given
    if not isinstance(given, str) or not given or "\0" in given:
        raise Wrong("is no path", "Write a path in quotes, relative to the configuration file's folder or absolute")
    return Path(given)


def parse_rate(given: object) -> RateLimit:
    """Read ``"10/s"``, ``"3000/m"`` or ``"250000/d"``. Raise :class:`Wrong` for anything else."""
    if isinstance(given, RateLimit):
        return given
    found = _RATE.fullmatch(given) if isinstance(given, str) else None
    if found is None or int(found[1]) == 0:
        raise Wrong("is no rate", 'Write a whole number and a period (s, m, h, d), such as "3000/m"')
    return RateLimit(int(found[1]), timedelta(seconds=UNITS[found[2]]))


def _path_or_none(given: object) -> Path | None:
    return None if given is None or given == "" else _path(given)


def _absolute_or_none(path: Path | None, info: ValidationInfo) -> Path | None:
    return None if path is None else _absolute(path, info)


def _mail_address(text: str) -> str:
    if text and _MAIL_ADDRESS.fullmatch(text) is None:
        raise Wrong("is no email address", 'Write it plain, such as "bounces@hospital.example"')
    return text


def _secret(given: object, info: ValidationInfo) -> Secret:
    place = place_of(info)
    return fetch(given, place.folder, place.environ)


def _database_url(secret: Secret, info: ValidationInfo) -> Secret:
    """Take SQLite's relative path from the place's folder, and refuse what cannot keep a promise or be driven."""
    if secret.missing:
        raise Wrong(secret.missing, "Provide it, or write the URL itself")
    try:
        url = make_url(secret.reveal())
    except (ArgumentError, ValueError):
        raise Wrong("is no database URL", "Write sqlite:///path or postgresql+psycopg://user@host/database") from None
    if url.drivername in {"sqlite", "sqlite+pysqlite"}:
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            raise Wrong("names no database file", "Write sqlite:///path: what is acknowledged must be on a disk")
        path = place_of(info).folder / Path(url.database).expanduser()
        return Secret(url.set(database=str(path)).render_as_string(hide_password=False), origin=secret.origin)
    if url.drivername != "postgresql+psycopg":
        raise Wrong(
            "names a database or driver that doorstep does not use", "Write sqlite:/// or postgresql+psycopg://"
        )
    return secret


def _as_tuple(given: object) -> object:
    """TOML gives lists; frozen settings keep tuples."""
    return tuple(given) if isinstance(given, list) else given


def _no_repeats(items: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(items)) != len(items):
        raise Wrong("names something twice", "Name each once")
    return items


class IdentifierKind(Struct, frozen=True):
    """What an identifier's system means: authority and type, as in PID-3 (CX.4.1 and CX.5), in upper case."""

    authority: str
    type: str


def _systems(given: object) -> dict[str, IdentifierKind]:
    if not isinstance(given, dict):
        raise Wrong("is no table of systems", _SYSTEMS_MEND)
    return {uri: _identifier_kind(uri, kind) for uri, kind in given.items()}


def _identifier_kind(uri: str, given: object) -> IdentifierKind:
    if isinstance(given, IdentifierKind):
        return given
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:\S{1,250}", uri):
        raise Wrong("names a system that is no URI", _SYSTEMS_MEND)
    if not isinstance(given, dict) or set(given) != {"authority", "type"}:
        raise Wrong("needs authority and type for each system", _SYSTEMS_MEND)
    authority, kind = given["authority"], given["type"]
    if not (isinstance(authority, str) and isinstance(kind, str) and (authority.strip() or kind.strip())):
        raise Wrong("needs authority and type as text for each system", _SYSTEMS_MEND)
    return IdentifierKind(authority.strip().upper(), kind.strip().upper())


_SYSTEMS_MEND: Final = 'Write "https://hospital.example/mrn" = {authority = "RX1", type = "MR"} under [fhir.systems]'


def _sender(text: str) -> str:
    """MSH-3 and MSH-4 as records keep them; with the bar that stands between them in a message, too."""
    application, slash, facility = (part.strip() for part in text.replace("|", "/").partition("/"))
    if not slash or not (application or facility):
        raise Wrong("is no sender", 'Write MSH-3/MSH-4 as doorstep status shows them, such as "PAS/RX1"')
    return f"{application}/{facility}"


T = TypeVar("T")
Systems: TypeAlias = Annotated[dict[str, IdentifierKind], BeforeValidator(_systems)]
Many = Annotated[tuple[T, ...], BeforeValidator(_as_tuple)]
Choices = Annotated[tuple[T, ...], BeforeValidator(_as_tuple), Field(min_length=1), AfterValidator(_no_repeats)]
Flag: TypeAlias = Annotated[bool, Strict()]
Count: TypeAlias = Annotated[int, Strict(), Field(ge=1)]
Port: TypeAlias = Annotated[int, Strict(), Field(ge=0, le=65535)]
Duration: TypeAlias = Annotated[timedelta, BeforeValidator(parse_duration)]
Rate: TypeAlias = Annotated[RateLimit, BeforeValidator(parse_rate)]
DurationOrOff: TypeAlias = Annotated[timedelta | None, BeforeValidator(_duration_or_off)]
Name: TypeAlias = Annotated[
    str,
    _matching(
        _NAME, "is no usable name", "Use 1 to 32 letters, digits, '_', '.' and '-', beginning with a letter or digit"
    ),
]
Sender: TypeAlias = Annotated[str, AfterValidator(_sender)]
Host: TypeAlias = Annotated[
    str, _matching(_HOST, "is no host", 'Write an address or a host name, such as "127.0.0.1" or "0.0.0.0" for all')
]
Batch: TypeAlias = Annotated[str, _matching(_BATCH, "is no rhythm", 'Write "immediate" or "daily HH:MM"')]
Language: TypeAlias = Annotated[
    str, _matching(_LANGUAGE, "is no language", 'Write an ISO 639 code, such as "en" or "cy"')
]
Zone: TypeAlias = Annotated[str, AfterValidator(_zone)]
Charset: TypeAlias = Annotated[str, AfterValidator(_charset)]
Network: TypeAlias = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
PublicUrl: TypeAlias = Annotated[str, AfterValidator(_public_url)]
WebUrl: TypeAlias = Annotated[str, AfterValidator(_web_url)]
WebUrlOrNone: TypeAlias = Annotated[str, AfterValidator(_web_url_or_none)]
FilePath: TypeAlias = Annotated[Path, BeforeValidator(_path), AfterValidator(_absolute)]
FilePathOrNone: TypeAlias = Annotated[Path | None, BeforeValidator(_path_or_none), AfterValidator(_absolute_or_none)]
MailAddressOrNone: TypeAlias = Annotated[str, AfterValidator(_mail_address)]
SecretText: TypeAlias = Annotated[Secret, BeforeValidator(_secret)]
DatabaseUrl: TypeAlias = Annotated[Secret, BeforeValidator(_secret), AfterValidator(_database_url)]
