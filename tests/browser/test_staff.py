"""A coordinator's day in a real browser: from the one-time password to a pair in the patient's hand."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import DESKTOP, PHONE, assert_accessible
from tests.support.people import person
from tests.support.staff_site import ROOT, StaffSite

SHOTS = Path(os.environ["DOORSTEP_TEST_SHOTS"]) if "DOORSTEP_TEST_SHOTS" in os.environ else None
"""A folder in which to keep a picture of every page, to be looked at."""


@pytest.fixture
def staff_site(tmp_path: Path, sqlite_url: str) -> Iterator[StaffSite]:
    with StaffSite(tmp_path, sqlite_url) as made:
        made.arrive([person(4711)])
        yield made


def look(page: Page) -> None:
    """Judge a page: accessible, and nothing wider than the screen."""
    if SHOTS is not None:
        page.screenshot(path=SHOTS / f"{len(list(SHOTS.glob('*.png'))) + 1:02}.png", full_page=True)
    assert_accessible(page)
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, f"{page.url} scrolls sideways by {wider} pixels"


SCREENS = pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
SCRIPTS = pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])


class Watched:
    """A page of a fresh profile; what it asks of others or complains of is kept."""

    def __init__(self, browser: Browser, url: str, screen: dict[str, Any], *, script: bool) -> None:
        self.context = browser.new_context(**screen, java_script_enabled=script)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.look = look if script else (lambda _page: None)  # axe is a script itself
        self.page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        self.page.on("request", lambda asked: None if asked.url.startswith(url) else self.faults.append(asked.url))

    def said(self, text: str) -> None:
        """The page says so at its top, and is fit to be seen."""
        expect(self.page.get_by_role("status")).to_contain_text(text)
        self.look(self.page)

    def press(self, button: str) -> None:
        """Press a button by its whole name."""
        self.page.get_by_role("button", name=button, exact=True).click()

    def fill(self, **fields: str) -> None:
        """Fill fields by their labels, blanks as underscores."""
        for label, text in fields.items():
            self.page.get_by_label(label.replace("_", " "), exact=True).fill(text)

    def close(self) -> None:
        """End it; nothing must have gone wrong."""
        self.context.close()
        assert self.faults == []


@SCREENS
@SCRIPTS
def test_the_first_day(browser: Browser, staff_site: StaffSite, screen: dict[str, Any], *, script: bool) -> None:
    one_time = staff_site.house.staff.add("anna.smith", "RX1", ROOT).password
    seen = Watched(browser, staff_site.url, screen, script=script)
    seen.page.goto(f"{staff_site.url}/staff")
    seen.look(seen.page)
    seen.fill(Login="anna.smith", Password="not it")
    seen.press("Log in")
    expect(seen.page.get_by_role("alert")).to_contain_text("do not go together")
    seen.look(seen.page)
    seen.fill(Password=one_time)
    seen.press("Log in")
    expect(seen.page.get_by_role("heading", name="Your password")).to_be_visible()
    seen.look(seen.page)
    seen.fill(New_password="password1234", The_same_again="password1234")
    seen.press("Set password")
    expect(seen.page.get_by_role("alert")).to_contain_text("first that somebody else would try")
    seen.look(seen.page)
    seen.fill(New_password="three blue teapots", The_same_again="three blue teapots")
    seen.press("Set password")
    seen.said("Your password is set")
    seen.press("Log out anna.smith")
    expect(seen.page.get_by_role("heading", name="Staff login")).to_be_visible()
    seen.page.goto(f"{staff_site.url}/staff/people")
    expect(seen.page.get_by_role("heading", name="Staff login")).to_be_visible()
    seen.close()


@SCREENS
@SCRIPTS
def test_at_the_desk(browser: Browser, staff_site: StaffSite, screen: dict[str, Any], *, script: bool) -> None:
    staff_site.staff("anna")
    seen = Watched(browser, staff_site.url, screen, script=script)
    page = seen.page
    page.goto(f"{staff_site.url}/staff/login")
    seen.fill(Login="anna", Password="three blue teapots")
    seen.press("Log in")
    seen.fill(Identifier="00004711")
    seen.press("Find")
    expect(page.get_by_role("heading", name="Ada Lovelace")).to_be_visible()
    assert "4711" not in page.url
    seen.look(page)
    person_url = page.url

    seen.press("Show on the screen")
    codes = page.locator(".codes dd").all_inner_texts()
    assert [bool(re.fullmatch(r"[2-9B-Z]{5} [2-9B-Z]{5}", code)) for code in codes] == [True, True]
    seen.look(page)
    page.get_by_role("link", name="Back to the person").click()
    assert page.url == person_url
    assert not any(code in page.content() for code in codes)

    seen.press("Send both")
    seen.said("The code goes out by one channel")
    seen.press("Revoke all")
    seen.said("do not work any more")
    page.locator("#hold_ground").select_option("safeguarding")
    seen.press("Hold")
    seen.said("on hold")
    expect(page.get_by_role("button", name="Show on the screen")).to_have_count(0)
    seen.press("Release")
    expect(page.get_by_role("button", name="Show on the screen")).to_be_visible()
    page.get_by_role("link", name="My clients").click()
    seen.look(page)
    seen.fill(**{"What_is_it_for?": "ward sheet"})
    seen.press("Make a client")
    expect(page.get_by_role("heading", name="Your new client")).to_be_visible()
    seen.look(page)
    secret = page.locator(".codes dd").all_inner_texts()[1]
    page.get_by_role("link", name="Back to my clients").click()
    assert secret not in page.content()
    seen.look(page)
    page.get_by_role("link", name="Service").click()
    expect(page.get_by_role("heading", name="The service")).to_be_visible()
    seen.look(page)
    seen.close()


def test_it_works_by_keyboard_alone(browser: Browser, staff_site: StaffSite) -> None:
    staff_site.staff("anna")
    page = browser.new_page()
    page.goto(f"{staff_site.url}/staff/login")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("anna")
    page.keyboard.press("Tab")
    page.keyboard.type("three blue teapots")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Find a person")).to_be_visible()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "identifier":
            break
    page.keyboard.type("00004711")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Ada Lovelace")).to_be_visible()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText") == "Show on the screen":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The codes")).to_be_visible()
    page.close()
