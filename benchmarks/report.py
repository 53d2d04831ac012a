"""Tables of measurements: the same rows for people and for programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import TypeAlias

from msgspec import Struct, to_builtins
from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.machine import Machine

Cell: TypeAlias = str | float | int | None
"""A value of a row; None is "does not apply" or "cannot be measured here"."""

Row: TypeAlias = dict[str, Cell]


class Column(Struct, frozen=True):
    """One column: its name in a row and in JSON, its heading, and how its numbers are written (a format spec).

    A heading may have several lines; text (no format) stands to the left.
    """

    key: str
    heading: str
    form: str = ""


class Table(Struct, frozen=True):
    """What one benchmark found. ``notes`` say what is needed to read it, its target included."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: list[Row]
    notes: tuple[str, ...] = ()


class Latencies(Struct, frozen=True):
    """The spread of a set of times, in seconds."""

    p50: float
    p99: float
    longest: float


def latencies(seconds: Sequence[float]) -> Latencies:
    """Sum up times by nearest rank; zeros for none."""
    ordered = sorted(seconds)
    if not ordered:
        return Latencies(0.0, 0.0, 0.0)
    return Latencies(_rank(ordered, 0.50), _rank(ordered, 0.99), ordered[-1])


def _rank(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def middle(values: Sequence[float | None]) -> float | None:
    """The median of what was measured; None where nothing was."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def ratio(value: float | None, reference: float | None) -> float | None:
    """So many times the reference; None where either is missing or nothing."""
    return value / reference if value is not None and reference else None


def scaled(value: float | None, factor: float) -> float | None:
    """A value in another unit; None stays None."""
    return None if value is None else value * factor


def show(table: Table, console: Console) -> None:
    """Print a table with its notes."""
    drawn = RichTable(title=table.title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for column in table.columns:
        drawn.add_column(column.heading, justify="right" if column.form else "left", no_wrap=True)
    for row in table.rows:
        drawn.add_row(*(_written(row.get(column.key), column.form) for column in table.columns))
    console.print(drawn)
    for note in table.notes:
        console.print(f"  {note}", style="dim", highlight=False, markup=False)


def _written(cell: Cell, form: str) -> str:
    if cell is None:
        return "-"
    return format(cell, form) if form and not isinstance(cell, str) else str(cell)


def as_data(machine: Machine, scale: str, tables: Sequence[Table]) -> dict[str, object]:
    """Everything of a run in plain values, for JSON."""
    kept = [{"name": t.name, "title": t.title, "rows": t.rows, "notes": list(t.notes)} for t in tables]
    return {"machine": to_builtins(machine), "scale": scale, "tables": kept}
