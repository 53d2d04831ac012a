"""``GET /v1/users/byNationalId/{number}/{type}``: from a national number to the id that the other calls take.

The number is in the path (SPEC 7), so no path that was called is ever logged (:mod:`web.telemetry`).
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct
from sqlalchemy import Connection

from hl7_listener.sender_profile import NHS, nhs_number_is_valid
from invites.refusal import Refusal
from patient_records.audit import AuditEntry, AuditTrail
from patient_records.audit_actions import Action
from patient_records.lineage import survivor_of
from patient_records.model import Identifier, PatientRecord
from patient_records.repository import Records
from web.api import trouble
from web.api.error_body import ErrorBody
from web.api.operation import EVERYBODY, Call, Operation, PathParameter, Told
from web.api.record_access_token import USER_ID
from web.api.trouble import Trouble
from web.api.wire import Sent, json


class UserId(Struct, frozen=True):
    """An opaque id, good for ever."""

    id: Annotated[str, Meta(pattern=f"^{USER_ID.pattern}$", examples=[USER_ID.example])]


def _no_number() -> Trouble:
    return Trouble(400, "request.nationalId", "This is no NHS number: ten digits, the last of them the check digit")


def _no_type() -> Trouble:
    return Trouble(400, "request.nationalIdType", "The type must be NHS_NUMBER")


NUMBER: Final = PathParameter(
    name="number",
    description="The national number, without blanks",
    pattern="[0-9]{10}",
    example="9434765919",
    otherwise=_no_number,
)
TYPE: Final = PathParameter(
    name="type", description="Its kind", pattern="NHS_NUMBER", example="NHS_NUMBER", otherwise=_no_type
)


class ByNationalIdEndpoint:
    """Finds people by national number."""

    def __init__(self, records: Records, trail: AuditTrail) -> None:
        self._records = records
        self._trail = trail

    def operation(self) -> Operation:
        """Its declaration."""
        return Operation(
            name="findByNationalId",
            method="GET",
            path="/v1/users/byNationalId/{number}/{type}",
            summary="Find a user by national number",
            description="The id that it gives is opaque and stays. A merged record's number finds the survivor.",
            tag="Patients",
            scopes=EVERYBODY,
            answers={
                200: Told("The user's id", UserId, {"id": USER_ID.example}),
                400: Told("No national number, or a type that is not known", ErrorBody),
                401: Told("No good bearer, or the record was made by another organisation", ErrorBody),
                404: Told("Nobody known has this number", ErrorBody),
            },
            work=self._work,
            writes=True,
            parameters=(NUMBER, TYPE),
        )

    def _work(self, connection: Connection, call: Call) -> Sent | Trouble:
        if not nhs_number_is_valid(call.path["number"]):
            return _no_number()
        found = self._found(connection, call.path["number"], call.client.organisation)
        client = call.client
        entry = AuditEntry(
            actor=client.actor,
            action=Action.RECORD_NOT_FOUND if isinstance(found, Refusal) else Action.RECORD_FOUND,
            organisation=client.organisation,
            record_id=None if isinstance(found, Refusal) else found.id,
            detail={"client": client.client_id, **({"reason": found.value} if isinstance(found, Refusal) else {})},
        )
        self._trail.append(connection, [entry], call.now)
        return trouble.refused(found) if isinstance(found, Refusal) else json(UserId(found.public_id))

    def _found(self, connection: Connection, number: str, organisation: str) -> PatientRecord | Refusal:
        found = self._records.find_one(connection, Identifier(*NHS, number))
        if found is None:
            return Refusal.NOT_FOUND
        id_ = survivor_of(connection, found)
        record = self._records.load(connection, [id_])[id_].record
        if record.standing.deleted_at is not None:
            return Refusal.NOT_FOUND
        return record if record.organisation == organisation else Refusal.ORGANISATION
