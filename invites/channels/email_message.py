"""The email: text and HTML, the same bytes for the same invitation.

Theory. Python's ``EmailMessage`` costs 0.75 ms a message, nearly all of it for headers that are the same in each. So
the standard library writes the head once for each hospital, language and sender, and what changes is joined on: ``To``
(checked to need no quoting), ``Date``, ``Message-ID``, the boundary and the two bodies. The result is RFC 5322 with
CRLF line ends, and reads back as the same message (tests/unit/test_email_message.py).

``Message-ID`` and boundary come from the reference, so that a second copy of the same invitation is known for one
(RFC 5322, 3.6.4). ``Auto-Submitted: auto-generated`` (RFC 3834, 5) and ``X-Auto-Response-Suppress`` (Microsoft
MS-OXCMAIL 2.2.3.2.14) keep holiday notices from answering. Bodies are plain ASCII lines where they can be, so that the
link stands whole in the source, and quoted-printable where they cannot. Nothing is fetched when it is opened.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Final

from invites.channels.channel import EMAIL, InvitationText, Organisation, Refused, Request
from invites.recipient import full_name, reachable
from invites.wording.phrases import at_clock, in_groups, in_words
from invites.wording.wording import Wording

NOT_REACHABLE: Final = "no_email_address"

_SUBJECT: Final = "email.subject.txt"
_TEXT: Final = "email.txt"
_HTML: Final = "email.html"
_LONGEST_LINE: Final = 998
"""Octets in a line without its CRLF (RFC 5322, 2.1.1)."""


class Email:
    """The email channel. Its requests carry the whole message as RFC 5322 bytes."""

    kind = EMAIL

    def __init__(self, wording: Wording, sender: str = "", domain: str = "") -> None:
        """Write as ``sender`` ("Name <address>"; default: the hospital's name, noreply at ``domain``).

        ``domain`` is the right hand of Message-ID, by default ``<organisation's code>.doorstep.invalid`` (RFC 2606: a
        name that nobody owns). Raises ValueError when the sender is no address.
        """
        if sender and "@" not in parseaddr(sender)[1]:
            raise ValueError("the sender of emails is not an address")
        self._wording = wording
        self._sender = sender
        self._domain = domain
        self._heads: dict[tuple[Organisation, str, str], bytes] = {}

    def render(self, text: InvitationText) -> Request | Refused:
        """Render the email; refused without an email address."""
        recipient = reachable(text.demographics, EMAIL, text.to)
        if recipient is None:
            return Refused(NOT_REACHABLE)
        language = self._language(text)
        boundary = _boundary(text.reference)
        head = b"\r\n".join(
            (
                b"To: " + recipient.to.encode("ascii"),
                b"Date: " + format_datetime(text.issued_at).encode("ascii"),
                f"Message-ID: <{text.reference}@{self._domain_for(text.organisation)}>".encode("ascii"),
                self._head(text.organisation, language, f"{text.purpose}/{_SUBJECT}"),
                b'Content-Type: multipart/alternative; boundary="%s"\r\n' % boundary,
            )
        )
        bodies = self.bodies(text)
        plain = _part(b"text/plain", bodies[_TEXT])
        html = _part(b"text/html", _in_ascii(bodies[_HTML]))
        body = b"\r\n--%s\r\n%s\r\n--%s\r\n%s\r\n--%s--\r\n" % (boundary, plain, boundary, html, boundary)
        return Request(EMAIL, text.reference, recipient.to, head + body)

    def bodies(self, text: InvitationText) -> dict[str, str]:
        """Give what the email says, by the name of the template that says it. Raises WordingError."""
        language, code = self._language(text), text.organisation.code
        values = _values(text, language)
        return {what: self._wording.say(f"{text.purpose}/{what}", language, values, code) for what in (_TEXT, _HTML)}

    def subject(self, text: InvitationText) -> str:
        """Give the email's subject. Raises WordingError."""
        what, hospital = f"{text.purpose}/{_SUBJECT}", text.organisation
        return self._wording.say(what, self._language(text), {"hospital": hospital.name}, hospital.code)

    def _language(self, text: InvitationText) -> str:
        return self._wording.language(f"{text.purpose}/{_TEXT}", text.language, text.organisation.code)

    def _head(self, organisation: Organisation, language: str, subject: str) -> bytes:
        """Give the headers that are the same in every message of this hospital and purpose, written once."""
        known = self._heads.get((organisation, language, subject))
        if known is None:
            known = self._heads[(organisation, language, subject)] = self._written_head(organisation, language, subject)
        return known

    def _written_head(self, organisation: Organisation, language: str, subject: str) -> bytes:
        message = EmailMessage(policy=SMTP)
        message["From"] = self._sender or Address(organisation.name, "noreply", self._domain_for(organisation))
        message["Subject"] = self._wording.say(subject, language, {"hospital": organisation.name}, organisation.code)
        message["Content-Language"] = language
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message["MIME-Version"] = "1.0"
        return message.as_bytes().strip()

    def _domain_for(self, organisation: Organisation) -> str:
        return self._domain or f"{organisation.code.lower()}.doorstep.invalid"


def _values(text: InvitationText, language: str) -> Mapping[str, str]:
    return {
        "name": full_name(text.demographics.name) or "patient",
        "hospital": text.organisation.name,
        "contact": text.organisation.contact,
        "link": text.join_link,
        "page": text.join_page,
        "code": in_groups(text.code),
        "token": in_groups(text.token),
        "expires": in_words(text.expires_on, language),
        "language": language,
        "secret": in_groups(text.secret),
        "until": at_clock(text.expires_at, language) if text.expires_at is not None else "",
    }


def _boundary(reference: str) -> bytes:
    """Give a boundary that no body holds: ``=_`` cannot stand in quoted-printable (RFC 2045, 6.7)."""
    return b"=_" + hashlib.sha256(reference.encode()).hexdigest()[:32].encode()


def _part(content_type: bytes, body: str) -> bytes:
    content = body.replace("\r\n", "\n").replace("\n", "\r\n").encode() + b"\r\n"
    if content.isascii() and max(map(len, content.split(b"\r\n"))) <= _LONGEST_LINE:
        encoding = b"7bit"
    else:
        encoding, content = b"quoted-printable", binascii.b2a_qp(content, istext=True)
    return b"Content-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n%s" % (
        content_type,
        encoding,
        content,
    )


def _in_ascii(html: str) -> str:
    """Write other characters as numeric references, which every reader knows whatever happens on the way."""
    return html.encode("ascii", "xmlcharrefreplace").decode("ascii")
