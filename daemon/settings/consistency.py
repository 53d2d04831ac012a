"""What no single key shows: settings that contradict each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import combinations
from typing import Final

from daemon.settings.faults import Contradiction
from daemon.settings.provider_checks import callbacks_guarded, gateway_complete, notify_complete, smtp_complete
from daemon.settings.sections import Settings
from invites.options import LETTER_NEEDS

ANY_HOST: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 (compared with, never bound)


def contradictions(settings: Settings, doubtful: frozenset[str] = frozenset()) -> Iterator[Contradiction]:
    """Find every contradiction between settings that are each sound.

    ``doubtful`` are names of keys (``port``) that stand at a default because what was given is faulty: what depends
    on them is not judged.
    """
    for reads, check in _CHECKS:
        if not reads & doubtful:
            yield from check(settings)


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


def _invitations_name_organisations(settings: Settings) -> Iterator[Contradiction]:
    """A slip in a code that keeps people out would let them in: nobody else has it."""
    codes = [organisation.code for organisation in settings.all_organisations]
    invitations = settings.invitations
    named: list[tuple[tuple[str | int, ...], tuple[str, ...]]] = [
        (("excluded_organisations",), invitations.excluded_organisations),
        *(
            (("cohorts", place, "organisations"), cohort.organisations)
            for place, cohort in enumerate(invitations.cohorts)
        ),
    ]
    for path, given in named:
        for position, code in enumerate(given):
            if code not in codes:
                mend = f"Use one of {', '.join(codes)}, add it under [[organisations]], or take it out"
                yield Contradiction(("invitations", *path, position), "names no organisation", mend)


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


_CALLED: Final = frozenset({"provider", "timeout", "lease", "ca_file"})

_CHECKS: Final[tuple[tuple[frozenset[str], Callable[[Settings], Iterator[Contradiction]]], ...]] = (
    (frozenset({"code", "name", "contact"}), _organisations_complete),
    (frozenset({"code"}), _organisations_differ),
    (frozenset({"code", "organisation"}), _listeners_belong),
    (frozenset({"code", "excluded_organisations", "organisations"}), _invitations_name_organisations),
    (frozenset({"name"}), _listener_names_differ),
    (frozenset({"host", "port"}), _ports_differ),
    (frozenset({"byte_budget", "max_frame_bytes"}), _budgets_hold_a_frame),
    (frozenset({"certificate", "key", "key_password", "client_authority", "allowed_subjects"}), _tls_is_whole),
    (frozenset({"first_retry", "give_up_after"}), _retries_fit),
    (frozenset({"channels", "lifetime_days"}), _letters_have_time),
    (frozenset({"give_up_after", "lifetime_days"}), _pairs_outlive_retries),
    (_CALLED | {"host", "sender", "username", "password", "tls"}, smtp_complete),
    (_CALLED | {"notify", "key", "sms_template", "email_template"}, notify_complete),
    (_CALLED | {"http", "url", "body", "headers", "secret", "username", "password"}, gateway_complete),
    (frozenset({"callback_secret", "secret", "maildir"}), callbacks_guarded),
)
