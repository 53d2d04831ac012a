"""Who checks a message: the checking process, or a stand-in. Declared by those who have messages checked."""

from __future__ import annotations

from typing import Protocol

from hl7_listener.finding import Finding


class Checker(Protocol):
    """Checks messages, one at a time."""

    starts: int

    def check(self, raw: bytes, charset: str, profiles: tuple[str, ...] = ()) -> tuple[Finding, ...]:
        """Check one message, also by those of the profiles (paths) that are for it. Raises CheckFailed."""
        ...

    def end(self) -> None:
        """Make the check under way and all later ones fail; called from another thread."""
        ...

    def close(self) -> None:
        """Let go of everything; called from the checking thread."""
        ...
