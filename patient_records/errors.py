"""What can go wrong with records, named by what to do next."""

from __future__ import annotations


class RecordsError(Exception):
    """Base of all errors of this package. Its text carries codes, never content."""


class StorageUnavailable(RecordsError):
    """The database could not do it now (gone, full, locked): nothing was committed; try again later."""

    def __init__(self, code: str) -> None:
        """Keep the driver's class name or SQLSTATE as ``code``: the driver's own text may hold parameters."""
        super().__init__(f"storage unavailable ({code})")
        self.code = code


class StorageConflict(RecordsError):
    """Somebody else changed the same rows at the same time: nothing was committed; do the whole transaction again."""

    def __init__(self, code: str) -> None:
        """Keep the driver's class name or SQLSTATE as ``code``."""
        super().__init__(f"storage conflict ({code})")
        self.code = code


class StorageRefused(RecordsError):
    """The database will not take this content, now or later: nothing was committed; doing it again changes nothing."""

    def __init__(self, code: str) -> None:
        """Keep the driver's class name or SQLSTATE as ``code``."""
        super().__init__(f"storage refused this content ({code})")
        self.code = code


class KeyFault(RecordsError):
    """A key is missing, wrong or badly kept. The text names key ids and what to do, never a key."""


class SealBroken(RecordsError):
    """Sealed bytes do not open: another key, another row or version, or they were changed."""

    def __init__(self, table: str) -> None:
        """Name the table; the row is in the caller's hands."""
        super().__init__(f"a sealed value of {table} does not open")
        self.table = table


class SchemaBehind(RecordsError):
    """The database is behind the program (or ahead of it)."""
