"""Bounces are read: which mail they are about, and whose fault it was."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.channels.bounce import receipt_of
from invites.receipt import Receipt, ReceiptState

NOW = datetime(2026, 3, 4, 15, tzinfo=UTC)
AT = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)


def dsn(
    action: str = "failed",
    status: str = "5.1.1",
    *,
    envelope: str = "",
    returned: str = "Message-ID: <ref-1@hospital.example>\r\nSubject: Your record",
    returned_type: str = "message/rfc822",
    head: str = "",
) -> bytes:
    """A bounce as mail servers write it (RFC 3464, appendix E)."""
    envelope_id = f"Original-Envelope-Id: {envelope}\r\n" if envelope else ""
    return (
        "From: MAILER-DAEMON@mx.example\r\nTo: noreply@hospital.example\r\nSubject: Undelivered Mail\r\n"
        f"Date: Wed, 04 Mar 2026 14:00:00 +0000\r\n{head}MIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="B"\r\n\r\n'
        "--B\r\nContent-Type: text/plain\r\n\r\nI am sorry.\r\n"
        f"--B\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n{envelope_id}\r\n"
        f"Final-Recipient: rfc822; ada@example.org\r\nAction: {action}\r\nStatus: {status}\r\n"
        "Diagnostic-Code: smtp; 550 no such user <ada@example.org>\r\n\r\n"
        f"--B\r\nContent-Type: {returned_type}\r\n\r\n{returned}\r\n\r\nHello\r\n--B--\r\n"
    ).encode()


@pytest.mark.parametrize(
    ("action", "status", "state", "permanent"),
    [
        ("failed", "5.1.1", ReceiptState.FAILED, True),
        ("Failed", "5.1.10", ReceiptState.FAILED, True),
        ("failed", "5.2.1", ReceiptState.FAILED, True),
        ("failed", "5.2.2", ReceiptState.FAILED, False),
        ("failed", "5.7.1", ReceiptState.FAILED, False),
        ("failed", "5.1.8", ReceiptState.FAILED, False),
        ("failed", "4.4.7", ReceiptState.FAILED, False),
        ("delayed", "4.4.1", ReceiptState.SENT, False),
        ("relayed", "2.0.0", ReceiptState.SENT, False),
        ("delivered", "2.0.0", ReceiptState.DELIVERED, False),
    ],
)
def test_action_and_status_say_what_became_of_it(
    action: str, status: str, state: ReceiptState, *, permanent: bool
) -> None:
    expected = Receipt("smtp", state, AT, "ref-1", permanent=permanent, code=status)
    assert receipt_of(dsn(action, status), NOW) == expected


@pytest.mark.parametrize(
    ("mail", "reference"),
    [
        (dsn(envelope="ref-2"), "ref-2"),
        (dsn(envelope="somebody else's, with blanks"), "ref-1"),
        (dsn(returned_type="text/rfc822-headers"), "ref-1"),
        (dsn(returned="Subject: x", head="In-Reply-To: <ref-3@hospital.example>\r\n"), "ref-3"),
        (dsn(returned="Subject: x", head="References: <ref-4@hospital.example>\r\n"), "ref-4"),
    ],
)
def test_the_mail_is_found_by_what_the_bounce_has_of_it(mail: bytes, reference: str) -> None:
    receipt = receipt_of(mail, NOW)
    assert receipt is not None
    assert receipt.reference == reference


@pytest.mark.parametrize(
    "mail",
    [
        b"",
        b"Subject: I am on holiday\r\nIn-Reply-To: <ref-1@hospital.example>\r\n\r\nUntil Monday.",
        dsn(returned="Subject: x"),
        dsn(action="bewildered"),
        dsn().replace(b"multipart/report", b"multipart/mixed"),
    ],
)
def test_what_is_no_bounce_of_ours_is_left_alone(mail: bytes) -> None:
    assert receipt_of(mail, NOW) is None


def test_a_bounce_from_the_future_happened_now() -> None:
    receipt = receipt_of(dsn().replace(b"2026 14", b"2036 14"), NOW)
    assert receipt is not None
    assert receipt.at == NOW


def test_a_bounce_from_before_there_were_any_of_ours_happened_now() -> None:
    receipt = receipt_of(dsn().replace(b"Wed, 04 Mar 2026", b"Mon, 01 Jan 0001"), NOW)
    assert receipt is not None
    assert receipt.at == NOW


@given(st.binary(), st.integers(0, 900))
def test_no_bytes_bring_it_down(junk: bytes, place: int) -> None:
    whole = dsn()
    receipt_of(whole[:place] + junk + whole[place + len(junk) :], NOW)
    receipt_of(junk, NOW)


@pytest.mark.parametrize(
    "hostile",
    [
        b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (at, at) for at in range(2000)),
        dsn(envelope="ab" * 16).replace(b"Wed, 04 Mar 2026", b"Wed, 99999999999999999999 Mar 2026"),
        dsn(envelope="ab" * 16).replace(b"+0000", b"+99999999999999999999"),
    ],
    ids=["nested", "day", "zone"],
)
def test_a_hostile_mail_is_read_without_a_fault(hostile: bytes) -> None:
    said = receipt_of(hostile, NOW)
    assert said is None or said.at == NOW
