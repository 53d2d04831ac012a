"""An answer as it goes out: status, body, content type, headers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Struct
from starlette.responses import Response

from patient_records.model import Masked
from web.headers import plain_headers

JSON: Final = "application/json"
FHIR_JSON: Final = "application/fhir+json"
FORM: Final = "application/x-www-form-urlencoded"

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Sent(Masked, Struct, frozen=True):
    """One answer. It may hold a pair or a bearer, so its ``repr`` shows nothing."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = NO_HEADERS

    def response(self) -> Response:
        """The answer for Starlette, never to be kept by anybody on its way (``no-store``)."""
        headers = {**plain_headers(), "content-type": self.content_type, **self.headers}
        return Response(self.body, self.status, headers=headers)


def json(body: Any, status: int = 200, content_type: str = JSON) -> Sent:
    """An answer with this value as its JSON."""
    return Sent(status, msgspec.json.encode(body), content_type)
