"""The house as a whole: sizes, names, and what must not stand in any file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tree import PACKAGES, ROOT, files, modules, name, parsed

LONGEST_FILE = 400
"""Lines: past this a file holds two nouns."""
LONG_FUNCTION = 35
"""Lines that nine functions in ten stay under."""

HIDING_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "misc", "token", "email", "logging"}
"""Names that hide a missing noun, or the standard library."""

# Written in pieces, so that this file is not its own finding.
FOREIGN = [
    ("a path of one machine", r"(?<![\w.])/" + r"work/(?:main|shared)|(?<![\w.])/" + r"root/|/home/" + r"[a-z]+/"),
    ("an internal tool", r"\bfarm" + r"-[a-z]+|\bsub" + r"agent"),
    (
        "a package registry's host",
        r"py" + r"pi\.org|python" + r"hosted|npm" + r"js\.(?:org|com)|deb\." + r"debian\.org",
    ),
]
BINARY = {".png", ".ico", ".pdf", ".ttf", ".otf", ".woff2", ".mllp", ".hl7"}


@pytest.mark.parametrize(("what", "pattern"), FOREIGN, ids=[what for what, _ in FOREIGN])
def test_no_file_names_what_only_one_machine_has(what: str, pattern: str) -> None:
    texts = [path for path in files() if path.suffix not in BINARY]
    found = [name(path) for path in texts if re.search(pattern, path.read_text(errors="replace"))]
    assert not found, f"{what} in {found}"


def test_no_file_is_too_long() -> None:
    lengths = {name(path): len(path.read_text().splitlines()) for path in modules()}
    assert not {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE}


def test_nine_functions_in_ten_are_short() -> None:
    lengths = [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for path in modules(*PACKAGES)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = sum(length > LONG_FUNCTION for length in lengths)
    assert long <= len(lengths) / 10, f"{long} of {len(lengths)} functions are longer than {LONG_FUNCTION} lines"


def test_no_name_hides_a_missing_noun_or_the_standard_library() -> None:
    assert not [name(path) for path in modules() if HIDING_NAMES & {path.stem, path.parent.name}]


def test_annotations_are_never_evaluated_by_accident() -> None:
    annotated = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.AnnAssign)
    needing = (path for path in modules() if any(isinstance(node, annotated) for node in ast.walk(parsed(path))))
    missing = [name(path) for path in needing if "from __future__ import annotations\n" not in path.read_text()]
    assert not missing


@pytest.mark.parametrize("package", PACKAGES)
def test_everything_public_says_what_it_means(package: str) -> None:
    spoken = (path for path in modules(package) if path.parent.name != "versions")  # Alembic gives those their form
    silent = [f"{name(path)}: {thing}" for path in spoken for thing in _undocumented(parsed(path))]
    assert not silent


def _undocumented(module: ast.Module) -> Iterator[str]:
    if not ast.get_docstring(module):
        yield "the module"
    for node in _public(module):
        if not ast.get_docstring(node):
            yield node.name


def _public(module: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            if not _is_overload(node):
                yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)


def _is_overload(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    return any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list)


def test_no_test_sleeps_to_wait() -> None:
    """Waiting is done for a signal; what looks again and again is tests/support/patience.py, with an event."""
    sleeping = [
        f"{name(path)}:{node.lineno}"
        for path in modules("tests")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and _sleeps(node)
    ]
    assert not sleeping


def _sleeps(call: ast.Call) -> bool:
    named = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    at_once = bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
    return named == "sleep" and not at_once  # sleep(0) gives the loop one turn and waits for nothing


def test_every_fixture_is_read_by_some_test() -> None:
    """Each folder of fixtures is named where tests read it; that no single file is left out, its own test says."""
    readers = "\n".join(path.read_text() for path in modules("tests") if path != Path(__file__))
    folders = {path.relative_to(ROOT / "fixtures").parts[0] for path in files() if ROOT / "fixtures" in path.parents}
    assert folders >= {"adt", "frames"}
    assert not [folder for folder in folders if f'"{folder}"' not in readers]
