"""A CSV file as people have them: RFC 4180, UTF-8 with or without BOM or Windows-1252, read in one pass of rows.

What the file as a whole says is found out first (:func:`survey`): its charset, its columns, how many rows there are
and how its dates are written. Then :func:`rows_of` gives the rows with their line numbers, and :class:`Rejects` keeps
those that came to nothing, in the file's own columns and charset, with the reason behind them.
"""

from __future__ import annotations

import codecs
import csv
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from msgspec import Struct

from hl7_listener.csv_rows import DateForm, HeaderFault, columns_of, form_of
from patient_records.model import Masked

UTF_8: Final = "utf-8"
UTF_8_WITH_BOM: Final = "utf-8-sig"
WINDOWS: Final = "cp1252"
REASON: Final = "reason"
REJECTED: Final = ".rejected.csv"

_CHUNK: Final = 1 << 20
_LONGEST_FIELD: Final = 1 << 20
_DATE: Final = "date_of_birth"


class CsvFault(Exception):
    """A file that cannot be read as a whole; the text says what to do and holds nothing of a row."""


class Survey(Struct, frozen=True):
    """What the file as a whole says; ``columns`` are normal names, None for columns that are passed over."""

    charset: str
    header: tuple[str, ...]
    columns: tuple[str | None, ...]
    rows: int
    dates: DateForm


class Row(Masked, Struct, frozen=True):
    """One row: the line that it ends on, its values as they stand, and the same by normal column names."""

    line: int
    cells: tuple[str, ...]
    values: Mapping[str, str]

    @property
    def fits(self) -> bool:
        """Whether it has as many cells as the header has names."""
        return bool(self.values) or not self.cells


def survey(path: Path, dates: DateForm | None = None) -> Survey:
    """Read the file once through. ``dates`` is the form when the operator says it, else the first date does.

    Raises OSError when the file cannot be read, and CsvFault when it is no CSV file with the columns that it needs.
    """
    charset = _charset_of(path)
    with _opened(path, charset) as (reader, _):
        header = tuple(next(reader, ()))
        columns = _columns(header)
        position = columns.index(_DATE) if _DATE in columns else None
        count, first = 0, ""
        for cells in reader:
            count += bool(any(cells))
            if not first and position is not None and position < len(cells):
                first = cells[position].strip()
    return Survey(charset, header, columns, count, dates or _form(first))


def rows_of(path: Path, found: Survey) -> Iterator[Row]:
    """Give the rows in their order; blank ones are left out. Raises as :func:`survey` does."""
    with _opened(path, found.charset) as (reader, _):
        next(reader, None)
        for cells in reader:
            if not any(cells):
                continue
            fits = len(cells) == len(found.header)
            values = {name: cell for name, cell in zip(found.columns, cells, strict=True) if name} if fits else {}
            yield Row(reader.line_num, tuple(cells), values)


def _charset_of(path: Path) -> str:
    """UTF-8 when all of it is, else Windows-1252: no text of any length in that is UTF-8 by chance."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        marked = file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
        file.seek(0)
        try:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return WINDOWS
    return UTF_8_WITH_BOM if marked else UTF_8


def _columns(header: tuple[str, ...]) -> tuple[str | None, ...]:
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise CsvFault("the columns are not divided by commas (RFC 4180): save the file as comma-separated CSV")
    try:
        return columns_of(header)
    except HeaderFault as fault:
        raise CsvFault(str(fault)) from None


def _form(first: str) -> DateForm:
    try:
        return form_of(first) if first else DateForm.ISO
    except HeaderFault as fault:
        raise CsvFault(str(fault)) from None


@contextmanager
def _opened(path: Path, charset: str) -> Iterator[tuple[csv.Reader, TextIO]]:  # type: ignore[name-defined]
    csv.field_size_limit(_LONGEST_FIELD)
    with path.open(encoding=charset, errors="replace", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            yield reader, file
        except csv.Error as error:
            raise CsvFault(
                f"line {reader.line_num}: {error}: is a quotation mark open? "
                "A value with quotation marks, commas or line ends stands in quotation marks, its own doubled"
            ) from None


class Rejects:
    """``FILE.rejected.csv``: the rows that came to nothing, each with the reason; made with the first of them.

    It is written beside its place and renamed into it at the end, readable by its owner alone, for it has people in it.
    """

    def __init__(self, source: Path, found: Survey) -> None:
        self.path = source.with_name(source.name + REJECTED)
        self._partial = source.with_name(source.name + REJECTED + ".part")
        self._found = found
        self._file: TextIO | None = None
        self.count = 0

    def add(self, row: Row, reason: str) -> None:
        """Keep one row. Raises OSError when it cannot be written."""
        if self._file is None:
            self._partial.unlink(missing_ok=True)  # what lies there already is not ours: its mode, or where it leads
            descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._file = os.fdopen(descriptor, "w", encoding=self._found.charset, errors="replace", newline="")
            csv.writer(self._file).writerow([*self._found.header, REASON])
        width = len(self._found.header)
        cells = [*row.cells[:width], *[""] * (width - len(row.cells))]
        csv.writer(self._file).writerow([*cells, reason])
        self.count += 1

    def finish(self) -> Path | None:
        """Put the file in its place and give its path; without rejected rows, take an earlier one away."""
        if self._file is None:
            self.path.unlink(missing_ok=True)
            return None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.replace(self.path)
        return self.path

    def abandon(self) -> None:
        """Leave no half-written file behind."""
        if self._file is not None:
            self._file.close()
            self._partial.unlink(missing_ok=True)
