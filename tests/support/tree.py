"""The project's own files, as tests of the architecture see them."""

from __future__ import annotations

import ast
import shutil
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hl7_listener", "patient_records", "invites", "web", "daemon")


@cache
def files() -> tuple[Path, ...]:
    """Give every file that belongs to the project: git's answer, or (in an export without git) all but hidden ones."""
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
        return tuple(sorted(ROOT / name for name in listed if name and (ROOT / name).is_file()))
    visible = (
        path for path in ROOT.rglob("*") if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    )
    return tuple(sorted(path for path in visible if path.is_file() and "__pycache__" not in path.parts))


def modules(*folders: str) -> list[Path]:
    """Give the Python files below these folders; of the whole project when none is named."""
    tops = folders or (*PACKAGES, "tests", "benchmarks")
    return [path for path in files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in tops]


@cache
def parsed(path: Path) -> ast.Module:
    """Parse a Python file."""
    return ast.parse(path.read_text(), str(path))


def name(path: Path) -> str:
    """Give a file's path inside the project."""
    return str(path.relative_to(ROOT))
