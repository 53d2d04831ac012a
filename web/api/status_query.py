"""``POST /fhir/Patient/$status-query``: how up to 5,000 patients stand, without issuing anything (SPEC 7).

No date of birth is told: it answers the challenge of the join site, and whoever asks for pairs must not get both from
one place.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct
from sqlalchemy import Connection

from invites.on_request import Known, OnRequest, Refused
from invites.refusal import Refusal
from patient_records.audit import AuditEntry, AuditTrail
from patient_records.audit_actions import Action, DetailValue
from patient_records.model import Masked
from web.api import fhir_parameters as fhir
from web.api.fhir_parameters import FhirIdentifier, OutParameter, OutParameters, Part, PatientIdentifier
from web.api.identifier_systems import IdentifierSystems
from web.api.operation import EVERYBODY, Call, Operation, Told
from web.api.record_access_token import status_of
from web.api.wire import FHIR_JSON, Sent

MOST: Final = 5000
REGISTERED: Final = "REGISTERED"

_DIAGNOSTICS: Final = {Refusal.NOT_FOUND: "Not found", Refusal.ORGANISATION: "No access"}


class StatusRequest(Masked, Struct, frozen=True, rename="camel"):
    """Whom one asks about."""

    resource_type: Literal["Parameters"]
    parameter: Annotated[list[PatientIdentifier], Meta(min_length=1, max_length=MOST)]


class StatusQuery:
    """Says how people stand."""

    def __init__(self, systems: IdentifierSystems, on_request: OnRequest, trail: AuditTrail) -> None:
        self._systems = systems
        self._on_request = on_request
        self._trail = trail

    def operation(self) -> Operation:
        """Its declaration."""
        return Operation(
            name="queryStatus",
            method="POST",
            path="/fhir/Patient/$status-query",
            summary="Ask how up to 5,000 patients stand",
            description=(
                "Answers one patientStatus for each patientIdentifier, in their order: registered, deceased, status "
                "(REGISTERED, INVITED_NOT_REGISTERED, NOT_INVITED_NOT_REGISTERED) and, where a pair would be refused "
                "now, reason. Of who is unknown, or another organisation's, only diagnostics and reason. Nothing is "
                "issued."
            ),
            tag="FHIR",
            scopes=EVERYBODY,
            answers={200: Told("How each of them stands", OutParameters, _ANSWER)},
            work=self._work,
            writes=False,
            note=self._note,
            body=fhir.asking(StatusRequest, self._systems.known),
            content_type=FHIR_JSON,
            errors=fhir.SHAPE,
        )

    def _note(self, connection: Connection, call: Call) -> None:
        client = call.client
        detail: dict[str, DetailValue] = {"client": client.client_id, "count": len(call.body.parameter)}
        entry = AuditEntry(client.actor, Action.STATUS_QUERIED, client.organisation, detail=detail)
        self._trail.append(connection, [entry], call.now)

    def _work(self, connection: Connection, call: Call) -> Sent:
        organisation = call.client.organisation
        asked = [one.value_identifier for one in call.body.parameter]
        ids = self._systems.find(connection, asked, organisation)
        found = self._on_request.look(connection, ids, organisation=organisation, now=call.now)
        return fhir.answer([_told(*one) for one in zip(asked, found, strict=True)])


def _told(asked: FhirIdentifier, found: Known | Refused) -> OutParameter:
    parts = [Part("patientIdentifier", value_identifier=asked)]
    if isinstance(found, Known):
        status = REGISTERED if found.registered else status_of(emailed=found.emailed).value
        parts += [
            Part("registered", value_boolean=found.registered),
            Part("deceased", value_boolean=found.deceased),
            Part("status", value_code=status),
        ]
    else:
        parts.append(Part("diagnostics", value_string=_DIAGNOSTICS.get(found.refusal, "Cannot be opened")))
    if found.refusal is not None:
        parts.append(Part("reason", value_code=found.refusal.value))
    return OutParameter("patientStatus", parts)


_ANSWER: Final = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "patientStatus",
            "part": [
                {"name": "patientIdentifier", "valueIdentifier": {"system": fhir.NHS_NUMBER, "value": "9434765919"}},
                {"name": "registered", "valueBoolean": False},
                {"name": "deceased", "valueBoolean": False},
                {"name": "status", "valueCode": "NOT_INVITED_NOT_REGISTERED"},
            ],
        }
    ],
}
