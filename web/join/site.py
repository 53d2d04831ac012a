"""The join site put together."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Final

from starlette.types import ASGIApp

from web.join import account, codes, confirm, forgotten, login, record
from web.join.house import JoinHouse
from web.pages.face import browser_face

FOLDER: Final = files("web.join")
"""Where the site's templates, languages and scripts lie."""


def site(house: JoinHouse, *, fault: Callable[[BaseException], None]) -> ASGIApp:
    """Give the site. ``fault`` hears of every exception that is the program's own."""
    steps = (codes, account, confirm, login, forgotten, record)
    return browser_face(house.pages, [route for step in steps for route in step.routes(house)], fault=fault)
