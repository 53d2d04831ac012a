"""``doorstep import-csv``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from daemon.commands.shared_options import config_option, failures_told, json_text, printable, progress_of, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.bootstrap import House
    from hl7_listener.csv_file import Survey
    from hl7_listener.csv_import import CsvReport
    from hl7_listener.csv_rows import DateForm, Rows

PAUSE: Final = 0.02
"""Seconds between two transactions on SQLite, where a daemon beside us polls for its turn (see ``doorstep invite``)."""


@click.command("import-csv", epilog="Example: doorstep import-csv people.csv")
@config_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--organisation", help="The organisation of rows without organisation_id (default: the only one).")
@click.option(
    "--dates",
    type=click.Choice(["iso", "dmy"]),
    help="How dates are written: iso (YYYY-MM-DD) or dmy (DD/MM/YYYY). Default: as the file's first one is.",
)
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="When the file was true (UTC; default: when it was last written). What the feed said later wins.",
)
@click.option("--json", "as_document", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def command(
    context: click.Context,
    config: Path | None,
    file: Path,
    *,
    organisation: str | None,
    dates: str | None,
    as_of: datetime | None,
    as_document: bool,
) -> None:
    """Make or update people from a CSV file, by the rules of an A28.

    Columns, in any order and case: title, first_name, last_name, date_of_birth, sex, national_id, national_id_type,
    organisation_id, email, mobile, address1, address2, city, county, postcode, country. Rows that cannot be used come
    back in FILE.rejected.csv with the reason. Importing a file twice changes nothing. Status 1 when rows came back.
    """
    settings = settings_of(context, config)
    known = {one.code for one in settings.all_organisations}
    default = organisation or (settings.organisation.code if len(known) == 1 else "")
    if default and default not in known:
        raise click.UsageError(f"--organisation takes one of {', '.join(sorted(known))}, not {default}")
    from daemon.bootstrap import build  # noqa: PLC0415 (the whole house: not for --help)
    from hl7_listener.csv_rows import DateForm, Rows  # noqa: PLC0415

    found = _survey(file, DateForm(dates) if dates else None)
    at = as_of.replace(tzinfo=UTC) if as_of else datetime.fromtimestamp(int(file.stat().st_mtime), UTC)
    with failures_told():
        house = build(settings)
        try:
            report = _import(house, file, found, Rows(frozenset(known), default, found.dates, at))
        finally:
            house.close()
    passed_over = _passed_over(found)
    click.echo(_document(report, passed_over) if as_document else "\n".join([*_lines(report), *_told(passed_over)]))
    context.exit(1 if report.rejected or report.held else 0)


def _survey(file: Path, dates: DateForm | None) -> Survey:
    from hl7_listener.csv_file import CsvFault, survey  # noqa: PLC0415

    try:
        return survey(file, dates)
    except CsvFault as fault:
        raise click.ClickException(f"{file}: {fault}") from None
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from None


def _import(house: House, file: Path, found: Survey, rows: Rows) -> CsvReport:
    from daemon.curation import csv_import  # noqa: PLC0415
    from hl7_listener.csv_file import CsvFault  # noqa: PLC0415

    try:
        with progress_of("importing", found.rows) as progress:
            return csv_import(house).run(file, found, rows, progress=progress, pause=_pause(house.database.dialect))
    except CsvFault as fault:
        raise click.ClickException(f"{file}: {fault}; the rows before it were imported") from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or file}: {error.strerror}") from None


def _pause(dialect: str) -> Callable[[], None]:
    return partial(time.sleep, PAUSE) if dialect == "sqlite" else lambda: None


def _lines(report: CsvReport) -> list[str]:
    lines = [f"{report.rows} rows"]
    for name in ("created", "changed", "unchanged", "stale", "held", "rejected"):
        count = getattr(report, name)
        if count:
            lines.append(f"  {name}: {count}{_MEANINGS.get(name, '')}")
    lines += [f"  finding {finding}: {count}" for finding, count in sorted(report.findings.items())]
    if report.rejected_file is not None:
        lines.append(f"What came back, with reasons: {report.rejected_file} (mend it and import it)")
    return lines


_MEANINGS: Final = {
    "stale": " (the feed has said something newer)",
    "held": " (see doorstep quarantine list)",
}


def _passed_over(found: Survey) -> list[str]:
    """Columns that are none of ours, as the file names them; its own column of reasons, imported again, is no news."""
    from hl7_listener.csv_file import REASON  # noqa: PLC0415

    pairs = zip(found.header, found.columns, strict=True)
    return [name.strip() for name, column in pairs if column is None and name.strip() not in {"", REASON}]


def _told(passed_over: list[str]) -> list[str]:
    if not passed_over:
        return []
    from hl7_listener.csv_rows import COLUMNS  # noqa: PLC0415

    names = printable(", ".join(passed_over))
    return [f"Columns that were passed over, for they have no name of ours: {names} (ours are {', '.join(COLUMNS)})"]


def _document(report: CsvReport, passed_over: list[str]) -> str:
    document = {name: getattr(report, name) for name in report.__struct_fields__}
    document["rejected_file"] = str(report.rejected_file) if report.rejected_file else None
    document["passed_over"] = passed_over
    return json_text(document, indent=2)
