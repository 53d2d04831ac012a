"""One call of the API, declared: the same declaration is obeyed by the entrance and told by ``/openapi.json``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Connection

from patient_records.model import Masked
from web.access.clients import Client, Scope
from web.api import error_body
from web.api.error_body import ErrorBody
from web.api.trouble import Trouble
from web.api.wire import JSON, Sent

SMALL: Final = 16 << 10
"""Bytes of a body where little is said."""

ISSUERS: Final = frozenset({Scope.SYSTEM, Scope.COORDINATOR})
"""Who may have pairs issued (SPEC 7)."""

EVERYBODY: Final = frozenset(Scope)
"""Every client."""


class PathParameter(Struct, frozen=True):
    """A part of the path. What does not match ``pattern`` (whole) names nobody, and gets ``otherwise``."""

    name: str
    description: str
    pattern: str
    example: str
    otherwise: Callable[[], Trouble]

    def accepts(self, value: str) -> bool:
        """Whether it may be looked up at all."""
        return re.fullmatch(self.pattern, value) is not None


class Body(Struct, frozen=True):
    """What is sent: a msgspec type, in one of these content types, no longer than that.

    ``told`` is what its schema says beside what the type does, by the names of the schemas that it is laid over.
    """

    model: type
    content_types: tuple[str, ...]
    most: int
    example: Any
    told: Mapping[str, Any] = MappingProxyType({})


class Told(Struct, frozen=True):
    """One way to answer: what it means, its body's type, and an example of it."""

    meaning: str
    model: Any
    example: Any = None


class ErrorShape(Struct, frozen=True):
    """How a family of calls says that something is wrong."""

    model: Any
    content_type: str
    told: Callable[[Trouble], Sent]


class Call(Masked, Struct, frozen=True):
    """A call that got as far as the work: who calls, the parts of its path, its body decoded, and the time.

    ``authorization`` is that header as it came, for the one operation that is open to all: it asks for credentials.
    """

    caller: Client | None
    path: Mapping[str, str]
    body: Any
    authorization: str
    now: datetime

    @property
    def client(self) -> Client:
        """Who calls, where the operation has scopes: then nobody unknown gets as far as this."""
        if self.caller is None:
            raise AssertionError("an operation that is open to all has no caller")
        return self.caller


Work = Callable[[Connection, Call], "Sent | Trouble"]
"""Does the work in the caller's transaction, in a thread where blocking is allowed. What it gives is committed, a
refusal like any other answer; a Trouble that it raises undoes the transaction."""

REST: Final = ErrorShape(ErrorBody, JSON, error_body.told)


class Operation(Struct, frozen=True):
    """One method of one path.

    ``scopes`` are those who may call it; none at all: it is open, and asks for credentials itself. ``answers`` are told
    by status; those that every call may get (no bearer, too many, and so on) need not be among them. ``writes`` says in
    what kind of transaction ``work`` runs. ``screen`` has a look first, as a reader: whoever it turns away takes no
    writer's time. ``note`` is what is written down of a call whose work only reads, before it is done.
    """

    name: str
    method: str
    path: str
    summary: str
    description: str
    tag: str
    scopes: frozenset[Scope]
    answers: Mapping[int, Told]
    work: Work
    writes: bool
    screen: Callable[[Connection, Call], Trouble | None] | None = None
    note: Callable[[Connection, Call], None] | None = None
    parameters: tuple[PathParameter, ...] = ()
    body: Body | None = None
    content_type: str = JSON
    errors: ErrorShape = REST
