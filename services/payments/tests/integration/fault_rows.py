"""Payments' calls to Razorpay, each as a row of the fault matrix: how a world gets there, and what is right at the end.

No event of Razorpay's about refunds and closed codes comes (`test_fault_matrix.py` drops them): nothing heals by hearsay.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from chassis.web import Principal, Role
from contracts.settlement import DirectCollection
from razorpay_simulator import FaultRule, OrderPayment, QrPayment, WebhookRule
from testkit.fault_matrix import Cell, End, Row

from .conftest import World
from .test_direct_collection import charging_says, open_account, settlement_says

QR_CODES = "/v1/payments/qr_codes"
REFUNDS_OF = "/v1/payments/pay_*/refunds"
AMOUNT = 4_000
LISTING_MARGIN_SECONDS = 300
RIDER = Principal("user_of_the_matrix", frozenset({Role.RIDER}))
RECHARGES = "/v1/wallets/me/recharges"
ORDERS = "/v1/orders"
RECHARGE_PAISE = 10_000


@dataclass
class Stage:
    """The world, and what was seen of it at the last look."""

    world: World
    qr: dict[str, Any]
    """The QR code that riders pay on."""
    payments: dict[str, Any] = field(default_factory=dict)
    """razorpay_payment_id → row."""
    refunds: dict[str, list[Any]] = field(default_factory=dict)
    """razorpay_payment_id → rows."""
    codes: dict[str, list[Any]] = field(default_factory=dict)
    """charge_point_id → rows."""
    ignored: list[str] = field(default_factory=list)
    """Bodies of events that came and were ignored. What of them waits long is asked about as well, and ignored like them."""
    recharges: dict[int, list[Any]] = field(default_factory=dict)
    """What was asked for, in paise: each cell's is its own → rows."""
    recharge_payments: dict[str, Any] = field(default_factory=dict)
    """razorpay_payment_id → row."""
    asking: list[asyncio.Task[None]] = field(default_factory=list)
    """Operators who wait for an answer."""

    async def look(self) -> None:
        """Read everything."""
        admin = self.world.admin
        self.payments = {row["razorpay_payment_id"]: row for row in await admin.fetch("SELECT * FROM qr_payments")}
        self.refunds, self.codes = {}, {}
        by_id = {row["id"]: row["razorpay_payment_id"] for row in self.payments.values()}
        for row in await admin.fetch("SELECT * FROM refunds ORDER BY id"):
            self.refunds.setdefault(by_id[row["qr_payment_id"]], []).append(row)
        for row in await admin.fetch("SELECT * FROM qr_codes ORDER BY id"):
            self.codes.setdefault(row["charge_point_id"], []).append(row)
        self.recharges = {}
        for row in await admin.fetch("SELECT * FROM wallet_recharges ORDER BY id"):
            self.recharges.setdefault(row["amount_paise"], []).append(row)
        credited = await admin.fetch("SELECT * FROM recharge_payments")
        self.recharge_payments = {row["razorpay_payment_id"]: row for row in credited}
        query = (
            "SELECT convert_from(body, 'UTF8') FROM webhook_events WHERE state = 'IGNORED'"
            " AND event IN ('qr_code.credited', 'payment.captured') AND verified_by <> 'ASKED'"
        )
        self.ignored = [row[0] for row in await admin.fetch(query)]

    def ask(self, path: str, body: dict[str, Any] | None = None, *, caller: Principal | None = None) -> None:
        """An operator or a rider asks, and does not wait for us; an answer may never come."""

        async def asking() -> None:
            with contextlib.suppress(aiohttp.ClientError, AssertionError):
                await self.world.call("POST", path, json=body or {}, caller=caller)

        self.asking.append(asyncio.ensure_future(asking()))

    def fault(self, having: str, **rule: str) -> None:
        """What has to go wrong before, for the row's call to be made at all."""
        self.world.razorpay.add_fault(FaultRule.model_validate({"kind": "error", "having": having, **rule}))

    # Refunds

    def pay(self, **how: Any) -> str:
        """A rider pays; Razorpay's payment id."""
        paid = self.world.razorpay.pay(self.qr["razorpay_qr_code_id"], QrPayment(amount=AMOUNT, **how))
        return str(paid["payment"]["id"])

    async def refuse(self, razorpay_payment_id: str) -> None:
        """Charging won't serve it: it goes back whole."""
        await self.world.tell(self.world.refused(await self.world.payment(razorpay_payment_id)))

    def live_refunds(self, cell: Cell["Stage"]) -> list[Any]:
        """The refunds of the cell's payment that Razorpay has and that have not failed."""
        there = self.world.razorpay.state.refunds.values()
        return [refund for refund in there if refund.payment_id == cell.facts["payment"] and refund.status != "failed"]

    # QR codes

    def codes_at_razorpay(self, cell: Cell["Stage"], status: str) -> list[Any]:
        """The cell's QR codes there."""
        there = self.world.razorpay.state.qr_codes.values()
        return [code for code in there if code.notes.get("charger") == cell.facts["charger"] and code.status == status]


S = Cell[Stage]


async def _paid(stage: Stage, cell: S) -> None:
    cell.facts["payment"] = cell.token = stage.pay()


async def _refused(stage: Stage, cell: S) -> None:
    await stage.refuse(cell.facts["payment"])


async def _paid_and_first_refund_lost(stage: Stage, cell: S) -> None:
    await _paid(stage, cell)
    stage.fault(cell.token, method="POST", path="/v1/payments/*/refund", when="after_effect")


async def _refund_under_way(stage: Stage, cell: S) -> None:
    cell.facts["payment"] = stage.pay()
    await stage.world.quiet()
    await stage.refuse(cell.facts["payment"])


async def _its_poll_comes(stage: Stage, cell: S) -> None:
    (refund,) = stage.live_refunds(cell)
    cell.token = refund.id


def _one_refund(stage: Stage, cell: S) -> str | None:
    payment, rows = stage.payments[cell.facts["payment"]], stage.refunds.get(cell.facts["payment"], [])
    if [(row["status"], row["amount_paise"], row["attempt"]) for row in rows] != [("PROCESSED", AMOUNT, 1)]:
        return f"refunds {[(row['status'], row['amount_paise'], row['attempt'], row['last_error']) for row in rows]}"
    if [(there.amount, there.receipt) for there in stage.live_refunds(cell)] != [(AMOUNT, rows[0]["key"])]:
        return f"Razorpay has {stage.live_refunds(cell)}"
    return None if payment["state"] == "REFUNDED" else f"the payment is {payment['state']}"


def _refunds(stage: Stage, cell: S) -> int:
    return len(stage.live_refunds(cell))


async def _charger(stage: Stage, cell: S) -> None:
    cell.facts["charger"] = cell.token = f"CP-{cell.number}"


async def _ask_for_code(stage: Stage, cell: S) -> None:
    stage.ask("/v1/qr-codes", {"charge_point_id": cell.facts["charger"], "connector_id": 1})


async def _ask_for_code_whose_answer_is_lost(stage: Stage, cell: S) -> None:
    cell.facts["charger"] = charger = f"CP-{cell.number}"
    stage.world.clock._elapsed += 1  # its listing says by its `from` whose it is
    stage.fault(charger, method="POST", path=QR_CODES, when="after_effect")
    await stage.world.call("POST", "/v1/qr-codes", json={"charge_point_id": charger, "connector_id": 1}, status=201)
    cell.token = str(int(stage.world.now().timestamp()) - LISTING_MARGIN_SECONDS)
    stage.world.clock._elapsed += 1


async def _nothing(stage: Stage, cell: S) -> None:
    """All is said."""


def _one_code(stage: Stage, cell: S) -> str | None:
    rows = stage.codes.get(cell.facts["charger"], [])
    ids = [code.id for code in stage.codes_at_razorpay(cell, "active")]
    if [(row["status"], row["razorpay_qr_code_id"]) for row in rows] == [("ACTIVE", each) for each in ids]:
        return None
    return f"rows {[(row['status'], row['razorpay_qr_code_id'], row['last_error']) for row in rows]}, at Razorpay {ids}"


def _codes(stage: Stage, cell: S) -> int:
    return len(stage.codes_at_razorpay(cell, "active"))


async def _with_code(stage: Stage, cell: S) -> None:
    await _charger(stage, cell)
    cell.facts["qr"] = made = await stage.world.call(
        "POST", "/v1/qr-codes", json={"charge_point_id": cell.token, "connector_id": 1}, status=201
    )
    cell.token = made["razorpay_qr_code_id"]


async def _with_code_closed_there(stage: Stage, cell: S) -> None:
    await _with_code(stage, cell)
    stage.world.razorpay.nouns.qr_codes.close(cell.token)


async def _ask_to_close(stage: Stage, cell: S) -> None:
    stage.ask(f"/v1/qr-codes/{cell.facts['qr']['id']}/close")


def _one_closed(stage: Stage, cell: S) -> str | None:
    (row,) = stage.codes[cell.facts["charger"]]
    return None if row["status"] == "CLOSED" else f"our row is {row['status']} ({row['last_error']})"


def _closed(stage: Stage, cell: S) -> int:
    return len(stage.codes_at_razorpay(cell, "closed"))


async def _strangers_code(stage: Stage, cell: S) -> None:
    made = stage.world.razorpay.nouns.qr_codes.create({"type": "upi_qr", "usage": "multiple_use", "fixed_amount": False})
    cell.token = made["id"]


async def _strangers_code_is_paid(stage: Stage, cell: S) -> None:
    stage.world.razorpay.pay(cell.token, QrPayment(amount=AMOUNT))


def _one_ignored(stage: Stage, cell: S) -> str | None:
    return None if _ignored(stage, cell) else "the credit is not decided"


def _ignored(stage: Stage, cell: S) -> int:
    return sum(cell.token in body for body in stage.ignored)


async def _paid_with_fee_untold(stage: Stage, cell: S) -> None:
    cell.facts["payment"] = cell.token = stage.pay(fee_shown="api")


async def _estimated(stage: Stage, cell: S) -> None:
    await _paid_with_fee_untold(stage, cell)
    stage.fault(cell.facts["payment"], method="GET", path="/v1/payments/pay_*")  # the lookup at the credit


def _one_true_fee(stage: Stage, cell: S) -> str | None:
    row = stage.payments.get(cell.facts["payment"])
    if row is None:
        return "the payment is not recorded"
    fee = stage.world.razorpay.state.payments[cell.facts["payment"]].fee
    if (row["fee_source"], row["platform_fee_paise"]) != ("API", fee):
        return f"the fee is {row['platform_fee_paise']} by {row['fee_source']}, and was {fee}"
    return None if row["state"] == "START_REQUESTED" else f"the payment is {row['state']}"


def _payments(stage: Stage, cell: S) -> int:
    return int(cell.facts["payment"] in stage.payments)


# Recharges of a wallet: of one rider, each of an amount of its own


async def _rider(stage: Stage, cell: S) -> None:
    await stage.world.call("POST", "/v1/riders/me", caller=RIDER)
    cell.facts["amount"] = RECHARGE_PAISE + cell.number
    cell.token = str(cell.facts["amount"])


async def _ask_for_order(stage: Stage, cell: S) -> None:
    stage.ask(RECHARGES, {"amount_paise": cell.facts["amount"]}, caller=RIDER)


async def _ask_for_order_whose_answer_is_lost(stage: Stage, cell: S) -> None:
    await _rider(stage, cell)
    stage.fault(cell.token, method="POST", path=ORDERS, when="after_effect")
    body = {"amount_paise": cell.facts["amount"]}
    made = await stage.world.call("POST", RECHARGES, json=body, caller=RIDER, status=201)
    receipt = f"recharge_{made['id'].removeprefix('rcg_')}"
    cell.token, cell.argument = f"receipt={receipt}&", f"'{receipt}'"


def _orders_there(stage: Stage, cell: S) -> list[Any]:
    return [order for order in stage.world.razorpay.state.orders.values() if order.amount == cell.facts["amount"]]


def _one_order(stage: Stage, cell: S) -> str | None:
    rows = [(row["status"], row["razorpay_order_id"]) for row in stage.recharges.get(cell.facts["amount"], [])]
    there = [order.id for order in _orders_there(stage, cell)]
    return None if rows == [("OPEN", each) for each in there] and rows else f"rows {rows}, at Razorpay {there}"


def _orders(stage: Stage, cell: S) -> int:
    return len(_orders_there(stage, cell))


async def _strangers_order(stage: Stage, cell: S) -> None:
    made = stage.world.razorpay.nouns.orders.create({"amount": RECHARGE_PAISE, "currency": "INR"})
    cell.token = made["id"]


async def _strangers_order_is_paid(stage: Stage, cell: S) -> None:
    stage.world.razorpay.pay_order(cell.token, OrderPayment())


async def _recharged_with_fee_untold(stage: Stage, cell: S) -> None:
    await _rider(stage, cell)
    body = {"amount_paise": cell.facts["amount"]}
    made = await stage.world.call("POST", RECHARGES, json=body, caller=RIDER, status=201)
    paid = stage.world.razorpay.pay_order(made["razorpay_order_id"], OrderPayment(fee_shown="api"))
    cell.facts["payment"] = cell.token = paid["payment"]["id"]
    stage.fault(cell.token, method="GET", path="/v1/payments/pay_*")  # the lookup at the credit


# Payments that no event tells of: each on a code of a franchisee's own, whose account the listing says


async def _franchisees_code(stage: Stage, cell: S) -> None:
    account = cell.facts["account"] = f"acc_Untold{cell.number:08}"
    open_account(stage.world, account)
    await settlement_says(stage.world, DirectCollection.ALLOWED, 1, franchisee_id=cell.number, account=account)
    charger = f"CP-{cell.number}"
    old = await stage.world.qr_code(charger)
    async with charging_says(stage.world, **{charger.replace("-", "_"): cell.number}):
        path = f"/v1/qr-codes/{old['id']}/regenerate"
        cell.facts["qr"] = await stage.world.call("POST", path, json={"owner": "franchisee"}, status=201)


async def _franchisees_account(stage: Stage, cell: S) -> None:
    await _franchisees_code(stage, cell)
    cell.token = cell.facts["account"]


async def _paid_and_never_told(stage: Stage, cell: S) -> None:
    for event in ("qr_code.credited", "payment.captured"):
        stage.world.razorpay.add_webhook_rule(WebhookRule(kind="drop", event=event))
    paid = stage.world.razorpay.pay(cell.facts["qr"]["razorpay_qr_code_id"], QrPayment(amount=AMOUNT))
    cell.facts["payment"] = paid["payment"]["id"]
    cell.token = cell.token or f"payment_id={cell.facts['payment']}"
    cell.argument = f"'{cell.facts['payment']}'" if cell.row.call == "qr_codes_of_payment" else None


def _one_start(stage: Stage, cell: S) -> str | None:
    row = stage.payments.get(cell.facts["payment"])
    if row is None:
        return "the payment is not found"
    if (row["amount_paise"], row["collected_by_account_id"]) != (AMOUNT, cell.facts["account"]):
        return f"{row['amount_paise']} paise of {row['collected_by_account_id']}"
    served = row["state"] == "START_REQUESTED" or (row["state"], row["refund_reason"]) == ("REFUNDED", "STALE")
    return None if served else f"the payment is {row['state']}"


def _one_true_recharge_fee(stage: Stage, cell: S) -> str | None:
    row = stage.recharge_payments.get(cell.facts["payment"])
    if row is None:
        return "the recharge is not credited"
    fee = stage.world.razorpay.state.payments[cell.facts["payment"]].fee
    told = (row["fee_source"], row["fee_paise"], row["amount_paise"])
    return None if told == ("API", fee, cell.facts["amount"]) else f"the recharge is {told}, its fee was {fee}"


def _recharged(stage: Stage, cell: S) -> int:
    return int(cell.facts["payment"] in stage.recharge_payments)


FETCH_PAYMENT = ("GET", "/v1/payments/pay_*")
CREATE_REFUND = ("POST", "/v1/payments/pay_*/refund")
LIST_PAYMENTS = ("GET", "/v1/payments")
FETCH_QR_CODE = ("GET", f"{QR_CODES}/qr_*")

REFUND = End("refund", _one_refund, _refunds)
CODE = End("QR code", _one_code, _codes)
CLOSED = End("closed QR code", _one_closed, _closed)
DECISION = End("decision", _one_ignored, _ignored)
PAYMENT = End("payment", _one_true_fee, _payments)
ORDER = End("order", _one_order, _orders)
RECHARGE = End("recharge", _one_true_recharge_fee, _recharged)
START = End("payment", _one_start, _payments)

# First those that wait for an answer of their own, before anything hangs.
ROWS: tuple[Row[Stage], ...] = (
    Row("fetch_refund", "work_refunds", ("GET", "/v1/refunds/rfnd_*"), _refund_under_way, _its_poll_comes, REFUND),
    Row("refunds_of", "work_refunds", ("GET", REFUNDS_OF), _paid_and_first_refund_lost, _refused, REFUND),
    Row("qr_codes_since", "make_qr_code", ("GET", QR_CODES), _nothing, _ask_for_code_whose_answer_is_lost, CODE),
    Row("orders_with_receipt", "recharge_wallet", ("GET", ORDERS), _nothing, _ask_for_order_whose_answer_is_lost, ORDER),
    Row("create_refund", "work_refunds", CREATE_REFUND, _paid, _refused, REFUND),
    Row("create_qr_code", "make_qr_code", ("POST", QR_CODES), _charger, _ask_for_code, CODE, claims=False),
    Row("close_qr_code", "make_qr_code", ("POST", f"{QR_CODES}/*/close"), _with_code, _ask_to_close, CLOSED, claims=False),
    Row("fetch_qr_code", "make_qr_code", FETCH_QR_CODE, _with_code_closed_there, _ask_to_close, CLOSED, claims=False),
    Row("fetch_qr_code", "lookups", FETCH_QR_CODE, _strangers_code, _strangers_code_is_paid, DECISION),
    Row("fetch_payment", "lookups", FETCH_PAYMENT, _nothing, _paid_with_fee_untold, PAYMENT),
    Row("fetch_payment", "record_fees", FETCH_PAYMENT, _estimated, _nothing, PAYMENT, claims=False),
    Row("create_order", "recharge_wallet", ("POST", ORDERS), _rider, _ask_for_order, ORDER, claims=False),
    Row("fetch_order", "lookups", ("GET", f"{ORDERS}/order_*"), _strangers_order, _strangers_order_is_paid, DECISION),
    Row("payments_page", "ask_for_payments", LIST_PAYMENTS, _franchisees_account, _paid_and_never_told, START, claims=False),
    Row(
        "qr_codes_of_payment", "ask_for_payments", ("GET", QR_CODES), _franchisees_code, _paid_and_never_told, START, claims=False
    ),
    Row("fetch_payment", "record_recharge_fees", FETCH_PAYMENT, _recharged_with_fee_untold, _nothing, RECHARGE, claims=False),
)
