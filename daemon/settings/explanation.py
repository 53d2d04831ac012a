"""What a validator found, in words for somebody who writes TOML."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from pydantic_core import ErrorDetails

from daemon.settings.faults import Wrong

_PLAIN: Final = MappingProxyType(
    {
        "int_type": ("must be a whole number", "Write digits, without quotes"),
        "bool_type": ("must be true or false", "Write true or false, without quotes"),
        "string_type": ("must be text", 'Write it in quotes: "..."'),
        "tuple_type": ("must be a list", "Write [...] for values, and [[...]] above each of several tables"),
        "model_type": ("must be a table", "Write its name in [brackets] with the keys below it"),
        "too_short": ("must not be empty", "Name at least one"),
        "string_too_short": ("is too short", "Write {min_length} characters or more"),
        "string_too_long": ("is too long", "Write {max_length} characters or fewer"),
        "string_pattern_mismatch": ("has characters that cannot be in it", "Write what matches {pattern}"),
        "greater_than_equal": ("is too small", "Choose {ge} or more"),
        "less_than_equal": ("is too large", "Choose {le} or less"),
        "literal_error": ("is none of the choices", "Choose {expected}"),
    }
)
"""What pydantic's kinds of error mean to somebody who writes TOML; braces take the error's context."""


def explained(detail: ErrorDetails) -> tuple[str, str]:
    """Say what is wrong and how to mend it. Unknown keys are for the caller, who knows the names."""
    context = detail.get("ctx", {})
    error = context.get("error")
    if isinstance(error, Wrong):
        return error.wrong, error.mend
    wrong, mend = _PLAIN.get(detail["type"], ("is not right", detail["msg"]))
    return wrong, mend.format(**context)
