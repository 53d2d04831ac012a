"""The join site as this configuration wants it."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from starlette.types import ASGIApp

from daemon.bootstrap import House
from invites.accounts.assembly import JOINING
from invites.accounts.password_reset import PATIENT
from web.join.house import JoinHouse
from web.join.site import FOLDER, site
from web.pages.in_thread import InThread
from web.pages.pages import Look, Pages
from web.pages.visit import Visits


def join_face(house: House) -> ASGIApp:
    """Build the join site. Raises :class:`web.pages.language.LanguageFault` for a language file that is none."""
    configured, organisation = house.settings.join, house.settings.organisation
    secure = configured.public_url.startswith("https:")
    pages = Pages(
        FOLDER,
        Look(configured.name or organisation.name, organisation.contact, configured.colour),
        secure=secure,
        zone=ZoneInfo(organisation.timezone),
        wording=[configured.wording] if configured.wording is not None else [],
    )
    sessions = house.accounts.sessions
    return site(
        JoinHouse(
            database=house.database,
            accounts=house.accounts,
            audit=house.audit,
            pages=pages,
            threads=InThread(),
            joining=Visits(house.database, sessions, JOINING, secure=secure),
            patients=Visits(house.database, sessions, PATIENT, secure=secure),
            organisations=house.invite_options.organisations,
            proxies=configured.trusted_proxies,
            password_reset=configured.password_reset,
            count=lambda step, outcome: house.metrics.join_steps.labels(step, outcome).inc(),
        ),
        fault=house.telemetry.internal_error,
    )
