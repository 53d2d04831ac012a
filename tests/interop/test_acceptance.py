"""The acceptance kit, played against doorstep and, fairly, against listeners that are not ours."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from daemon.acceptance.case import Level
from daemon.acceptance.kit import CASES
from daemon.cli import doorstep
from hl7_listener.certificates import TlsOptions
from tests.interop.servers import hl7apy_server, python_hl7_server
from tests.support.certificates import Authority
from tests.support.listening import Listening


def play(port: int, *more: str) -> Result:
    return CliRunner().invoke(doorstep, ["acceptance", f"127.0.0.1:{port}", "--quiet-after", "0.7", *more])


def verdicts(port: int, *more: str) -> tuple[int, dict[str, dict[str, Any]]]:
    result = play(port, "--json", "--timeout", "1.5", *more)
    return result.exit_code, {one["name"]: one for one in json.loads(result.stdout)}


def failed(found: dict[str, dict[str, Any]], level: Level) -> set[str]:
    return {name for name, one in found.items() if not one["passed"] and one["level"] == level}


@pytest.mark.parametrize("tls", [False, True])
def test_doorstep_keeps_every_must_and_every_promise(sqlite_url: str, tmp_path: Path, *, tls: bool) -> None:
    authority = Authority(tmp_path)
    server = authority.sign("server")
    options = TlsOptions(server.certificate, server.key) if tls else None
    secured = ["--tls-ca", str(authority.certificate)] if tls else []
    with Listening(sqlite_url, tls=options) as listening:
        status, found = verdicts(listening.port, "--strict", *secured)
        bad = {name: (one["expected"], one["got"]) for name, one in found.items() if not one["passed"]}
        assert not bad
        assert (status, len(found)) == (0, len(CASES))
        assert not listening.told.errors


SOME = [
    *("ordinary", "byte-by-byte", "late-cr", "probe", "half-frame", "vt-inside", "resend", "version-2.9", "ne-ne"),
    *("delimiters", "kept-open", "pipelining", "fs-without-cr", "line-feeds", "al-ne", "huge-frame"),
]
"""Enough to see what a listener is like; each answer that does not come costs the whole patience."""


def some(port: int) -> tuple[int, dict[str, dict[str, Any]]]:
    return verdicts(port, *(word for name in SOME for word in ("--case", name)))


def test_it_is_fair_to_python_hl7_s_server() -> None:
    with python_hl7_server() as port:
        status, found = some(port)
    # It takes all up to FS for one message, and knows no MSH-16.
    assert failed(found, Level.MUST) == {"vt-inside", "ne-ne"}
    assert failed(found, Level.PROMISE) == {"fs-without-cr", "al-ne"}
    assert status == 1


def test_it_is_fair_to_hl7apy_s_server_which_closes_after_each_message() -> None:
    with hl7apy_server() as port:
        status, found = some(port)
    assert failed(found, Level.MUST) == {"vt-inside", "ne-ne"}
    assert failed(found, Level.PROMISE) == {"kept-open", "pipelining", "fs-without-cr", "al-ne"}
    assert status == 1


@contextmanager
def careless() -> Iterator[int]:
    """A listener that answers AA to anything at all, as often as it reads something."""
    server = socket.create_server(("127.0.0.1", 0))

    def converse(peer: socket.socket) -> None:
        with peer:
            while data := _read(peer):
                control_id = (data.split(b"|") + [b""] * 10)[9]
                peer.sendall(b"\x0bMSH|^~\\&|||||||ACK|1|P|2.5\rMSA|AA|" + control_id + b"\r\x1c\r")

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=converse, args=(peer,), daemon=True).start()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def _read(peer: socket.socket) -> bytes:
    try:
        return peer.recv(1 << 16)
    except OSError:
        return b""


def test_a_careless_listener_is_told_that_it_acknowledges_what_it_never_got() -> None:
    with careless() as port:
        status, found = verdicts(port, "--case", "ordinary", "--case", "half-frame", "--case", "vt-inside")
    assert status == 1
    assert failed(found, Level.MUST) == {"half-frame", "vt-inside"}
    assert "for half a message" in found["half-frame"]["got"]


def test_promises_cost_the_status_only_if_that_is_asked_for() -> None:
    with python_hl7_server() as port:
        assert play(port, "--case", "fs-without-cr", "--timeout", "2").exit_code == 0
        strict = play(port, "--case", "fs-without-cr", "--timeout", "2", "--strict")
    assert strict.exit_code == 1
    assert "MISS promise fs-without-cr" in strict.stdout
    assert "0 of 1 of doorstep's promises kept" in strict.stdout


def test_where_nobody_listens_the_first_case_says_so_and_what_to_look_at() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    result = play(port)
    assert result.exit_code == 1
    assert result.stdout.count("no connection (ConnectionRefusedError)") == 1
    assert "is the listener running" in result.stderr


def test_an_unknown_case_is_wrong_use() -> None:
    result = play(1, "--case", "nothing")
    assert result.exit_code == 2
    assert "half-frame" in result.output


def test_case_names_are_their_own() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
