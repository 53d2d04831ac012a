"""Email over SMTP, against a real server: what each failure means, by how far the delivery had come."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP

from daemon.fake_providers.script import Act
from invites.channels import smtp_connection
from invites.channels.channel import Accepted, NotSent, Outcome, Refused, Request, Unknown
from tests.support.certificates import Authority
from tests.support.mail_server import MailServer
from tests.support.patience import SAFETY

HANGS = 2.0
"""Seconds after which a delivery is given up, where the server is told to be silent."""


def mail(reference: str = "ref-1", to: str = "ada@example.org", body: bytes = b"") -> Request:
    head = f"From: x@hospital.example\r\nTo: {to}\r\nMessage-ID: <{reference}@hospital.example>\r\n\r\n".encode()
    return Request("email", reference, to, head + (body or b"Hello\r\n"))


def test_what_is_accepted_is_there_byte_for_byte_under_the_servers_name() -> None:
    body = b"first\n.\n..dots\r\n. and more\rend"
    with MailServer() as server:
        assert server.provider().send(mail(body=body)) == Accepted("smtp-00000001")
        [entry] = server.ledger.entries
    assert entry.to == "ada@example.org"
    assert entry.message.endswith("\r\n\r\nfirst\r\n.\r\n..dots\r\n. and more\r\nend\r\n")


@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        (Act("answer", at="mail", status=451), NotSent("smtp_mail_451")),
        (Act("answer", at="mail", status=550, text="5.7.1 no"), NotSent("smtp_mail_550_5.7.1")),
        (Act("drop", at="mail"), NotSent("smtp_connection_lost_at_mail")),
        (Act("answer", at="rcpt", status=450, text="4.2.0 greylisted"), NotSent("smtp_rcpt_450_4.2.0")),
        (Act("answer", at="rcpt", status=550, text="5.1.1 unknown"), Refused("smtp_rcpt_550_5.1.1")),
        (Act("answer", at="rcpt", status=550, text="no such user"), Refused("smtp_rcpt_550")),
        (Act("answer", at="rcpt", status=552, text="5.2.2 full"), Refused("smtp_rcpt_552_5.2.2")),
        (Act("answer", at="rcpt", status=554, text="5.7.1 relaying denied"), NotSent("smtp_rcpt_554_5.7.1")),
        (Act("answer", at="rcpt", status=550, text="5.1.8 sender unknown"), NotSent("smtp_rcpt_550_5.1.8")),
        (Act("answer", at="rcpt", status=554, text="no"), NotSent("smtp_rcpt_554")),
        (Act("drop", at="rcpt"), NotSent("smtp_connection_lost_at_rcpt")),
        (Act("answer", at="data", status=421, text="going down"), NotSent("smtp_data_421")),
        (Act("drop", at="data"), NotSent("smtp_connection_lost_at_data")),
        (Act("answer", at="end", status=452, text="4.3.1 full"), NotSent("smtp_end_452_4.3.1")),
        (Act("answer", at="end", status=554, text="5.7.1 spam"), NotSent("smtp_end_554_5.7.1")),
        (Act("answer", at="end", status=550, text="5.1.1 unknown"), Refused("smtp_end_550_5.1.1")),
        (Act("answer", at="end", status=299), Accepted("ref-1")),
        (Act("answer", at="end", status=354), Unknown("smtp_garbled_after_data")),
        (Act("drop"), Unknown("smtp_connection_lost_after_data")),
        (Act("drop", record=True), Unknown("smtp_connection_lost_after_data")),
    ],
    ids=str,
)
def test_a_failure_means_what_its_phase_and_its_reply_say(act: Act, outcome: Outcome) -> None:
    with MailServer(act) as server:
        provider = server.provider()
        assert provider.send(mail()) == outcome
        assert server.references == (["ref-1"] if act.record else [])
        assert isinstance(provider.send(mail("ref-2")), Accepted)  # and nothing of it sticks to the next


@pytest.mark.parametrize("kept", [False, True], ids=["new connection", "kept connection"])
@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        (Act("hang", at="mail"), NotSent("smtp_timeout_at_mail")),
        (Act("hang", at="rcpt"), NotSent("smtp_timeout_at_rcpt")),
        (Act("hang", at="data"), NotSent("smtp_timeout_at_data")),
        (Act("hang"), Unknown("smtp_timeout_after_data")),
        (Act("hang", record=True), Unknown("smtp_timeout_after_data")),
    ],
    ids=str,
)
def test_silence_is_certain_before_the_end_of_the_data_and_unknown_after(
    act: Act, outcome: Outcome, *, kept: bool
) -> None:
    with MailServer(*[Act()] * kept, act) as server:
        provider = server.provider(timeout=HANGS)
        if kept:
            provider.send(mail("ref-0"))
        assert provider.send(mail()) == outcome
        assert isinstance(provider.send(mail("ref-2")), Accepted)


def test_one_connection_carries_many_mails_also_after_a_refusal() -> None:
    no = Act("answer", at="rcpt", status=550)
    with MailServer(Act(), no, no, Act()) as server:
        provider = server.provider()
        outcomes = [provider.send(mail(f"ref-{number}")) for number in range(5)]
        assert [type(outcome) for outcome in outcomes] == [Accepted, Refused, Refused, Accepted, Accepted]
        assert server.sink.connections == 1


def test_a_kept_connection_that_the_server_closed_is_replaced_without_a_word() -> None:
    with MailServer() as server:
        provider = server.provider()
        provider.send(mail())
        server.drop_all()
        assert isinstance(provider.send(mail("ref-2")), Accepted)
        assert server.references == ["ref-1", "ref-2"]


def test_a_kept_connection_that_ends_with_421_is_replaced_and_a_new_one_is_not() -> None:
    closing = Act("answer", at="mail", status=421)
    with MailServer(Act(), closing, Act()) as server:
        provider = server.provider()
        provider.send(mail())
        assert isinstance(provider.send(mail("ref-2")), Accepted)
    with MailServer(closing) as server:
        assert server.provider().send(mail()) == NotSent("smtp_mail_421")


def test_a_kept_connection_that_goes_after_the_data_is_not_tried_again() -> None:
    with MailServer(Act(), Act("drop", record=True)) as server:
        provider = server.provider()
        provider.send(mail())
        assert isinstance(provider.send(mail("ref-2")), Unknown)
        assert server.references == ["ref-1", "ref-2"]


def test_a_connection_that_has_carried_its_share_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("invites.channels.smtp_connection.MOST_MAILS", 2)
    with MailServer() as server:
        provider = server.provider()
        for number in range(5):
            assert isinstance(provider.send(mail(f"ref-{number}")), Accepted)
        assert server.sink.connections == 3


def test_many_threads_share_a_few_connections_and_lose_nothing() -> None:
    with MailServer() as server:
        provider = server.provider()
        with ThreadPoolExecutor(4) as threads:
            outcomes = list(threads.map(provider.send, (mail(f"ref-{number}") for number in range(100))))
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        assert sorted(server.references) == sorted(f"ref-{number}" for number in range(100))
        assert server.sink.connections <= 4


def test_a_server_that_is_not_there_is_not_sent_and_then_it_is() -> None:
    with MailServer() as server:
        provider = server.provider()
        server.stop()
        assert provider.send(mail()) == NotSent("smtp_connection_refused")
        server.start()
        assert isinstance(provider.send(mail()), Accepted)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_over_tls_with_a_certificate_of_the_hospitals_own_authority(tmp_path: Path, tls: str) -> None:
    authority = Authority(tmp_path)
    context = authority.sign("mail").server_context()
    with MailServer(tls=tls, context=context) as server:
        provider = server.provider(tls=tls, ca_file=authority.certificate)
        assert isinstance(provider.send(mail()), Accepted)
        assert isinstance(provider.send(mail("ref-2")), Accepted)
        assert server.sink.connections == 1


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_certificate_that_nobody_vouches_for_gets_no_mail(tmp_path: Path, tls: str) -> None:
    context = Authority(tmp_path).sign("mail").server_context()
    stranger = Authority(tmp_path, "stranger")
    with MailServer(tls=tls, context=context) as server:
        provider = server.provider(tls=tls, ca_file=stranger.certificate)
        assert provider.send(mail()) == NotSent("smtp_certificate_not_trusted")
        assert server.references == []


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_server_that_is_silent_after_its_goodbye_leaves_no_socket_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tls: str
) -> None:
    closed = threading.Event()

    async def goodbye_and_silence(session: SMTP, _arg: str) -> None:
        await session.push("221 Bye")
        assert closed.wait(SAFETY)  # its whole loop stands still: nobody answers the end of TLS either

    monkeypatch.setattr(SMTP, "smtp_QUIT", goodbye_and_silence)
    authority = Authority(tmp_path)
    with MailServer(tls=tls, context=authority.sign("mail").server_context()) as server:
        provider = server.provider(tls=tls, ca_file=authority.certificate)
        assert isinstance(provider.send(mail()), Accepted)
        provider.close()
        closed.set()
    gc.collect()  # a socket that is found open makes this test fail, and not one that runs later


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_server_that_is_silent_after_a_wrong_password_leaves_no_socket_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tls: str
) -> None:
    closed, mechanisms = threading.Event(), ["LOGIN", "PLAIN"]

    async def no_and_silence(session: SMTP, arg: str) -> None:
        await session.push("535 5.7.8 no")
        mechanisms.remove(arg.split(maxsplit=1)[0])
        assert mechanisms or closed.wait(SAFETY)  # it stands still after the last that it offers

    monkeypatch.setattr(SMTP, "smtp_AUTH", no_and_silence)
    authority = Authority(tmp_path)
    context = authority.sign("mail").server_context()
    with MailServer(tls=tls, context=context, username="doorstep", password="secret") as server:
        known = {"tls": tls, "ca_file": authority.certificate, "username": "doorstep", "password": "slip"}
        provider = server.provider(**known)
        assert provider.send(mail()) == NotSent("smtp_login_535")
        provider.close()
        closed.set()
    gc.collect()


def test_a_mail_is_accepted_however_long_the_goodbye_after_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silence(_session: SMTP, _arg: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(SMTP, "smtp_QUIT", silence)
    monkeypatch.setattr(smtp_connection, "MOST_MAILS", 1)
    with MailServer() as server:
        assert server.provider(timeout=HANGS).send(mail()) == Accepted("smtp-00000001")


def test_a_server_without_starttls_gets_no_mail_and_no_password() -> None:
    with MailServer(username="doorstep", password="secret") as server:
        provider = server.provider(tls="starttls", username="doorstep", password="secret")
        assert provider.send(mail()) == NotSent("smtp_no_starttls")
        assert server.references == []


def test_the_login_is_used_and_a_wrong_one_is_no_patients_fault(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.sign("mail").server_context()
    with MailServer(tls="starttls", context=context, username="doorstep", password="secret") as server:
        known = {"tls": "starttls", "ca_file": authority.certificate, "username": "doorstep"}
        assert isinstance(server.provider(**known, password="secret").send(mail()), Accepted)
        assert server.provider(**known, password="slip").send(mail()) == NotSent("smtp_login_535")
        assert server.provider(tls="starttls", ca_file=authority.certificate).send(mail()) == NotSent(
            "smtp_mail_530_5.7.0"
        )


def test_the_envelope_asks_for_bounces_that_name_the_reference_and_carry_no_codes() -> None:
    with MailServer() as server:
        server.provider().send(mail())
        assert server.sink.envelopes == [(["RET=HDRS", "ENVID=ref-1"], ["NOTIFY=FAILURE"])]
    with MailServer(dsn=False) as server:
        server.provider().send(mail())
        assert server.sink.envelopes == [([], [])]


@pytest.mark.parametrize("to", ["", "nobody", "a b@example.org", "a@b\r\nRCPT TO:<c@d>", "ä@example.org"])
def test_what_is_no_address_is_refused_before_anybody_is_asked(to: str) -> None:
    with MailServer() as server:
        assert server.provider().send(mail(to=to)) == Refused("bad_address")
        assert server.sink.connections == 0
