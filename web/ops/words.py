"""Codes in words: what states, reasons and actions are called on the pages; an unknown one is shown as it stands."""

from __future__ import annotations

from starlette.requests import Request

from web.pages.pages import Pages


class Words:
    """Says codes in the language of one request."""

    def __init__(self, pages: Pages, request: Request) -> None:
        self._pages = pages
        self._request = request
        self._known = pages.languages.keys(pages.languages.default)

    def __call__(self, kind: str, code: str | None) -> str:
        """What this code is called; codes of another room that no file has yet are shown without underscores."""
        if not code:
            return ""
        key = f"{kind}.{code.replace('.', '_')}"
        return self._pages.say(self._request, key) if key in self._known else code.replace("_", " ")
