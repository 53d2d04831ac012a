"""FHIR R4 as far as it is spoken here: ``Parameters`` in and out, ``OperationOutcome`` when something is wrong.

(R4: https://hl7.org/fhir/R4/parameters.html, operationoutcome.html, http.html.) What a caller adds that nobody asked
for (``id``, ``meta``, extensions) is ignored.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from patient_records.model import Masked
from web.api.operation import Body, ErrorShape
from web.api.trouble import Trouble
from web.api.wire import FHIR_JSON, JSON, Sent, json

CONTENT_TYPES: Final = (FHIR_JSON, JSON)
"""What a body may call itself (R4, 3.1.0.1.9 allows the generic type)."""

LARGE: Final = 1 << 20
"""Bytes of a body: 5,000 identifiers are about 700,000."""

NHS_NUMBER: Final = "https://fhir.nhs.uk/Id/nhs-number"
CODES: Final = "urn:doorstep:error"
"""The code system of our error codes (SPEC 7's)."""


class FhirIdentifier(Masked, Struct, frozen=True):
    """A number that finds a patient, and the system that gave it."""

    system: Annotated[str, Meta(min_length=1, max_length=256, examples=[NHS_NUMBER])]
    value: Annotated[str, Meta(min_length=1, max_length=128, examples=["9434765919"])]


class PatientIdentifier(Masked, Struct, frozen=True, rename="camel"):
    """One patient that is asked for."""

    name: Literal["patientIdentifier"]
    value_identifier: FhirIdentifier


class Part(Masked, Struct, frozen=True, rename="camel", omit_defaults=True):
    """A part of an answer: a name, and one value."""

    name: str
    value_identifier: FhirIdentifier | UnsetType = UNSET
    value_string: str | UnsetType = UNSET
    value_code: str | UnsetType = UNSET
    value_boolean: bool | UnsetType = UNSET
    value_date_time: str | UnsetType = UNSET


class OutParameter(Masked, Struct, frozen=True):
    """The answer about one patient."""

    name: str
    part: list[Part]


class OutParameters(Masked, Struct, frozen=True, rename="camel"):
    """The answer: one parameter for each that was asked for, in their order."""

    resource_type: Literal["Parameters"]
    parameter: list[OutParameter]


class Coding(Struct, frozen=True):
    """One code of ours."""

    system: Literal["urn:doorstep:error"]
    code: str


class IssueDetails(Struct, frozen=True):
    """What is wrong, for programs and for people."""

    coding: list[Coding]
    text: str


class OutcomeIssue(Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong; ``expression`` is the FHIRPath of the place in what was sent."""

    severity: Literal["error", "fatal"]
    code: Annotated[str, Meta(description="http://hl7.org/fhir/issue-type")]
    details: IssueDetails
    expression: list[str] | UnsetType = UNSET


class OperationOutcome(Struct, frozen=True, rename="camel"):
    """What is wrong with the call."""

    resource_type: Literal["OperationOutcome"]
    issue: list[OutcomeIssue]


_ISSUE_TYPES: Final = MappingProxyType(
    {
        400: "invalid",
        401: "login",
        403: "forbidden",
        404: "not-found",
        405: "not-supported",
        408: "timeout",
        413: "too-long",
        415: "not-supported",
        429: "throttled",
        503: "transient",
    }
)
"""Codes of http://hl7.org/fhir/issue-type, by status."""

_BY_CODE: Final = MappingProxyType({"request.body": "structure", "request.system": "not-supported"})


def told(wrong: Trouble) -> Sent:
    """Tell a trouble as an OperationOutcome."""
    kind = _BY_CODE.get(wrong.code) or _ISSUE_TYPES.get(wrong.status, "exception")
    details = IssueDetails([Coding(CODES, wrong.code)], wrong.sentence)
    place = wrong.where.replace("$", "Parameters", 1).replace("[...]", "")
    issue = OutcomeIssue("error", kind, details, [place] if place else UNSET)
    return Sent(
        wrong.status, msgspec.json.encode(OperationOutcome("OperationOutcome", [issue])), FHIR_JSON, wrong.headers
    )


_ASKED: Final = {
    "resourceType": "Parameters",
    "parameter": [{"name": "patientIdentifier", "valueIdentifier": {"system": NHS_NUMBER, "value": "9434765919"}}],
}
"""An example of a request."""

SHAPE: Final = ErrorShape(OperationOutcome, FHIR_JSON, told)


def asking(model: type, systems: list[str]) -> Body:
    """The declared body of a call that asks about patients: ``model``, whose identifiers are of these systems alone."""
    return Body(model, CONTENT_TYPES, LARGE, _ASKED, {"FhirIdentifier": {"properties": {"system": {"enum": systems}}}})


def answer(about: list[OutParameter]) -> Sent:
    """The answer about everybody who was asked for."""
    return json(OutParameters("Parameters", about), content_type=FHIR_JSON)


def date_time(at: datetime) -> str:
    """A dateTime, in UTC and whole seconds: cut, so that it is never later than what it tells."""
    return at.astimezone(UTC).isoformat(timespec="seconds")
