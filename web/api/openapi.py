"""The API's description (OpenAPI 3.1), made from the very declarations that the entrance obeys; ``/openapi.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from web.access.clients import Scope
from web.api.operation import Operation, PathParameter, Told
from web.api.wire import JSON
from web.headers import plain_headers

PATH: Final = "/openapi.json"

_REF: Final = "#/components/schemas/{name}"

_INTRODUCTION: Final = """\
How a hospital's systems ask for record access tokens: pairs of codes with which, and with their date of birth,
patients register. Get a bearer from POST /oauth/token first; it lives 600 seconds. Rights are those of the client's
organisation. No answer may be kept by anybody on its way (Cache-Control: no-store)."""

_ALWAYS: Final = {
    429: "Too many requests: Retry-After says when to come again",
    500: "Something is wrong with this service",
    503: "The service is busy: try again",
}
_WITH_BEARER: Final = {401: "No bearer, or one that is unknown, expired or revoked"}
_WITH_SCOPE: Final = {403: "Neither a System Client nor a Team Coordinator"}
_WITH_BODY: Final = {
    400: "The body is not as described here",
    408: "The body did not come in time",
    413: "The body is too long",
    415: "The body is of another type",
}


def describe(declared: Sequence[Operation]) -> dict[str, Any]:
    """The whole description, as it is served."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in declared:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "doorstep",
            "version": version("doorstep"),
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in declared)],
        "paths": paths,
        "components": {"schemas": _schemas(declared), "securitySchemes": _SECURITY},
    }


def route(declared: Sequence[Operation]) -> Route:
    """The route that serves it. It needs no bearer: it tells nothing of anybody."""
    body = msgspec.json.format(msgspec.json.encode(describe(declared)), indent=1)
    headers = {**plain_headers(), "content-type": JSON}

    async def openapi(_request: Request) -> Response:
        return Response(body, headers=headers)

    return Route(PATH, openapi)


_SECURITY: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "From POST /oauth/token"},
    "client": {"type": "http", "scheme": "basic", "description": "The client's id and secret"},
}


def _operation(operation: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "security": [{"bearer": []}] if operation.scopes else [{"client": []}, {}],
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        content = {"schema": _schema(operation.body.model), "example": operation.body.example}
        kinds = operation.body.content_types
        told["requestBody"] = {"required": True, "content": dict.fromkeys(kinds, content)}
    return told


def _parameter(parameter: PathParameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "path",
        "required": True,
        "description": parameter.description,
        "schema": {"type": "string", "pattern": f"^{parameter.pattern}$"},
        "example": parameter.example,
    }


def _responses(operation: Operation) -> dict[str, Any]:
    """What is declared, and what every call of its kind may get."""
    common = dict(_ALWAYS)
    if operation.scopes:
        common |= _WITH_BEARER
    if operation.scopes and operation.scopes != frozenset(Scope):
        common |= _WITH_SCOPE
    if operation.body is not None:
        common |= _WITH_BODY
    wrong = {status: Told(meaning, operation.errors.model) for status, meaning in common.items()}
    answers = {**wrong, **operation.answers}
    return {str(status): _response(operation, status, answers[status]) for status in sorted(answers)}


def _response(operation: Operation, status: int, told: Told) -> dict[str, Any]:
    kind = operation.content_type if status == 200 else operation.errors.content_type  # noqa: PLR2004 (200)
    content: dict[str, Any] = {"schema": _schema(told.model)}
    if told.example is not None:
        content["example"] = told.example
    return {"description": told.meaning, "headers": _headers(status), "content": {kind: content}}


def _headers(status: int) -> dict[str, Any]:
    text = {"type": "string"}
    headers: dict[str, Any] = {"Cache-Control": {"required": True, "schema": {"const": "no-store"}}}
    if status in {401, 403}:
        headers["WWW-Authenticate"] = {"required": True, "schema": text}
    if status in {429, 503}:
        headers["Retry-After"] = {"required": True, "description": "Seconds", "schema": {"type": "integer"}}
    return headers


def _schema(model: Any) -> dict[str, Any]:
    [schema], _ = msgspec.json.schema_components([model], ref_template=_REF)
    return schema


def _schemas(declared: Sequence[Operation]) -> dict[str, Any]:
    models: dict[Any, None] = {}
    for operation in declared:
        models[operation.errors.model] = None
        models.update(dict.fromkeys(told.model for told in operation.answers.values()))
        if operation.body is not None:
            models[operation.body.model] = None
    _, components = msgspec.json.schema_components(list(models), ref_template=_REF)
    for operation in declared:
        if operation.body is not None:
            _lay_over(components, operation.body.told)
    return components


def _lay_over(table: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add to a table of tables what another has, all the way down."""
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(table.get(key), dict):
            _lay_over(table[key], value)
        else:
            table[key] = value
