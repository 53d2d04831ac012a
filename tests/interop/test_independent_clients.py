"""Clients that are not ours speak to doorstep: plain and TLS, over one connection and over one for each message."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hl7
import hl7.client
import hl7.mllp
import pytest
from hl7apy.parser import parse_message

from hl7_listener.certificates import TlsOptions
from hl7_listener.client import tls_context
from tests.support.certificates import Authority, Signed
from tests.support.feed import a28
from tests.support.listening import Listening
from tests.support.patience import SAFETY

NODE_FOLDER = Path(sys.prefix) / "interop"
"""Where `make test` puts the npm client."""
COUNT = 12


@dataclass(frozen=True)
class Endpoint:
    """A listener, and what a client of it must trust and show."""

    listening: Listening
    authority: Authority | None = None
    mine: Signed | None = None

    @property
    def tls(self) -> ssl.SSLContext | None:
        if self.authority is None or self.mine is None:
            return None
        return tls_context(self.authority.certificate, self.mine.certificate, self.mine.key)


@pytest.fixture(params=["plain", "tls"])
def endpoint(request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path) -> Iterator[Endpoint]:
    if request.param == "plain":
        with Listening(sqlite_url) as listening:
            yield Endpoint(listening)
        return
    authority = Authority(tmp_path)
    server, mine = authority.sign("server"), authority.sign("engine")
    options = TlsOptions(server.certificate, server.key, client_authority=authority.certificate, allowed=("engine",))
    with Listening(sqlite_url, tls=options) as listening:
        yield Endpoint(listening, authority, mine)


Client = Callable[[Endpoint, list[bytes]], list[tuple[str, str]]]


def python_hl7(endpoint: Endpoint, messages: list[bytes]) -> list[tuple[str, str]]:
    """python-hl7's asyncio client."""

    async def converse() -> list[tuple[str, str]]:
        opening = hl7.mllp.open_hl7_connection("127.0.0.1", endpoint.listening.port, ssl=endpoint.tls)
        reader, writer = await asyncio.wait_for(opening, SAFETY)
        answers = []
        for message in messages:
            writer.writemessage(hl7.parse(message.decode()))
            await writer.drain()
            answer = await asyncio.wait_for(reader.readmessage(), SAFETY)
            answers.append((str(answer["MSA.F1"]), str(answer["MSA.F2"])))
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()
        return answers

    return asyncio.run(converse())


def python_hl7_blocking(endpoint: Endpoint, messages: list[bytes]) -> list[tuple[str, str]]:
    """python-hl7's blocking client; it knows no TLS, so its socket is wrapped."""
    with hl7.client.MLLPClient("127.0.0.1", endpoint.listening.port) as client:
        client.socket.settimeout(SAFETY)
        if endpoint.tls is not None:
            client.socket = endpoint.tls.wrap_socket(client.socket, server_hostname="127.0.0.1")
        answers = []
        for message in messages:
            answer = hl7.parse(client.send_message(message).strip(b"\x0b\x1c\r"))
            answers.append((str(answer["MSA.F1"]), str(answer["MSA.F2"])))
        return answers


def hl7apy_client(endpoint: Endpoint, messages: list[bytes]) -> list[tuple[str, str]]:
    """hl7apy has no client but its way of writing frames (``to_mllp``) over a socket, as its documentation shows."""
    plain = socket.create_connection(("127.0.0.1", endpoint.listening.port), timeout=SAFETY)
    wire = plain if endpoint.tls is None else endpoint.tls.wrap_socket(plain, server_hostname="127.0.0.1")
    answers = []
    with wire:
        for message in messages:
            wire.sendall(parse_message(message.decode(), find_groups=False).to_mllp().encode())
            received = b""
            while not received.endswith(b"\x1c\r"):
                received += wire.recv(4096)
            answer = parse_message(received.decode().strip("\x0b\x1c\r"), find_groups=False)
            answers.append((answer.msa.msa_1.to_er7(), answer.msa.msa_2.to_er7()))
    return answers


def node(endpoint: Endpoint, messages: list[bytes], *, persistent: bool = True) -> list[tuple[str, str]]:
    """The npm client of that name, in a process of its own."""
    tls = None
    if endpoint.authority is not None and endpoint.mine is not None:
        mine = endpoint.mine
        files = {"ca": endpoint.authority.certificate, "cert": mine.certificate, "key": mine.key}
        tls = {name: str(path) for name, path in files.items()}
    job = {
        "host": "127.0.0.1",
        "port": endpoint.listening.port,
        "tls": tls,
        "persistent": persistent,
        "messages": [message.decode().removesuffix("\r") for message in messages],
    }
    done = subprocess.run(
        ["node", "client.mjs"],
        cwd=NODE_FOLDER,
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=2 * SAFETY,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [(code, control_id) for code, control_id in json.loads(done.stdout)]


def _persons() -> tuple[list[bytes], list[tuple[str, str]]]:
    messages = [a28(number) for number in range(COUNT)]
    return messages, [("AA", f"{number}-A28") for number in range(COUNT)]


@pytest.mark.parametrize("client", [python_hl7, python_hl7_blocking, hl7apy_client], ids=lambda one: one.__name__)
@pytest.mark.parametrize("persistent", [True, False], ids=["persistent", "one connection a message"])
def test_a_python_client_understands_every_answer(endpoint: Endpoint, client: Client, *, persistent: bool) -> None:
    messages, expected = _persons()
    answers = client(endpoint, messages) if persistent else [client(endpoint, [message])[0] for message in messages]
    assert answers == expected
    assert endpoint.listening.outcomes == ["applied"] * COUNT


NO_NODE = not (shutil.which("node") and (NODE_FOLDER / "node_modules").is_dir())


@pytest.mark.skipif(NO_NODE, reason="THE NPM CLIENT IS NOT TESTED: no node, or npm could not install it (make test)")
@pytest.mark.parametrize("persistent", [True, False], ids=["persistent", "one connection a message"])
def test_the_npm_client_understands_every_answer(endpoint: Endpoint, *, persistent: bool) -> None:
    messages, expected = _persons()
    assert node(endpoint, messages, persistent=persistent) == expected
    assert endpoint.listening.outcomes == ["applied"] * COUNT


@pytest.mark.skipif(NO_NODE, reason="THE NPM CLIENT IS NOT TESTED: no node, or npm could not install it (make test)")
def test_the_npm_client_understands_a_refusal(endpoint: Endpoint) -> None:
    assert node(endpoint, [a28(1), a28(2, version="9.9"), a28(3)]) == [
        ("AA", "1-A28"),
        ("AR", "2-A28"),
        ("AA", "3-A28"),
    ]
