"""A real Chromium, Debian's own, for tests that look at pages as people do."""

from __future__ import annotations

import shutil
import socket
import subprocess
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright._impl._driver import compute_driver_executable
from playwright.sync_api import Browser, Page, Playwright

from tests.support.daemon_process import DaemonProcess
from tests.support.feed import a28
from tests.support.mllp import Wire
from tests.support.patience import eventually
from tests.support.spool import Delivery

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
DESKTOP = {"viewport": {"width": 1280, "height": 860}}
BORN = ("29", "2", "1980")
"""The date of birth of everybody that :func:`tests.support.feed.a28` makes."""

PASSWORD = "seven purple otters"


def found() -> str | None:
    """The path of a browser on this machine."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@cache
def missing() -> str:
    """What this machine lacks to look at a page in a browser; empty where it lacks nothing.

    Playwright brings a node of its own, which Debian's smallest images cannot run.
    """
    if found() is None:
        return "there is no browser (apt install chromium)"
    node, _ = compute_driver_executable()
    tried = subprocess.run([node, "--version"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "Playwright's node does not run (apt install libatomic1)"


def launch(playwright: Playwright) -> Browser:
    """Start it."""
    return playwright.chromium.launch(executable_path=found(), args=FLAGS)


class JoinSite:
    """A daemon with a join site, and the people who are invited to it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as listening:  # links carry the port, so it must be known before the daemon starts
            listening.bind(("127.0.0.1", 0))
            port = listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        settings = {"organisation": {"name": "St Mary’s Hospital"}, "join": {"port": port, "public_url": self.url}}
        self.daemon = DaemonProcess(folder, None, settings).start()
        self._wire: Wire = self.daemon.wire()
        self._numbers = count(1)

    def close(self) -> None:
        """End it."""
        self._wire.__exit__(None, None, None)
        self.daemon.kill()

    def newcomer(self) -> Newcomer:
        """Somebody who has just got a text message."""
        number = next(self._numbers)
        mobile = f"07700900{number:03}"
        self._wire.send(a28(f"RX{number:07}", mobile=mobile))
        text = self._message("sms", f"+44{mobile[1:]}")
        return Newcomer(self, text, f"tess{number}@example.org")

    def mail_to(self, address: str, having: str) -> Delivery:
        """The mail to that address that has that in it."""
        return self._message("email", address, having)

    def _message(self, channel: str, to: str, having: str = "") -> Delivery:
        def look() -> Delivery | None:
            deliveries = self.daemon.spool.deliveries(channel)
            return next((each for each in deliveries if each.to == to and having in each.text), None)

        return eventually(look, f"a message to {to}")


class Newcomer:
    """Somebody with a pair: their text message, and the address that they will choose."""

    def __init__(self, site: JoinSite, text: Delivery, email: str) -> None:
        self.site = site
        self.text = text
        self.email = email

    @property
    def link(self) -> str:
        """The join link in the text message."""
        return next(word for word in self.text.text.split() if "/join#c=" in word)

    def confirmation(self) -> str:
        """The link in the confirming mail."""
        mail = self.site.mail_to(self.email, "/confirm#k=")
        return next(word for word in mail.text.split() if "/confirm#k=" in word)


def assert_accessible(page: Page) -> None:
    """axe-core finds nothing to object to, by WCAG 2.2 A and AA and by its own best practice."""
    page.wait_for_load_state()
    violations: list[dict[str, Any]] = Axe().run(page).response["violations"]
    told = [(each["id"], each["help"], [node["target"] for node in each["nodes"]]) for each in violations]
    assert not told, f"{page.url}: {told}"
