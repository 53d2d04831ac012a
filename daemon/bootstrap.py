"""The composition root: the one place where everything meets everything.

:func:`build` turns a configuration into a :class:`House`, whole and not yet running; lower code receives what it needs
and never looks it up. Commands that only read or work for a moment (``explain``, ``invite``) build the same house and
start none of its engines.
"""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from msgspec import Struct

from daemon import migrate
from daemon import settings as configured
from daemon.audit_sealing import AuditSealing
from daemon.carriers import Carriers, hire
from daemon.inviting import invite_options
from daemon.listener_telemetry import ListenerTelemetry
from daemon.metrics import Metrics
from daemon.settings import Settings
from daemon.settings.certificates import tls_options
from daemon.settings.senders import load_profiles
from hl7_listener.batch import Stores
from hl7_listener.options import ListenerOptions
from hl7_listener.senders import Senders
from hl7_listener.tls import TlsSide
from invites.accounts.assembly import Accounts
from invites.accounts.assembly import assemble as assemble_accounts
from invites.assembly import Invites, assemble
from invites.options import InviteOptions
from patient_records.audit import AuditTrail
from patient_records.decisions import Decisions
from patient_records.ids import IdSource
from patient_records.journal import Journal
from patient_records.keys import open_key_ring
from patient_records.limits import Limits
from patient_records.passwords import Passwords
from patient_records.quarantine import Quarantine
from patient_records.repository import Records
from patient_records.unit_of_work import Database
from web.ops.accounts import StaffAccounts


def utc_now() -> datetime:
    """The time, aware, UTC: the clock that is handed to everything that needs one."""
    return datetime.now(UTC)


class House(Struct, frozen=True):
    """Everything that works in one process, put together from one configuration."""

    settings: Settings
    database: Database
    ids: IdSource
    records: Records
    invite_options: InviteOptions
    invites: Invites
    stores: Stores
    quarantine: Quarantine
    audit: AuditTrail
    audit_sealing: AuditSealing
    passwords: Passwords
    staff: StaffAccounts
    decisions: Decisions
    limits: Limits
    accounts: Accounts
    metrics: Metrics
    telemetry: ListenerTelemetry
    carriers: Carriers

    def listeners(self) -> tuple[ListenerOptions, ...]:
        """What each configured listener is told."""
        profiles = load_profiles(self.settings.senders.folder)
        return tuple(_listener(one, profiles.of(one.name, one.profile)) for one in self.settings.listeners)

    def tls(self) -> dict[str, TlsSide]:
        """What those listeners that speak TLS speak it with, by name. Reads files. Raises TlsFault."""
        given = {listener.name: tls_options(listener) for listener in self.settings.listeners}
        return {name: TlsSide(options, utc_now()) for name, options in given.items() if options is not None}

    def close(self) -> None:
        """End the lanes' threads, hang up on the providers and close the database."""
        self.invites.close()
        self.carriers.close()
        self.database.close()


def build(settings: Settings) -> House:
    """Open the database and the key file and put everything together.

    Raises :class:`StorageUnavailable` when the database is not there, :class:`SchemaBehind` when it must be migrated
    first, :class:`KeyFault` when a key is missing or wrong.
    """
    database = Database(settings.database.url.reveal())
    migrate.require_head(database, migrate_on_start=settings.database.migrate_on_start)
    codes = [organisation.code for organisation in settings.all_organisations]
    with database.begin() as connection:
        ring = open_key_ring(settings.keys.file, connection, codes, utc_now())
    ids = IdSource(lambda: time.time_ns() // 1_000_000, os.urandom)
    records = Records(ring, ids)
    options = invite_options(settings, ring.blind_index)
    carriers = hire(settings, utc_now)
    invites = assemble(
        database,
        records,
        ring,
        ids,
        options=options,
        lanes=carriers.lanes,
        random_bytes=os.urandom,
        chance=random.SystemRandom().random,
    )
    metrics, limits = Metrics(), Limits(records.blind_index)
    trail = AuditTrail(ring, ids)
    passwords = Passwords(ring.derived_secret("staff passwords")[1])
    return House(
        settings=settings,
        database=database,
        ids=ids,
        records=records,
        invite_options=options,
        invites=invites,
        stores=Stores(records, Journal(ring), ids, invites.consequences),
        quarantine=Quarantine(ring),
        audit=trail,
        audit_sealing=AuditSealing(database, trail, settings.keys.file.parent),
        passwords=passwords,
        staff=StaffAccounts(database, passwords, trail, ids, os.urandom),
        decisions=Decisions(records, invites.consequences, trail),
        limits=limits,
        accounts=assemble_accounts(
            database,
            records,
            ring,
            ids,
            options=options,
            gate=invites.gate,
            consequences=invites.consequences,
            limits=limits,
            audit=trail,
            random_bytes=os.urandom,
        ),
        metrics=metrics,
        telemetry=ListenerTelemetry(metrics),
        carriers=carriers,
    )


def _listener(listener: configured.Listener, senders: Senders) -> ListenerOptions:
    return ListenerOptions(
        name=listener.name,
        host=listener.host,
        port=listener.port,
        organisation=listener.organisation,
        timezone=ZoneInfo(listener.timezone),
        charset=listener.charset or None,
        default_charset=listener.default_charset or None,
        validation=listener.validation,
        message_profiles=tuple(str(path) for path in listener.message_profiles),
        verify_status=listener.verify_status,
        processing_ids=tuple(listener.processing_ids),
        held=listener.held,
        both_acknowledgments=listener.enhanced == "both",
        batch_acknowledgment=listener.batch_acknowledgment == "batch",
        always_acknowledge=listener.always_acknowledge,
        on_storage_failure=listener.on_storage_failure,
        max_frame_bytes=listener.max_frame_bytes,
        frame_deadline=listener.frame_deadline,
        idle_timeout=listener.idle_timeout,
        max_connections=listener.max_connections,
        byte_budget=listener.byte_budget,
        allow=tuple(listener.allow),
        senders=senders,
    )
