"""An API key of GOV.UK Notify: its name, the service's id and the secret, joined by hyphens."""

from __future__ import annotations

import re
from typing import Final

_UUID: Final = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_KEY: Final = re.compile(rf"(?:.*-)?({_UUID})-({_UUID})").fullmatch


def is_api_key(text: str) -> bool:
    """Whether this can be an API key."""
    return _KEY(text) is not None


def parts_of(key: str) -> tuple[str, str]:
    """Give the service's id and the secret. Raises ValueError, which does not quote it, for what is no key."""
    found = _KEY(key)
    if found is None:
        raise ValueError("this is no API key of GOV.UK Notify")
    return found[1], found[2]
