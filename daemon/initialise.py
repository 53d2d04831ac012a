"""What ``doorstep init`` writes, apart from the keys: a configuration to start from. It never overwrites."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from daemon.reference_files import reference_configuration
from daemon.settings.document import DEFAULT_NAME

READABLE: Final = 0o644
"""It holds no secret itself ({file = ...} and {env = ...} point to them): others may read it, umask permitting."""


class AlreadyThere(FileExistsError):
    """A file that ``init`` would write exists; its text says what to do."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            f"{file} exists and is left as it is: name another folder (doorstep init DIR), or move that file away first"
        )
        self.file = file


def initialise(directory: Path) -> tuple[Path, ...]:
    """Write the commented configuration into a folder, which is made if need be, and give the files written.

    Raise :class:`AlreadyThere` if there is one, and OSError if the folder cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    return (_write_new(directory / DEFAULT_NAME, reference_configuration()),)


def _write_new(file: Path, text: str) -> Path:
    """Create a file, all or nothing. O_EXCL decides who was first, and follows no link that lies in wait."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, READABLE)
    except FileExistsError:
        raise AlreadyThere(file) from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        file.unlink(missing_ok=True)
        raise
    return file
