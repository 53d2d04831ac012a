"""What no single key shows: settings that contradict each other, and those that this version cannot follow yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import parseaddr
from itertools import combinations
from typing import Final

from msgspec import Struct

from daemon.settings.sections import Settings
from invites.options import LETTER_NEEDS

_NOT_YET: Final = frozenset({"notify", "http"})

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
ANY_HOST: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 (compared with, never bound)


class Contradiction(Struct, frozen=True):
    """A key that cannot stand with the rest: its ``path``, what is ``wrong`` and the ``mend``."""

    path: tuple[str | int, ...]
    wrong: str
    mend: str


def contradictions(settings: Settings, doubtful: frozenset[str] = frozenset()) -> Iterator[Contradiction]:
    """Find every contradiction between settings that are each sound.

    ``doubtful`` are names of keys (``port``) that stand at a default because what was given is faulty: what depends
    on them is not judged.
    """
    for reads, check in _CHECKS:
        if not reads & doubtful:
            yield from check(settings)


def not_yet(settings: Settings) -> Iterator[Contradiction]:
    """Find what is asked for and comes with a later version: providers, enforced conformance."""
    delivery = settings.delivery
    for channel, provider in (
        ("sms", delivery.sms.provider),
        ("email", delivery.email.provider),
        ("letter", delivery.letter.provider),
    ):
        if provider in _NOT_YET:
            yield Contradiction(("delivery", channel, "provider"), "is not yet in this version", 'Use "spool"')
    for position, listener in enumerate(settings.listeners):
        if listener.validation == "enforce":  # to report instead would pass what somebody wanted stopped
            yield Contradiction(("listeners", position, "validation"), "is not yet in this version", 'Use "report"')


def _organisations_complete(settings: Settings) -> Iterator[Contradiction]:
    """Only the first organisation may live on invented defaults; a second with them would mislead its patients."""
    for position, organisation in enumerate(settings.organisations):
        for key in ("code", "name", "contact"):
            if key not in organisation.model_fields_set:
                yield Contradiction(("organisations", position, key), "is missing", f"Add {key} = ...")


def _organisations_differ(settings: Settings) -> Iterator[Contradiction]:
    seen = {settings.organisation.code}
    for position, organisation in enumerate(settings.organisations):
        if organisation.code in seen and "code" in organisation.model_fields_set:
            path = ("organisations", position, "code")
            yield Contradiction(path, f"repeats the code {organisation.code}", "Give each organisation its own")
        seen.add(organisation.code)


def _listeners_belong(settings: Settings) -> Iterator[Contradiction]:
    codes = [organisation.code for organisation in settings.all_organisations]
    for position, listener in enumerate(settings.listeners):
        if listener.organisation not in codes:
            mend = f"Use one of {', '.join(codes)}, or add it under [[organisations]]"
            yield Contradiction(("listeners", position, "organisation"), "names no organisation", mend)


def _listener_names_differ(settings: Settings) -> Iterator[Contradiction]:
    seen: set[str] = set()
    for position, listener in enumerate(settings.listeners):
        if listener.name in seen:
            path = ("listeners", position, "name")
            yield Contradiction(path, f'repeats the name "{listener.name}"', "Give each listener its own")
        seen.add(listener.name)


def _ports_differ(settings: Settings) -> Iterator[Contradiction]:
    """Two faces cannot share an address. Port 0 is always free; a host for all addresses meets every other host."""
    faces: list[tuple[tuple[str | int, ...], str, int]] = [
        (("listeners", position, "port"), listener.host, listener.port)
        for position, listener in enumerate(settings.listeners)
    ]
    faces.append((("api", "port"), settings.api.host, settings.api.port))
    faces.append((("join", "port"), settings.join.host, settings.join.port))
    taken: set[tuple[str | int, ...]] = set()
    for (first, host, port), (second, other_host, other_port) in combinations(faces, 2):
        same_host = host == other_host or bool({host, other_host} & ANY_HOST)
        if port == other_port != 0 and same_host and second not in taken:
            taken.add(second)
            wrong = f"is the port of {'.'.join(map(str, first[:-1]))} too"
            yield Contradiction(second, wrong, "Choose another, or 0 for any free one")


def _budgets_hold_a_frame(settings: Settings) -> Iterator[Contradiction]:
    for position, listener in enumerate(settings.listeners):
        if listener.byte_budget < listener.max_frame_bytes:
            path = ("listeners", position, "byte_budget")
            yield Contradiction(path, "is less than max_frame_bytes", f"Make it at least {listener.max_frame_bytes}")


def _tls_is_whole(settings: Settings) -> Iterator[Contradiction]:
    for position, listener in enumerate(settings.listeners):
        tls, path = listener.tls, ("listeners", position, "tls")
        if (tls.certificate is None) != (tls.key is None):
            absent = "key" if tls.key is None else "certificate"
            yield Contradiction((*path, absent), "is missing", "Name both certificate and key, or neither")
        if tls.certificate is None and tls.client_authority is not None:
            wrong = "is of no use without TLS: senders would go unchecked"
            yield Contradiction((*path, "client_authority"), wrong, "Name certificate and key, too")
        if tls.allowed_subjects and tls.client_authority is None:
            wrong = "is of no use where senders show no certificate"
            yield Contradiction((*path, "allowed_subjects"), wrong, "Name the client_authority, too")
        if tls.key_password.missing and tls.key is not None:
            yield Contradiction((*path, "key_password"), tls.key_password.missing, "Provide it, or leave it empty")


def _retries_fit(settings: Settings) -> Iterator[Contradiction]:
    if settings.delivery.first_retry > settings.delivery.give_up_after:
        path = ("delivery", "first_retry")
        yield Contradiction(path, "is longer than give_up_after", "Choose a shorter first retry")


def _letters_have_time(settings: Settings) -> Iterator[Contradiction]:
    if "letter" in settings.invitations.channels and settings.invitations.lifetime_days <= LETTER_NEEDS.days:
        wrong = f"leaves letters no time: one is never posted with less than {LETTER_NEEDS.days} days left"
        yield Contradiction(("invitations", "lifetime_days"), wrong, 'Lengthen it, or take "letter" out of channels')


def _pairs_outlive_retries(settings: Settings) -> Iterator[Contradiction]:
    if settings.delivery.give_up_after >= timedelta(days=settings.invitations.lifetime_days):
        path = ("delivery", "give_up_after")
        yield Contradiction(path, "is as long as invitations.lifetime_days", "Give up sooner, or let pairs live longer")


def _smtp_complete(settings: Settings) -> Iterator[Contradiction]:
    """What a mail server needs; the examples among the defaults are no one's server."""
    smtp, path = settings.delivery.email.smtp, ("delivery", "email", "smtp")
    if settings.delivery.email.provider != "smtp":
        return
    for key in ("host", "sender"):
        if key not in smtp.model_fields_set:
            yield Contradiction((*path, key), "is missing", f"Add {key} = ...")
    if "@" not in parseaddr(smtp.sender)[1]:
        yield Contradiction((*path, "sender"), "names no address", 'Write "Name <address@domain>"')
    if smtp.username and smtp.password.missing:
        mend = "Provide it, or leave username empty for a server without login"
        yield Contradiction((*path, "password"), smtp.password.missing, mend)
    if smtp.username and smtp.tls == "none" and smtp.host not in _LOOPBACK:
        yield Contradiction((*path, "tls"), "would send the password in clear", 'Use "starttls" or "implicit"')
    if smtp.ca_file is not None and not smtp.ca_file.is_file():
        yield Contradiction((*path, "ca_file"), f"names no file ({smtp.ca_file})", "Provide it, or leave it empty")
    yield from _fits_the_lease(settings, (*path, "timeout"), smtp.timeout)


def _fits_the_lease(settings: Settings, path: tuple[str, ...], timeout: timedelta) -> Iterator[Contradiction]:
    """A call begins while half a lease is left, and must have ended when it is over."""
    if timeout > settings.delivery.lease / 2:
        yield Contradiction(path, "is more than half of delivery.lease", "Shorten it, or lengthen the lease")


_CHECKS: Final[tuple[tuple[frozenset[str], Callable[[Settings], Iterator[Contradiction]]], ...]] = (
    (frozenset({"code", "name", "contact"}), _organisations_complete),
    (frozenset({"code"}), _organisations_differ),
    (frozenset({"code", "organisation"}), _listeners_belong),
    (frozenset({"name"}), _listener_names_differ),
    (frozenset({"host", "port"}), _ports_differ),
    (frozenset({"byte_budget", "max_frame_bytes"}), _budgets_hold_a_frame),
    (frozenset({"certificate", "key", "key_password", "client_authority", "allowed_subjects"}), _tls_is_whole),
    (frozenset({"first_retry", "give_up_after"}), _retries_fit),
    (frozenset({"channels", "lifetime_days"}), _letters_have_time),
    (frozenset({"give_up_after", "lifetime_days"}), _pairs_outlive_retries),
    (frozenset({"provider", "host", "sender", "username", "password", "tls", "timeout", "lease"}), _smtp_complete),
)
