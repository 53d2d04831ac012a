"""The client over TLS: it knows its server, shows who it is, and tells a wrong server from a right one."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import click
import pytest

from daemon.commands.mllp_target import tls_of
from hl7_listener.client import Summary, deliver, tls_context
from tests.support.certificates import Authority
from tests.support.mllp import ScriptedReceiver

MESSAGE = b"MSH|^~\\&|PAS|RX1|||20260101||ADT^A28|1|P|2.5\rPID|1||7^^^RX1^MR||Doe^Jo\r"


def exchange(server: ssl.SSLContext, client: ssl.SSLContext) -> Summary:
    receiver = ScriptedReceiver()

    async def main() -> Summary:
        # A refused handshake is the server's error too; this test looks at the client's side of it.
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        async with receiver.listening(server):
            return await deliver([MESSAGE], "127.0.0.1", receiver.port, tls=client, tries=2)

    return asyncio.run(main())


def test_a_server_of_a_trusted_authority_is_sent_to(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = tls_context(authority.certificate)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert exchange(authority.sign("server").server_context(), context).accepted


def test_a_server_of_another_authority_is_sent_nothing_unless_we_insist(tmp_path: Path) -> None:
    server = Authority(tmp_path, "stranger").sign("server").server_context()
    refused = exchange(server, tls_context(Authority(tmp_path).certificate))
    assert (refused.sent, refused.stopped.split()[0]) == (0, "no_connection")
    assert exchange(server, tls_context(insecure=True)).accepted


@pytest.mark.parametrize("known", [True, False])
def test_mutual_tls_shows_the_server_who_we_are(tmp_path: Path, *, known: bool) -> None:
    authority = Authority(tmp_path)
    server = authority.sign("server").server_context(clients_from=authority.certificate)
    mine = (authority if known else Authority(tmp_path, "stranger")).sign("client")
    summary = exchange(server, tls_context(authority.certificate, mine.certificate, mine.key))
    assert summary.accepted == known


def test_a_certificate_alone_asks_for_tls(tmp_path: Path) -> None:
    """Who names one and forgets --tls must not have patients' data sent in clear."""
    mine = Authority(tmp_path).sign("client")
    assert tls_of(None, mine.certificate, mine.key, tls=False, insecure=False) is not None
    assert tls_of(None, None, None, tls=True, insecure=False) is not None
    assert tls_of(None, None, None, tls=False, insecure=False) is None
    with pytest.raises(click.UsageError, match="--tls-cert"):
        tls_of(None, None, mine.key, tls=True, insecure=False)
