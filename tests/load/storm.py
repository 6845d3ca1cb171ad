"""A storm: simulated charge points lose their network together and come back within two seconds, some with a session.

    python -m tests.load storm [--chargers 2000] [--sessions 200] [--within 2]

All charge points live in this one process (simulators/charger); their own CPU is told, for it competes with what is measured.
*Served* is a charger whose BootNotification on the new connection is answered. Afterwards the sessions are stopped, and it is
counted in Postgres that no session ended by the storm, and that nothing a charger was answered for is missing.
"""

import argparse
import asyncio
import random
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import aiohttp
import uvloop

from charger_simulator import ChargePoint, Quirks, Settings
from charger_simulator.frames import CALL
from tests.load.installed import Installed, installed
from tests.load.processes import PASSWORD, percentile, say

METER_SECONDS = 10
"""MeterValues of a session: the shortest interval of the field."""
CONNECT_AT_ONCE = 50
"""The first connection is no storm."""
AWAY_SECONDS = 3.0
"""From the loss of the network to the first return."""
SERVED_SECONDS_MAX = 900.0
"""Longest that all of it may take, each step."""
LOOK_SECONDS = 0.25

FRAMES_KEPT = 60
"""Per charger; enough for the storm and what follows."""
SEED = 6
"""Which chargers bear a session, and when each comes back: the same in every run."""


@dataclass(frozen=True)
class Point:
    """One charge point of the storm."""

    station: ChargePoint
    session: bool


@dataclass(frozen=True)
class Return:
    """How one charger's return went."""

    session: bool
    served_seconds: float
    """From its first knock to the answer to its Boot."""
    answered_seconds: list[float]
    """From each of its CALLs on the new connection to the answer."""
    at: float
    """When it was served, by the monotonic clock."""


async def first_connection(points: Sequence[Point]) -> None:
    """All connected and booted."""
    gate = asyncio.Semaphore(CONNECT_AT_ONCE)

    async def begin(point: Point) -> None:
        async with gate:
            await point.station.start()
            await point.station.wait_for(lambda: point.station.booted, within=SERVED_SECONDS_MAX)

    async with asyncio.TaskGroup() as group:
        for point in points:
            group.create_task(begin(point))


async def charge(points: Sequence[Point]) -> None:
    """Those with a session begin it."""
    gate = asyncio.Semaphore(CONNECT_AT_ONCE)

    async def begin(station: ChargePoint) -> None:
        async with gate:
            await station.plug()
            await station.start_transaction("BENCH", authorize=False)
            await station.wait_for(lambda: transaction_id(station) is not None, within=SERVED_SECONDS_MAX)

    async with asyncio.TaskGroup() as group:
        for point in points:
            if point.session:
                group.create_task(begin(point.station))


def transaction_id(station: ChargePoint) -> int | None:
    """The central system's id of what runs at connector 1."""
    transaction = station.connectors[1].transaction
    return transaction.id if transaction is not None else None


async def come_back(point: Point, after_seconds: float) -> Return:
    """Knock at its moment, and be served."""
    station = point.station
    boots = station.boots
    await asyncio.sleep(after_seconds)
    began, moment = time.monotonic(), datetime.now().astimezone()
    connecting = asyncio.ensure_future(station.connect())
    await station.wait_for(lambda: station.boots > boots, within=SERVED_SECONDS_MAX)
    at = time.monotonic()
    await connecting
    return Return(point.session, at - began, answers(station, moment), at)


def answers(station: ChargePoint, since: datetime) -> list[float]:
    """Seconds from each CALL of the charger after `since` to its answer."""
    latencies: list[float] = []
    sent: dict[str, datetime] = {}
    for frame in station.log:
        if frame.at < since or frame.id is None:
            continue
        if frame.direction == "out" and frame.kind == CALL:
            sent[frame.id] = frame.at
        elif frame.direction == "in" and frame.kind != CALL and frame.id in sent:
            latencies.append((frame.at - sent.pop(frame.id)).total_seconds())
    return latencies


async def until_number(system: Installed, sql: str, wanted: int, what: str) -> float:
    """Seconds until a query gives the number. Raises SystemExit if it never does."""
    began = time.monotonic()
    found = await system.number(sql)
    while found != wanted:
        if time.monotonic() - began > SERVED_SECONDS_MAX:
            raise SystemExit(f"LOST: {what}: {found} of {wanted}")
        await asyncio.sleep(LOOK_SECONDS)
        found = await system.number(sql)
    return time.monotonic() - began


async def run(chargers: int, sessions: int, within: float) -> None:
    """The storm and the count after it. Raises SystemExit if anything is missing."""
    rng = random.Random(SEED)
    async with (
        installed(chargers) as system,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):
        settings = Settings(
            log_size=FRAMES_KEPT,
            configuration={"MeterValueSampleInterval": str(METER_SECONDS)},
            # Patient, as chargers are: what is slow here is a machine that plays both sides.
            connect_guard_seconds=SERVED_SECONDS_MAX,
        )
        quirks = Quirks(boot_on_reconnect=True)
        with_session = set(rng.sample(range(chargers), sessions))
        points = [
            Point(
                ChargePoint(
                    f"BENCH-{number:05d}",
                    system.installation.ocpp_url,
                    password=PASSWORD,
                    settings=settings,
                    quirks=quirks,
                    http=http,
                ),
                number in with_session,
            )
            for number in range(chargers)
        ]
        try:
            await storm(system, points, within, rng)
        finally:
            await asyncio.gather(*(point.station.stop() for point in points))


async def storm(system: Installed, points: Sequence[Point], within: float, rng: random.Random) -> None:
    """Connect, lose the network, come back, count."""
    chargers, sessions = len(points), sum(point.session for point in points)
    say(f"{chargers} chargers connect, {sessions} of them charge ...")
    await first_connection(points)
    everywhere = "SELECT count(*) FROM charging.chargers WHERE online AND boot_epoch = epoch"
    await until_number(system, everywhere, chargers, "chargers that charging saw boot")
    await charge(points)
    ids = {point.station.id: transaction_id(point.station) for point in points if point.session}

    say("The network fails ...")
    await asyncio.gather(*(point.station.disconnect() for point in points))
    await until_number(system, "SELECT count(*) FROM charging.chargers WHERE online", 0, "chargers that charging saw leave")
    await asyncio.sleep(AWAY_SECONDS)
    say(f"... and is back: all of them knock within {within:.0f} s")
    cpu_before, own_before = system.cpu(), own_cpu()
    began = time.monotonic()
    returns = await asyncio.gather(*(come_back(point, rng.uniform(0, within)) for point in points))
    own = own_cpu() - own_before
    caught_up = (time.monotonic() - began) + await until_number(system, everywhere, chargers, "chargers seen to return")
    cpu = {name: value - cpu_before[name] for name, value in system.cpu().items()}
    waited = await line_seconds(system)
    await no_session_ended(points, ids)
    say("All sessions are stopped at the charger ...")
    await asyncio.gather(*(point.station.stop_transaction() for point in points if point.session))
    await asyncio.gather(
        *(
            point.station.wait_for(lambda station=point.station: not station.outbox.transactional, within=SERVED_SECONDS_MAX)
            for point in points
        )
    )
    stopped = "SELECT count(*) FROM charging.transactions WHERE state = 'STOPPED' AND stop_reason = 'CHARGER'"
    await until_number(system, stopped, sessions, "sessions that ended by their charger's word")
    acknowledged = sum(
        exchange.action == "MeterValues" and exchange.error is None for point in points for exchange in point.station.exchanges
    )
    stored = await system.stored()
    if stored < acknowledged:
        raise SystemExit(f"LOST: {acknowledged} MeterValues were answered, {stored} are stored")
    report(returns, began, caught_up, own, cpu, stored, within)
    say(f"- in line at the gateway, all handshakes of the run together: {waited:.1f} s; the rest was waited for on the way there")


async def no_session_ended(points: Sequence[Point], ids: dict[str, int | None]) -> None:
    """Raises SystemExit where a charger's transaction is not the one that it had before the storm."""
    changed = [point.station.id for point in points if point.session and transaction_id(point.station) != ids[point.station.id]]
    if changed:
        raise SystemExit(f"LOST: the storm ended the sessions of {changed[:5]} ({len(changed)} in all)")


async def line_seconds(system: Installed) -> float:
    """Seconds that handshakes stood in the gateway's own line, by its metrics: only there can a session go ahead of others."""
    url = f"http://127.0.0.1:{system.installation.ports.ocpp_gateway}/metrics"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        lines = (await answer.text()).splitlines()
    name = "voltlync_ocpp_gateway_handshake_wait_seconds_sum"
    return next(float(line.split()[1]) for line in lines if line.startswith(name))


def own_cpu() -> float:
    """User + system seconds of this process: the chargers."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def report(
    returns: Sequence[Return], began: float, caught_up: float, own: float, cpu: dict[str, float], stored: int, within: float
) -> None:
    """Markdown."""
    say()
    say(f"| {len(returns)} chargers back within {within:.0f} s | with a session | others |")
    say("| --- | --- | --- |")
    groups = [[each for each in returns if each.session is session] for session in (True, False)]
    rows = {
        "chargers": [f"{len(group)}" for group in groups],
        "all served, after the first knock": [f"{max(each.at for each in group) - began:.1f} s" for group in groups],
    }
    for part in (0.5, 0.99):
        name = f"p{100 * part:.0f}"
        served = [percentile(sorted(each.served_seconds for each in group), part) for group in groups]
        rows[f"own knock to Boot answered, {name}"] = [f"{1000 * value:.0f} ms" for value in served]
        each_answer = [percentile(sorted(x for each in group for x in each.answered_seconds), part) for group in groups]
        rows[f"answer to any CALL, {name}"] = [f"{1000 * value:.0f} ms" for value in each_answer]
    for name, values in rows.items():
        say(f"| {name} | {' | '.join(values)} |")
    say()
    say(f"- charging had seen all of them return after {caught_up:.1f} s")
    say(f"- nothing lost: every session went on and ended by its charger's word; {stored} MeterValues answered and stored")
    parts = ", ".join(f"{name} {value:.1f} s" for name, value in cpu.items())
    say(f"- CPU until then: {parts}; the simulated chargers themselves {own:.1f} s until all were served")


def main() -> None:
    """Arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chargers", type=int, default=2000)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--within", type=float, default=2.0)
    options = parser.parse_args()
    uvloop.run(run(options.chargers, options.sessions, options.within))


if __name__ == "__main__":
    main()
