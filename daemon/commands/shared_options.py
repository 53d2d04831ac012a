"""What several commands have in common: where the configuration is, and how a failure is told."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy.engine import make_url

from daemon.join_wording import refuse_faulty_pages
from daemon.settings import ConfigurationFaults, Settings, for_people, load
from daemon.wording_files import refuse_faulty_wording
from invites.wording.errors import WordingError
from patient_records.errors import KeyFault, RecordsError, SchemaBehind, StorageUnavailable

F = TypeVar("F", bound=Callable[..., Any])


def config_option(function: F) -> F:
    """``--config FILE`` after the command's name, too, where most people type it."""
    return click.option(
        "--config",
        "config",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The configuration file (default: $DOORSTEP_CONFIG, else ./doorstep.toml, else built-in defaults).",
    )(function)


def settings_of(context: click.Context, config: Path | None, *, serving: bool = False) -> Settings:
    """Load the configuration, or end with all of its faults; with ``serving``, of its wording, too."""
    path = config or context.find_root().obj
    try:
        settings = load(path, os.environ, serving=serving)
        if serving:
            refuse_faulty_wording(settings)
            refuse_faulty_pages(settings)
    except ConfigurationFaults as error:
        click.echo(for_people(error.faults), err=True)
        raise click.exceptions.Exit(1) from None
    return settings


def require_database(settings: Settings) -> None:
    """End with a sentence where there is no SQLite file: one that only looks must make none, owned by its caller."""
    url = make_url(settings.database.url.reveal())
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise click.ClickException(
            f"there is no database at {settings.database.location}: run doorstep serve (or doorstep migrate) first, "
            "or name its configuration with --config"
        )


@contextlib.contextmanager
def failures_told() -> Iterator[None]:
    """Turn the failures that an operator can mend into a sentence and exit status 1."""
    try:
        yield
    except (KeyFault, SchemaBehind) as error:
        raise click.ClickException(str(error)) from None
    except WordingError as error:
        raise click.ClickException(f"{error}: run doorstep wording check") from None
    except StorageUnavailable as error:
        raise click.ClickException(
            f"the database is not there or cannot be used now ({error.code}): "
            "is it running, is database.url right, is there room on the disk?"
        ) from None
    except RecordsError as error:
        raise click.ClickException(f"{error}: nothing was changed") from None


def operator() -> str:
    """The login name of whoever calls a command, for the audit trail; behind sudo, the one who called that."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid-{os.getuid()}"


def printable(text: str) -> str:
    """Make what came from outside fit for a terminal: control characters are shown and not obeyed."""
    return text if text.isprintable() else "".join([c if c.isprintable() else f"\\x{ord(c):02x}" for c in text])


def json_text(document: object, indent: int | None = None) -> str:
    """Write JSON that people can read and that steers no terminal: what a sender wrote may hold control characters."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    return "".join([c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text])


def on_a_terminal() -> bool:
    """Whether a progress bar makes sense."""
    return sys.stderr.isatty()


@contextlib.contextmanager
def progress_of(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far long work has come: a bar on a terminal, elsewhere a line at each tenth; give what tells it."""
    if on_a_terminal():
        from rich.console import Console  # noqa: PLC0415 (only where somebody looks)
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

        columns = (what, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.update(task, completed=done)
        return
    told = 0

    def tell(done: int) -> None:
        nonlocal told
        tenth = 10 * done // total if total else 10
        if tenth > told:
            told = tenth
            click.echo(f"{what}: {done} of {total}", err=True)

    yield tell
