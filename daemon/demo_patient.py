"""The demo's patient: opens the join link from a text message, and goes all the way to the open record.

Over real HTTP, with the forms that the pages show, as a browser without JavaScript would. The mail with the link comes
out of the spool like any other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from email import message_from_bytes
from email.policy import default as email_policy
from html.parser import HTMLParser
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

import httpx
from msgspec import Struct

PASSWORD: Final = "three otters under ice"  # noqa: S105 (for invented people)
ADDRESS: Final = "demo.patient@example.org"

_PATIENCE: Final = 60.0
"""Seconds for the mail to arrive in the spool."""


class Journey(Struct, frozen=True):
    """How far the patient came: each step's name, and whether it did what it must; the mail that came on the way."""

    steps: list[tuple[str, bool]]
    mail: str

    @property
    def fell_short(self) -> str | None:
        """The first step that did not work."""
        return next((name for name, worked in self.steps if not worked), None)


def travel(link: str, born: date, name: str, mails: Path) -> Journey:
    """Go from the join link to the open record, which must show that name; ``mails`` is the spool's email folder."""
    carried = parse_qs(urlsplit(link).fragment)
    steps: list[tuple[str, bool]] = []
    known = set(mails.iterdir())

    def step(text: str, worked: bool) -> bool:  # noqa: FBT001 (a fact)
        steps.append((text, worked))
        return worked

    with _Browser(f"{urlsplit(link).scheme}://{urlsplit(link).netloc}") as browser:
        browser.open(urlsplit(link).path)
        browser.send({"code": carried["c"][0], "token": carried["t"][0]})
        browser.send({"birth_day": str(born.day), "birth_month": str(born.month), "birth_year": str(born.year)})
        if not step("codes and date of birth", browser.path == "/join/account"):
            return Journey(steps, "")
        browser.send({"email": ADDRESS, "password": PASSWORD})
        if not step("email address and password", browser.path == "/join/sent"):
            return Journey(steps, "")
        mail = _awaited(lambda: next((file for file in mails.glob("*.eml") if file not in known), None))
        text = _text(mail) if mail is not None else ""
        secret = text.partition("#k=")[2][:20]
        if not step("a mail with a link", bool(secret)):
            return Journey(steps, text)
        browser.open("/confirm")
        browser.send({"secret": secret})
        step("the link makes the person registered", browser.status == httpx.codes.OK)
        browser.open("/login")
        browser.send({"email": ADDRESS, "password": PASSWORD})
        step("log in, and the record opens", browser.path == "/record" and name in browser.text)
        return Journey(steps, text)


class _Browser:
    """Opens pages and sends the first form of their main part."""

    def __init__(self, site: str) -> None:
        self._client = httpx.Client(base_url=site, follow_redirects=True, timeout=60)
        self._page: httpx.Response | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    @property
    def path(self) -> str:
        return self._page.url.path if self._page is not None else ""

    @property
    def status(self) -> int:
        return self._page.status_code if self._page is not None else 0

    @property
    def text(self) -> str:
        return self._page.text if self._page is not None else ""

    def open(self, path: str) -> None:
        self._page = self._client.get(path)

    def send(self, fields: dict[str, str]) -> None:
        form = _Form()
        form.feed(self.text)
        self._page = self._client.post(form.action or self.path, data=form.fields | fields)


class _Form(HTMLParser):
    """The first form of a page's main part: where it goes, and its fields as they stand."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self._in_main = self._within = self._done = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "main":
            self._in_main = True
        elif tag == "form" and self._in_main and not self._done:
            self.action, self._within = told.get("action", ""), True
        elif tag == "input" and self._within and "name" in told:
            self.fields[told["name"]] = told.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self._within:
            self._within, self._done = False, True


def _awaited(look: Callable[[], Path | None]) -> Path | None:
    began = time.monotonic()
    while time.monotonic() - began < _PATIENCE:
        found = look()
        if found is not None:
            return found
        time.sleep(0.1)
    return None


def _text(path: Path) -> str:
    body = message_from_bytes(path.read_bytes(), policy=email_policy).get_body(("plain",))
    return str(body.get_content()) if body is not None else ""
