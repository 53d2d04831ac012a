"""What can be wrong with a call, as its caller is told: a status, a code, a sentence; never what is inside (SPEC 7)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from invites.refusal import Refusal

CHALLENGE: Final = 'Bearer realm="doorstep"'
"""What every 401 says of how to come back (RFC 9110, 11.6.1)."""


class Trouble(Exception):
    """A call that gets no answer of its own. ``where`` is a FHIRPath or JSON path into the body that was sent."""

    def __init__(
        self,
        status: int,
        code: str,
        sentence: str,
        headers: Mapping[str, str] = MappingProxyType({}),
        where: str = "",
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.sentence = sentence
        self.headers = headers
        self.where = where


def no_bearer() -> Trouble:
    """No bearer, or one that is unknown, expired or revoked: which of these is nobody's business."""
    headers = {"www-authenticate": f'{CHALLENGE}, error="invalid_token"'}
    return Trouble(401, "auth.token", "A valid bearer is needed: ask POST /oauth/token for one", headers)


def wrong_scope() -> Trouble:
    """The caller is known and may not do this."""
    headers = {"www-authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="system coordinator"'}
    return Trouble(403, "auth.scope", "Only System Clients and Team Coordinators may do this", headers)


def too_many(retry_after: int) -> Trouble:
    """The caller's window is full."""
    return Trouble(429, "rate.limit", "Too many requests", {"retry-after": str(retry_after)})


def refused(refusal: Refusal) -> Trouble:
    """No pair for this person."""
    status = _STATUSES.get(refusal, 400)
    headers = {"www-authenticate": CHALLENGE} if status == 401 else {}  # noqa: PLR2004 (as the RFC asks)
    return Trouble(status, refusal.value, refusal.sentence, headers)


_STATUSES: Final = {Refusal.NOT_FOUND: 404, Refusal.ORGANISATION: 401, Refusal.DOES_NOT_OPEN: 500}


def no_such_path() -> Trouble:
    """Nothing lives there."""
    return Trouble(404, "request.path", "There is no such path: /docs shows all of them")


def wrong_method(allowed: str) -> Trouble:
    """The path is right."""
    return Trouble(405, "request.method", f"This path takes {allowed}", {"allow": allowed})


def too_large(most: int) -> Trouble:
    """The body is too long."""
    return Trouble(413, "request.size", f"The body may have {most} bytes", {"connection": "close"})


def too_slow() -> Trouble:
    """The body did not come in time."""
    return Trouble(408, "request.time", "The body did not come in time", {"connection": "close"})


def wrong_type(wanted: str) -> Trouble:
    """The body is of another kind."""
    return Trouble(415, "request.type", f"The body must be {wanted}")


def wrong_body(where: str) -> Trouble:
    """The body is not as described. ``where`` is a path of ours into it; nothing that was sent is repeated."""
    sentence = "The body is not as /openapi.json describes it"
    return Trouble(400, "request.body", f"{sentence}, at {where}" if where else sentence, where=where)


def busy() -> Trouble:
    """Storage or time is short: the same call may succeed later. A pair may have been issued; that harms nobody."""
    return Trouble(503, "service.unavailable", "The service is busy: try again", {"retry-after": "5"})


def our_fault() -> Trouble:
    """Something is wrong with doorstep; its log says what."""
    return Trouble(500, "service.error", "Something is wrong with this service")
