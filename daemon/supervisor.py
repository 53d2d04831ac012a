"""``doorstep serve``: the order in which things start, and the order in which they stop.

Start: database and keys, listeners, web, the clock; then ``ports.json`` and READY, when all of it answers.

Stop (SIGTERM or SIGINT): take no new connection; commit and answer what was read; let deliveries in hand finish and
give leases back; close. All of it shares one ``serve.stop_deadline``, counted from the signal; what hangs then ends
with the process (:mod:`daemon.last_resort`). A second signal ends it at once, which loses nothing either: what was not
acknowledged is sent again.

Ready, and alive for systemd's watchdog, is a daemon whose writer's thread lives and is not stuck, and whose database
took the last thing that it was given: a commit of messages, or the daemon's own row and a look at it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from starlette.applications import Starlette

from daemon import clockwork, descriptors, logs, notify
from daemon.api_face import api_face
from daemon.bootstrap import House, build, utc_now
from daemon.certificate_watch import CertificateWatch
from daemon.gauges import Gauges
from daemon.join_face import join_face
from daemon.last_resort import LastResort
from daemon.own_thread import in_own_thread
from daemon.pulse import Pulse
from daemon.receiving import receipt_routes
from daemon.settings import Settings
from daemon.settings.faces import Api, Join
from daemon.silence_watch import SilenceWatch
from daemon.staff_pages import staff_pages
from daemon.wording_files import own_templates
from hl7_listener.conformance_gate import ConformanceGate
from hl7_listener.conformance_process import CheckingProcess
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
_PROBE: Final = 2.0
"""Seconds in which a database answers, or counts as one that does not."""
_RESERVED: Final = 0.2
"""Part of the stop's deadline that draining leaves for what comes after it."""


class PortFault(Exception):
    """A port cannot be had. ``why`` is the system's reason; it names nothing but addresses."""

    def __init__(self, name: str, host: str, port: int, why: str) -> None:
        super().__init__(f"the port of {name} ({host}:{port}) cannot be had: {why}")


class Ports(msgspec.Struct, frozen=True):
    """The bound ports, as ``ports.json`` has them: each listener's by its name, the api's and the join site's."""

    listeners: dict[str, int]
    api: int
    join: int


class _Writing(msgspec.Struct, frozen=True):
    """What messages go through behind the listeners, in the order in which it ends."""

    gate: ConformanceGate
    ingest: Ingest
    sampler: ConformanceSampler


class _Watches(msgspec.Struct, frozen=True):
    """What is looked at with each beat, each as often as it thinks right."""

    certificates: CertificateWatch
    gauges: Gauges
    silence: SilenceWatch


class Supervisor:
    """Runs one daemon in the current event loop."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._log = structlog.get_logger("daemon")
        self._stopping = asyncio.Event()
        self._reload = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._probe: asyncio.Task[bool] | None = None
        self._last_resort = LastResort()
        self._ends = 0.0

    async def run(self) -> int:
        """Serve until told to stop; gives the process's exit status.

        Raises what :func:`daemon.bootstrap.build` raises, and PortFault.
        """
        loop = asyncio.get_running_loop()
        logs.watch(loop)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        descriptors.provide(sum(listener.max_connections for listener in self._settings.listeners))
        house = await in_own_thread(build, self._settings)
        try:
            return await self._serve(house)
        finally:
            await in_own_thread(house.close)

    async def _serve(self, house: House) -> int:
        telemetry = house.telemetry
        sampler = ConformanceSampler(house.database, time.monotonic, telemetry.internal_error)
        telemetry.listen(sampler.offer)
        ingest = Ingest(house.database, house.stores, telemetry, utc_now)
        sides = await in_own_thread(house.tls)
        gate = ConformanceGate(ingest, CheckingProcess(time.monotonic), telemetry.internal_error)
        listeners = [
            Listener(options, gate if options.enforces else ingest, telemetry, utc_now, sides.get(options.name))
            for options in house.listeners()
        ]
        certificates = CertificateWatch(sides, house.metrics)
        await in_own_thread(certificates.look, utc_now())
        configured = self._settings
        api = WebFace(self._api(house, ingest, sampler), configured.api.host, configured.api.port)
        join = WebFace(join_face(house), configured.join.host, configured.join.port)
        clock = clockwork.schedule(house)
        pulse = Pulse(house.database, house.ids.row_id(), version("doorstep"), telemetry.senders)
        await in_own_thread(pulse.begin, utc_now())
        telemetry.remember(await in_own_thread(pulse.numbers))
        # The writer's thread hands the interpreter over at every statement; at the default of 5 ms the event loop keeps
        # it for longer than a whole batch takes.
        sys.setswitchinterval(_SWITCH_INTERVAL)
        ingest.start(asyncio.get_running_loop())
        sampler.start()
        gate.start()
        bound = {listener.options.name: await _started(listener) for listener in listeners}
        ports = Ports(bound, await _opened(api, "api", configured.api), await _opened(join, "join", configured.join))
        clock.start()
        self._tasks = [
            asyncio.create_task(self._beat(pulse, house, ingest, certificates)),
            asyncio.create_task(self._watchdog(ingest)),
            asyncio.create_task(self._reloads(certificates)),
        ]
        try:
            self._ready(house, ports)
        except OSError:
            await in_own_thread(clock.stop, _PROBE)  # its threads are the only ones that an exit waits for
            raise
        await self._stopping.wait()
        house.metrics.ready.set(0)
        in_time = await self._stop(listeners, _Writing(gate, ingest, sampler), clock, (api, join))
        with contextlib.suppress(RecordsError):
            await in_own_thread(pulse.end, utc_now())
        self._log.info("stopped")
        return 0 if in_time else 1

    def _ready(self, house: House, ports: Ports) -> None:
        folder = self._settings.keys.file.parent
        _write_whole(folder / "ports.json", msgspec.json.encode(ports).decode() + "\n")
        for name, port in ports.listeners.items():
            self._log.info("listening", listener=name, port=port)
        self._log.info("serving_api", host=self._settings.api.host, port=ports.api)
        self._log.info("serving_join", host=self._settings.join.host, port=ports.join)
        self._log.info("own_wording", count=len(own_templates(self._settings)))
        self._log.info("ready", version=version("doorstep"), url=self._settings.database.location)
        house.metrics.ready.set(1)
        house.metrics.information.labels(version("doorstep")).set(1)
        notify.notify(self._environ, notify.READY, notify.status("serving"))
        # What lives as long as the process is left out of the collector's rounds from now on: while it looks through
        # all of that, nothing is read and nothing acknowledged (benchmarks/README.md).
        gc.collect()
        gc.freeze()

    async def _stop(
        self, listeners: list[Listener], writing: _Writing, clock: Schedule, faces: Sequence[WebFace]
    ) -> bool:
        notify.notify(self._environ, notify.STOPPING)
        self._log.info("stopping")
        for task in self._tasks:
            task.cancel()
        clock_ending = asyncio.create_task(in_own_thread(clock.stop, self._remaining()))
        draining = timedelta(seconds=self._remaining() * (1 - _RESERVED))
        drained = await asyncio.gather(*(listener.drain(draining) for listener in listeners))
        await in_own_thread(writing.gate.stop, self._remaining() / 2)
        ingest_ended = await in_own_thread(writing.ingest.stop, self._remaining())
        if ingest_ended:
            await in_own_thread(writing.sampler.stop, min(_SAMPLER_STOPS, timedelta(seconds=self._remaining() / 2)))
        clock_ended = await clock_ending
        await asyncio.gather(*(face.stop() for face in faces))
        return all(drained) and ingest_ended and clock_ended

    def _remaining(self) -> float:
        return max(0.0, self._ends - time.monotonic())

    def _signalled(self) -> None:
        if self._stopping.is_set():
            os._exit(1)  # the second signal: at once
        deadline = self._settings.serve.stop_deadline.total_seconds()
        self._ends = time.monotonic() + deadline
        self._last_resort.arm(deadline)
        self._stopping.set()

    def _api(self, house: House, ingest: Ingest, sampler: ConformanceSampler) -> Starlette:
        async def check() -> dict[str, bool]:
            return {"database": await self._probed(house), "ingest": ingest.healthy and ingest.working()}

        def exposition() -> tuple[bytes, str]:
            counts = sampler.counts
            house.metrics.conformance_checked.set(counts.checked)
            house.metrics.conformance_faulty.set(counts.faulty)
            house.metrics.conformance_not_checked.set(counts.not_checked + counts.abandoned)
            house.metrics.ingest_backlog.set(ingest.backlog)
            return generate_latest(house.metrics.registry), CONTENT_TYPE_LATEST

        returning = receipt_routes(self._settings, house.invites.receipts, utc_now)
        return api_face(house, health.routes(check, exposition), [*staff_pages(house), *returning])

    async def _probed(self, house: House) -> bool:
        """Whether the database answers in time; however many ask, one question at a time is on its way."""
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(in_own_thread(_answers, house))
        await asyncio.wait({self._probe}, timeout=_PROBE)
        return self._probe.done() and self._probe.exception() is None and self._probe.result()

    async def _reloads(self, certificates: CertificateWatch) -> None:
        """Load all certificates again whenever SIGHUP asks for it."""
        while True:
            await self._reload.wait()
            self._reload.clear()
            await in_own_thread(partial(certificates.look, force=True), utc_now())

    async def _beat(self, pulse: Pulse, house: House, ingest: Ingest, certificates: CertificateWatch) -> None:
        """Write the daemon's row again and again: the one write that shows, without any traffic, whether one can be."""
        zones = {options.name: options.timezone for options in house.listeners()}
        silence = SilenceWatch(house.database, house.metrics, zones, utc_now())
        watches = _Watches(certificates, Gauges(house.database, house.metrics), silence)
        while True:
            await asyncio.sleep(BEAT.total_seconds())
            beat = asyncio.create_task(self._beat_once(pulse, house, ingest, watches))
            while not beat.done():
                await asyncio.wait({beat}, timeout=5 * _PROBE)
                if not beat.done():
                    ingest.healthy = False
                house.metrics.ready.set(ingest.healthy and ingest.working())

    async def _beat_once(self, pulse: Pulse, house: House, ingest: Ingest, watches: _Watches) -> None:
        report: dict[str, int | float | str] = {"backlog": ingest.backlog, **watches.certificates.report()}
        try:
            await in_own_thread(watches.certificates.look, utc_now())
            await in_own_thread(pulse.beat, utc_now(), report)
            if await in_own_thread(_answers, house):
                ingest.probed()
            await in_own_thread(watches.gauges.refresh)
            await in_own_thread(watches.silence.look, utc_now())
        except RecordsError as error:
            ingest.healthy = False
            self._log.warning("beat_waits_for_storage", exc_info=error)
        except Exception as error:  # noqa: BLE001 (a heart that stops says that the daemon died, and it did not)
            house.telemetry.internal_error(error)

    async def _watchdog(self, ingest: Ingest) -> None:
        """Tell systemd that we live: not when the writer is dead or stuck, for then only a new start helps."""
        interval = notify.watchdog_interval(self._environ, os.getpid())
        while interval is not None:
            if ingest.working():
                notify.notify(self._environ, notify.WATCHDOG)
            await asyncio.sleep(interval.total_seconds())


async def _opened(face: WebFace, name: str, configured: Api | Join) -> int:
    try:
        return await face.start()
    except OSError as error:
        raise PortFault(name, configured.host, configured.port, _why(error)) from None


async def _started(listener: Listener) -> int:
    options = listener.options
    try:
        return await listener.start()
    except OSError as error:
        raise PortFault(f"listener {options.name}", options.host, options.port, _why(error)) from None


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or type(error).__name__


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
