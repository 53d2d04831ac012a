"""The face towards the hospital's network, as the daemon wears it: what ``web`` declares meets what the house has."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from daemon.bootstrap import House
from daemon.own_thread import in_own_thread
from daemon.web_telemetry import WebTelemetry
from patient_records.limits import Limit, Limits
from web.api import application
from web.api.entrance import Desk
from web.background import Background

MINUTE: Final = timedelta(minutes=1)


def api_face(house: House, *others: Sequence[BaseRoute]) -> Starlette:
    """The application of the api port: the API, and the routes of ``others`` (health, staff pages)."""
    most = house.settings.api.requests_per_minute
    desk = Desk(
        database=house.database,
        limits=Limits(house.records.blind_index),
        limit=Limit("api.requests", most, MINUTE),
        background=Background(in_own_thread),
        telemetry=WebTelemetry(house.metrics),
    )
    declared = application.operations(
        desk,
        records=house.records,
        on_request=house.invites.on_request,
        trail=house.audit,
        bearer_limit=Limit("api.bearers", most, MINUTE),
        fhir_systems={uri: (kind.authority, kind.type) for uri, kind in house.settings.fhir.systems.items()},
        random_bytes=os.urandom,
    )
    return application.application([*(route for some in others for route in some), *application.routes(declared, desk)])
