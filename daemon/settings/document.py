"""The configuration file: where it is looked for, and its TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from daemon.settings.faults import ConfigurationFaults, Fault

DEFAULT_NAME: Final = "doorstep.toml"
BUILT_IN: Final = "built-in defaults"
"""What stands for the file in faults when there is none."""
_LINE: Final = re.compile(r" \((?:at line (\d+), column \d+|at end of document)\)$")


def find(path: Path | None, environ: Mapping[str, str], folder: Path) -> Path | None:
    """Say which file configures: ``path``, else ``$DOORSTEP_CONFIG``, else ``folder/doorstep.toml``, else none.

    A file that was asked for is named even if it does not exist, so that reading it says so.
    """
    asked = path or (Path(environ["DOORSTEP_CONFIG"]) if environ.get("DOORSTEP_CONFIG") else None)
    if asked is not None:
        return folder / asked.expanduser()
    usual = folder / DEFAULT_NAME
    return usual if usual.exists() else None


def read(file: Path) -> dict[str, Any]:
    """Read a TOML file (UTF-8, with or without a byte order mark). Raise :class:`ConfigurationFaults`."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        wrong, mend = (
            f"cannot be read ({error.strerror})",
            "Name another with --config, or write one with doorstep init",
        )
        raise ConfigurationFaults([Fault(str(file), "", wrong, mend)]) from None
    except UnicodeDecodeError:
        raise ConfigurationFaults([Fault(str(file), "", "is not UTF-8 text", "Save it as UTF-8")]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationFaults([_syntax_fault(file, str(error))]) from None


def _syntax_fault(file: Path, message: str) -> Fault:
    """Name the line; of the parser's words keep those before it, which speak of syntax and not of values."""
    found = _LINE.search(message)
    line = int(found[1]) if found and found[1] else None
    wrong = f"is no TOML: {_LINE.sub('', message)}"
    return Fault(str(file), "", wrong, "Correct the line: text stands in quotes, tables in [brackets]", line)
