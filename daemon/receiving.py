"""What comes back from providers: the routes that they call, and the jobs that ask or look for what did not come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from starlette.routing import Route

from daemon.carriers import HTTP, NOTIFY, SMTP
from daemon.own_thread import in_own_thread
from daemon.settings import Settings
from daemon.settings.providers import GatewayReceipts
from daemon.settings.secret import Secret
from invites.channels import bounce, gateway_receipts, notify_answers
from invites.channels.bounce_folder import BounceFolder
from invites.channels.gateway_receipts import ReceiptFields
from invites.channels.receipt_poll import ReceiptPoll, Told
from invites.receipt import Receipt, ReceiptState
from invites.receipts import ReceiptReport, Receipts
from invites.schedule import Job
from patient_records.unit_of_work import Database
from web.api.receipts import Caller, routes

POLL = "receipts_poll"
BOUNCES = "receipts_bounces"


def receipt_routes(settings: Settings, receipts: Receipts, now: Callable[[], datetime]) -> list[Route]:
    """The routes of those providers that have a secret to call with."""

    async def take(said: Sequence[Receipt]) -> ReceiptReport:
        return await in_own_thread(receipts.take, said)

    return routes(take, _callers(settings, now))


def receipt_jobs(
    settings: Settings, database: Database, receipts: Receipts, polled: Sequence[Told], now: Callable[[], datetime]
) -> list[Job]:
    """The jobs of the schedule: one for each provider that is asked, one for the folder of bounces."""
    poll_every, bounces = settings.delivery.notify.poll, settings.delivery.email.bounces
    jobs = [Job(POLL, poll_every, ReceiptPoll(database, provider, receipts.take).run) for provider in polled]
    if bounces.maildir is not None:
        jobs.append(Job(BOUNCES, bounces.every, BounceFolder(bounces.maildir, receipts.take, now).run))
    return jobs


def _callers(settings: Settings, now: Callable[[], datetime]) -> Mapping[str, Caller]:
    delivery = settings.delivery
    used = {delivery.sms.provider, delivery.email.provider, delivery.letter.provider}
    callers = {}
    if NOTIFY in used and (secret := _given(delivery.notify.callback_secret)):
        callers["notify"] = Caller(secret, partial(_one, notify_answers.receipt_of, now))
    if HTTP in used and (secret := _given(delivery.sms.http.receipts.secret)):
        fields = _fields(delivery.sms.http.receipts)
        callers["sms"] = Caller(secret, lambda said: gateway_receipts.receipts_of(HTTP, fields, said, now()))
    if SMTP in used and (secret := _given(delivery.email.bounces.secret)):
        callers["email"] = Caller(secret, partial(_one, bounce.receipt_of, now), mail=True)
    return callers


def _one(read: Callable[[Any, datetime], Receipt | None], now: Callable[[], datetime], said: Any) -> list[Receipt]:
    receipt = read(said, now())
    return [] if receipt is None else [receipt]


def _given(secret: Secret) -> str:
    return "" if secret.missing else secret.reveal()


def _fields(section: GatewayReceipts) -> ReceiptFields:
    states = {
        **dict.fromkeys(section.sent, (ReceiptState.SENT, False)),
        **dict.fromkeys(section.delivered, (ReceiptState.DELIVERED, False)),
        **dict.fromkeys(section.failed, (ReceiptState.FAILED, False)),
        **dict.fromkeys(section.failed_for_good, (ReceiptState.FAILED, True)),
    }
    return ReceiptFields(
        items=section.items,
        reference=section.reference,
        provider_reference=section.provider_reference,
        status=section.status,
        at=section.at,
        states=states,
    )
