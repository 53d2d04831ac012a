"""A patient at the join site, without a browser: fills in the forms that the pages show, over real HTTP."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import httpx

FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.DOTALL)
INPUT = re.compile(r"<input\b([^>]*)>")
ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')
SECRET = re.compile(r"#k=([2-9A-Z]{20})")


class Patient:
    """One person with one browser. ``page`` is the last answer."""

    def __init__(self, port: int, *, language: str = "en") -> None:
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"accept-language": language},
            follow_redirects=True,
            timeout=60,
        )
        self.page: httpx.Response

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    def open(self, path: str) -> httpx.Response:
        """Open a page."""
        self.page = self.client.get(path)
        return self.page

    def send(self, action: str | None = None, /, **fields: str) -> httpx.Response:
        """Fill in and send the page's form (the one with that action, or the only one of the main part)."""
        path, given = self.form(action)
        self.page = self.client.post(path, data=given | fields)
        return self.page

    def form(self, action: str | None = None) -> tuple[str, dict[str, str]]:
        """The address of a form of this page, and the fields as they stand in it."""
        for attributes, body in FORM.findall(self.page.text):
            told = dict(ATTRIBUTE.findall(attributes))
            if action is None and told["action"] == "/logout":
                continue
            if action in {None, told["action"]}:
                inputs = [dict(ATTRIBUTE.findall(each)) for each in INPUT.findall(body)]
                return told["action"], {each["name"]: html.unescape(each.get("value", "")) for each in inputs}
        raise AssertionError(f"no form for {action} on {self.page.url.path}: {self.text}")

    @property
    def text(self) -> str:
        """What the page's main part says."""
        main = self.page.text.partition("<main")[2].partition("</main>")[0]
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", main.partition(">")[2])).split())

    def prove(self, pair: tuple[str, str], born: str) -> httpx.Response:
        """Enter both codes, then the date (YYYY-MM-DD)."""
        self.open("/join")
        self.send(code=pair[0], token=pair[1])
        return self.send("/join/birth", **date_fields(born))

    def register(self, pair: tuple[str, str], born: str, email: str, password: str) -> httpx.Response:
        """Go as far as the mail."""
        self.prove(pair, born)
        assert self.page.url.path == "/join/account", self.text
        return self.send(email=email, password=password)

    def confirm(self, secret: str) -> httpx.Response:
        """Open the confirmation page and press its button."""
        self.open("/confirm")
        return self.send(secret=secret)

    def log_in(self, email: str, password: str) -> httpx.Response:
        """Log in."""
        self.open("/login")
        return self.send(email=email, password=password)


def date_fields(born: str) -> Mapping[str, str]:
    """The three fields of a date."""
    year, month, day = born.split("-")
    return {"birth_day": day, "birth_month": month, "birth_year": year}


def secret_in(mail: str) -> str:
    """What the link of a mail carries."""
    found = SECRET.search(mail)
    assert found, mail
    return found[1]
