"""Cookies, each with every guard that the address allows.

Over TLS a name begins with ``__Host-``: the browser then takes the cookie only from this very host, over TLS, for all
its paths (RFC 6265bis, 4.1.3.2), so that no neighbour can plant one. Without TLS (a demo on the loopback) there is no
such name and no Secure. ``SameSite=Lax`` unless a face says otherwise, because patients come by a link in a mail.
"""

from __future__ import annotations

from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import Response

_LONGEST: Final = 512  # characters of a value; ours are shorter, so a longer one is nobody's


class Cookie:
    """One cookie of a face: its name there, and how to read and write it."""

    def __init__(
        self, name: str, *, secure: bool, max_age: int | None = None, same_site: Literal["lax", "strict"] = "lax"
    ) -> None:
        """``max_age`` in seconds; None: until the browser is closed."""
        self.name: Final = f"__Host-{name}" if secure else name
        self._secure = secure
        self._max_age = max_age
        self._same_site = same_site

    def read(self, request: Request) -> str | None:
        """Give the value that came with the request."""
        value = request.cookies.get(self.name)
        return value if value and len(value) <= _LONGEST else None

    def write(self, response: Response, value: str) -> None:
        """Have the browser keep this value."""
        response.set_cookie(
            self.name,
            value,
            max_age=self._max_age,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite=self._same_site,
        )

    def clear(self, response: Response) -> None:
        """Have the browser forget it."""
        response.delete_cookie(self.name, path="/", secure=self._secure, httponly=True, samesite=self._same_site)
