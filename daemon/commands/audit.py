"""``doorstep audit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from daemon.commands.shared_options import config_option, failures_told, on_a_terminal, require_database, settings_of

if TYPE_CHECKING:
    from daemon.settings import Settings
    from patient_records.audit import WrittenEntry
    from patient_records.audit_seals import AuditReport, Head

_SENTENCES = {
    "entry_changed": "entry {} was changed, or was not written by doorstep",
    "entry_of_no_seal": "entry {} stands under a seal that is not there",
    "entries_missing": "entries of seal {} are gone",
    "entries_added": "entries were added to seal {}",
    "seal_broken": "seal {} does not fit its entries or the seal before it",
    "seal_missing": "seal {} is gone",
    "head_missing": "seal {}, known as the head, is gone or another: the trail was cut off, or an old one put back",
}


@click.group("audit", epilog="Example: doorstep audit verify")
def command() -> None:
    """Show the audit trail, and prove that nothing in it was changed or taken away."""


@command.command("verify", epilog="Example: doorstep audit verify --head 41:9f86d081884c7d65...")
@config_option
@click.option("--head", "heads", multiple=True, metavar="N:HASH", help="A head noted earlier; may be given again.")
@click.option("--json", "as_document", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def verify(context: click.Context, config: Path | None, heads: tuple[str, ...], *, as_document: bool) -> None:
    """Check every entry and every seal; status 1 when something was changed or is gone.

    The newest seal is the head. Note it somewhere else, such as a paper or another machine: given back with --head, it
    proves that nothing was cut off since. The head in audit-head.json beside the key file is looked for by itself.
    """
    settings = settings_of(context, config)
    require_database(settings)
    from daemon.audit_sealing import FILE_NAME, parse_head, read_head  # noqa: PLC0415

    try:
        known = [parse_head(text) for text in heads]
        kept = read_head(settings.keys.file.parent / FILE_NAME)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    report = _verified(settings, [*known, *([kept] if kept else [])])
    click.echo(
        msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
        if as_document
        else "\n".join(_findings(report))
    )
    context.exit(1 if report.fault_count else 0)


def _verified(settings: Settings, heads: list[Head]) -> AuditReport:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from daemon.bootstrap import build  # noqa: PLC0415 (the whole house: not for --help)
    from patient_records import audit_seals  # noqa: PLC0415

    with failures_told():
        house = build(settings)
        try:
            with (
                Progress(console=Console(stderr=True), disable=not on_a_terminal(), transient=True) as bar,
                house.database.read() as connection,
            ):
                task = bar.add_task("checking", total=audit_seals.entry_count(connection))
                return audit_seals.verify(
                    connection, house.audit.key, heads, lambda done: bar.update(task, completed=done)
                )
        finally:
            house.close()


def _findings(report: AuditReport) -> list[str]:
    lines = [_SENTENCES.get(fault.code, fault.code + " {}").format(fault.at) for fault in report.faults]
    if report.fault_count > len(report.faults):
        lines.append(f"and {report.fault_count - len(report.faults)} more")
    said = "does not hold" if report.fault_count else "holds"
    lines.append(f"The audit trail {said}: {report.entries} entries, {report.seals} seals.")
    if report.unsealed:
        lines.append(f"{report.unsealed} entries are not sealed yet; a running daemon does it within seconds.")
    if report.head:
        lines.append(f"Head: {report.head.number}:{report.head.hash}")
    return lines


@command.command("list", epilog="Example: doorstep audit list --record 9990000018")
@config_option
@click.option("--record", "identifier", help="Only what was done to this person: any identifier, as in explain.")
@click.option("--action", help="Only this action, such as record_viewed.")
@click.option("--organisation", help="Only what was done for this organisation.")
@click.option("--limit", type=click.IntRange(min=1, max=100_000), default=100, show_default=True, help="The newest.")
@click.option("--json", "as_document", is_flag=True, help="Print the entries as JSON.")
@click.pass_context
def list_(
    context: click.Context,
    config: Path | None,
    identifier: str | None,
    action: str | None,
    organisation: str | None,
    *,
    limit: int,
    as_document: bool,
) -> None:
    """Show the newest entries, newest first."""
    settings = settings_of(context, config)
    require_database(settings)
    from daemon.bootstrap import build  # noqa: PLC0415 (the whole house: not for --help)
    from daemon.story import find  # noqa: PLC0415
    from patient_records.audit_actions import Action  # noqa: PLC0415

    try:
        wanted = Action(action) if action else None
    except ValueError:
        raise click.UsageError(f"there is no action {action}; there are: {', '.join(sorted(Action))}") from None
    with failures_told():
        house = build(settings)
        try:
            with house.database.read() as connection:
                record_id = None
                if identifier is not None:
                    record_id = find(connection, house.records, identifier, list(house.invite_options.organisations))
                    if record_id is None:
                        raise click.ClickException("nobody is known by that identifier")
                found = house.audit.entries(
                    connection, limit=limit, record_id=record_id, action=wanted, organisation=organisation
                )
        finally:
            house.close()
    if as_document:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        click.echo("\n".join(map(_line, found)) or "No entry.")


def _line(entry: WrittenEntry) -> str:
    who = f"{entry.actor.kind.value} {entry.actor.id}".strip()
    told = " ".join(f"{name}={value}" for name, value in entry.detail.items())
    record = f"  record {entry.record_id}" if entry.record_id is not None else ""
    at = entry.at.strftime("%Y-%m-%d %H:%M:%SZ")
    where = f" of {entry.organisation}" if entry.organisation else ""
    return f"{at}  {entry.action}  {who}{where}{record}  {told}".rstrip()
