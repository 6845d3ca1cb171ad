"""`make bench`: what a MeterValues costs, what an idle charger weighs, how soon a payment reaches the charger.

    python -m tests.load.bench [--chargers 200] [--seconds 20] [--fleets 100 500 2000 5000] [--fleet 1500] [--payments 100]

Real processes on private servers with fsync on. CPU is user + system of each process tree, by the operating system's accounting;
the load generator's own is left out. Compare ratios of one run: machines are noisy. Prints Markdown for docs/performance.md.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.load import gateway, payments
from tests.load.installed import Installed, installed
from tests.load.processes import Drive, bare_server, cpu_seconds, drivers, go, say
from voltlync.supervisor import Supervisor

SETTLE_SECONDS = 120.0
"""Longest wait for the consumers to catch up after the load."""
LOOK_SECONDS = 0.5
"""Between two looks at what has reached Postgres."""


@dataclass(frozen=True)
class Whole:
    """What the whole path did with what was driven."""

    driven: Drive
    rows: int
    seconds: float
    """From the first message until the last was stored."""
    cpu: dict[str, float]


async def bare(chargers: int, seconds: float) -> float:
    """CPU µs of the bare server per message."""
    with tempfile.TemporaryDirectory(prefix="voltlync-bench-") as folder:
        supervisor = Supervisor(Path(folder))
        try:
            async with bare_server(supervisor) as (url, pid), drivers(url, chargers, seconds) as process:
                before = cpu_seconds(pid)
                driven = await go(process)
                return 1e6 * (cpu_seconds(pid) - before) / driven.acknowledged
        finally:
            await supervisor.stop()


async def whole_path(system: Installed, chargers: int, seconds: float) -> Whole:
    """Drive the gateway, wait until the consumers have caught up, and say what each part's CPU was."""
    before_rows = await system.stored()
    async with drivers(system.installation.ocpp_url, chargers, seconds) as process:
        before = system.cpu()
        began = time.monotonic()
        driven = await go(process)
    rows = 0
    while time.monotonic() - began < seconds + SETTLE_SECONDS:
        rows = await system.stored() - before_rows
        if rows >= driven.acknowledged:
            break
        await asyncio.sleep(LOOK_SECONDS)
    caught_up = time.monotonic() - began
    return Whole(driven, rows, caught_up, {name: cpu - before[name] for name, cpu in system.cpu().items()})


async def run(chargers: int, seconds: float, fleets: Sequence[int], fleet: int, count: int) -> None:
    """All of it."""
    alone = await gateway.run(fleets, seconds / 3)
    say(f"The bare server: {chargers} chargers for {seconds:.0f} s ...")
    bare_us = await bare(chargers, seconds)
    async with installed(max(chargers, fleet) + count + 1) as system:
        say(f"The whole path: {chargers} chargers for {seconds:.0f} s ...")
        whole = await whole_path(system, chargers, seconds)
        say(f"{count} payments, one after the other ...")
        quiet = await payments.measure(system, count)
        async with drivers(system.installation.ocpp_url, fleet, 0, "--idle"):
            say(f"{fleet} chargers leave all at once; one more payment ...")
        behind = await payments.measure(system, 1, skip=count)
    report(bare_us, whole, quiet, (fleet, behind.first))
    say()
    say("The gateway alone:")
    say()
    gateway.table(alone)
    if whole.rows < whole.driven.acknowledged:
        say(f"\n**LOST: {whole.driven.acknowledged - whole.rows} acknowledged MeterValues are not in Postgres.**")
        raise SystemExit(1)


def report(bare_us: float, whole: Whole, quiet: payments.Latency, behind: tuple[int, float]) -> None:
    """Markdown."""
    driven, rows = whole.driven, whole.rows
    total = sum(whole.cpu.values())
    gateway_us = 1e6 * whole.cpu["gateway"] / rows
    say()
    say("| MeterValues of 965 bytes | |")
    say("| --- | --- |")
    say(
        f"| acknowledged by the gateway | {driven.acknowledged} of {driven.sent} sent,"
        f" p50 {driven.p50_ms:.1f} ms, p99 {driven.p99_ms:.1f} ms |"
    )
    say(f"| **stored in Postgres** | **{rows}**, all {whole.seconds:.1f} s after the start |")
    say(f"| stored per second | {rows / whole.seconds:.0f} |")
    say(f"| stored per CPU-second, everything counted | {rows / total:.0f} |")
    say(f"| CPU per stored MeterValues, whole path | {1e3 * total / rows:.3f} ms (aim: 0.4) |")
    for name, value in whole.cpu.items():
        say(f"| … of it {name} | {1e6 * value / rows:.0f} µs |")
    say(f"| bare aiohttp server, CPU per message | {bare_us:.0f} µs |")
    say(f"| gateway ÷ bare server | {gateway_us / bare_us:.1f} (aim: 4) |")
    say(f"| payment at Razorpay → RemoteStart on the socket | p50 {quiet.p50:.0f} ms, p99 {quiet.p99:.0f} ms |")
    say(f"| … the payment right after {behind[0]} chargers left at once | {behind[1]:.0f} ms |")


def main() -> None:
    """Arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chargers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--fleets", type=int, nargs="+", default=list(gateway.CHARGERS), help="of the gateway alone")
    parser.add_argument("--fleet", type=int, default=1500, help="chargers that leave before the last payment")
    parser.add_argument("--payments", type=int, default=100)
    options = parser.parse_args()
    asyncio.run(run(options.chargers, options.seconds, options.fleets, options.fleet, options.payments))


if __name__ == "__main__":
    main()
