"""What every table of the configuration is: frozen, complete, and without a key that it does not know."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A table of the configuration: frozen, complete, and without a key that it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True, arbitrary_types_allowed=True
    )

    @model_validator(mode="before")
    @classmethod
    def _sections_present(cls, given: object) -> object:
        """Treat an absent table as an empty one, so that its defaults too are validated at the file's place."""
        if not isinstance(given, dict):
            return given
        tables = (name for name, field in cls.model_fields.items() if _is_section(field.annotation))
        return {**{name: {} for name in tables}, **given}


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)
