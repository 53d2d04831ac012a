"""The demo's System Client: made in the demo's own database, shown as a ``curl``, and proved by doing the same."""

from __future__ import annotations

from typing import Final

import httpx
from msgspec import Struct
from sqlalchemy import select

from daemon import system_clients
from daemon.bootstrap import House
from invites.tables import eligibility
from patient_records.model import Masked
from patient_records.tables import patient_records
from web.access.clients import Scope

_SECONDS: Final = 30.0
_FIELDS: Final = {"invitationCode", "token", "status"}


class DemoCaller(Masked, Struct, frozen=True):
    """A client of the demo's daemon, and a patient that it may ask for."""

    api: str
    client_id: str
    secret: str
    public_id: str

    @property
    def path(self) -> str:
        """Where a pair for the patient is issued."""
        return f"{self.api}/v1/users/{self.public_id}/recordAccessToken"

    @property
    def curl(self) -> str:
        """One line for a shell: a bearer, and with it a pair."""
        bearer = (
            f"$(curl -s -u {self.client_id}:{self.secret} -d grant_type=client_credentials {self.api}/oauth/token"
            """ | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')"""
        )
        return f'curl -s -X POST -H "Authorization: Bearer {bearer}" {self.path}'

    def shortfall(self) -> str:
        """Do what the line does; gives what went wrong, or nothing."""
        with httpx.Client(timeout=_SECONDS) as http:
            credentials = (self.client_id, self.secret)
            given = http.post(f"{self.api}/oauth/token", data={"grant_type": "client_credentials"}, auth=credentials)
            if given.status_code != httpx.codes.OK:
                return f"the API gave no bearer (status {given.status_code})"
            headers = {"authorization": f"Bearer {given.json()['access_token']}"}
            answer = http.post(self.path, headers=headers)
        if answer.status_code != httpx.codes.OK or set(answer.json()) != _FIELDS:
            return f"the API issued no pair (status {answer.status_code})"
        return ""


def caller(house: House, port: int) -> DemoCaller | None:
    """Make a System Client and pick somebody who was invited; None where nobody was."""
    invited = (
        select(patient_records.c.public_id)
        .join(eligibility, eligibility.c.record_id == patient_records.c.id)
        .where(eligibility.c.state == "invited")
        .order_by(patient_records.c.id)
        .limit(1)
    )
    organisation = house.settings.organisation.code
    with house.database.begin() as connection:
        public_id = connection.scalar(invited)
        now = house.database.now(connection)
        made = system_clients.add(house, connection, "The demo", organisation, scope=Scope.SYSTEM, now=now)
    if public_id is None:
        return None
    return DemoCaller(f"http://127.0.0.1:{port}", made.client.client_id, made.secret, public_id)
