"""``POST`` (and ``GET``) ``/v1/users/{id}/recordAccessToken``: a new pair for one patient (SPEC 7)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct
from sqlalchemy import Connection

from invites.access_token import ALPHABET
from invites.mint import API
from invites.on_request import Issued, OnRequest, trail_of
from invites.refusal import Refusal
from patient_records.audit import AuditTrail
from patient_records.model import Masked
from patient_records.public_ids import PATTERN, record_of
from web.api import error_body, trouble
from web.api.error_body import ErrorBody
from web.api.operation import ISSUERS, Call, Operation, PathParameter, Told
from web.api.trouble import Trouble
from web.api.wire import Sent, json

HALF: Final = Meta(pattern=f"^[{ALPHABET}]{{10}}$", examples=["2345678BC7"])


class InvitationStatus(StrEnum):
    """Whether an email invitation was sent; pairs alone do not count (SPEC 7)."""

    NOT_INVITED = "NOT_INVITED_NOT_REGISTERED"
    INVITED = "INVITED_NOT_REGISTERED"


class RecordAccessToken(Masked, Struct, frozen=True, rename="camel"):
    """A pair: the two codes with which, and with their date of birth, the patient registers."""

    invitation_code: Annotated[str, HALF]
    token: Annotated[str, HALF]
    status: InvitationStatus


def status_of(*, emailed: bool) -> InvitationStatus:
    """The status of somebody who is not registered."""
    return InvitationStatus.INVITED if emailed else InvitationStatus.NOT_INVITED


USER_ID: Final = PathParameter(
    name="id",
    description="The user's id, as byNationalId gives it",
    pattern=PATTERN,
    example="0123456789abcdef0123456789abcdef",
    otherwise=lambda: trouble.refused(Refusal.NOT_FOUND),
)


class RecordAccessTokenEndpoint:
    """Issues pairs one by one."""

    def __init__(self, on_request: OnRequest, trail: AuditTrail) -> None:
        self._on_request = on_request
        self._trail = trail

    def operations(self) -> tuple[Operation, Operation]:
        """The two declarations: the same work by both methods."""
        preferred = "Issue a new pair of codes", "issueRecordAccessToken", "POST"
        older = "Issue a new pair of codes (POST is preferred)", "getRecordAccessToken", "GET"
        return (self._operation(*preferred), self._operation(*older))

    def _operation(self, summary: str, name: str, method: str) -> Operation:
        return Operation(
            name=name,
            method=method,
            path="/v1/users/{id}/recordAccessToken",
            summary=summary,
            description=(
                "Each call issues a new pair; pairs issued before live on. Nothing is sent to the patient. "
                "INVITED_NOT_REGISTERED means that an email invitation was sent. A merged id answers for its survivor."
            ),
            tag="Patients",
            scopes=ISSUERS,
            answers={
                200: Told("A new pair", RecordAccessToken, _PAIR),
                400: Told("No pair for this patient: errorCode says why", ErrorBody, error_body.REGISTERED),
                401: Told("No good bearer, or the record was made by another organisation", ErrorBody),
                404: Told("Unknown or deleted id", ErrorBody),
            },
            work=self._work,
            writes=True,
            parameters=(USER_ID,),
        )

    def _work(self, connection: Connection, call: Call) -> Sent | Trouble:
        id_ = record_of(connection, call.path["id"])
        client, organisation = call.client, call.client.organisation
        [answer] = self._on_request.issue(connection, [id_], organisation=organisation, origin=API, now=call.now)
        entries = trail_of([answer], client.actor, organisation, origin=API, client=client.client_id)
        self._trail.append(connection, entries, call.now)
        if not isinstance(answer, Issued):
            return trouble.refused(answer.refusal)
        pair = answer.pair
        return json(RecordAccessToken(pair.code, pair.token, status_of(emailed=answer.emailed)))


_PAIR: Final = {
    "invitationCode": "2345678BC7",
    "token": "BCDFGHJKLM",
    "status": InvitationStatus.NOT_INVITED.value,
}
