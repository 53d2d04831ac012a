"""The way of one call: method, path, bearer, limit, body, then the work in one transaction, and the answer.

Who calls is known before the body is read, and everything about the call is judged before the transaction begins, so
that nothing is locked while somebody unknown sends slowly. All that blocks runs in the background
(:mod:`web.background`). Whatever fails inside is told outside as one of the troubles of :mod:`web.api.trouble`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from patient_records.errors import StorageConflict, StorageUnavailable
from patient_records.limits import Limit, Limits
from patient_records.unit_of_work import Database
from web.access import bearers
from web.access.clients import Client
from web.api import trouble
from web.api.operation import Call, Operation
from web.api.trouble import Trouble
from web.api.wire import FORM, Sent
from web.background import Background, TookTooLong
from web.body import BodyTooLarge, BodyTooSlow, read_body
from web.telemetry import RequestTelemetry

_TRIES: Final = 3
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)
_LONGEST_HEADER: Final = 1000
_PLACE: Final = re.compile(r" - at `(\$[A-Za-z0-9_.\[\]]*)`\Z")


class Desk(Struct, frozen=True):
    """What every entrance works with. ``limit`` is how many calls one client has in a window."""

    database: Database
    limits: Limits
    limit: Limit
    background: Background
    telemetry: RequestTelemetry


class Entrance:
    """One path, as an ASGI application: its operations by method. A GET has no HEAD beside it: it would issue pairs."""

    def __init__(self, operations: Sequence[Operation], desk: Desk) -> None:
        self._operations = {operation.method: operation for operation in operations}
        self._any = operations[0]
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        began = time.perf_counter()
        visit = _Visit(Request(scope, receive), self._operations.get(scope["method"]), self._desk)
        sent = await visit.answered(self._any, ", ".join(sorted(self._operations)))
        await sent.response()(scope, receive, send)
        method = scope["method"] if scope["method"] in self._operations else "other"
        client = visit.caller.client_id if visit.caller is not None else ""
        self._desk.telemetry.answered(self._any.path, method, sent.status, time.perf_counter() - began, client)


class _Visit:
    """One call on its way."""

    def __init__(self, request: Request, operation: Operation | None, desk: Desk) -> None:
        self._request = request
        self._operation = operation
        self._desk = desk
        self.caller: Client | None = None
        self._bearer = ""

    async def answered(self, sibling: Operation, allowed: str) -> Sent:
        operation = self._operation
        if operation is None:
            return sibling.errors.told(trouble.wrong_method(allowed))
        errors = operation.errors
        try:
            given = await self._given(operation)
        except Trouble as wrong:
            return errors.told(wrong)
        except (StorageUnavailable, StorageConflict, TookTooLong) as error:
            self._desk.telemetry.failed(sibling.path, error)
            return errors.told(trouble.busy())
        except Exception as error:  # noqa: BLE001 (the caller gets an answer, the log the fault)
            self._desk.telemetry.failed(sibling.path, error)
            return errors.told(trouble.our_fault())
        return errors.told(given) if isinstance(given, Trouble) else given

    async def _given(self, operation: Operation) -> Sent | Trouble:
        parts = self._request.path_params
        if operation.scopes:
            self.caller = await self._desk.background(partial(self._admitted, operation))
        for parameter in operation.parameters:
            if not parameter.accepts(parts[parameter.name]):
                raise parameter.otherwise()
        raw = await self._body(operation)
        return await self._desk.background(partial(self._worked, operation, parts, raw))

    # ---- who calls ---------------------------------------------------------------------------------------------------

    def _admitted(self, operation: Operation) -> Client:
        """The caller, when the bearer is good, its scope will do and its window has room; else raises Trouble."""
        found = _BEARER.fullmatch(self._authorization)
        if found is None:
            raise trouble.no_bearer()
        desk = self._desk
        with desk.database.read() as connection:
            now = desk.database.now(connection)
            caller = bearers.holder(connection, found[1], now)
            if caller is None:
                raise trouble.no_bearer()
            self.caller, self._bearer = caller, found[1]
            if caller.scope not in operation.scopes:
                raise trouble.wrong_scope()
            exceeded = desk.limits.exceeded(connection, desk.limit, caller.client_id, now)
        if exceeded is not None:
            raise trouble.too_many(exceeded.retry_after)
        return caller

    @property
    def _authorization(self) -> str:
        """The header, or what no scheme looks like where there are two: nobody could say which counts."""
        given = self._request.headers.getlist("authorization")
        usable = len(given) <= 1 and all(len(one) <= _LONGEST_HEADER for one in given)
        return "".join(given) if usable else "?"

    # ---- what is sent ------------------------------------------------------------------------------------------------

    async def _body(self, operation: Operation) -> bytes:
        if operation.body is None:
            return b""
        kind, _, parameters = self._request.headers.get("content-type", "").partition(";")
        if kind.strip().lower() not in operation.body.content_types or not _is_utf8(parameters):
            raise trouble.wrong_type(operation.body.content_types[0])
        try:
            return await read_body(self._request, operation.body.most)
        except BodyTooLarge:
            raise trouble.too_large(operation.body.most) from None
        except BodyTooSlow:
            raise trouble.too_slow() from None

    # ---- the work ----------------------------------------------------------------------------------------------------

    def _worked(self, operation: Operation, parts: Mapping[str, str], raw: bytes) -> Sent | Trouble:
        body = decoded(raw, operation)
        for _ in range(_TRIES):
            try:
                return self._once(operation, parts, body)
            except StorageConflict:
                continue
        raise StorageConflict("again")

    def _once(self, operation: Operation, parts: Mapping[str, str], body: Any) -> Sent | Trouble:
        database = self._desk.database
        if operation.screen is not None:
            with database.read() as connection:
                seen = Call(self.caller, parts, body, self._authorization, database.now(connection))
                turned_away = operation.screen(connection, seen)
            if turned_away is not None:
                return turned_away
        with database.begin() as connection:
            now = database.now(connection)
            if self.caller is not None:
                # Again: who was admitted may have sent the body slowly, and was revoked meanwhile.
                if bearers.holder(connection, self._bearer, now) is None:
                    raise trouble.no_bearer()
                exceeded = self._desk.limits.take(connection, self._desk.limit, self.caller.client_id, now)
                if exceeded is not None:
                    raise trouble.too_many(exceeded.retry_after)
            call = Call(self.caller, parts, body, self._authorization, now)
            if operation.writes:
                return operation.work(connection, call)
            if operation.note is not None:
                operation.note(connection, call)
        with database.read() as connection:
            return operation.work(connection, call)


def decoded(raw: bytes, operation: Operation) -> Any:
    """Read a body as its declaration says; raises Trouble, which names the place and nothing that stood there."""
    if operation.body is None:
        return None
    try:
        if operation.body.content_types == (FORM,):
            return msgspec.convert(_form(raw), operation.body.model)
        return msgspec.json.decode(raw, type=operation.body.model)
    except msgspec.MsgspecError as error:
        found = _PLACE.search(str(error))
        raise trouble.wrong_body(found[1] if found else "") from None
    except RecursionError:  # brackets in brackets in brackets
        raise trouble.wrong_body("") from None


def _form(raw: bytes) -> dict[str, str]:
    """Read a form. A name twice is a fault (RFC 6749, 3.2), an empty value is as good as none (3.2 likewise)."""
    try:
        pairs = parse_qsl(raw.decode("utf-8"), keep_blank_values=True, strict_parsing=bool(raw), max_num_fields=50)
    except ValueError:
        raise trouble.wrong_body("") from None
    if len({name for name, _ in pairs}) < len(pairs):
        raise trouble.wrong_body("")
    return {name: value for name, value in pairs if value}


def _is_utf8(parameters: str) -> bool:
    found = re.search(r"charset\s*=\s*\"?([^\";\s]+)", parameters, re.IGNORECASE)
    return found is None or found[1].lower() in {"utf-8", "utf8"}
