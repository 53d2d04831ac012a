"""What the fake providers accepted: one JSON object a line, written before the answer goes out."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct


class Acceptance(Struct, frozen=True, omit_defaults=True):
    """One message that a fake provider took responsibility for.

    ``reference`` is the sender's (an email's is the left hand of its Message-ID), ``id`` the provider's own name for
    it, ``kept`` false for a repeat that the provider recognised and did not send again.
    """

    provider: str
    channel: str
    reference: str
    to: str
    id: str
    at: datetime
    message: str = ""
    kept: bool = True


class Ledger:
    """Acceptances in the order in which they came, in memory and, if there is a file, in that."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file.open("ab", buffering=0) if file else None
        self._writing = threading.Lock()
        self._encode = msgspec.json.Encoder().encode
        self.entries: list[Acceptance] = []

    def add(self, provider: str, channel: str, reference: str, to: str, message: str, *, kept: bool = True) -> str:
        """Write an acceptance down; gives the id that it has from now on."""
        with self._writing:
            entry = Acceptance(
                provider=provider,
                channel=channel,
                reference=reference,
                to=to,
                id=f"{provider}-{len(self.entries) + 1:08}",
                at=datetime.now(UTC),
                message=message,
                kept=kept,
            )
            self.entries.append(entry)
            if self._file is not None:
                self._file.write(self._encode(entry) + b"\n")
        return entry.id

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
