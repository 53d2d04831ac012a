"""``doorstep acceptance``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.commands.mllp_target import address_of, tls_of, tls_options
from daemon.commands.shared_options import on_a_terminal, printable

if TYPE_CHECKING:
    from daemon.acceptance.case import Verdict


@click.command("acceptance", epilog="Example: doorstep acceptance 127.0.0.1:2575 --strict")
@click.argument("target", metavar="HOST:PORT")
@click.option("--case", "cases", multiple=True, help="Play this case only; may be given again.")
@click.option("--strict", is_flag=True, help="Status 1 for doorstep's promises, too, not only for what everybody must.")
@click.option("--sender", default="ACCEPTANCE/DOORSTEP", show_default=True, help="MSH-3/MSH-4.")
@click.option("--receiver", default="LISTENER/HOSPITAL", show_default=True, help="MSH-5/MSH-6.")
@click.option("--authority", default="ACCEPTANCE", show_default=True, help="Who assigns the patients' numbers (CX.4).")
@click.option("--processing-id", default="T", show_default=True, help="MSH-11.")
@click.option("--message-version", default="2.5", show_default=True, help="MSH-12 where a case has no other.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=5.0, show_default=True)
@click.option(
    "--quiet-after",
    type=click.FloatRange(min=0, min_open=True),
    default=1.5,
    show_default=True,
    help="Seconds without an answer that count as silence.",
)
@tls_options
@click.option("--json", "as_document", is_flag=True, help="Print the verdicts as JSON.")
@click.pass_context
def command(
    context: click.Context,
    *,
    target: str,
    cases: tuple[str, ...],
    strict: bool,
    sender: str,
    receiver: str,
    authority: str,
    processing_id: str,
    message_version: str,
    timeout: float,
    quiet_after: float,
    tls: bool,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_insecure: bool,
    as_document: bool,
) -> None:
    """Play nasty cases against any MLLP listener, and print what was expected and what was got.

    It sends invented people (ZZTEST-ACCEPTANCE): play it against a test system. A "must" is what HL7 and TCP ask of
    every listener, a "promise" what doorstep adds. Status 1 when a must is not met, or no connection can be had.
    """
    from daemon.acceptance.kit import CASES, NO_CONNECTION, accepted, play  # noqa: PLC0415 (not for --help)
    from daemon.acceptance.messages import Speaker  # noqa: PLC0415
    from daemon.acceptance.peer import Target  # noqa: PLC0415

    unknown = set(cases) - {case.name for case in CASES}
    if unknown:
        known = ", ".join(case.name for case in CASES)
        raise click.UsageError(f"no case is called {', '.join(sorted(unknown))}; there are {known}")
    host, port = address_of(target, "acceptance")
    secured = tls_of(tls_ca, tls_cert, tls_key, tls=tls, insecure=tls_insecure)
    speaker = Speaker(
        sender, receiver, authority, processing_id, message_version, run=f"A{int(time.time()):X}", at=_now()
    )
    verdicts: list[Verdict] = []
    for verdict in play(
        Target(host, port, secured, timeout, quiet_after),
        speaker,
        cases,
        before=lambda case: click.echo(f"{case.name} ...\r", nl=False, err=True) if on_a_terminal() else None,
    ):
        verdicts.append(verdict)
        if not as_document:
            click.echo(_line(verdict))
        if len(verdicts) == 1 and verdict.got.startswith(NO_CONNECTION):
            click.echo(
                f"Nothing more was played: is the listener running at {printable(target)}, does it let us in, "
                "and does it speak TLS (--tls) or not?",
                err=True,
            )
            break
    click.echo(_document(verdicts) if as_document else _sentence(verdicts))
    context.exit(0 if accepted(verdicts, strict=strict) else 1)


def _now() -> str:
    return time.strftime("%Y%m%d%H%M%S+0000", time.gmtime())


def _line(verdict: Verdict) -> str:
    sign = "ok  " if verdict.passed else "MISS" if verdict.level == "promise" else "FAIL"
    line = printable(f"{sign} {verdict.level:<7} {verdict.name:<18} expected {verdict.expected}; got {verdict.got}")
    return line if verdict.passed else f"{line}\n{'':32}{printable(verdict.reason)}"


def _sentence(verdicts: list[Verdict]) -> str:
    counts = {
        level: (sum(one.passed for one in verdicts if one.level == level), sum(one.level == level for one in verdicts))
        for level in ("must", "promise")
    }
    return (
        f"{counts['must'][0]} of {counts['must'][1]} musts met, "
        f"{counts['promise'][0]} of {counts['promise'][1]} of doorstep's promises kept"
    )


def _document(verdicts: list[Verdict]) -> str:
    import msgspec  # noqa: PLC0415

    return msgspec.json.format(msgspec.json.encode(verdicts), indent=2).decode()
