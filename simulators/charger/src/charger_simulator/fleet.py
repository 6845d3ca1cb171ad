"""Many charge points in one process, light on memory: one HTTP session, shared settings and quirks, no logs."""

from __future__ import annotations

import asyncio
import resource
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from charger_simulator.charge_point import ChargePoint
from charger_simulator.clock import Clock
from charger_simulator.quirks import Quirks
from charger_simulator.settings import Settings

STARTS_AT_ONCE_MAX = 200  # boots under way at the same time, so that a slow central system is not buried
KIB_PER_MIB = 1024


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """`id_format` takes `{n}` (from `first` on), `password` may hold `{id}`. Seconds run on the clock."""

    url: str
    count: int
    id_format: str = "SIM{n:05d}"
    first: int = 1
    password: str | None = None
    connects_per_second: float = 100.0
    rated_power_w: int = 7400
    meter_values_seconds: int = 30
    plugged: bool = False
    """An EV stands at every connector, so that a RemoteStart charges at once."""
    id_tag: str | None = None
    """Start a transaction with this tag at once (implies `plugged`)."""
    quirks: Quirks = field(default_factory=Quirks)
    ssl_context: ssl.SSLContext | None = None
    """Whom to trust for wss; None: whom the machine trusts."""
    duration_seconds: float | None = None
    """None: until cancelled."""
    report_seconds: float = 10.0


class Fleet:
    """The charge points are there as `charge_points` once made; `run` gives them life."""

    def __init__(self, options: FleetOptions, clock: Clock, report: Callable[[str], None]) -> None:
        self.options = options
        self.charge_points: list[ChargePoint] = []
        self._clock = clock
        self._report = report
        self._last = (clock.monotonic(), 0, 0)

    async def run(self) -> None:
        """Starts all, reports, and stops all at the end or when cancelled."""
        options = self.options
        settings = Settings(log_size=0, configuration={"MeterValueSampleInterval": str(options.meter_values_seconds)})
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:
            for number in range(options.first, options.first + options.count):
                id_ = options.id_format.format(n=number)
                self.charge_points.append(
                    ChargePoint(
                        id_,
                        options.url,
                        password=None if options.password is None else options.password.replace("{id}", id_),
                        rated_power_w=options.rated_power_w,
                        clock=self._clock,
                        settings=settings,
                        quirks=options.quirks,
                        http=http,
                        ssl_context=options.ssl_context,
                    )
                )
            starting = asyncio.get_running_loop().create_task(self._start_all())
            try:
                await self._watch(starting)
            finally:
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
                await asyncio.gather(*(cp.stop() for cp in self.charge_points))
                self._report(self.line())

    async def _start_all(self) -> None:
        gate = asyncio.Semaphore(STARTS_AT_ONCE_MAX)
        options = self.options

        async def start(cp: ChargePoint) -> None:
            async with gate:
                await cp.start()
            if options.plugged or options.id_tag is not None:
                await cp.plug()
            if options.id_tag is not None and cp.booted:
                await cp.start_transaction(options.id_tag, authorize=False)

        async with asyncio.TaskGroup() as group:
            for cp in self.charge_points:
                group.create_task(start(cp))
                await self._clock.sleep(1 / options.connects_per_second)

    async def _watch(self, starting: asyncio.Task[None]) -> None:
        end = None if self.options.duration_seconds is None else self._clock.monotonic() + self.options.duration_seconds
        while end is None or self._clock.monotonic() < end:
            left = self.options.report_seconds if end is None else min(self.options.report_seconds, end - self._clock.monotonic())
            await self._clock.sleep(left)
            if starting.done() and not starting.cancelled():
                starting.result()  # an error in starting ends the run
            self._report(self.line())

    def line(self) -> str:
        """One line of progress."""
        points = self.charge_points
        sent = sum(cp.frames_sent for cp in points)
        received = sum(cp.frames_received for cp in points)
        now = self._clock.monotonic()
        before, sent_before, received_before = self._last
        self._last = (now, sent, received)
        seconds = max(now - before, 1e-9)
        charging = sum(connector.transaction is not None for cp in points for connector in cp.connectors.values())
        refused = sum(cp.refused_status is not None for cp in points)
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // KIB_PER_MIB
        return (
            f"{self._clock.now():%H:%M:%S} connected {sum(cp.connected for cp in points)}/{len(points)}"
            f" booted {sum(cp.booted for cp in points)} charging {charging} refused {refused}"
            f" | sent {sent} ({(sent - sent_before) / seconds:.1f}/s)"
            f" received {received} ({(received - received_before) / seconds:.1f}/s)"
            f" queued {sum(len(cp.outbox.transactional) for cp in points)} given up {sum(cp.outbox.dropped for cp in points)}"
            f" | peak memory {peak_mib} MiB"
        )
