"""The pages are held to the code: what exists is documented, and what is documented exists.

Every failure names what is missing. Prose is nobody's business here; names are.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import pytest
from prometheus_client import CollectorRegistry

import invites.accounts.tables
import invites.tables  # noqa: F401 (puts its tables on the metadata)
import web.ops.tables  # noqa: F401 (puts its tables on the metadata)
from daemon.cli import doorstep
from daemon.log_keys import LOG_KEYS
from daemon.metrics import Metrics
from daemon.settings.key_names import key_names
from hl7_listener.adt import interpret
from hl7_listener.message import read
from hl7_listener.options import ListenerOptions
from hl7_listener.sender_profile import SenderProfile
from invites.eligibility import Reason
from invites.invitation import drawing
from invites.recipient import usable_channels
from patient_records.model import Demographics
from patient_records.reconcile import reconcile
from patient_records.update import PatientUpdate
from tests.support.tree import PACKAGES, ROOT, files, modules, name, parsed
from web.access.tables import api_clients

PAGES = [path for path in files() if path.suffix == ".md"]
LOGGING = {"debug", "info", "warning", "error", "critical", "exception", "speak", "_report", "tell"}
OUTSIDE = ("http://", "https://", "mailto:")
SEALED_OR_HASHED = 1
CLEAR = 2
SCHEMA = api_clients.metadata


def page(path: str) -> str:
    """The text of one page."""
    return (ROOT / path).read_text("utf-8")


def rows(path: str, heading: str = "") -> list[list[str]]:
    """The cells of every table row of a page, or of its section with that heading."""
    text = page(path)
    if heading:
        found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
        assert found, f"{path} has no section {heading}"
        text = found[1]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def code_names(text: str) -> list[str]:
    """Everything that stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


# --- commands


@cache
def commands() -> dict[str, click.Command]:
    context = click.Context(doorstep)
    found = {name: doorstep.get_command(context, name) for name in doorstep.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def section(command: str) -> str:
    found = re.search(rf"^## doorstep {command}\n(.*?)(?=^## |\Z)", page("docs/commands.md"), re.MULTILINE | re.DOTALL)
    assert found, f"docs/commands.md has no section for doorstep {command}"
    return found[1]


@pytest.mark.parametrize("command", commands())
def test_every_command_and_option_is_documented(command: str) -> None:
    documented = set(re.findall(r"^\| `(--[a-z-]+)` \| \S", section(command), re.MULTILINE))
    options = {option for each in _params(commands()[command]) for option in each.opts}
    assert not options - documented, f"docs/commands.md says nothing of {sorted(options - documented)} of {command}"
    assert not documented - options, f"doorstep {command} has no {sorted(documented - options)}"


def _params(command: click.Command) -> Iterator[click.Option]:
    """The options of a command; those of its own commands, where it is a group."""
    yield from (each for each in command.params if isinstance(each, click.Option))
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from _params(each)


def test_no_command_is_documented_that_does_not_exist() -> None:
    assert re.findall(r"^## doorstep (.*)$", page("docs/commands.md"), re.MULTILINE) == list(commands())


def test_the_program_s_own_options_are_documented() -> None:
    options = {option for each in doorstep.params if isinstance(each, click.Option) for option in each.opts}
    missing = [option for option in options if option not in page("docs/commands.md")]
    assert not missing


def test_every_reason_is_documented_with_its_sentence() -> None:
    documented = {row[0].strip("`"): row[1] for row in rows("docs/commands.md") if row[0].strip("`") in set(Reason)}
    assert documented == {reason.value: reason.sentence for reason in Reason}
    assert list(documented) == [reason.value for reason in Reason], "the order is the weight"


# --- settings, metrics, logs


def test_every_setting_is_documented() -> None:
    documented = {row[0].strip("`") for row in rows("config/README.md")}
    missing = {key.dotted for key in key_names() if key.path[0] != "organisations"} - documented
    assert not missing, f"config/README.md says nothing of {sorted(missing)}"


def exposed(registry: CollectorRegistry) -> dict[str, tuple[str, set[str]]]:
    """Each metric by the name that Prometheus shows, with its kind and labels."""
    found = {}
    for collector in set(registry._collector_to_names):
        labels = set(getattr(collector, "_labelnames", ()))
        for family in collector.describe() if hasattr(collector, "describe") else collector.collect():
            shown = f"{family.name}_total" if family.type == "counter" else family.name
            found[shown] = (family.type, labels)
    return found


def test_every_metric_is_documented_with_its_kind_and_labels() -> None:
    documented = {
        row[0].strip("`"): (row[1], set(code_names(row[2])))
        for row in rows("docs/metrics.md")
        if row[0].startswith("`doorstep_")
    }
    assert documented == exposed(Metrics().registry)


def test_the_metrics_that_pages_name_exist() -> None:
    shown = set(exposed(Metrics().registry))
    named = {(name(path), one) for path in PAGES for one in re.findall(r"doorstep_[a-z_]+", path.read_text("utf-8"))}
    unknown = {(where, one) for where, one in named if one not in shown}
    assert not unknown, f"no metric is called so: {unknown}"


def test_every_log_key_is_documented_with_its_meaning() -> None:
    assert {row[0].strip("`"): row[1] for row in rows("docs/logs.md", "Keys")} == dict(LOG_KEYS)


def logged() -> dict[str, str]:
    """Each event that is logged somewhere, and where."""
    return {
        event: f"{name(path)}:{node.lineno}"
        for path in modules(*PACKAGES)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and _called(node) in LOGGING
        for event in _event(node)
    }


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _event(call: ast.Call) -> Iterator[str]:
    first = call.args[0] if call.args else None
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        yield first.value


def test_every_logged_event_is_documented() -> None:
    found = logged()
    documented = {row[0].strip("`") for row in rows("docs/logs.md", "Events")}
    missing = {event: where for event, where in found.items() if event not in documented}
    assert found
    assert not missing, f"docs/logs.md says nothing of {missing}"
    invented = documented - found.keys() - {"event_withheld", "log_lines_dropped"}  # the log's own
    assert not invented, f"nothing logs {sorted(invented)}"


# --- architecture, threat model, decisions


def test_the_architecture_s_drawing_is_the_code_s() -> None:
    assert f"```\n{drawing()}\n```" in page("docs/architecture.md")


def test_every_column_is_in_the_threat_model() -> None:
    documented = {
        row[0].strip("`"): {*code_names(row[SEALED_OR_HASHED]), *code_names(row[CLEAR])}
        for row in rows("docs/threat-model.md", "What is in clear, and why")
    }
    schema = {table.name: {column.name for column in table.columns} for table in SCHEMA.sorted_tables}
    assert documented == schema


def test_no_column_is_both_sealed_and_in_clear() -> None:
    for row in rows("docs/threat-model.md", "What is in clear, and why"):
        assert not set(code_names(row[SEALED_OR_HASHED])) & set(code_names(row[CLEAR])), row[0]


def test_sealed_columns_are_called_sealed() -> None:
    """A column of bytes is sealed, wrapped or a hash; if it is not, the threat model says so on purpose."""
    in_clear = {
        f"{row[0].strip('`')}.{column}"
        for row in rows("docs/threat-model.md", "What is in clear, and why")
        for column in code_names(row[CLEAR])
    }
    binary = {
        f"{table.name}.{column.name}"
        for table in SCHEMA.sorted_tables
        for column in table.columns
        if "BINARY" in str(column.type).upper() or "BLOB" in str(column.type).upper()
    }
    assert in_clear & binary == {"access_tokens.salt", "accounts.salt"}


def decisions() -> list[Path]:
    return sorted(path for path in PAGES if path.parent == ROOT / "docs" / "adr")


@pytest.mark.parametrize("decision", decisions(), ids=lambda path: path.stem)
def test_a_decision_is_numbered_dated_and_hears_the_loser(decision: Path) -> None:
    text = decision.read_text("utf-8")
    assert text.startswith(f"# {int(decision.name[:4])}. ")
    assert re.search(r"^20\d\d-\d\d-\d\d · \w+$", text, re.MULTILINE), "no date and state"
    for heading in ("## What we need", "## Decision", "## What it costs"):
        assert f"\n{heading}\n" in text, f"no {heading}"
    assert "\n## The losers' case\n" in text, "no losers' case"


def test_decisions_have_numbers_of_their_own() -> None:
    numbers = [path.name[:4] for path in decisions()]
    assert numbers == sorted(set(numbers))


def test_the_changelog_knows_this_version() -> None:
    version = tomllib.loads(page("pyproject.toml"))["project"]["version"]
    assert re.search(rf"^## \[{re.escape(version)}\] - ", page("CHANGELOG.md"), re.MULTILINE)


# --- the README, and every page


@pytest.mark.parametrize("target", ["demo", "test"])
def test_the_readme_gives_each_command_a_block_of_its_own(target: str) -> None:
    assert f"\n```\nmake {target}\n```\n" in page("README.md")
    assert re.search(rf"^{target}:", page("Makefile"), re.MULTILINE)


def readme_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page("README.md"), re.MULTILINE | re.DOTALL)


def test_the_readme_s_message_makes_a_person_who_can_be_invited() -> None:
    """It is read as it stands there, with line feeds, as a reader would save it."""
    message, acknowledgment = readme_blocks("hl7")
    now = datetime(2026, 11, 22, tzinfo=UTC)
    options = ListenerOptions("pas", "127.0.0.1", 0, "RX1", ZoneInfo("Europe/London"))
    update = interpret(read(message.encode()), options, SenderProfile(), now)
    assert isinstance(update, PatientUpdate)
    assert not update.findings
    person = reconcile(None, update).demographics
    assert isinstance(person, Demographics)
    assert usable_channels(person, ("sms", "letter")) == ("sms", "letter")
    assert acknowledgment.splitlines()[1] == "MSA|AA|MSG00002|applied"


def test_the_readme_s_python_compiles() -> None:
    (source,) = readme_blocks("python")
    compile(source, "README.md", "exec")


def test_the_commands_that_pages_call_exist() -> None:
    called = {
        (name(path), command)
        for path in PAGES
        if path.name != "CHANGELOG.md"
        for command in re.findall(
            r"^(?:\$ )?(?:[\w./-]*/)?doorstep ([a-z][a-z-]+)(?= |$)", _code_of(path), re.MULTILINE
        )
    }
    assert called
    assert not {(where, command) for where, command in called if command not in commands()}


def _code_of(path: Path) -> str:
    """The fenced blocks and the words in backticks of a page."""
    text = path.read_text("utf-8")
    fenced = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    bare = re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join([*(block for block in fenced if "┃" not in block), *code_names(bare)])


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(OUTSIDE):
            continue
        file, _, anchor = target.partition("#")
        goal = (path.parent / file).resolve() if file else path
        assert goal.exists(), f"{name(path)} links to {target}"
        if anchor:
            assert anchor in _anchors(goal), f"{name(path)} links to {target}"


def _anchors(path: Path) -> set[str]:
    """The names that headings get where Markdown is shown: lower case, blanks as hyphens, no punctuation."""
    headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_files_that_a_page_names_exist(path: Path) -> None:
    tops = {*PACKAGES, "config", "docs", "fixtures", "tests", "benchmarks", "requirements"}
    named = re.findall(
        r"(?<![\w/.])((?:[\w.-]+/)+(?:[\w-]+\.(?:py|toml|md|txt|typ|service))?)(?![\w/])", _code_of(path)
    )
    missing = [one for one in named if one.split("/")[0] in tops and not (ROOT / one).exists()]
    assert not missing, f"{name(path)} names {missing}"


def test_settings_that_pages_name_exist() -> None:
    known = {key.dotted for key in key_names()}
    sections = {key.split(".")[0] for key in known}
    tables = {table.name for table in SCHEMA.sorted_tables}
    for path in PAGES:
        for word in code_names(path.read_text("utf-8")):
            setting = re.match(r"((?:[a-z_]+\.)+[a-z_]+)(?: = .*)?$", word)
            if setting is None or setting[1].split(".")[0] not in sections - tables:
                continue
            assert setting[1] in known, f"{name(path)} names a setting {setting[1]}"
