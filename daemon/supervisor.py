"""``doorstep serve``: the order in which things start, and the order in which they stop.

Start: database and keys, listeners, web, the clock; then ``ports.json`` and READY, when all of it answers.

Stop (SIGTERM or SIGINT): take no new connection; commit and answer what was read; let deliveries in hand finish and
give leases back; close. All of it within ``serve.stop_deadline``. A second signal ends it at once, which loses nothing
either: what was not acknowledged is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from starlette.applications import Starlette

from daemon import clockwork, logs, notify
from daemon.bootstrap import House, build, utc_now
from daemon.gauges import Gauges
from daemon.pulse import Pulse
from daemon.settings import Settings
from hl7_listener.conformance_sampler import ConformanceSampler
from hl7_listener.ingest import Ingest
from hl7_listener.server import Listener
from invites.schedule import Schedule
from patient_records.errors import RecordsError
from web.api import health
from web.server import WebFace

BEAT: Final = timedelta(seconds=2)

_SWITCH_INTERVAL: Final = 0.0005
_SAMPLER_STOPS: Final = timedelta(seconds=2)


class Ports(msgspec.Struct, frozen=True):
    """The bound ports, as ``ports.json`` has them: each listener's by its name, and the api's."""

    listeners: dict[str, int]
    api: int


class Supervisor:
    """Runs one daemon in the current event loop."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._log = structlog.get_logger("daemon")
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> int:
        """Serve until told to stop; gives the process's exit status.

        Raises what :func:`daemon.bootstrap.build` raises, and OSError when a port cannot be had.
        """
        loop = asyncio.get_running_loop()
        logs.watch(loop)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        house = await asyncio.to_thread(build, self._settings)
        try:
            return await self._serve(house)
        finally:
            await asyncio.to_thread(house.close)

    async def _serve(self, house: House) -> int:
        telemetry = house.telemetry
        sampler = ConformanceSampler(house.database, time.monotonic, telemetry.internal_error)
        telemetry.listen(sampler.offer)
        ingest = Ingest(house.database, house.stores, telemetry, utc_now)
        listeners = [Listener(options, ingest, telemetry, utc_now) for options in house.listeners()]
        api = WebFace(self._api(house, ingest, sampler), self._settings.api.host, self._settings.api.port)
        clock = clockwork.schedule(house)
        pulse = Pulse(house.database, house.ids.row_id(), version("doorstep"), telemetry.senders)
        await asyncio.to_thread(pulse.begin, utc_now())
        # The writer's thread hands the interpreter over at every statement; at the default of 5 ms the event loop keeps
        # it for longer than a whole batch takes.
        sys.setswitchinterval(_SWITCH_INTERVAL)
        ingest.start(asyncio.get_running_loop())
        sampler.start()
        bound = {listener.options.name: await listener.start() for listener in listeners}
        ports = Ports(bound, await api.start())
        clock.start()
        self._tasks = [asyncio.create_task(self._beat(pulse, house, ingest)), asyncio.create_task(self._watchdog())]
        self._ready(house, ports)
        await self._stopping.wait()
        house.metrics.ready.set(0)
        in_time = await self._stop(listeners, ingest, sampler, clock, api)
        with contextlib.suppress(RecordsError):
            await asyncio.to_thread(pulse.end, utc_now())
        self._log.info("stopped")
        return 0 if in_time else 1

    def _ready(self, house: House, ports: Ports) -> None:
        folder = self._settings.keys.file.parent
        _write_whole(folder / "ports.json", msgspec.json.encode(ports).decode() + "\n")
        for name, port in ports.listeners.items():
            self._log.info("listening", listener=name, port=port)
        self._log.info("serving_api", host=self._settings.api.host, port=ports.api)
        self._log.info("ready", version=version("doorstep"), url=self._settings.database.location)
        house.metrics.ready.set(1)
        house.metrics.information.labels(version("doorstep")).set(1)
        notify.notify(self._environ, notify.READY, notify.status("serving"))

    async def _stop(
        self, listeners: list[Listener], ingest: Ingest, sampler: ConformanceSampler, clock: Schedule, api: WebFace
    ) -> bool:
        notify.notify(self._environ, notify.STOPPING)
        deadline = self._settings.serve.stop_deadline
        self._log.info("stopping")
        for task in self._tasks:
            task.cancel()
        ends = time.monotonic() + deadline.total_seconds()
        drained = await asyncio.gather(*(listener.drain(deadline) for listener in listeners))
        await asyncio.to_thread(ingest.stop)
        await asyncio.to_thread(sampler.stop, _SAMPLER_STOPS)
        clock_ended = await asyncio.to_thread(clock.stop, max(1.0, ends - time.monotonic()))
        await api.stop()
        return all(drained) and clock_ended

    def _signalled(self) -> None:
        if self._stopping.is_set():
            os._exit(1)  # the second signal: at once
        self._stopping.set()

    def _api(self, house: House, ingest: Ingest, sampler: ConformanceSampler) -> Starlette:
        async def check() -> dict[str, bool]:
            return {"database": await asyncio.to_thread(_answers, house), "ingest": ingest.healthy}

        def exposition() -> tuple[bytes, str]:
            counts = sampler.counts
            house.metrics.conformance_checked.set(counts.checked)
            house.metrics.conformance_faulty.set(counts.faulty)
            house.metrics.conformance_not_checked.set(counts.not_checked + counts.abandoned)
            house.metrics.ingest_backlog.set(ingest.backlog)
            return generate_latest(house.metrics.registry), CONTENT_TYPE_LATEST

        return Starlette(routes=health.routes(check, exposition))

    async def _beat(self, pulse: Pulse, house: House, ingest: Ingest) -> None:
        """Write the daemon's row again and again: the one write that shows, without any traffic, whether one can be."""
        gauges = Gauges(house.database, house.metrics)
        while True:
            await asyncio.sleep(BEAT.total_seconds())
            report: dict[str, int | float | str] = {"backlog": ingest.backlog}
            try:
                await asyncio.to_thread(pulse.beat, utc_now(), report)
                ingest.healthy = True
                await asyncio.to_thread(gauges.refresh)
            except RecordsError as error:
                ingest.healthy = False
                self._log.warning("beat_waits_for_storage", exc_info=error)
            house.metrics.ready.set(ingest.healthy)

    async def _watchdog(self) -> None:
        interval = notify.watchdog_interval(self._environ, os.getpid())
        while interval is not None:
            notify.notify(self._environ, notify.WATCHDOG)
            await asyncio.sleep(interval.total_seconds())


def _answers(house: House) -> bool:
    try:
        with house.database.read() as connection:
            connection.execute(text("SELECT 1"))
    except RecordsError:
        return False
    return True


def _write_whole(path: Path, content: str) -> None:
    """Replace the file in one step: who waits for it never reads half of it."""
    draft = path.with_name(path.name + ".new")
    draft.write_text(content, "ascii")
    draft.replace(path)
