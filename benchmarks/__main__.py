"""``python -m benchmarks``: run the benchmarks by name, print their tables, keep their numbers as JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from msgspec.structs import replace
from rich.console import Console

from benchmarks import (
    dispatch,
    durable_ingest,
    faked_providers,
    fhir_operations,
    find_eligible,
    fsync_rate,
    issue_invitations,
    letter_batch,
    reading,
    single,
    start,
    wrong_answers,
)
from benchmarks.machine import describe
from benchmarks.report import Table, as_data, show
from benchmarks.scale import FULL, QUICK, Scale
from benchmarks.workbench import POSTGRESQL, SQLITE, Workbench, disk_folder

BENCHMARKS: Final[dict[str, Callable[[Workbench], Table]]] = {
    "fsync_rate": fsync_rate.run,
    "reading": reading.run,
    "start": start.run,
    "single": single.run,
    "durable_ingest": durable_ingest.run,
    "issue_invitations": issue_invitations.run,
    "find_eligible": find_eligible.run,
    "dispatch": dispatch.run,
    "faked_providers": faked_providers.run,
    "letter_batch": letter_batch.run,
    "wrong_answers": wrong_answers.run,
    "fhir_operations": fhir_operations.run,
}

_WIDTH: Final = 210
_DATABASES: Final = {"sqlite": SQLITE, "postgresql": POSTGRESQL}


class _Names(click.ParamType[str]):
    """One of the benchmarks' names."""

    name = "name"

    def convert(self, value: Any, _param: click.Parameter | None, _context: click.Context | None) -> str:
        if value not in BENCHMARKS:
            self.fail(f"there is no benchmark {value}; there are {', '.join(BENCHMARKS)}")
        return str(value)


@click.command(epilog="Example: python -m benchmarks durable_ingest --connections 1,8,32,128 --json ingest.json")
@click.argument("names", nargs=-1, type=_Names())
@click.option("--quick", is_flag=True, help="A quick look: small numbers, one round.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all numbers there.")
@click.option("--database", type=click.Choice([*_DATABASES, "both"]), default="both", show_default=True)
@click.option("--folder", type=click.Path(file_okay=False, exists=True, path_type=Path), help="A folder on a disk.")
@click.option("--connections", help="For durable_ingest, such as 1,8,32,128.")
@click.option("--rounds", type=click.IntRange(min=1), help="For durable_ingest and single.")
@click.option("--seconds", type=click.FloatRange(min=0.1), help="One window of durable_ingest and single.")
@click.option("--records", multiple=True, type=click.IntRange(min=1), help="Also ingest where so many people are.")
def main(
    *,
    names: tuple[str, ...],
    json_file: Path | None,
    database: str,
    folder: Path | None,
    connections: str | None,
    rounds: int | None,
    seconds: float | None,
    records: tuple[int, ...],
    quick: bool,
) -> None:
    """Run the named benchmarks, or all of them, one after the other."""
    given = {
        "connections": _numbers(connections) if connections else None,
        "rounds": rounds,
        "seconds": seconds,
        "seeded": records or None,
    }
    scale = replace(QUICK if quick else FULL, **{key: value for key, value in given.items() if value is not None})
    chosen = tuple(_DATABASES.values()) if database == "both" else (_DATABASES[database],)
    run(names or tuple(BENCHMARKS), scale, chosen, folder or disk_folder(), json_file)


def run(
    names: tuple[str, ...], scale: Scale, databases: tuple[str, ...], folder: Path, json_file: Path | None = None
) -> list[Table]:
    """Run benchmarks by name and give their tables; each is printed, and the JSON written anew, when it is done."""
    console = Console()
    console.width = max(console.width, _WIDTH)
    machine = describe(folder)
    console.print(f"{scale.name}: {machine.line}", highlight=False, markup=False)
    tables: list[Table] = []
    with Workbench(scale, databases, folder) as bench:
        for name in names:
            tables.append(BENCHMARKS[name](bench))
            show(tables[-1], console)
            if json_file is not None:
                encoded = msgspec.json.encode(as_data(machine, scale.name, tables))
                json_file.write_bytes(msgspec.json.format(encoded, indent=1) + b"\n")
    return tables


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise click.BadParameter("numbers separated by commas, such as 1,8,32", param_hint="--connections")
    return numbers


if __name__ == "__main__":
    main()
