"""Whatever comes to a wallet, in whatever order and however often: every paisa is accounted for, and none is below zero.

The use cases over a real PostgreSQL. Nothing runs by itself: hypothesis decides what happens next.
"""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.web import Role
from chassis.web.principal import Principal
from contracts.charging import StartRefusal, StartRefused, StopReason, TransactionStarted, TransactionStopped
from contracts.payments import BorneBy
from money import final_bill
from payments.domain.errors import ConflictError
from payments.domain.webhook import signature
from payments.subscriptions import SUBSCRIPTIONS
from payments.usecases.refund_wallet_session import refund_wallet_session
from payments.usecases.register_rider import register_rider
from payments.usecases.start_wallet_session import start_wallet_session
from payments.usecases.work_webhooks import take_up_webhooks
from payments.views import OperatorRefundCreate, WalletSessionCreate

from .test_any_order import SECRET, Bench, bench

__all__ = ["bench"]

TARIFF, GST_BPS = 1_800, 1_800
NUMBERS: Iterator[int] = itertools.count(1)


@dataclass
class Story:
    """One wallet, the payments that are coming, and the sessions that were started with what charging will say of each."""

    bench: Bench
    amounts: list[int]
    rider: Principal
    wallet_id: int = 0
    orders: list[str] = field(default_factory=list)
    delivered: set[int] = field(default_factory=set)
    sessions: list[tuple[Any, int | None]] = field(default_factory=list)
    """(the session, its energy; None: refused)."""
    given: int = 0
    """What operators gave back."""

    async def begin(self) -> None:
        """Registered, with an open order for every two payments: one of them may come twice."""
        async with self.bench.app.database.transaction() as uow:
            await register_rider(self.bench.app, uow, self.rider)
        self.wallet_id = await self.bench.admin.fetchval("SELECT max(id) FROM wallets")
        for number in range(0, len(self.amounts), 2):
            self.orders.append(f"order_{self.wallet_id}_{number}")
            await self.bench.admin.execute(
                "INSERT INTO wallet_recharges (wallet_id, amount_paise, status, body, razorpay_order_id, created_at)"
                " VALUES ($1, $2, 'OPEN', '{}', $3, $4)",
                self.wallet_id,
                self.amounts[number],
                self.orders[-1],
                self.bench.clock.now(),
            )

    async def capture(self, number: int) -> None:
        """Razorpay tells of a payment, under an event id that is new each time, and it is worked."""
        entity = {
            "id": f"pay_{self.wallet_id}_{number}",
            "order_id": self.orders[number // 2],
            "amount": self.amounts[number],
            "currency": "INR",
            "fee": 5,
            "tax": 1,
        }
        body = json.dumps({"event": "payment.captured", "payload": {"payment": {"entity": entity}}}).encode()
        headers = {"X-Razorpay-Signature": signature(body, SECRET), "X-Razorpay-Event-Id": f"wallet-{next(NUMBERS)}"}
        async with self.bench.http.post(f"{self.bench.url}/webhooks/razorpay", data=body, headers=headers) as answer:
            assert answer.status == 200
        while await take_up_webhooks(self.bench.app):
            pass
        self.delivered.add(number)

    async def start(self, limit: int | None, energy_wh: int | None) -> None:
        """The rider starts, if the rules let it be."""
        wish = WalletSessionCreate(charge_point_id="ANY", connector_id=1, limit_paise=limit)
        try:
            async with self.bench.app.database.transaction() as uow:
                session = await start_wallet_session(self.bench.app, uow, wish, self.rider)
        except ConflictError:
            return
        self.sessions.append((session, energy_wh))

    async def hear(self, index: int, word: int) -> None:
        """Charging says something of a session, once more perhaps, the stop before the start perhaps."""
        session, energy_wh = self.sessions[index]
        now = self.bench.clock.now()
        key = {
            "charge_point_id": "ANY",
            "connector_id": 1,
            "request_key": session.request_key,
            "payer_reference": "rdr_1",
        }
        terms = {
            **key,
            "transaction_id": 500_000 + session.id,
            "station_id": 1,
            "tariff_id": 1,
            "tariff_paise_per_kwh": TARIFF,
            "gst_bps": GST_BPS,
            "started_at": now,
        }
        ended = {
            "subject_version": 9,
            "stopped_at": now,
            "stop_reason": StopReason.CHARGER,
            "energy_wh": energy_wh or 0,
            "meter_start_wh": 0,
        }
        event: Any
        if energy_wh is None:
            event = StartRefused.model_validate({**key, "reason": StartRefusal.NOT_PLUGGED_IN, "refused_at": now})
        elif word == 0:
            event = TransactionStarted.model_validate(terms)
        else:
            event = TransactionStopped.model_validate(terms | ended)
        async with self.bench.app.database.transaction() as uow:
            await SUBSCRIPTIONS[type(event)](self.bench.app, uow, event)

    async def give(self, index: int, amount: int, borne_by: BorneBy | None) -> None:
        """Finance gives something of a session back, if the rules let it be."""
        session, _ = self.sessions[index]
        wish = OperatorRefundCreate(amount_paise=amount, reason="hypothesis", borne_by=borne_by)
        finance = Principal("finance", frozenset({Role.FINANCE}))
        try:
            async with self.bench.app.database.transaction() as uow:
                await refund_wallet_session(self.bench.app, uow, session.id, wish, finance)
        except ConflictError:
            return
        self.given += amount

    async def check(self) -> tuple[int, int]:
        """What must hold at every moment. Returns (balance, held)."""
        admin = self.bench.admin
        wallet = await admin.fetchrow("SELECT * FROM wallets WHERE id = $1", self.wallet_id)
        assert wallet is not None
        balance, held = wallet["balance_paise"], wallet["held_paise"]
        assert 0 <= held <= balance
        entries = await admin.fetch("SELECT * FROM wallet_entries WHERE wallet_id = $1 ORDER BY id", self.wallet_id)
        running = 0
        for entry in entries:
            running += entry["amount_paise"]
            assert entry["balance_after_paise"] == running >= 0
        assert running == balance
        open_holds = await admin.fetchval(
            "SELECT coalesce(sum(hold_paise), 0) FROM wallet_sessions"
            " WHERE wallet_id = $1 AND state IN ('START_REQUESTED', 'CHARGING', 'BILLING_FAILED')",
            self.wallet_id,
        )
        assert held == open_holds
        put_in = sum(self.amounts[number] for number in self.delivered)
        assert put_in == sum(entry["amount_paise"] for entry in entries if entry["kind"] == "RECHARGE")
        assert self.given == sum(entry["amount_paise"] for entry in entries if entry["kind"] == "REFUND")
        over = await admin.fetchval(
            "SELECT count(*) FROM wallet_bills b WHERE (SELECT sum(o.energy_charge_paise) > b.energy_charge_paise"
            " OR sum(o.gst_paise) > b.gst_paise OR sum(o.amount_paise) > b.billed_paise"
            " FROM operator_refunds o WHERE o.wallet_session_id = b.wallet_session_id)"
        )
        assert over == 0, "more was given back than was billed"
        # What the books are told is what happened to the wallet.
        told = await admin.fetch(
            "SELECT type, body FROM outbox WHERE type IN ('payments.wallet_recharged.v1', 'payments.wallet_session_billed.v1',"
            " 'payments.wallet_refund_decided.v1') AND convert_from(body, 'UTF8')::jsonb ->> 'wallet_id' = $1",
            str(self.wallet_id),
        )
        said = [json.loads(row["body"]) for row in told]
        assert balance == sum(item.get("amount_paise", 0) - item.get("billed_paise", 0) for item in said)
        return balance, held


STEPS = st.one_of(
    st.tuples(st.just("capture"), st.integers(0, 3)),
    st.tuples(
        st.just("start"),
        st.one_of(st.none(), st.integers(1_000, 30_000)),
        st.one_of(st.none(), st.just(0), st.integers(1, 20_000)),
    ),
    st.tuples(st.just("hear"), st.integers(0, 9), st.integers(0, 1)),
    st.tuples(st.just("give"), st.integers(0, 9), st.integers(1, 30_000), st.sampled_from([None, BorneBy.PLATFORM])),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    amounts=st.lists(st.integers(1, 60_000), min_size=1, max_size=4),
    steps=st.lists(STEPS, max_size=14),
)
async def test_a_wallet_is_what_was_put_in_less_what_was_billed_and_kept(
    bench: Bench, amounts: list[int], steps: list[Any]
) -> None:
    story = Story(bench, amounts, Principal(f"user_any_{next(NUMBERS)}", frozenset({Role.RIDER})))
    await story.begin()
    for name, *how in steps:
        match name:
            case "capture":
                await story.capture(how[0] % len(amounts))
            case "start":
                await story.start(*how)
            case "hear" if story.sessions:
                await story.hear(how[0] % len(story.sessions), how[1])
            case "give" if story.sessions:
                await story.give(how[0] % len(story.sessions), *how[1:])
        await story.check()
    # In the end everything has been told.
    for number in range(len(amounts)):
        await story.capture(number)
    for index in range(len(story.sessions)):
        for word in (1, 0):
            await story.hear(index, word)
    balance, held = await story.check()
    billed = sum(
        final_bill(
            energy_wh=energy_wh,
            tariff_paise_per_kwh=TARIFF,
            gst_bps=GST_BPS,
            platform_fee_paise=0,
            paid_paise=session.hold_paise,
        ).total_billed_paise
        for session, energy_wh in story.sessions
        if energy_wh
    )
    assert (balance, held) == (sum(amounts) - billed + story.given, 0)
