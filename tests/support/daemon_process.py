"""The real daemon as a process of its own, for tests that kill it, stop it, and look at what is left.

It runs ``python -m daemon serve`` in a folder with a written configuration and port 0 everywhere. That the daemon
answers shows in ``ports.json`` beside the key file. On Linux the kernel kills the daemon when the test run dies.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from tests.support.mllp import Wire
from tests.support.patience import SAFETY, eventually
from tests.support.spool import Spool

LEASHED = (
    "import ctypes, os, sys\n"
    "sys.platform == 'linux' and ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)\n"  # PR_SET_PDEATHSIG: outlives exec
    "os.execv(sys.argv[1], sys.argv[1:])\n"
)
ORGANISATION = "RX1"


class Ports(msgspec.Struct, frozen=True):
    """The ports that the daemon bound, as it writes them to ``ports.json``; ``join`` once there is a join site."""

    listeners: dict[str, int]
    api: int
    join: int | None = None


class Response(msgspec.Struct, frozen=True):
    """An HTTP answer: status, headers with lower-case names, and the body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


def configuration(database_url: str) -> dict[str, Any]:
    """Give the configuration that tests start from: one listener, free ports, the spool, a run every second."""
    return {
        "database": {"url": database_url, "migrate_on_start": True},
        "keys": {"file": "keys.json"},
        "organisation": {"code": ORGANISATION, "name": "Example Hospital", "contact": "01632 960000"},
        "listeners": [{"name": "pas", "host": "127.0.0.1", "port": 0, "organisation": ORGANISATION}],
        "api": {"host": "127.0.0.1", "port": 0},
        "join": {"host": "127.0.0.1", "port": 0, "public_url": "https://join.example.org"},
        "invitations": {"every": "1s"},
        "delivery": {"first_retry": "1s", "spool": {"folder": "spool"}},
    }


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``changes`` over ``base``: tables are merged, everything else is replaced."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def toml(table: Mapping[str, Any], path: str = "") -> str:
    """Write a configuration as TOML: plain values first, then tables, then lists of tables."""
    plain, tables = [], []
    for key, value in table.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, Mapping):
            tables.append(f"[{here}]\n{toml(value, here)}")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            tables.extend(f"[[{here}]]\n{toml(entry, here)}" for entry in value)
        else:
            plain.append(f"{key} = {json.dumps(value, ensure_ascii=False)}\n")
    return "".join(plain + tables)


class DaemonProcess:
    """One daemon with its folder; start it, hurt it, start it again on the same data.

    ``database_url`` None is SQLite in the folder. ``changes`` are laid over :func:`configuration`. ``environment`` is
    added to the process's own. As a context manager it starts the daemon and kills it at the end.
    """

    def __init__(
        self,
        folder: Path,
        database_url: str | None = None,
        changes: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.database_url = database_url or f"sqlite:///{folder / 'doorstep.db'}"
        self.config = folder / "doorstep.toml"
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("DOORSTEP_")}
        self.environment |= environment or {}
        self.settings = merged(configuration(self.database_url), changes or {})
        self.process: subprocess.Popen[bytes] | None = None
        self._ports: Ports | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(toml(self.settings))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self, *, wait: bool = True) -> Self:
        """Start the daemon and wait until it answers (``wait=False``: do not)."""
        assert self.process is None, "it runs already"
        self._ports_file.unlink(missing_ok=True)  # of an earlier life
        self._ports = None
        with self._log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", LEASHED, *self._command("serve")],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            self._ports = eventually(self._answering, "the daemon to answer")
        return self

    def kill(self) -> None:
        """End it as a power cut would (``kill -9``); nothing happens when it is not running."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def terminate(self) -> int:
        """Ask it to drain and end (SIGTERM), wait, and give its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._running.send_signal(number)

    def wait(self) -> int:
        """Wait for its end and give its exit status."""
        status = self._running.wait(SAFETY)
        self.process = None
        return status

    def restart(self) -> Self:
        """Kill it and start it again on the same data; the ports are new."""
        self.kill()
        return self.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running.pid

    @property
    def ports(self) -> Ports:
        """The ports of this life."""
        if self._ports is None:
            self._ports = eventually(self._answering, "the daemon to answer")
        return self._ports

    @property
    def spool(self) -> Spool:
        """What it delivered."""
        return Spool(self.folder / "spool")

    @property
    def log_text(self) -> str:
        """Everything that it wrote to its output, in all its lives."""
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    @property
    def logs(self) -> list[dict[str, Any]]:
        """Its log lines; what is no JSON object (a traceback, a warning) comes as ``{"raw": line}``."""
        return [_log_line(line) for line in self.log_text.splitlines() if line.strip()]

    def wire(self, listener: str = "pas") -> Wire:
        """Open an MLLP connection to one of its listeners."""
        return Wire(self.ports.listeners[listener])

    def get(self, path: str, face: str = "api") -> Response:
        """GET a path of its api or join port; an error status is a response, not an exception."""
        url = f"http://127.0.0.1:{getattr(self.ports, face)}{path}"
        try:
            with urllib.request.urlopen(url, timeout=SAFETY) as answer:
                return Response(answer.status, _lower(answer.headers), answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return Response(refused.code, _lower(refused.headers), refused.read())

    def doorstep(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run one of the other commands on this daemon's configuration, and give status and output."""
        return subprocess.run(
            self._command(*arguments),
            cwd=self.folder,
            env=self.environment,
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=SAFETY,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        """Run a command with ``--json`` and give what it says; it must succeed."""
        result = self.doorstep(*arguments, "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "daemon", *arguments, "--config", str(self.config)]

    @property
    def _ports_file(self) -> Path:
        return self.folder / "ports.json"

    @property
    def _log_file(self) -> Path:
        return self.folder / "daemon.log"

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None, "it does not run"
        return self.process

    def _answering(self) -> Ports | None:
        assert self._running.poll() is None, f"the daemon ended ({self._running.returncode}):\n{self.log_text[-8000:]}"
        try:
            return msgspec.json.decode(self._ports_file.read_bytes(), type=Ports)
        except (FileNotFoundError, msgspec.DecodeError):
            return None


def _log_line(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {"raw": line}
    return value if isinstance(value, dict) else {"raw": line}


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
