"""The shape in which the REST calls say that something is wrong (SPEC 7)."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from web.api.trouble import Trouble
from web.api.wire import JSON, Sent


class ErrorDetail(Struct, frozen=True, rename="camel"):
    """One thing that is wrong: a code for programs, and sentences for people."""

    error_code: Annotated[str, Meta(examples=["invitation.patient.status"])]
    messages: list[str]


class ErrorBody(Struct, frozen=True, rename="camel"):
    """What is wrong with the call. ``developerMessage`` is always null: nothing inside is ever told."""

    status_code: Annotated[int, Meta(ge=400, le=599)]
    error_message: str
    developer_message: None
    error_details: list[ErrorDetail]


def told(trouble: Trouble) -> Sent:
    """Tell it in this shape."""
    detail = ErrorDetail(trouble.code, [trouble.sentence])
    body = ErrorBody(trouble.status, trouble.sentence, None, [detail])
    return Sent(trouble.status, msgspec.json.encode(body), JSON, trouble.headers)


REGISTERED: Final = {
    "statusCode": 400,
    "errorMessage": "Registration already completed",
    "developerMessage": None,
    "errorDetails": [
        {"errorCode": "invitation.patient.status", "messages": ["Registration already completed"]},
    ],
}
"""The example of SPEC 7."""
