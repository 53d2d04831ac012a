"""The letter: one A4 page that a hospital would post, as PDF/UA-1.

The wording is plain text (:mod:`invites.wording.letter_text`), the layout a typst file beside this module. All that is
said goes to typst as data, a JSON text among its inputs, and is set as text: a name that looks like markup is printed
as it is written. The same invitation gives the same bytes, for the one time in the file is the invitation's own.

typst and segno are loaded with the first letter, for a doorstep that posts none should not carry them.
"""

from __future__ import annotations

import io
from importlib.resources import files
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import msgspec

from invites.channels.channel import LETTER, InvitationText, Refused, Request
from invites.channels.letter_check import address_fault, letter_fault
from invites.recipient import Recipient, full_name, obstacle, reachable
from invites.wording.letter_text import Title, read_blocks
from invites.wording.phrases import in_groups, in_words
from invites.wording.wording import Wording

if TYPE_CHECKING:
    import typst

UNPRINTABLE: Final = "letter_unprintable"
"""typst would not set it: most often a name in a script that the embedded fonts do not have (PDF/UA-1 forbids blanks
in the place of characters)."""

_TEMPLATE: Final = "letter.txt"
_PICTURE: Final = 100.0
"""Dots to the inch of a picture of a letter: enough to read it on a screen."""

_QR_MASK: Final = 2
"""Any of the eight is right; trying all for the prettiest takes 4.6 times as long."""


class Letter:
    """The letter channel. Its requests carry a PDF, and the envelope's lines as ``to``."""

    kind = LETTER

    def __init__(self, wording: Wording, *, large_print: bool = False) -> None:
        """Print in 16 points and larger with ``large_print``: two pages in the place of one."""
        self._wording = wording
        self._large = large_print
        self._press = Press()

    def render(self, text: InvitationText) -> Request | Refused:
        """Render the letter.

        Refused without a postal address or a name, when it cannot be printed, and for whatever else a print house would
        send it back (:mod:`invites.channels.letter_check`).
        """
        recipient = reachable(text.demographics, LETTER, text.to)
        if recipient is None:
            return Refused(obstacle(text.demographics, LETTER) or UNPRINTABLE)
        fault = address_fault(recipient.lines)
        if fault:
            return Refused(fault)
        pdf = self._press.pdf(
            self._said(text, recipient), qr_code(text.join_link or text.join_page), int(text.issued_at.timestamp())
        )
        if pdf is None:
            return Refused(UNPRINTABLE)
        fault = letter_fault(pdf)
        return Refused(fault) if fault else Request(LETTER, text.reference, recipient.to, pdf)

    def pictures(self, text: InvitationText) -> list[bytes]:
        """Give the letter's pages as PNG, for people who look at the wording; none where it cannot be set."""
        recipient = reachable(text.demographics, LETTER, text.to)
        return (
            self._press.pictures(self._said(text, recipient), qr_code(text.join_link or text.join_page))
            if recipient
            else []
        )

    def words(self, text: InvitationText) -> str:
        """Give the letter's text, before it is set. Raises WordingError."""
        template = f"{text.purpose}/{_TEMPLATE}"
        language = self._wording.language(template, text.language, text.organisation.code)
        return self._wording.say(template, language, _values(text, language), text.organisation.code)

    def _said(self, text: InvitationText, recipient: Recipient) -> bytes:
        """Everything that the layout sets, as JSON."""
        language = self._wording.language(f"{text.purpose}/{_TEMPLATE}", text.language, text.organisation.code)
        code, token = in_groups(text.code), in_groups(text.token)
        hospital, contact = text.organisation.name, text.organisation.contact
        blocks = read_blocks(self.words(text))
        title = next((block.text for block in blocks if isinstance(block, Title)), hospital)
        return msgspec.json.encode(
            {
                "title": title,
                "language": language,
                "hospital": hospital,
                "contact": contact,
                "reference": text.reference,
                "date": in_words(text.issued_at.date(), language),
                "large": self._large,
                "address": recipient.lines,
                "codes": [half for half in (code, token) if half],
                "blocks": blocks,
            }
        )


def _values(text: InvitationText, language: str) -> dict[str, str]:
    return {
        "name": full_name(text.demographics.name),
        "hospital": text.organisation.name,
        "contact": text.organisation.contact,
        "link": text.join_link,
        "page": text.join_page,
        "code": in_groups(text.code),
        "token": in_groups(text.token),
        "expires": in_words(text.expires_on, language),
    }


class Press:
    """typst with its fonts loaded once: about ten letters in the time that a new one takes for its first."""

    def __init__(self) -> None:
        self._layout = files("invites.channels").joinpath("letter_layout.typ").read_bytes()
        self._compiler: typst.Compiler | None = None
        self._turn = Lock()  # a compiler serves one caller at a time

    def pdf(self, said: bytes, qr: str, made_at: int) -> bytes | None:
        """Set a letter; None when typst refuses. ``made_at`` (seconds since 1970) is the only time in the file."""
        pdf = self._compiled(said, qr, format="pdf", pdf_standards=["ua-1"], timestamp=made_at)
        return pdf if isinstance(pdf, bytes) else None

    def pictures(self, said: bytes, qr: str) -> list[bytes]:
        """Set a letter as PNG, a picture a page; none when typst refuses."""
        pages = self._compiled(said, qr, format="png", ppi=_PICTURE)
        return [pages] if isinstance(pages, bytes) else list(pages or [])

    def _compiled(self, said: bytes, qr: str, **how: Any) -> bytes | list[bytes] | None:
        import typst  # noqa: PLC0415 (loaded with the first letter)

        with self._turn:
            if self._compiler is None:
                self._compiler = typst.Compiler(ignore_system_fonts=True)
            try:
                inputs = {"letter": said.decode(), "qr": qr}
                return self._compiler.compile(input=self._layout, sys_inputs=inputs, **how)
            except typst.TypstError:  # its text quotes what was to be set
                return None


def qr_code(link: str) -> str:
    """Draw the link as a QR code (ISO/IEC 18004, error correction M) in SVG, without the quiet zone around it."""
    import segno  # noqa: PLC0415 (loaded with the first letter)

    drawn = io.BytesIO()
    symbol = segno.make(link, error="m", micro=False, mask=_QR_MASK, boost_error=False)
    symbol.save(drawn, kind="svg", border=0, xmldecl=False, svgclass=None, lineclass=None)
    return drawn.getvalue().decode()
