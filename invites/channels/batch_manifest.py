"""What a batch of letters says of itself: ``manifest.csv``, a row for each letter, and ``batch.json``, the sums.

Two kinds of letter, by what was rendered. A **PDF** stays a file of its own, and its row has the file's name, size,
pages and SHA-256. A letter of **fields** (a mail house that merges them into its own stationery) becomes a row, with
the address, the codes and everything else that is printed; its file goes when the row is on the disk. That manifest is
in clear by its nature (docs/threat-model.md).

Every row has its number and how many there are, so that half a manifest is not read as a whole one. RFC 4180, UTF-8,
CRLF; rows are sorted by reference, which is random, so their order tells nothing.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from invites.channels.durable_folder import PART, write_durably
from patient_records.model import Masked

MANIFEST: Final = "manifest.csv"
SUMS: Final = "batch.json"
PDF: Final = ".pdf"
FIELDS: Final = ".fields"

LINES: Final = 7
"""Address lines that a row has columns for (GOV.UK Notify, notifications_utils/postal_address.py: MAX_LINES)."""

_COUNTED: Final = ("number", "of", "reference")
_PDF_COLUMNS: Final = ("file", "sha256", "bytes", "pages")
_PAGES: Final = re.compile(rb"/Type\s*/Pages\s*/Count (\d+)")


class LetterFields(Masked, Struct, frozen=True):
    """What a mail house prints, in the columns of its row; ``address`` are the envelope's lines, the name first."""

    address: tuple[str, ...]
    name: str
    purpose: str
    language: str
    large_print: bool
    hospital: str
    contact: str
    invitation_code: str
    token: str
    join_page: str
    join_link: str
    expires_on: str
    expires: str


_FIELD_COLUMNS: Final = (
    *[f"address_line_{line}" for line in range(1, LINES + 1)],
    *[name for name in LetterFields.__struct_fields__ if name != "address"],
)


class BatchSums(Struct, frozen=True):
    """``batch.json``: the batch's name, when it was made, and what must be found in it."""

    batch: str
    made_at: datetime
    letters: int
    pages: int
    bytes: int
    manifest: str
    manifest_sha256: str


def encode_fields(fields: LetterFields) -> bytes:
    """Give a letter's fields as they are kept until its batch is closed."""
    return msgspec.json.encode(fields)


def kind_of(body: bytes) -> str | None:
    """Say by which ending a letter's content is kept: ``.pdf``, ``.fields``, or None when it is neither."""
    if body.startswith(b"%PDF-"):
        return PDF
    return FIELDS if body.startswith(b"{") else None


def write_manifest(folder: Path) -> None:
    """Write the manifest of the letters in a folder, unless it has one. Raises OSError.

    PDFs and fields have columns of their own; a folder with both has both, and each row fills its own.
    """
    if (folder / MANIFEST).exists():
        return
    names = sorted(path.name for path in folder.iterdir() if path.suffix in {PDF, FIELDS})
    kinds = {Path(name).suffix for name in names}
    columns = [
        *_COUNTED,
        *(_PDF_COLUMNS if PDF in kinds else ()),
        *(_FIELD_COLUMNS if FIELDS in kinds else ()),
    ]
    part = folder / f".{MANIFEST}{PART}"
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, columns, restval="")
        rows.writeheader()
        for number, name in enumerate(names, 1):
            counted = {"number": number, "of": len(names), "reference": Path(name).stem}
            rows.writerow({**counted, **_row(folder / name)})
        file.flush()
        os.fsync(file.fileno())
    part.rename(folder / MANIFEST)


def write_sums(folder: Path, batch: str, made_at: datetime) -> BatchSums:
    """Write ``batch.json`` beside a manifest and give what it says. Raises OSError."""
    letters = pages = size = 0
    for row in _rows(folder):
        letters += 1
        pages += int(row.get("pages") or 0)
        size += int(row.get("bytes") or 0)
    with (folder / MANIFEST).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    sums = BatchSums(batch, made_at, letters, pages, size, MANIFEST, digest)
    (folder / SUMS).unlink(missing_ok=True)
    write_durably(folder / SUMS, msgspec.json.format(msgspec.json.encode(sums)) + b"\n")
    return sums


def references(folder: Path) -> Iterator[str]:
    """Give the reference of every letter in a folder's manifest. Raises OSError."""
    return (row["reference"] for row in _rows(folder))


def page_count(pdf: bytes) -> int | None:
    """Count a PDF's pages: typst writes the page tree in clear, any other is read; None when it cannot be."""
    found = _PAGES.search(pdf)
    if found:
        return int(found[1])
    import pypdf  # noqa: PLC0415 (seldom, and half a second to load)

    try:
        return len(pypdf.PdfReader(io.BytesIO(pdf), strict=True).pages)
    except (pypdf.errors.PyPdfError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _row(path: Path) -> dict[str, object]:
    content = path.read_bytes()
    if path.suffix == PDF:
        digest = hashlib.sha256(content).hexdigest()
        return {"file": path.name, "sha256": digest, "bytes": len(content), "pages": page_count(content)}
    fields = msgspec.json.decode(content, type=LetterFields)
    lines = {f"address_line_{number}": line for number, line in enumerate(fields.address, 1)}
    others = {name: getattr(fields, name) for name in _FIELD_COLUMNS[LINES:]}
    return {**lines, **others, "large_print": "yes" if fields.large_print else "no"}


def _rows(folder: Path) -> Iterator[dict[str, str]]:
    with (folder / MANIFEST).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
