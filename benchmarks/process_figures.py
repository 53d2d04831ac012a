"""What a process costs, as Linux tells it in ``/proc``: memory now and at most, and processor time.

The daemon starts a process for conformance checks, so what counts is the whole family: a process and all that descend
from it. Memory of the family is a sum, which counts shared pages more than once, against us. Without ``/proc`` (macOS)
there are no figures, and tables show a dash.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from msgspec import Struct

_PROC: Final = Path("/proc")
_MIB: Final = 1024.0  # KiB
_PARENT: Final = 1  # in /proc/PID/stat, counted from behind the name (proc(5))
_USER_TIME: Final = 11
_SYSTEM_TIME: Final = 12


class Figures(Struct, frozen=True):
    """One process and its descendants.

    ``rss`` and ``peak`` of the process itself and ``family_rss`` of all, in MiB; ``cpu`` in seconds, user and system,
    of the process itself, and ``children_cpu`` of all its descendants that live.
    """

    rss: float
    peak: float
    family_rss: float
    cpu: float
    children_cpu: float


def figures(pid: int | None) -> Figures | None:
    """Read the figures of a process and its descendants; None without ``/proc``, or when it is gone."""
    if pid is None or not (_PROC / str(pid) / "status").exists():
        return None
    family = _family(pid)
    memory = {member: _memory(member) for member in family}
    rss, peak = memory[pid]
    own, *others = (_cpu(member) for member in family)
    return Figures(rss, peak, sum(now for now, _ in memory.values()), own, sum(others))


def own_rss() -> float | None:
    """The resident memory of this process, in MiB."""
    return _memory(os.getpid())[0] if _PROC.exists() else None


def own_peak() -> float | None:
    """The most that this process was ever resident with, in MiB."""
    return _memory(os.getpid())[1] if _PROC.exists() else None


def _family(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[_PARENT]), []).append(int(entry.name))
    family = [pid]
    for member in family:  # grows while it is walked
        family += children.get(member, [])
    return family


def _stat(pid: int) -> list[str]:
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # it ended meanwhile
        return []


def _cpu(pid: int) -> float:
    fields = _stat(pid)
    ticks = int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME]) if fields else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> tuple[float, float]:
    """Resident memory and its peak, in MiB."""
    try:
        lines = (_PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    values = {key: value.split()[0] for key, _, value in (line.partition(":") for line in lines) if key[:2] == "Vm"}
    return int(values.get("VmRSS", "0")) / _MIB, int(values.get("VmHWM", "0")) / _MIB
