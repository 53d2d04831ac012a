"""``doorstep person``: the decisions that staff make on their pages, for operators and their scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from daemon.commands.shared_options import config_option, failures_told, require_database, settings_of

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from daemon.bootstrap import House

_GROUNDS: Final = (
    "wrong_contact",
    "identity_in_doubt",
    "safeguarding",
    "clinical",
    "lacks_capacity",
    "patient_wish",
    "test_record",
    "other",
)
_DECISIONS: Final = {
    "hold": "Send nothing and let no code work, until the person is released.",
    "release": "Lift a hold.",
    "exclude": "Never invite this person.",
    "include": "Lift an exclusion.",
    "opt_out": "Note that the person asked not to be invited.",
    "opt_in": "Note that the person wants to be invited after all.",
}
_REASONED: Final = frozenset({"hold", "exclude"})
_SAID: Final = {
    "done": "Done. What was queued is cancelled and live pairs have ended, where the decision stops contact.",
    "already_so": "That was so already; nothing was changed.",
}


@click.group("person", epilog="Example: doorstep person hold 9990000018 --reason safeguarding")
def command() -> None:
    """Decide about one person: hold, release, exclude, include, opt out, opt in, revoke their pairs."""


def _make(decision: str) -> click.Command:
    name = decision.replace("_", "-")
    reason = "" if decision not in _REASONED else " --reason safeguarding"

    def decide(context: click.Context, /, config: Path | None, identifier: str, **given: Any) -> None:
        said = _decide(context, config, identifier, decision, given.get("reason"))
        click.echo(json.dumps({"result": said}) if given["as_document"] else _SAID[said])

    decide.__doc__ = f"{_DECISIONS[decision]}\n\nIDENTIFIER is any that doorstep explain takes."
    made = click.pass_context(decide)
    made = click.option("--json", "as_document", is_flag=True, help="Print what came of it as JSON.")(made)
    if decision in _REASONED:
        reasons = click.Choice(_GROUNDS)
        made = click.option("--reason", type=reasons, required=True, help="Why, as a code: it is kept in clear.")(made)
    made = click.argument("identifier")(made)
    made = config_option(made)
    return click.command(name, epilog=f"Example: doorstep person {name} 9990000018{reason}")(made)


for _each in _DECISIONS:
    command.add_command(_make(_each))


@command.command("revoke", epilog="Example: doorstep person revoke 9990000018")
@config_option
@click.argument("identifier")
@click.option("--json", "as_document", is_flag=True, help="Print how many as JSON.")
@click.pass_context
def revoke(context: click.Context, config: Path | None, identifier: str, *, as_document: bool) -> None:
    """End every pair of this person that still works, and cancel what was to carry one.

    IDENTIFIER is any that doorstep explain takes.
    """
    ended = _in_house(context, config, identifier, _revoke)
    click.echo(json.dumps({"revoked": ended}) if as_document else f"{ended} pairs have ended.")


def _decide(context: click.Context, config: Path | None, identifier: str, decision: str, reason: str | None) -> str:
    from daemon.operator_name import operator  # noqa: PLC0415
    from patient_records.decisions import Decider, Decision, Ground, Verdict  # noqa: PLC0415

    def work(house: House, connection: Connection, record_id: int, now: datetime) -> str:
        ground = Ground(reason) if reason is not None else None
        by = Decider(operator(), None)
        verdict = house.decisions.decide(connection, record_id, Decision(decision), by, now, ground=ground)
        if verdict is Verdict.NOT_FOUND:
            raise click.ClickException("the hospital deleted this person: there is nothing to decide")
        return verdict.value

    said: str = _in_house(context, config, identifier, work)
    return said


def _revoke(house: House, connection: Connection, record_id: int, now: datetime) -> int:
    from daemon.operator_name import operator  # noqa: PLC0415
    from invites import pairs  # noqa: PLC0415
    from patient_records.audit import AuditEntry  # noqa: PLC0415
    from patient_records.audit_actions import Action  # noqa: PLC0415

    record = house.records.load(connection, [record_id], lock=True)[record_id].record
    ended = len(pairs.revoke(connection, record, house.invite_options, now))
    if ended:
        entry = AuditEntry(operator(), Action.PAIRS_REVOKED, record.organisation, record_id, {"count": ended})
        house.audit.append(connection, [entry], now)
    return ended


def _in_house(context: click.Context, config: Path | None, identifier: str, work: Any) -> Any:
    """Find the person and do it, in one transaction; then seal what the audit trail got."""
    settings = settings_of(context, config)
    require_database(settings)
    from daemon.bootstrap import build  # noqa: PLC0415 (the whole house: not for --help)
    from daemon.story import find  # noqa: PLC0415

    with failures_told():
        house = build(settings)
        try:
            with house.database.begin() as connection:
                record_id = find(connection, house.records, identifier, list(house.invite_options.organisations))
                if record_id is None:
                    raise click.ClickException(
                        "nobody is known by that identifier: try it as it stands in PID-3 (4711^^^RX1^MR)"
                    )
                said = work(house, connection, record_id, house.database.now(connection))
            house.audit_sealing()
        finally:
            house.close()
    return said
