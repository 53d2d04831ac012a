"""``POST /oauth/token``: a bearer for a client that knows its secret (RFC 6749, 4.4, client credentials).

The client says who it is by HTTP Basic or in the form, never both (2.3.1). Errors have the RFC's own shape (5.2).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeAlias, get_args
from urllib.parse import unquote_plus

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import Connection

from patient_records.audit import AuditEntry, AuditTrail
from patient_records.audit_actions import Action
from patient_records.limits import Limit, Limits
from patient_records.model import Masked
from web.access import bearers, clients
from web.access.clients import Client, Scope
from web.api.operation import SMALL, Body, Call, ErrorShape, Operation, Told
from web.api.trouble import Trouble
from web.api.wire import FORM, JSON, Sent

GRANT: Final = "client_credentials"

INVALID_REQUEST: Final = "invalid_request"
INVALID_CLIENT: Final = "invalid_client"
INVALID_SCOPE: Final = "invalid_scope"
UNSUPPORTED_GRANT_TYPE: Final = "unsupported_grant_type"
SLOW_DOWN: Final = "slow_down"
TEMPORARILY_UNAVAILABLE: Final = "temporarily_unavailable"
SERVER_ERROR: Final = "server_error"

_OWN: Final = MappingProxyType(
    {"rate.limit": SLOW_DOWN, "service.unavailable": TEMPORARILY_UNAVAILABLE, "service.error": SERVER_ERROR}
)
"""What the RFC has no code for; 8.5 lets a server have its own. All other troubles are invalid requests."""


class TokenRequest(Masked, Struct, frozen=True):
    """The form. ``scope`` may be left out: it is the client's own then."""

    grant_type: Annotated[str, Meta(extra_json_schema={"enum": [GRANT]})]
    scope: Annotated[str, Meta(description="system, coordinator or status")] | UnsetType = UNSET
    client_id: Annotated[str, Meta(description="Where HTTP Basic is not used")] | UnsetType = UNSET
    client_secret: Annotated[str, Meta(description="Where HTTP Basic is not used")] | UnsetType = UNSET


class Bearer(Masked, Struct, frozen=True):
    """A bearer, to be sent as ``Authorization: Bearer ...``."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Meta(ge=1, le=600, description="Seconds")]
    scope: Scope


ErrorCode: TypeAlias = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_scope",
    "unsupported_grant_type",
    "slow_down",
    "temporarily_unavailable",
    "server_error",
]


class TokenError(Struct, frozen=True):
    """Why there is none."""

    error: ErrorCode
    error_description: str


def told(wrong: Trouble) -> Sent:
    """Tell a trouble in the RFC's shape."""
    code = wrong.code if wrong.code in get_args(ErrorCode) else _OWN.get(wrong.code, INVALID_REQUEST)
    body = msgspec.json.encode({"error": code, "error_description": wrong.sentence})
    return Sent(wrong.status, body, JSON, wrong.headers)


WRONG: Final = Limit("api.wrong_secrets", 10, timedelta(minutes=1))
"""Enough to see that somebody tries, too few to fill the trail."""

SHAPE: Final = ErrorShape(TokenError, JSON, told)


def _invalid_client() -> Trouble:
    headers = {"www-authenticate": 'Basic realm="doorstep", charset="UTF-8"'}
    return Trouble(401, INVALID_CLIENT, "Unknown client, wrong secret, or the client was revoked", headers)


class TokenEndpoint:
    """Gives bearers. ``limit`` is how many a client may ask for in a window.

    A wrong secret is written into the audit trail, :data:`WRONG` a minute of one client; what is more, and who asks
    for a client that there is not, is answered the same and writes nothing.
    """

    def __init__(self, limits: Limits, limit: Limit, trail: AuditTrail, random_bytes: Callable[[int], bytes]) -> None:
        self._limits = limits
        self._limit = limit
        self._trail = trail
        self._random_bytes = random_bytes

    def operation(self) -> Operation:
        """Its declaration."""
        return Operation(
            name="issueBearer",
            method="POST",
            path="/oauth/token",
            summary="Get a bearer",
            description=(
                "OAuth 2.0 client credentials (RFC 6749, 4.4). The client's id and secret come by HTTP Basic or in the "
                "form, never both. The bearer lives 600 seconds; ask for another when it ends."
            ),
            tag="Access",
            scopes=frozenset(),
            answers={
                200: Told("A bearer", Bearer, {**_EXAMPLE, "expires_in": 600, "scope": "system"}),
                401: Told("Unknown client, wrong secret, or revoked", TokenError, _ERROR),
            },
            screen=self._screen,
            work=self._work,
            writes=True,
            body=Body(TokenRequest, (FORM,), SMALL, {"grant_type": GRANT}, _ONCE),
            errors=SHAPE,
        )

    def _screen(self, connection: Connection, call: Call) -> Trouble | None:
        """Turn away whoever gets no bearer, unless that is to be written down."""
        client = _client(connection, call)
        if not isinstance(client, Trouble):
            return None
        known = self._named(connection, call, client)
        noted = known is None or self._limits.exceeded(connection, WRONG, known.client_id, call.now) is not None
        return client if noted else None

    def _work(self, connection: Connection, call: Call) -> Sent | Trouble:
        client = _client(connection, call)
        if isinstance(client, Trouble):
            known = self._named(connection, call, client)
            if known is not None and self._limits.take(connection, WRONG, known.client_id, call.now) is None:
                self._told(connection, call, known, Action.BEARER_REFUSED)
            return client
        exceeded = self._limits.take(connection, self._limit, client.client_id, call.now)
        if exceeded is not None:
            return Trouble(429, SLOW_DOWN, "Too many requests", {"retry-after": str(exceeded.retry_after)})
        self._told(connection, call, client, Action.BEARER_ISSUED)
        return self._bearer(connection, client, call)

    def _named(self, connection: Connection, call: Call, wrong: Trouble) -> Client | None:
        """The client that a call with a wrong secret names, if there is one."""
        if wrong.code != INVALID_CLIENT:
            return None
        client_id, _ = _credentials(call.authorization, call.body)
        return clients.find(connection, client_id)

    def _told(self, connection: Connection, call: Call, client: Client, action: Action) -> None:
        entry = AuditEntry(client.actor, action, client.organisation, detail={"client": client.client_id})
        self._trail.append(connection, [entry], call.now)

    def _bearer(self, connection: Connection, client: Client, call: Call) -> Sent:
        text = bearers.issue(connection, client, self._random_bytes, call.now)
        body = Bearer(text, "Bearer", int(bearers.LIFETIME.total_seconds()), client.scope)
        return Sent(200, msgspec.json.encode(body), JSON, {"pragma": "no-cache"})  # RFC 6749, 5.1


_ONCE: Final = {"TokenRequest": {"additionalProperties": {"type": "string"}}}
"""What a form has beside is ignored, but nothing may stand in it twice (RFC 6749, 3.2)."""

_EXAMPLE: Final = {"access_token": "dsb_...", "token_type": "Bearer"}
_ERROR: Final = {
    "error": INVALID_CLIENT,
    "error_description": "Unknown client, wrong secret, or the client was revoked",
}


def _client(connection: Connection, call: Call) -> Client | Trouble:
    """The client that asks, where it may have what it asks for."""
    form: TokenRequest = call.body
    client_id, secret = _credentials(call.authorization, form)
    if form.grant_type != GRANT:
        return Trouble(400, UNSUPPORTED_GRANT_TYPE, f"The grant_type must be {GRANT}")
    client = clients.authenticate(connection, client_id, secret)
    if client is None:
        return _invalid_client()
    if form.scope not in {UNSET, client.scope.value}:
        return Trouble(400, INVALID_SCOPE, "The client does not have this scope: leave it out")
    return client


def _credentials(authorization: str, form: TokenRequest) -> tuple[str, str]:
    """Client id and secret, from the one place where they are; raises Trouble for both or neither."""
    in_form = form.client_id is not UNSET or form.client_secret is not UNSET
    if authorization and in_form:
        raise Trouble(400, INVALID_REQUEST, "Give client id and secret by HTTP Basic or in the form, not both")
    if authorization:
        return _basic(authorization)
    if form.client_id is UNSET or form.client_secret is UNSET:
        raise _invalid_client()
    return form.client_id, form.client_secret


def _basic(authorization: str) -> tuple[str, str]:
    """Read the header: base64 of id and secret, each encoded as in a form first (RFC 6749, 2.3.1)."""
    scheme, _, coded = authorization.partition(" ")
    try:
        text = base64.b64decode(coded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise _invalid_client() from None
    client_id, colon, secret = text.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise _invalid_client()
    return unquote_plus(client_id), unquote_plus(secret)
