"""From the text message to the open record, in a real browser, on the real daemon."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.support.browser import BORN, DESKTOP, PASSWORD, PHONE, JoinSite, Newcomer, assert_accessible

BUTTON = "main form button[type=submit]"


def press(page: Page, selector: str = BUTTON) -> None:
    """Press a button and look at what comes with fresh eyes, once it is there: a click waits for no page."""
    with page.expect_navigation():
        page.locator(selector).first.click()
    assert_accessible(page)


def give_date(page: Page, born: tuple[str, str, str] = BORN) -> None:
    for part, value in zip(("day", "month", "year"), born, strict=True):
        page.fill(f"#birth-{part}", value)
    press(page, "form[action='/join/birth'] button")


def register(page: Page, person: Newcomer) -> None:
    """From an open join page with both codes in it to the page that asks to look for the mail."""
    press(page)
    give_date(page)
    page.fill("#email", person.email)
    page.fill("#password", PASSWORD)
    press(page)
    expect(page).to_have_url(re.compile("/join/sent$"))


def log_in(page: Page, person: Newcomer) -> None:
    page.fill("#email", person.email)
    page.fill("#password", PASSWORD)
    press(page)
    expect(page).to_have_url(re.compile("/record$"))
    expect(page.locator("main")).to_contain_text("Tess Testperson")


@pytest.mark.parametrize(
    ("options", "language"),
    [(PHONE, "en-GB"), (DESKTOP, "cy-GB")],
    ids=["on a phone, in English", "on a desktop, in Welsh"],
)
def test_the_whole_way(site: JoinSite, new_page: OpenPage, options: dict[str, Any], language: str) -> None:
    person, page = site.newcomer(), new_page(language=language, **options)
    page.goto(person.link)
    expect(page.locator("#code")).to_have_value(re.compile(r"^\w{5} \w{5}$"))
    assert "#" not in page.url
    assert_accessible(page)
    press(page)
    give_date(page, ("1", "1", "1970"))
    expect(page.locator("[role=alert]")).to_be_focused()
    give_date(page)
    page.fill("#email", "tess")
    page.fill("#password", "password12")
    press(page)
    expect(page.locator("#email")).to_have_attribute("aria-invalid", "true")
    page.fill("#email", person.email)
    page.fill("#password", PASSWORD)
    press(page)
    page.goto(person.confirmation())
    expect(page.locator("#secret")).to_be_hidden()
    assert_accessible(page)
    press(page)
    press(page, "main a.button")
    log_in(page, person)
    for path in ("/record/views", "/record/password"):
        page.goto(site.url + path)
        assert_accessible(page)
    press(page, "form[action='/logout'] button")
    page.goto(f"{site.url}/record")
    expect(page).to_have_url(re.compile("/login$"))
    too_wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert not too_wide


def test_by_keyboard_alone(site: JoinSite, new_page: OpenPage) -> None:
    person, page = site.newcomer(), new_page(**DESKTOP)

    def tab_to(selector: str) -> None:
        """Go on by Tab until that has the focus, as it shows."""
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"Tab never comes to {selector} on {page.url}")

    def type_into(selector: str, text: str) -> None:
        tab_to(selector)
        page.keyboard.type(text)

    page.goto(f"{site.url}/join")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    type_into("#code", person.text.pair[0].lower())
    type_into("#token", person.text.pair[1])
    page.keyboard.press("Enter")
    expect(page.locator("#birth-day")).to_be_visible()
    for part, value in zip(("day", "month", "year"), BORN, strict=True):
        type_into(f"#birth-{part}", value)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/join/account$"))
    type_into("#email", person.email)
    type_into("#password", PASSWORD)
    tab_to("[data-shows]")
    page.keyboard.press("Space")
    expect(page.locator("#password")).to_have_attribute("type", "text")
    tab_to(BUTTON)
    page.keyboard.press("Space")
    expect(page).to_have_url(re.compile("/join/sent$"))
    page.goto(person.confirmation())
    tab_to(BUTTON)
    page.keyboard.press("Enter")
    expect(page.locator("main a.button")).to_be_visible()
    tab_to("main a.button")
    page.keyboard.press("Enter")
    expect(page.locator("#email")).to_be_visible()
    type_into("#email", person.email)
    type_into("#password", PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/record$"))
    tab_to("form[action='/logout'] button")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("You are logged out")


def test_without_javascript(site: JoinSite, new_page: OpenPage) -> None:
    person = site.newcomer()
    page = new_page(java_script_enabled=False, **PHONE)
    page.goto(person.link)
    expect(page.locator("#code")).to_have_value("")  # nothing moved the codes: they are typed from the message
    code, token = person.text.pair
    page.fill("#code", f"{code[:5]}-{code[5:].lower()}")
    page.fill("#token", f"{token[:5]} {token[5:]}")
    page.locator(BUTTON).click()
    for part, value in zip(("day", "month", "year"), BORN, strict=True):
        page.fill(f"#birth-{part}", value)
    page.locator("form[action='/join/birth'] button").click()
    page.fill("#email", person.email)
    page.fill("#password", PASSWORD)
    page.locator(BUTTON).click()
    secret = person.confirmation().partition("#k=")[2]
    page.goto(f"{site.url}/confirm")
    page.fill("#secret", " ".join(secret[at : at + 5] for at in range(0, 20, 5)))
    page.locator(BUTTON).click()
    page.locator("main a.button").click()
    page.fill("#email", person.email)
    page.fill("#password", PASSWORD)
    page.locator(BUTTON).click()
    expect(page.locator("main")).to_contain_text("Tess Testperson")


def test_a_scanner_that_opens_every_link_first_spends_nothing(site: JoinSite, new_page: OpenPage) -> None:
    person = site.newcomer()

    def scan(link: str) -> None:
        """Open a link as mail gateways do: bare, with its head alone, and in a browser that runs scripts."""
        for method in ("HEAD", "GET", "OPTIONS"):
            httpx.request(method, link, follow_redirects=True, timeout=60)
        scanner = new_page(**DESKTOP)
        scanner.goto(link)
        scanner.wait_for_load_state("networkidle")

    scan(person.link)
    page = new_page(**DESKTOP)
    page.goto(person.link)
    register(page, person)
    scan(person.confirmation())
    page.goto(person.confirmation())
    press(page)
    press(page, "main a.button")
    log_in(page, person)


def test_another_language_keeps_the_codes(site: JoinSite, new_page: OpenPage) -> None:
    person, page = site.newcomer(), new_page(**PHONE)
    page.goto(person.link)
    expect(page.locator("#code")).to_have_value(re.compile(r"^\w{5} \w{5}$"))
    page.locator("[data-keeps-codes]").click()
    expect(page.locator("html")).to_have_attribute("lang", "cy")
    expect(page.locator("#code")).to_have_value(re.compile(r"^\w{5} \w{5}$"))
    page.locator(BUTTON).click()
    page.locator("[data-keeps-codes]").click()  # from the page with the date, whose codes are hidden fields
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#token")).to_have_value(re.compile(r"^\w{5} \w{5}$"))


def test_a_link_opened_over_a_page_with_slips_clears_them(site: JoinSite, new_page: OpenPage) -> None:
    person, page = site.newcomer(), new_page(**PHONE)
    page.goto(f"{site.url}/join")
    page.fill("#code", "AAAA")
    page.locator(BUTTON).click()
    expect(page.locator("[role=alert]")).to_be_visible()
    page.goto(person.link)
    expect(page.locator("[role=alert]")).to_have_count(0)
    expect(page.locator("#code")).not_to_have_attribute("aria-invalid", "true")
    press(page)
    expect(page).to_have_url(re.compile("/join$"))
    expect(page.locator("#birth-day")).to_be_visible()


def test_not_me_ends_the_pair(site: JoinSite, new_page: OpenPage) -> None:
    person, page = site.newcomer(), new_page(**PHONE)
    page.goto(person.link)
    press(page)
    press(page, "form[action='/join/not-me'] button")
    page.goto(f"{site.url}/join?again")
    page.goto(person.link)
    press(page)
    give_date(page)
    expect(page.locator("[role=alert]")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/join", "/confirm", "/login", "/forgotten", "/reset", "/nowhere"])
@pytest.mark.parametrize("language", ["en-GB", "cy-GB"])
def test_every_page_that_anybody_can_open_is_accessible(
    site: JoinSite, new_page: OpenPage, path: str, language: str
) -> None:
    page = new_page(language=language, **PHONE)
    page.goto(site.url + path)
    assert_accessible(page)
    expect(page.locator("html")).to_have_attribute("lang", language[:2])
    assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
