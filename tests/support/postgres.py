"""A private PostgreSQL for tests and benchmarks, in a temporary folder, on the machine's binaries or a wheel's.

PostgreSQL refuses to run as root, so as root the server runs under an ordinary user and in a folder of that user. Who
ends it is told in :mod:`tests.support.postgres_keeper`: the kernel, when the last process that holds it is gone.

Two ways in. :func:`private_cluster` is one cluster for one owner, which may stop, kill and start it.
:class:`SharedCluster` is one for a whole test run: the first worker that needs it starts it under a file lock, all
share it, and the end of the run ends it. In both, :meth:`Databases.fresh_database` gives each caller its own database.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import psycopg
import sqlalchemy

from tests.support.postgres_binaries import (
    PostgresUnavailableError,
    executable_by_all,
    find_binaries,
    server_user,
    temporary_folder,
)

KEEPER: Final = Path(__file__).with_name("postgres_keeper.py")
PASSWORD_BYTES: Final = 16


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment() -> dict[str, str]:
    """Give the server's environment: none of our PG* variables, and English logs (the keeper reads one line)."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


class Address(msgspec.Struct, frozen=True):
    """Where a cluster answers: what one worker must know to use the cluster that another started."""

    folder: str
    port: int
    password: str


def _url(address: Address, database: str, *, tcp: bool) -> str:
    if tcp:
        return f"postgresql+psycopg://postgres:{address.password}@127.0.0.1:{address.port}/{database}"
    return f"postgresql+psycopg://postgres@/{database}?host={address.folder}&port={address.port}"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Databases:
    """The databases of one running cluster."""

    def __init__(self, address: Address) -> None:
        self.address: Final = address

    def url(self, database: str = "postgres", *, tcp: bool = False) -> str:
        """Give the URL of a database, over the cluster's socket, or over TCP for a test that puts something between."""
        return _url(self.address, database, tcp=tcp)

    def execute(self, statement: str) -> None:
        """Run one statement as superuser, outside any transaction."""
        address = self.address
        with psycopg.connect(
            host=address.folder, port=address.port, user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())

    def fresh_database(self, template: str = "template1") -> str:
        """Make an empty database (or a copy of ``template``) and give its URL."""
        name = f"doorstep_{secrets.token_hex(6)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def template(self, name: str, prepare: Callable[[str], None]) -> str:
        """Give the name of a template that ``prepare`` (it gets the URL) has filled, once for all workers.

        ``prepare`` must leave no connection open, or PostgreSQL refuses to copy the database.
        """
        done = Path(self.address.folder) / f"template-{name}"
        with _locked(done.with_suffix(".lock")):
            if not done.exists():
                self.execute(f'CREATE DATABASE "{name}"')
                prepare(self.url(name))
                done.touch()
        return name

    def drop(self, url: str) -> None:
        """Drop the database of ``url``, ending whatever is still connected to it."""
        name = sqlalchemy.make_url(url).database
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


class Cluster(Databases):
    """One PostgreSQL cluster: made by :func:`private_cluster` or :class:`SharedCluster`, not by hand."""

    def __init__(self, address: Address, binaries: Path, user: int | None, settings: dict[str, str]) -> None:
        super().__init__(address)
        self.binaries: Final = binaries
        self.user: Final = user
        self.settings: Final = settings
        self.keeper: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """The cluster's folder: ``data/``, the socket and ``server.log``."""
        return Path(self.address.folder)

    @property
    def log(self) -> str:
        """What the server has logged so far."""
        path = self.folder / "server.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def initialise(self) -> None:
        """Run ``initdb``; local connections are trusted (the folder is closed), TCP needs the password."""
        password_file = self.folder / "password"
        password_file.write_text(self.address.password)
        if self.user is not None:
            os.chown(password_file, self.user, self.user)
        options = ["--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        identity = {} if self.user is None else {"user": self.user, "group": self.user, "extra_groups": []}
        result = subprocess.run(
            [
                self.binaries / "initdb",
                "-D",
                self.folder / "data",
                "-U",
                "postgres",
                f"--pwfile={password_file}",
                *options,
            ],
            check=False,
            capture_output=True,
            text=True,
            env=_environment(),
            cwd=self.folder,
            **identity,  # type: ignore[call-overload]
        )
        if result.returncode:
            raise PostgresUnavailableError(f"initdb failed ({result.returncode}): {result.stderr}")

    def start(self, *, owners: int | None = None, keep: tuple[int, ...] = ()) -> None:
        """Start the server and return when it takes connections.

        ``owners`` is a descriptor to read that ends with the last owner (None: a pipe from this process); ``keep`` are
        descriptors that live as long as the server.
        """
        settings = [argument for name, value in self.settings.items() for argument in ("-c", f"{name}={value}")]
        self.keeper = subprocess.Popen(
            [
                *(sys.executable, "-I", KEEPER),
                "-" if self.user is None else str(self.user),
                self.folder,
                *(self.binaries / "postgres", "-D", self.folder / "data", "-k", self.folder),
                *("-h", "127.0.0.1", "-p", str(self.address.port), *settings),
            ],
            stdin=subprocess.PIPE if owners is None else owners,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=_environment(),
            cwd=self.folder,
            pass_fds=keep,
        )
        assert self.keeper.stdout is not None
        if self.keeper.stdout.readline() != b"ready\n":
            self._reap()
            raise PostgresUnavailableError(f"PostgreSQL did not start:\n{self.log[-4000:]}")

    def stop(self, mode: str = "fast") -> None:
        """Shut the server down: ``fast`` ends connections and checkpoints, ``immediate`` is like a power cut."""
        if self.keeper is None:
            return
        assert self.keeper.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.keeper.stdin.write(mode.encode() + b"\n")
            self.keeper.stdin.flush()
        self._reap()

    def kill(self) -> None:
        """End the server by ``kill -9`` and return when none of its processes is left."""
        postmaster = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        self._reap()

    def _reap(self) -> None:
        assert self.keeper is not None
        self.keeper.wait()
        for stream in (self.keeper.stdin, self.keeper.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self.keeper = None


def new_cluster(*, durable: bool, settings: dict[str, str] | None = None, binaries: Path | None = None) -> Cluster:
    """Make and initialise a cluster that is not started yet. ``durable=False`` trades fsync for speed."""
    user = server_user()
    folder = temporary_folder()
    programs = binaries or find_binaries()
    if user is not None:
        programs = executable_by_all(programs, folder)
        os.chown(folder, user, user)
    fast = {} if durable else {"fsync": "off", "full_page_writes": "off"}
    address = Address(str(folder), _free_port(), secrets.token_hex(PASSWORD_BYTES))
    cluster = Cluster(address, programs, user, {"max_connections": "200", **fast, **(settings or {})})
    cluster.initialise()
    return cluster


@contextlib.contextmanager
def private_cluster(
    *, durable: bool = True, settings: dict[str, str] | None = None, binaries: Path | None = None
) -> Iterator[Cluster]:
    """Run a cluster of one's own, started; it may be stopped, killed and started again, and is gone afterwards.

    ``durable=True`` keeps fsync on, as benchmarks and fault tests need it. ``settings`` are lines of
    ``postgresql.conf``.
    """
    cluster = new_cluster(durable=durable, settings=settings, binaries=binaries)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop("end")
        shutil.rmtree(cluster.folder, ignore_errors=True)


class SharedCluster:
    """One cluster for all processes of a test run, started by the first that asks.

    ``folder`` is the meeting place: a FIFO that every process of the run holds open (the keeper reads its end), a lock,
    and the cluster's address once there is one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder
        self._fifo = folder / "owners"
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self._fifo, 0o600)
        self._held = os.open(self._fifo, os.O_RDWR | os.O_CLOEXEC)  # O_RDWR: does not wait for the other end
        self._databases: Databases | None = None
        self._cluster: Cluster | None = None

    def databases(self) -> Databases:
        """Give the cluster's databases, starting it if nobody has."""
        if self._databases is None:
            with _locked(self.folder / "starting"):
                address = self.folder / "address.json"
                if not address.exists():
                    written = address.with_suffix(".new")
                    written.write_bytes(msgspec.json.encode(self._start()))
                    written.rename(address)
                self._databases = Databases(msgspec.json.decode(address.read_bytes(), type=Address))
        return self._databases

    def _start(self) -> Address:
        self._cluster = cluster = new_cluster(durable=False)
        owners = os.open(self._fifo, os.O_RDONLY | os.O_CLOEXEC)
        with (self.folder / "running").open("a") as running:
            fcntl.flock(running, fcntl.LOCK_EX)  # the keeper inherits it: it is free again when the server is gone
            try:
                cluster.start(owners=owners, keep=(running.fileno(),))
            finally:
                os.close(owners)
        return cluster.address

    def leave(self) -> None:
        """Need the cluster no more; it ends with the last process that leaves."""
        os.close(self._held)

    def end(self) -> None:
        """End the cluster whoever still holds it, and return when it is gone."""
        if (self.folder / "address.json").exists():
            os.write(self._held, b"end\n")
            with _locked(self.folder / "running"):
                pass
        self.leave()
