"""Forms: read within limits, and believed only when they come from a page of ours (no cross-site request forgery).

Two guards, either of which would do. **Where it comes from**: a browser says so in ``Sec-Fetch-Site`` and ``Origin``,
and what comes from elsewhere is refused. **The token**: each form carries an HMAC under a random value in a cookie of
its own; a page elsewhere can neither read that cookie nor plant one (:mod:`web.pages.cookies`). The value stands for a
browser, not for a person, so that a form works before anybody logged in, and in two tabs at once; a login changes it.

Source: OWASP Cross-Site Request Forgery Prevention (signed double-submit cookie, fetch metadata).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from patient_records.model import Masked
from web.pages.cookies import Cookie

FIELD: Final = "form_token"
COOKIE: Final = "doorstep-form"

_SECRET_BYTES: Final = 32
_MOST_FIELDS: Final = 40
_FORM: Final = "application/x-www-form-urlencoded"


class StaleForm(HTTPException):
    """The form is from elsewhere, or so old that its cookie is gone: the person gets a fresh one (403)."""

    def __init__(self) -> None:
        super().__init__(403)


class Form(Masked):
    """The fields of a submitted form, each at most once."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields

    def text(self, name: str, longest: int = 200) -> str:
        """Give a field without its outer blanks, cut to ``longest``; empty when it was not sent."""
        return self._fields.get(name, "").strip()[:longest]

    def secret(self, name: str, longest: int = 1024) -> str:
        """Give a field as it was typed, blanks and all: a password."""
        return self._fields.get(name, "")[:longest]

    def pressed(self, name: str) -> bool:
        """Whether the form was sent by the button (or with the ticked box) of that name."""
        return name in self._fields


class FormGuard:
    """Gives pages their form tokens and reads what comes back."""

    def __init__(self, *, secure: bool, name: str = COOKIE) -> None:
        self._cookie = Cookie(name, secure=secure)

    def token(self, request: Request) -> str:
        """Give the token for the forms of the page that is being made; the same for all of one request."""
        return _token(self._value(request))

    def keep(self, request: Request, response: Response) -> None:
        """Have the browser keep the cookie of the token that the page carries."""
        if getattr(request.state, "form_cookie", None) not in {None, self._cookie.read(request)}:
            self._cookie.write(response, request.state.form_cookie)

    def renew(self, request: Request) -> None:
        """Begin anew, at a login: no form from before it works after it."""
        request.state.form_cookie = secrets.token_urlsafe(_SECRET_BYTES)

    async def read(self, request: Request) -> Form:
        """Read a form that a page of ours sent. Raises :class:`StaleForm`, or HTTPException 400 or 415."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            raise HTTPException(415)
        if _from_elsewhere(request):
            raise StaleForm
        async with request.form(max_fields=_MOST_FIELDS, max_files=0) as given:
            fields = _texts(given)
        value = self._cookie.read(request)
        if value is None or not hmac.compare_digest(_token(value).encode(), fields.get(FIELD, "").encode()):
            raise StaleForm
        return Form(fields)

    def _value(self, request: Request) -> str:
        value = getattr(request.state, "form_cookie", None) or self._cookie.read(request)
        if value is None:
            value = secrets.token_urlsafe(_SECRET_BYTES)
        request.state.form_cookie = value
        return str(value)


def _token(value: str) -> str:
    return hmac.digest(value.encode(), b"doorstep form 1", "sha256").hex()


def _texts(given: FormData) -> dict[str, str]:
    """Each field once, and none with a NUL: nobody types one, and PostgreSQL fails on it."""
    fields = {name: value for name, value in given.multi_items() if isinstance(value, str)}
    if len(fields) < len(given.multi_items()) or any("\x00" in value for value in fields.values()):
        raise HTTPException(400)
    return fields


def _from_elsewhere(request: Request) -> bool:
    """Whether the browser says that another site's page sent this (Fetch Metadata; RFC 6454, 7)."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return True
    origin = request.headers.get("origin")
    if origin is None or origin == "null":  # what "Referrer-Policy: no-referrer" makes of it; the token decides then
        return False
    try:
        return urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()
    except ValueError:  # a bracket that opens and never closes: no browser's
        return True
