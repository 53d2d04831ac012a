"""What systemd hears from the daemon: the sd_notify protocol (man 3 sd_notify), one datagram a time.

Without systemd (``$NOTIFY_SOCKET`` unset) all of it is silence, and so is a systemd that does not listen: no daemon
stops because its supervisor's socket is full.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
WATCHDOG: Final = "WATCHDOG=1"


def status(text: str) -> str:
    """Say in a line what the daemon does; ``systemctl status`` shows it."""
    return f"STATUS={' '.join(text.split())}"


def extend_start(by: timedelta) -> str:
    """Ask for more time before READY: a long migration is no hung start."""
    return f"EXTEND_TIMEOUT_USEC={by // timedelta(microseconds=1)}"


def notify(environ: Mapping[str, str], *states: str) -> bool:
    """Send states, such as :data:`READY` and ``status("2 listeners")``; tell whether systemd took them."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.send("\n".join(states).encode())
        return True
    return False


def watchdog_interval(environ: Mapping[str, str], process: int) -> timedelta | None:
    """Say how often to send :data:`WATCHDOG`: half of what systemd allows (man 3 sd_watchdog_enabled).

    None if it does not watch this process, whose id is ``process``.
    """
    allowed = environ.get("WATCHDOG_USEC", "")
    watched = environ.get("WATCHDOG_PID", "") or str(process)
    if not allowed.isascii() or not allowed.isdigit() or int(allowed) == 0 or watched != str(process):
        return None
    return timedelta(microseconds=int(allowed)) / 2
