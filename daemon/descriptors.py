"""File descriptors: each connection takes one, and the usual soft limit (1024) is below one listener's connections."""

from __future__ import annotations

import contextlib
import resource
from typing import Final

import structlog

RESERVE: Final = 64
"""Descriptors for everything that is no connection of a sender: database, log, web, the folder of the spool."""


def provide(connections: int) -> int:
    """Raise the soft limit to the hard one, warn where it is too low for so many connections, and give it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # a system may refuse "no limit"
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if soft not in (resource.RLIM_INFINITY, -1) and soft < connections + RESERVE:
        structlog.get_logger("daemon").warning(
            "few_descriptors",
            count=soft,
            next="Raise the limit of open files (LimitNOFILE) or lower max_connections.",
        )
    return soft
