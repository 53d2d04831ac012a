"""A browser and a join site for each worker. Where there is no browser, the run says so at its end, loudly."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.browser import JoinSite, launch, missing

ABSENT = "NO BROWSER: no page was looked at in a browser: {}. BROWSER_TESTS=required makes this a failure."


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser these tests are skipped, or fail where one is required."""
    if missing() and os.environ.get("BROWSER_TESTS") != "required":
        for item in items:
            if "browser" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason=ABSENT.format(missing())))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say it where nobody can miss it."""
    if missing():
        terminalreporter.write_sep("!", ABSENT.format(missing()), red=True, bold=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a file.

    Not for all of a worker: while Playwright lives, its event loop counts as running in this thread, and every test
    that calls ``asyncio.run`` on the same worker would fail.
    """
    assert not missing(), ABSENT.format(missing())
    with sync_playwright() as playwright:
        launched = launch(playwright)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JoinSite]:
    """One daemon for all tests of a worker."""
    made = JoinSite(tmp_path_factory.mktemp("join") / "house")
    yield made
    made.close()


OpenPage = Callable[..., Page]


@pytest.fixture
def new_page(browser: Browser, site: JoinSite) -> Iterator[OpenPage]:
    """Opens pages, each in a fresh profile. A request to another host, or a script's fault, fails the test."""
    contexts, faults = [], []

    def opened(*, language: str = "en-GB", **options: Any) -> Page:
        context = browser.new_context(locale=language, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda asked: None if asked.url.startswith(site.url) else faults.append(asked.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not faults
