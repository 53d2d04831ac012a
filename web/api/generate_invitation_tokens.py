"""``POST /fhir/Organization/$generate-invitation-tokens``: pairs for up to 500 patients in one transaction (SPEC 7)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct
from sqlalchemy import Connection

from invites.mint import API
from invites.on_request import Issued, OnRequest, Refused, trail_of
from patient_records.audit import AuditTrail
from patient_records.model import Masked
from web.api import fhir_parameters as fhir
from web.api.fhir_parameters import FhirIdentifier, OutParameter, OutParameters, Part, PatientIdentifier
from web.api.identifier_systems import IdentifierSystems
from web.api.operation import ISSUERS, Call, Operation, Told
from web.api.wire import FHIR_JSON, Sent

MOST: Final = 500


class GenerateRequest(Masked, Struct, frozen=True, rename="camel"):
    """Whom pairs are asked for."""

    resource_type: Literal["Parameters"]
    parameter: Annotated[list[PatientIdentifier], Meta(min_length=1, max_length=MOST)]


class GenerateInvitationTokens:
    """Issues pairs in batches."""

    def __init__(self, systems: IdentifierSystems, on_request: OnRequest, trail: AuditTrail) -> None:
        self._systems = systems
        self._on_request = on_request
        self._trail = trail

    def operation(self) -> Operation:
        """Its declaration."""
        return Operation(
            name="generateInvitationTokens",
            method="POST",
            path="/fhir/Organization/$generate-invitation-tokens",
            summary="Issue new pairs for up to 500 patients",
            description=(
                "Answers one parameter for each patientIdentifier, in their order: patientTokens (code, token, expiry) "
                "or refused (reason: the errorCode of recordAccessToken). A system that is not supported fails the "
                "whole request. A patient asked for twice gets two pairs. Pairs issued before live on."
            ),
            tag="FHIR",
            scopes=ISSUERS,
            answers={200: Told("New pairs, and refusals", OutParameters, _ANSWER)},
            work=self._work,
            writes=True,
            body=fhir.asking(GenerateRequest, self._systems.known),
            content_type=FHIR_JSON,
            errors=fhir.SHAPE,
        )

    def _work(self, connection: Connection, call: Call) -> Sent:
        client, organisation = call.client, call.client.organisation
        asked = [one.value_identifier for one in call.body.parameter]
        ids = self._systems.find(connection, asked, organisation)
        answers = self._on_request.issue(connection, ids, organisation=organisation, origin=API, now=call.now)
        entries = trail_of(answers, client.actor, organisation, origin=API, client=client.client_id)
        self._trail.append(connection, entries, call.now)
        return fhir.answer([_told(*one) for one in zip(asked, answers, strict=True)])


def _told(asked: FhirIdentifier, answer: Issued | Refused) -> OutParameter:
    who = Part("patientIdentifier", value_identifier=asked)
    if isinstance(answer, Refused):
        return OutParameter("refused", [who, Part("reason", value_code=answer.refusal.value)])
    code = Part("code", value_string=answer.pair.code)
    token = Part("token", value_string=answer.pair.token)
    return OutParameter(
        "patientTokens", [who, code, token, Part("expiry", value_date_time=fhir.date_time(answer.expires_at))]
    )


_WHO: Final = {"name": "patientIdentifier", "valueIdentifier": {"system": fhir.NHS_NUMBER, "value": "9434765919"}}
_OTHER: Final = {"name": "patientIdentifier", "valueIdentifier": {"system": fhir.NHS_NUMBER, "value": "9434765870"}}

_ANSWER: Final = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "patientTokens",
            "part": [
                _WHO,
                {"name": "code", "valueString": "2345678BC7"},
                {"name": "token", "valueString": "BCDFGHJKLM"},
                {"name": "expiry", "valueDateTime": "2026-04-03T05:06:07+00:00"},
            ],
        },
        {"name": "refused", "part": [_OTHER, {"name": "reason", "valueCode": "invitation.patient.deceased"}]},
    ],
}
