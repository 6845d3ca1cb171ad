"""Whatever comes, in whatever order and however often: every paisa in one place, at most one bill, one live refund.

The use cases over a real PostgreSQL and Razorpay's sandbox. Nothing runs by itself: hypothesis decides what happens next.
"""

import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import aiohttp
import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.database import Database
from chassis.messaging import Bus
from chassis.runtime import Service, SystemIds, Worker
from chassis.telemetry import Telemetry
from chassis.web import Principal, Problem, Role, WebServer
from contracts.charging import StartRefusal, StartRefused, StopReason, TransactionStarted, TransactionStopped
from contracts.payments import BorneBy
from contracts.topology import address_from
from money import MIN_REFUND_PAISE
from payments.domain.errors import ConflictError
from payments.domain.webhook import signature
from payments.metrics import Metrics
from payments.routes import ERRORS, ROUTES
from payments.settings import PaymentsSettings
from payments.usecases.bill_session import bill_session
from payments.usecases.context import Payments
from payments.usecases.follow_start import link_transaction, refund_unstarted
from payments.usecases.issue_invoices import issue_invoices
from payments.usecases.refund_part import refund_part
from payments.usecases.work_refunds import take_up_refund
from payments.usecases.work_webhooks import take_up_webhooks
from payments.views import OperatorRefundCreate
from payments.webhook_inbox import WebhookInbox
from razorpay_client import Razorpay
from razorpay_simulator import FaultRule, OutcomeRule, QrPayment, RazorpaySimulator, SandboxSettings
from razorpay_simulator.entities import Account, Entry
from testkit.clock import SteppingClock

SECRET = "webhook-secret-of-the-tests"
REFUND = "/v1/payments/*/refund"
BASIC = {"Authorization": aiohttp.encode_basic_auth("rzp_test_sandbox0000001", "sandbox-secret")}
ROUNDS_MAX = 12
"""Half hours after which the last refund must have come to its end: two failures and three faults take fewer."""


@dataclass
class Bench:
    """The service's use cases with nothing that runs by itself."""

    app: Payments
    clock: SteppingClock
    sandbox: RazorpaySimulator
    http: aiohttp.ClientSession
    url: str
    admin: "asyncpg.Connection[Any]"
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))


@pytest.fixture(scope="session")
async def bench(database: tuple[str, str]) -> AsyncIterator[Bench]:
    admin_dsn, service_dsn = database
    admin = await asyncpg.connect(admin_dsn, server_settings={"search_path": "payments"})
    clock = SteppingClock()
    sandbox = RazorpaySimulator(SandboxSettings(opening_balance=10**12, instant_refund_seconds=5), clock=clock)
    await sandbox.start()
    config = PaymentsSettings(
        amqp_url="amqp://nobody.invalid",
        database_url=service_dsn,
        razorpay_key_id=sandbox.settings.key_id,
        razorpay_key_secret=sandbox.settings.key_secret,
        razorpay_webhook_secret=SECRET,
        razorpay_api_url=sandbox.base_url,
        seller_gstin="29AAACV4321F1ZJ",
        seller_legal_name="VoltLync Energy Private Limited",
        seller_address="1, Residency Road, Bengaluru 560025",
    )
    service = Service("payments", clock=clock)
    telemetry = Telemetry(config, service="payments", clock=clock)
    store = service.add(
        Database(
            service_dsn,
            schema="payments",
            service=service,
            telemetry=telemetry,
            ids=SystemIds(),
            address_of=address_from("payments"),
            urgent_connections=1,
        )
    )
    metrics = Metrics(telemetry.registry)
    # Never started, so never woken: the test says when they work.
    webhooks = Worker(service, "webhooks", width=1, failures=metrics.work_failed)
    app = Payments(
        service=service,
        settings=config,
        clock=clock,
        database=store,
        bus=Bus("amqp://nobody.invalid", app_id="payments", service=service, telemetry=telemetry, ids=SystemIds()),
        razorpay=service.add(Razorpay(config, service=service, telemetry=telemetry)),
        telemetry=telemetry,
        metrics=metrics,
        inbox=WebhookInbox(service, store, stored=webhooks.wake, turned_away=metrics.webhook_turned_away.inc),
        webhooks=webhooks,
        refunds=Worker(service, "refunds", width=1, failures=metrics.work_failed),
        invoices=Worker(service, "invoices", width=1, failures=metrics.work_failed),
    )
    # A linked account that can refund what it must: its balance is a test of its own.
    sandbox.state.accounts[ACCOUNT] = Account(id=ACCOUNT, details={}, created_at=0, activation="activated", live=True)
    sandbox.state.post(Entry(account_id=ACCOUNT, type="adjustment", entity_id="adj_1", amount=0, credit=10**12, created_at=0))
    web = service.add(WebServer(service, config, ROUTES, app=app, database=store, errors=ERRORS, telemetry=telemetry))
    await service.start()
    async with aiohttp.ClientSession() as http:
        yield Bench(app, clock, sandbox, http, web.url, admin)
    await service.stop()
    await sandbox.stop()
    await admin.close()


ACCOUNT, FRANCHISEE = "acc_AnyOrder000007", 7
KNOWN = """INSERT INTO franchisees (id, razorpay_account_id, direct_collection, subject_version, updated_at)
           VALUES ($1, $2, 'ALLOWED', 1, $3) ON CONFLICT DO NOTHING"""


@dataclass
class Session:
    """One payment and what charging will say of it."""

    bench: Bench
    amount: int
    fee: int | None
    energy_wh: int | None
    """None: refused."""
    collected: bool = False
    """Whether a franchisee's own code is paid, so that its linked account has the money."""
    id: int = 0
    razorpay_id: str = ""
    credit: bytes = b""
    transaction_id: int = 0

    async def pay(self) -> None:
        """A QR code as its row, a payment at the sandbox, and the event of it."""
        await self.bench.admin.execute(KNOWN, FRANCHISEE, ACCOUNT, self.bench.clock.now())
        number = next(self.bench.numbers)
        made = await self.bench.http.post(
            f"{self.bench.sandbox.base_url}/v1/payments/qr_codes",
            json={"type": "upi_qr", "usage": "multiple_use", "fixed_amount": False, "name": f"CP-{number}"},
            headers={**BASIC, **({"X-Razorpay-Account": ACCOUNT} if self.collected else {})},
        )
        code = (await made.json())["id"]
        await self.bench.admin.execute(
            "INSERT INTO qr_codes (charge_point_id, connector_id, name, status, body, razorpay_qr_code_id, created_at,"
            " owner_franchisee_id, owner_account_id) VALUES ($1, 1, 'x', 'ACTIVE', '{}', $2, $3, $4, $5)",
            f"ANY-{code}",
            code,
            self.bench.clock.now(),
            FRANCHISEE if self.collected else None,
            ACCOUNT if self.collected else None,
        )
        shown = "webhook" if self.fee is not None else "never"
        paid = self.bench.sandbox.pay(
            code, QrPayment(amount=self.amount, fee=self.fee, tax=0 if self.fee is not None else None, fee_shown=shown)
        )
        self.razorpay_id = paid["payment"]["id"]
        self.credit = next(
            event.body.encode()
            for event in reversed(self.bench.sandbox.events)
            if event.event == "qr_code.credited" and self.razorpay_id in event.body
        )
        await self.deliver(self.credit)
        self.id = await self.bench.admin.fetchval("SELECT id FROM qr_payments WHERE razorpay_payment_id = $1", self.razorpay_id)
        self.transaction_id = 10_000 + self.id

    async def deliver(self, body: bytes) -> None:
        """Razorpay delivers an event, under an id that may be new each time, and it is worked."""
        headers = {"X-Razorpay-Signature": signature(body, SECRET), "X-Razorpay-Event-Id": f"any-{next(self.bench.numbers)}"}
        async with self.bench.http.post(f"{self.bench.url}/webhooks/razorpay", data=body, headers=headers) as answer:
            assert answer.status == 200
        while await take_up_webhooks(self.bench.app):
            pass

    async def hear(self, word: str) -> None:
        """Charging says something, once more perhaps."""
        key = {"charge_point_id": "ANY", "connector_id": 1, "request_key": f"qr_payment_{self.id}", "payer_reference": "rdr_1"}
        async with self.bench.app.database.transaction() as uow:
            if word == "refused":
                said = StartRefused.model_validate({**key, "reason": StartRefusal.NOT_PLUGGED_IN, "refused_at": uow.now})
                await refund_unstarted(self.bench.app, uow, said)
                return
            terms = {
                **key,
                "transaction_id": self.transaction_id,
                "station_id": 1,
                "franchisee_id": FRANCHISEE if self.collected else None,
                "tariff_id": 1,
                "tariff_paise_per_kwh": 1800,
                "gst_bps": 1800,
                "started_at": uow.now,
            }
            if word == "started":
                await link_transaction(self.bench.app, uow, TransactionStarted.model_validate(terms))
                return
            ended = {
                "subject_version": 9,
                "stopped_at": uow.now,
                "stop_reason": StopReason.CHARGER,
                "energy_wh": self.energy_wh,
                "meter_start_wh": 0,
            }
            await bill_session(self.bench.app, uow, TransactionStopped.model_validate(terms | ended))

    @property
    def words(self) -> list[str]:
        """What charging says in the end."""
        return ["refused"] if self.energy_wh is None else ["started", "stopped"]

    def refund_events(self) -> list[bytes]:
        """Everything that Razorpay has said so far of this payment's refunds, oldest first."""
        return [
            event.body.encode()
            for event in self.bench.sandbox.events
            if event.event.startswith("refund.") and self.razorpay_id in event.body
        ]

    def refunded_at_razorpay(self) -> list[int]:
        """Amounts of the refunds of this payment that exist there and have not failed."""
        refunds = self.bench.sandbox.state.refunds.values()
        return [refund.amount for refund in refunds if refund.payment_id == self.razorpay_id and refund.status != "failed"]

    async def give_part_back(self, amount: int, borne_by: BorneBy | None) -> None:
        """An operator's refund; refused unless it is billed and enough is left."""
        body = OperatorRefundCreate(amount_paise=amount, reason="The cable was too short.", borne_by=borne_by)
        with contextlib.suppress(ConflictError, Problem):
            async with self.bench.app.database.transaction() as uow:
                await refund_part(self.bench.app, uow, self.id, body, Principal("staff|1", frozenset({Role.FINANCE})))

    async def row(self, table: str) -> list[Any]:
        """This payment's rows of a table."""
        return await self.bench.admin.fetch(f"SELECT * FROM {table} WHERE qr_payment_id = $1 ORDER BY id", self.id)  # noqa: S608

    async def check(self) -> None:
        """What must hold at every moment."""
        bills, refunds, residues = await self.row("bills"), await self.row("refunds"), await self.row("residues")
        decided = await self.row("operator_refunds")
        assert len(bills) <= 1
        live = [refund["number"] for refund in refunds if refund["status"] != "FAILED"]
        assert len(live) == len(set(live)), "one live automatic refund, and one of each that was decided"
        assert len({(refund["number"], refund["amount_paise"]) for refund in refunds}) == len({r["number"] for r in refunds})
        there = self.refunded_at_razorpay()
        assert len(there) <= len({refund["number"] for refund in refunds})
        due = bills[0]["refund_paise"] + bills[0]["residue_paise"] if bills else self.amount
        due += sum(decision["amount_paise"] for decision in decided)
        assert sum(there) + sum(residue["amount_paise"] for residue in residues) <= due <= self.amount
        said = await self.bench.admin.fetch(
            "SELECT type, count(*) AS times FROM outbox WHERE subject IN ($1, 'session/' || $1) GROUP BY type",
            f"qr_payment_{self.id}",
        )
        times = {row["type"]: row["times"] for row in said}
        assert times["charging.session_start_requested.v1"] == times["payments.payment_received.v1"] == 1
        decided = times.get("payments.payment_billed.v1", 0) + times.get("payments.payment_refund_decided.v1", 0)
        assert decided <= 1

    async def check_end(self) -> None:
        """Every paisa is in exactly one place."""
        await self.check()
        (payment,) = await self.bench.admin.fetch("SELECT * FROM qr_payments WHERE id = $1", self.id)
        bills, refunds, residues = await self.row("bills"), await self.row("refunds"), await self.row("residues")
        billed = sum(bill[name] for bill in bills for name in ("energy_charge_paise", "gst_paise", "platform_fee_paise"))
        decided = await self.row("operator_refunds")
        granted = sum(decision["amount_paise"] for decision in decided)
        back = [refund["amount_paise"] for refund in refunds if refund["status"] == "PROCESSED"]
        owed = sum(residue["amount_paise"] for residue in residues)
        while await issue_invoices(self.bench.app):
            pass
        invoices = await self.row("invoices")
        assert [invoice["total_paise"] for invoice in invoices] == ([billed] if bills and not self.collected else []), (
            "who collects is who invoices"
        )
        waits = "SELECT count(*) FROM invoices_due WHERE source_key = $1"
        assert await self.bench.admin.fetchval(waits, f"qr_payment_{self.id}") == 0
        assert billed - granted + sum(back) + owed == self.amount
        assert sorted(self.refunded_at_razorpay()) == sorted(back)
        for decision in decided:
            parts = ("energy_charge_paise", "gst_paise", "goodwill_paise")
            assert decision["amount_paise"] == sum(decision[part] for part in parts)
        history = await self.bench.admin.fetch(
            "SELECT step, count(*) AS times, refund_id FROM refund_steps JOIN refunds ON refunds.id = refund_id"
            " WHERE qr_payment_id = $1 AND step <> 'UNKNOWN' GROUP BY refund_id, step",
            self.id,
        )
        assert all(row["times"] == 1 for row in history), "each step is noted once, however often it is told"
        ends = {row["refund_id"] for row in history if row["step"] == "PROCESSED"}
        assert ends == {refund["id"] for refund in refunds if refund["status"] == "PROCESSED"}
        # Not a paisa of what somebody else collected moves in our account, and the reverse.
        sandbox = self.bench.sandbox
        moved = {entry.account_id for entry in sandbox.state.entries if entry.payment_id == self.razorpay_id}
        assert moved == {ACCOUNT if self.collected else sandbox.settings.account_id}
        if self.energy_wh:
            assert payment["state"] == "BILLED"
        else:
            assert payment["state"] == ("REFUNDED" if self.amount >= MIN_REFUND_PAISE else "RESIDUE_OWED")
            assert billed == 0


FAULTS = st.tuples(st.just("fault"), st.sampled_from(["error", "html", "reset", "conflict", "throttle"]), st.booleans())
STEPS = st.one_of(
    st.tuples(st.just("hear"), st.integers(0, 1)),
    st.tuples(st.just("credit")),
    st.tuples(st.just("work")),
    st.tuples(st.just("number")),
    st.tuples(st.just("tick"), st.sampled_from([1, 6, 40, 1900])),
    st.tuples(st.just("event"), st.integers(0, 9)),
    st.tuples(st.just("lose claim")),
    FAULTS,
    st.tuples(st.just("refund fails")),
    st.tuples(st.just("operator"), st.one_of(st.integers(90, 400), st.integers(1, 9_000)), st.sampled_from([None, *BorneBy])),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    amount=st.one_of(st.integers(1, 150), st.integers(151, 50_000)),
    fee=st.one_of(st.none(), st.just(0), st.integers(1, 300)),
    energy_wh=st.one_of(st.none(), st.just(0), st.integers(1, 30_000)),
    collected=st.booleans(),
    steps=st.lists(STEPS, max_size=14),
)
async def test_every_paisa_ends_in_one_place(
    bench: Bench, amount: int, fee: int | None, energy_wh: int | None, collected: bool, steps: list[Any]
) -> None:
    bench.sandbox.clear_faults()
    bench.sandbox.clear_outcomes()
    session = Session(bench, amount, fee, energy_wh, collected)
    await session.pay()
    failures = faults = 0
    for name, *how in steps:
        match name:
            case "hear":
                await session.hear(session.words[how[0] % len(session.words)])
            case "credit":
                await session.deliver(session.credit)
            case "work":
                while await take_up_refund(bench.app):
                    pass
            case "tick":
                await bench.clock.advance(how[0], settle=bench.sandbox.wait_idle)
            case "number":
                await issue_invoices(bench.app)
            case "event" if events := session.refund_events():
                await session.deliver(events[how[0] % len(events)])
            case "lose claim":
                # A process dies between its claim and its call, or between the call and its persisting.
                await bench.admin.execute(
                    "UPDATE refunds SET status = 'CALLING', calls = calls + 1, next_attempt_at = $2"
                    " WHERE qr_payment_id = $1 AND status IN ('PENDING', 'UNKNOWN')",
                    session.id,
                    bench.clock.now() + timedelta(seconds=120),
                )
            case "fault" if faults < 3:
                faults += 1
                when = "after_effect" if how[1] and how[0] not in ("conflict", "throttle") else "before_effect"
                bench.sandbox.add_fault(
                    FaultRule.model_validate({"kind": how[0], "when": when, "method": "POST", "path": REFUND})
                )
            case "operator":
                await session.give_part_back(how[0], how[1])
            case "refund fails" if failures < 2:
                failures += 1
                bench.sandbox.add_outcome(OutcomeRule(of="refund", outcome="failed"))
        await session.check()
    # In the end charging has said everything, Razorpay's events have come, and the clock has gone on.
    for word in session.words:
        await session.hear(word)
    for name, *how in steps:
        if name == "operator":
            await session.give_part_back(how[0], how[1])
    for _ in range(ROUNDS_MAX):
        while await take_up_refund(bench.app):
            pass
        await bench.clock.advance(1900, settle=bench.sandbox.wait_idle)
        for body in session.refund_events():
            await session.deliver(body)
        if all(refund["status"] == "PROCESSED" or refund["next_attempt_at"] is None for refund in await session.row("refunds")):
            break
    await session.check_end()
    bench.sandbox.clear_outcomes()


async def test_a_bill_can_be_read_as_it_was_announced(bench: Bench) -> None:
    session = Session(bench, 10_000, 236, 3333)
    await session.pay()
    await session.hear("stopped")
    (said,) = await bench.admin.fetch(
        "SELECT body FROM outbox WHERE type = 'payments.payment_billed.v1' AND subject = $1", f"qr_payment_{session.id}"
    )
    (bill,) = await session.row("bills")
    billed = json.loads(said["body"])
    shared = set(billed) & set(bill.keys()) - {"started_at", "stopped_at", "billed_at"}
    assert len(shared) >= 12
    assert {name: billed[name] for name in shared} == {name: bill[name] for name in shared}
