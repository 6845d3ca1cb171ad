"""Razorpay's webhooks at a steady rate: are they answered in time, and is each of them stored once?

    python -m tests.load webhooks [--rate 500] [--seconds 30]

Real processes: payments, PostgreSQL (fsync on), RabbitMQ. Bodies are made and signed by the sandbox's own code: for each rider's
payment a `qr_code.credited` and its twin `payment.captured`, and every tenth event is delivered twice. The sender is open: an
event is due at its time whether the one before was answered or not, and its latency counts from then. It runs on the same
cores, so what it takes is taken from the service.
"""

import argparse
import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

import aiohttp
import uvloop

from razorpay_simulator.events import encode, envelope, sign
from tests.load.installed import Installed, prepared
from tests.load.processes import cpu_seconds, percentile, say

QR_CODES = 20
"""Connectors that are paid at."""
TWICE_EVERY = 10
"""Every tenth event is delivered a second time, as Razorpay does after an answer that came late."""
CONNECTIONS = 100
"""Kept open, as the door does (its `upstream_connections`). An event that finds none free waits in line, and its latency runs."""
ANSWER_SECONDS_MAX = 30.0
"""Longest wait for one answer; Razorpay waits 5 s."""
RAZORPAY_SECONDS = 5.0
LOOK_SECONDS = 1.0

WARM_UP = 1000
"""Deliveries before those that are measured. Then ANALYZE: PostgreSQL keeps the plans that it made for empty tables until it is
told better, which an installation that runs was long ago; they cost three times the CPU here."""

QR_CODE_ID = "qr_{:014d}"


@dataclass(frozen=True)
class Event:
    """What is posted."""

    id: str
    body: bytes
    signature: str


@dataclass
class Answers:
    """What came back."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    """From when each was due to its answer."""


def events(count: int, secret: str, now: int) -> list[Event]:
    """This many deliveries, in the order in which they are sent."""
    made: list[Event] = []
    number = 0
    while len(made) < count:
        payment, qr_code = _entities(number, now)
        parts = {"payment": {"entity": payment}}
        for name, payload in (
            ("qr_code.credited", parts | {"qr_code": {"entity": qr_code}}),
            ("payment.captured", parts),
        ):
            body = encode(envelope(name, "acc_load", payload, now))
            event = Event(f"evt_{number:010d}_{name[:2]}", body, sign(body, secret))
            made.append(event)
            if len(made) % TWICE_EVERY == 0:
                made.append(event)
        number += 1
    return made[:count]


def _entities(number: int, now: int) -> tuple[dict[str, object], dict[str, object]]:
    """A rider's payment and the code it was paid at (razorpay.md §1.1)."""
    qr_code = {
        "id": QR_CODE_ID.format(number % QR_CODES),
        "entity": "qr_code",
        "created_at": now,
        "name": "LOAD",
        "usage": "multiple_use",
        "type": "upi_qr",
        "image_url": "https://rzp.io/i/load",
        "payment_amount": None,
        "status": "active",
        "description": "EV charging",
        "fixed_amount": False,
        "payments_amount_received": 0,
        "payments_count_received": 0,
        "notes": [],
        "customer_id": None,
        "close_by": None,
        "closed_at": None,
        "close_reason": None,
    }
    payment = {
        "id": f"pay_{number:014d}",
        "entity": "payment",
        "amount": 10_000 + number % 90_000,
        "currency": "INR",
        "status": "captured",
        "order_id": None,
        "method": "upi",
        "amount_refunded": 0,
        "captured": True,
        "description": "QRv2 Payment",
        "vpa": f"rider{number % 1000}@okaxis",
        "email": None,
        "contact": None,
        "notes": [],
        "fee": 236,
        "tax": 36,
        "acquirer_data": {"rrn": f"{number:012d}"},
        "created_at": now,
        "upi": {"payer_account_type": "bank_account", "vpa": f"rider{number % 1000}@okaxis"},
    }
    return payment, qr_code


async def send(url: str, due: list[Event], rate: float) -> Answers:
    """Post them all, each at its time."""
    answers = Answers()
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    free = asyncio.Semaphore(CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http, asyncio.TaskGroup() as posts:
        began = time.perf_counter()
        for number, event in enumerate(due):
            at = began + number / rate
            if (wait := at - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            posts.create_task(_post(http, free, url, event, at, answers))
    return answers


async def _post(
    http: aiohttp.ClientSession, free: asyncio.Semaphore, url: str, event: Event, due: float, answers: Answers
) -> None:
    headers = {
        "Content-Type": "application/json",
        "X-Razorpay-Event-Id": event.id,
        "X-Razorpay-Signature": event.signature,
    }
    try:
        async with free, http.post(url, data=event.body, headers=headers) as answer:
            await answer.read()
            status = str(answer.status)
    except (aiohttp.ClientError, TimeoutError) as error:
        status = type(error).__name__
    answers.statuses[status] += 1
    answers.seconds.append(time.perf_counter() - due)


async def add_qr_codes(system: Installed) -> None:
    """Straight into payments' table, as only a bench may: Razorpay has nothing to do with what is measured."""
    await system.query(
        "INSERT INTO payments.qr_codes (charge_point_id, connector_id, name, status, body, razorpay_qr_code_id, created_at)"
        " SELECT 'LOAD-' || n, 1, 'LOAD', 'ACTIVE', '{}', 'qr_' || lpad(n::text, 14, '0'), now()"
        " FROM generate_series(0, $1 - 1) n",
        QR_CODES,
    )


async def run(rate: float, seconds: float, settle: float) -> None:
    """Send, count, and tell."""
    async with prepared() as system:
        await add_qr_codes(system)
        await system.supervisor.start_stage(system.installation.simulators())
        await system.supervisor.start_stage([system.installation.service("payments")])
        secret = system.installation.credentials.razorpay_webhook_secret
        everything = events(WARM_UP + int(rate * seconds), secret, int(time.time()))
        different = len({event.id for event in everything})
        warm_up, due = everything[:WARM_UP], everything[WARM_UP:]
        url = f"http://127.0.0.1:{system.installation.ports.payments}/webhooks/razorpay"
        warm = await send(url, warm_up, rate)
        await system.query("ANALYZE")
        servers = system.installation.servers
        pids = {
            "payments": system.supervisor.pid("payments"),
            "PostgreSQL": servers.postgres.pid,
            "RabbitMQ": servers.rabbitmq.pid,
        }
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        say(f"{len(due)} deliveries at {rate:.0f} a second ...")
        began = time.perf_counter()
        answers = await send(url, due, rate)
        took = time.perf_counter() - began
        cpu = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
        rows = await system.number("SELECT count(*) FROM payments.webhook_events")
        doubled = await system.number(
            "SELECT count(*) FROM (SELECT FROM payments.webhook_events GROUP BY razorpay_event_id HAVING count(*) > 1) twice"
        )
        deliveries = await system.number("SELECT count(*) FROM payments.webhook_repeats") + rows
        worked = await system.number("SELECT count(*) FROM payments.webhook_events WHERE state <> 'RECEIVED'")
        caught_up = await _caught_up(system, settle)
        payments = await system.number("SELECT count(*) FROM payments.qr_payments")
    answers.seconds.sort()
    late = sum(one > RAZORPAY_SECONDS for one in answers.seconds)
    say()
    say("| webhooks | |")
    say("| --- | --- |")
    say(f"| sent | {len(due)} deliveries in {took:.1f} s: {len(due) / took:.0f} a second |")
    say(f"| answered | {', '.join(f'{status}: {count}' for status, count in sorted(answers.statuses.items()))} |")
    p50, p99, worst = (1000 * percentile(answers.seconds, part) for part in (0.5, 0.99, 1.0))
    say(f"| answer, from when it was due | p50 {p50:.0f} ms, p99 {p99:.0f} ms, slowest {worst:.0f} ms; {late} after 5 s |")
    say(
        f"| **stored** | **{rows} rows** for {different} events, {doubled} doubled;"
        f" {deliveries} deliveries counted, {WARM_UP} of them before |"
    )
    for name, spent in cpu.items():
        say(f"| CPU of {name} per delivery | {1e6 * spent / len(due):.0f} µs |")
    left = f"the rest {caught_up:.0f} s later" if caught_up is not None else f"not all {settle:.0f} s later"
    say(f"| worked off by the last answer | {worked} events, {left}; {payments} payments |")
    lost, answered = different - rows, warm.statuses["200"] + answers.statuses["200"]
    if lost or doubled or deliveries != answered:
        say(f"\n**WRONG: {lost} events lost, {doubled} doubled, {answered} answered, {deliveries} counted.**")
        raise SystemExit(1)


async def _caught_up(system: Installed, settle: float) -> float | None:
    """Seconds until nothing waits any more; None where it still does."""
    began = time.perf_counter()
    while time.perf_counter() - began < settle:
        if not await system.number("SELECT count(*) FROM payments.webhook_events WHERE state = 'RECEIVED'"):
            return time.perf_counter() - began
        await asyncio.sleep(LOOK_SECONDS)
    return None


def main() -> None:
    """Arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--settle", type=float, default=300, help="how long to wait for the work behind the answers")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(options.rate, options.seconds, options.settle))


if __name__ == "__main__":
    main()
