"""What the spool provider delivered, read back as a patient would read it."""

from __future__ import annotations

import email
import email.policy
import io
import re
from dataclasses import dataclass
from pathlib import Path

import pypdf

from tests.support.patience import eventually

SUFFIXES = {"sms": ".txt", "email": ".eml", "letter": ".pdf"}
GROUPED_PAIR = re.compile(r"\b([2-9B-DF-HJ-NP-TV-Z]{5})[ -]?([2-9B-DF-HJ-NP-TV-Z]{5})\b")
LINK = re.compile(r"https?://\S+/join#c=([2-9A-Z]{10})&t=([2-9A-Z]{10})")


@dataclass(frozen=True)
class Delivery:
    """One delivered message: the channel, the file, and its readable text."""

    channel: str
    path: Path
    text: str

    @property
    def to(self) -> str:
        """Whom it is for: a number, an email address, or the first line of a postal address."""
        named = re.search(r"^To: (.*)$", self.text, re.MULTILINE)
        return named[1] if named else self.text.strip().splitlines()[0]

    @property
    def pair(self) -> tuple[str, str]:
        """The invitation code and the token, in normal form, from the link or from the text."""
        link = LINK.search(self.text)
        if link:
            return link[1], link[2]
        halves = [first + second for first, second in GROUPED_PAIR.findall(self.text)]
        assert len(halves) >= 2, f"no pair in {self.path.name}"
        return halves[0], halves[1]


class Spool:
    """The spool folder of one daemon."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self, channel: str = "*") -> list[Path]:
        """Give the delivered files, by name; a file still being written has no final name and is not among them."""
        suffixes = SUFFIXES.values() if channel == "*" else [SUFFIXES[channel]]
        found = (path for path in self.folder.glob(f"{channel}/*") if not path.name.startswith("."))
        return sorted(path for path in found if path.suffix in suffixes)

    def deliveries(self, channel: str = "*") -> list[Delivery]:
        """Read all deliveries of a channel, or of all channels."""
        return [Delivery(path.parent.name, path, _text(path)) for path in self.files(channel)]

    def wait(self, count: int, channel: str = "*") -> list[Delivery]:
        """Wait until at least ``count`` deliveries are there, and read them."""
        eventually(lambda: len(self.files(channel)) >= count, f"{count} deliveries ({channel})")
        return self.deliveries(channel)


def _text(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".pdf":
        return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)
    if path.suffix == ".eml":
        message = email.message_from_bytes(content, policy=email.policy.default)
        body = message.get_body(("plain",))
        assert body is not None, f"no text part in {path.name}"
        return f"To: {message['To']}\nSubject: {message['Subject']}\n\n{body.get_content()}"
    return content.decode()
