"""TLS on the listener's own port: whom it lets in, what it says of the others, and how a certificate is renewed."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from hl7_listener.certificates import TlsFault, TlsOptions
from hl7_listener.client import deliver, tls_context
from tests.support.certificates import Authority, Signed
from tests.support.feed import a28
from tests.support.listening import Listening
from tests.support.mllp import Wire, msa
from tests.support.patience import eventually


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def options(server: Signed, **changes: object) -> TlsOptions:
    return TlsOptions(server.certificate, server.key, **changes)  # type: ignore[arg-type]


def client(authority: Authority, mine: Signed | None = None) -> ssl.SSLContext:
    if mine is None:
        return tls_context(authority.certificate)
    return tls_context(authority.certificate, mine.certificate, mine.key)


def refusals(listening: Listening) -> list[str]:
    return [name for name, count in listening.told.counts.items() if name.startswith("refused ") and count]


def shown(wire: Wire) -> int:
    assert isinstance(wire.socket, ssl.SSLSocket)
    certificate = wire.socket.getpeercert()
    assert certificate
    return int(str(certificate["serialNumber"]), 16)


def test_messages_are_answered_in_order_over_tls(sqlite_url: str, authority: Authority) -> None:
    with Listening(sqlite_url, tls=options(authority.sign("server"))) as listening:
        with listening.wire(tls=client(authority)) as wire:
            wire.send(*(a28(person) for person in range(1, 201)))
            answers = [msa(wire.receive())[:2] for _ in range(200)]
        assert answers == [("AA", f"{person}-A28") for person in range(1, 201)]
        eventually(lambda: listening.in_loop(lambda: listening.listener.connections) == 0, "the end")
        assert not listening.told.errors
        assert listening.told.counts["connections"] == 0


def test_our_own_client_delivers_over_many_tls_connections(sqlite_url: str, authority: Authority) -> None:
    with Listening(sqlite_url, tls=options(authority.sign("server"))) as listening:
        messages = [a28(person) for person in range(1, 101)]
        sending = deliver(messages, "127.0.0.1", listening.port, tls=client(authority), connections=8)
        summary = asyncio.run(sending)
        assert (summary.sent, summary.codes) == (100, {"AA": 100})


@pytest.mark.parametrize(
    ("mine", "reason"),
    [("signed", ""), ("nothing", "no_client_certificate"), ("stranger", "client_certificate_not_trusted")],
)
def test_mutual_tls_lets_in_whom_the_authority_signed(
    sqlite_url: str, tmp_path: Path, authority: Authority, mine: str, reason: str
) -> None:
    tls = options(authority.sign("server"), client_authority=authority.certificate)
    signer = {"signed": authority, "stranger": Authority(tmp_path, "another"), "nothing": None}[mine]
    own = signer.sign("engine") if signer else None
    with Listening(sqlite_url, tls=tls) as listening:
        assert _accepted(listening, client(authority, own)) == (not reason)
        eventually(lambda: refusals(listening) == ([f"refused {reason}"] if reason else []), "the count")


@pytest.mark.parametrize(("allowed", "lets_in"), [(("ENGINE",), True), (("localhost",), True), (("other",), False)])
def test_a_signed_certificate_must_have_an_allowed_name(
    sqlite_url: str, authority: Authority, allowed: tuple[str, ...], *, lets_in: bool
) -> None:
    tls = options(authority.sign("server"), client_authority=authority.certificate, allowed=allowed)
    with Listening(sqlite_url, tls=tls) as listening:
        assert _accepted(listening, client(authority, authority.sign("engine"))) == lets_in
        eventually(lambda: refusals(listening) == ([] if lets_in else ["refused subject_not_allowed"]), "the count")
        assert listening.outcomes == (["applied"] if lets_in else [])


def _accepted(listening: Listening, context: ssl.SSLContext) -> bool:
    try:
        with listening.wire(tls=context) as wire:
            return msa(wire.exchange(a28(1)))[0] == "AA"
    except (EOFError, OSError):
        return False


def test_tls_1_1_is_refused(sqlite_url: str, authority: Authority) -> None:
    old = client(authority)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with Listening(sqlite_url, tls=options(authority.sign("server"))) as listening:
        assert not _accepted(listening, old)
        eventually(lambda: refusals(listening) == ["refused tls_version_too_old"], "the count")


def test_1_2_is_refused_where_1_3_is_the_minimum(sqlite_url: str, authority: Authority) -> None:
    old = client(authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with Listening(sqlite_url, tls=options(authority.sign("server"), minimum="1.3")) as listening:
        assert not _accepted(listening, old)
        assert _accepted(listening, client(authority))


def test_plain_mllp_on_a_tls_port_is_named_so_and_nothing_of_it_is_kept(sqlite_url: str, authority: Authority) -> None:
    with Listening(sqlite_url, tls=options(authority.sign("server"))) as listening:
        with listening.wire() as wire:
            wire.send(a28(1))
            assert wire.remaining() == []
        eventually(lambda: refusals(listening) == ["refused not_tls"], "the count")
        assert listening.rows("journal") == []


def test_a_probe_that_connects_and_leaves_is_no_event(sqlite_url: str, authority: Authority) -> None:
    with Listening(sqlite_url, tls=options(authority.sign("server"))) as listening:
        for leave in (socket.socket.close, lambda s: Wire.reset(_as_wire(s))):
            probe = socket.create_connection(("127.0.0.1", listening.port))
            eventually(lambda: listening.in_loop(lambda: listening.listener.connections) == 1, "its beginning")
            leave(probe)
            eventually(lambda: listening.in_loop(lambda: listening.listener.connections) == 0, "its end")
        assert refusals(listening) == []
        assert not listening.told.errors


def _as_wire(probe: socket.socket) -> Wire:
    wire = Wire.__new__(Wire)
    wire.socket = probe
    return wire


def test_who_never_finishes_the_handshake_is_closed(sqlite_url: str, authority: Authority) -> None:
    tls = options(authority.sign("server"), handshake_timeout=timedelta(milliseconds=50))
    with Listening(sqlite_url, tls=tls) as listening, listening.wire() as wire:
        assert wire.remaining() == []
        eventually(lambda: refusals(listening) == ["refused handshake_timeout"], "the count")


def test_an_address_that_is_not_allowed_gets_no_handshake(sqlite_url: str, authority: Authority) -> None:
    tls = options(authority.sign("server"))
    with Listening(sqlite_url, tls=tls, allow=(ip_network("10.0.0.0/8"),)) as listening:
        with listening.wire() as wire:  # not a byte of TLS is answered, so none was read
            assert wire.remaining() == []
        with pytest.raises(OSError, match=r".*"):
            listening.wire(tls=client(authority))
        assert refusals(listening) == ["refused not_allowed"]


def test_handshakes_count_as_connections(sqlite_url: str, authority: Authority) -> None:
    with (
        Listening(sqlite_url, tls=options(authority.sign("server")), max_connections=1) as listening,
        listening.wire(),
    ):
        eventually(lambda: listening.in_loop(lambda: listening.listener.connections) == 1, "the handshake")
        with listening.wire() as second:
            assert second.remaining() == []
        assert refusals(listening) == ["refused full"]


def test_a_stop_waits_for_no_handshake(sqlite_url: str, authority: Authority) -> None:
    tls = options(authority.sign("server"), handshake_timeout=timedelta(hours=1))
    with Listening(sqlite_url, tls=tls) as listening, listening.wire() as wire:
        eventually(lambda: listening.in_loop(lambda: listening.listener.connections) == 1, "the handshake")
        assert listening.run(listening.listener.drain(timedelta(seconds=30)))
        assert wire.remaining() == []


def test_a_stop_answers_what_was_read_over_tls(sqlite_url: str, authority: Authority) -> None:
    with Listening(sqlite_url, tls=options(authority.sign("server"))) as listening:
        with listening.wire(tls=client(authority)) as wire:
            with listening.held():
                wire.send(a28(1), a28(2))
                eventually(lambda: listening.ingest.backlog + listening.told.counts["received"] > 0, "the messages")
                drain = listening.listener.drain(timedelta(seconds=30))
                drained = listening.in_loop(lambda: asyncio.ensure_future(drain))
            assert [msa(answer)[0] for answer in wire.remaining()] == ["AA", "AA"]
        eventually(drained.done, "the drain")
        assert drained.result()


def test_a_message_that_is_too_large_gets_its_answer_over_tls(sqlite_url: str, authority: Authority) -> None:
    with Listening(sqlite_url, tls=options(authority.sign("server")), max_frame_bytes=4096) as listening:
        with listening.wire(tls=client(authority)) as wire:
            wire.write(b"\x0b" + a28(1) + b"A" * 300_000)
            wire.write(*([b"A" * 100_000] * 20))  # it is still writing when it is refused
            assert msa(wire.receive())[0] == "AR"
        assert listening.quarantine == ["too large"]


def test_a_new_certificate_is_for_new_links_and_cuts_none(sqlite_url: str, authority: Authority) -> None:
    with Listening(sqlite_url, tls=options(authority.sign("server"))) as listening:
        assert listening.tls is not None
        now = datetime.now(UTC)
        assert not listening.tls.refresh(now)
        with listening.wire(tls=client(authority)) as old:
            assert msa(old.exchange(a28(1)))[0] == "AA"
            authority.sign("server", days=(-1, 9))
            assert listening.tls.refresh(now)
            assert listening.tls.expires_at > now + timedelta(days=8)
            assert not listening.tls.refresh(now)
            with listening.wire(tls=client(authority)) as new:
                assert shown(new) != shown(old)
                assert msa(new.exchange(a28(2)))[0] == "AA"
            assert msa(old.exchange(a28(3)))[0] == "AA"


def test_a_certificate_without_its_key_changes_nothing_until_the_key_is_there(
    sqlite_url: str, authority: Authority
) -> None:
    server = authority.sign("server")
    with Listening(sqlite_url, tls=options(server)) as listening:
        assert listening.tls is not None
        now = datetime.now(UTC)
        old_key = server.key.read_bytes()
        authority.sign("server")
        new_key = server.key.read_bytes()
        server.key.write_bytes(old_key)
        for _ in range(2):  # it is tried again each time
            with pytest.raises(TlsFault, match="other_key"):
                listening.tls.refresh(now)
        assert _accepted(listening, client(authority))
        server.key.write_bytes(new_key)
        assert listening.tls.refresh(now)
        assert _accepted(listening, client(authority))
