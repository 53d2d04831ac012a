"""A request to a provider and its answer, as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct

from patient_records.model import Masked


class Ask(Masked, Struct, frozen=True):
    """A request to be made; its URL and headers may hold secrets and codes, so nothing of it is shown."""

    method: str
    url: str
    headers: Mapping[str, str] = MappingProxyType({})
    content: bytes = b""


class Reply(Masked, Struct, frozen=True):
    """An answer: header names in lower case, and the body, which may quote the request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError):
            return None

    @property
    def retry_after(self) -> int | None:
        """Seconds of the header Retry-After (RFC 9110, 10.2.3), where it gives seconds."""
        said = self.headers.get("retry-after", "")
        return int(said) if said.isascii() and said.isdigit() and len(said) < 7 else None  # noqa: PLR2004 (12 days)
