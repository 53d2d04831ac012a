"""The staff's pages, as the daemon wears them: what ``web.ops`` declares meets what the house has."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Connection
from starlette.routing import BaseRoute

from daemon import story
from daemon.bootstrap import House
from daemon.own_thread import in_own_thread
from daemon.service_signs import ServiceReader
from daemon.wording_files import own_templates
from invites.by_hand import ByHand
from invites.channels import composition
from invites.channels.channel import LETTER
from invites.front_desk import FrontDesk
from patient_records.errors import StorageUnavailable
from web.access.clients import Clients
from web.background import Background, TookTooLong
from web.ops.desk import OpsDesk
from web.ops.face import staff_face
from web.pages.pages import Look

_HTTPS: Final = "https://"

AT_A_TIME: Final = 4
"""Calls at work for staff: beside those of the API, they leave connections to listeners and clock."""

T = TypeVar("T")


def staff_pages(house: House) -> list[BaseRoute]:
    """The pages, to be mounted on the api port."""
    settings, organisation = house.settings, house.settings.organisation
    log = structlog.get_logger("web")

    def fault(error: BaseException) -> None:
        house.metrics.internal_errors.labels("web").inc()
        log.error("page_failed", exc_info=error)

    return staff_face(
        _desk(house),
        Look(organisation.name, organisation.contact),
        secure=settings.api.public_url.startswith(_HTTPS),
        zone=ZoneInfo(organisation.timezone),
        fault=fault,
    )


def _desk(house: House) -> OpsDesk:
    codes = list(house.invite_options.organisations)

    def find(connection: Connection, text: str) -> int | None:
        return story.find(connection, house.records, text, codes)

    settings = house.settings
    languages = {organisation.code: organisation.language for organisation in settings.all_organisations}
    background = Background(in_own_thread, AT_A_TIME)

    async def run(call: Callable[[], T]) -> T:
        try:
            return await background(call)
        except TookTooLong:
            raise StorageUnavailable("time") from None  # the page for it says: come again in a moment

    letter = composition.build(wording=own_templates(settings), languages=languages)[LETTER]
    on_request = house.invites.on_request
    return OpsDesk(
        database=house.database,
        records=house.records,
        accounts=house.staff,
        trail=house.audit,
        decisions=house.decisions,
        on_request=on_request,
        front_desk=FrontDesk(house.records, on_request, house.ids, house.invite_options, letter),
        by_hand=ByHand(house.invites.finish),
        closing=house.accounts.closing,
        clients=Clients(house.ids, os.urandom),
        limits=house.limits,
        options=house.invite_options,
        find=find,
        tell=story.tell,
        service=ServiceReader(settings),
        run=run,
        proxies=settings.api.trusted_proxies,
    )
