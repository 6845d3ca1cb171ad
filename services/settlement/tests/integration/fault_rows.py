"""Settlement's calls to Razorpay, each as a row of the fault matrix: how a world gets there, and what is right at the end.

From the first `begin` on no event of Razorpay's is passed on: nothing heals by hearsay.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from contracts.payments import PaymentBilled, PaymentReceived, RazorpayEventReceived
from razorpay_simulator import FaultRule
from settlement.domain.link import reference_of
from settlement.usecases.pay_out import SCAN_MARGIN
from testkit.fault_matrix import Cell, End, Row

from .conftest import FRANCHISEE, World
from .test_corrections import OFF, decided, take_back_by_hand

TRANSFERS = "/v1/transfers"
PAYOUT = 5393
"""What a franchisee gets of `World.bill()`."""
CORRECTED_NAME = "Asha R. Rao"


@dataclass
class Stage:
    """The world, and what was seen of it at the last look."""

    world: World
    shared: int
    """A franchisee that may be paid."""
    franchisees: dict[int, Any] = field(default_factory=dict)
    entries: dict[int, Any] = field(default_factory=dict)
    """transaction id → row."""
    transfers: dict[int, list[Any]] = field(default_factory=dict)
    """transaction id → rows."""
    corrections: dict[int, Any] = field(default_factory=dict)
    """transaction id → row."""
    reversals: dict[str, list[Any]] = field(default_factory=dict)
    """razorpay_transfer_id → rows."""
    readings: dict[int, Any] = field(default_factory=dict)
    settlements: dict[str, Any] = field(default_factory=dict)

    async def look(self) -> None:
        """Read everything."""
        rows = self.world.admin.fetch
        self.franchisees = {row["id"]: row for row in await rows("SELECT * FROM franchisees")}
        self.entries = {row["transaction_id"]: row for row in await rows("SELECT * FROM ledger_entries WHERE kind = 'SESSION'")}
        self.corrections = {
            row["transaction_id"]: row for row in await rows("SELECT * FROM ledger_entries WHERE kind = 'CORRECTION'")
        }
        by_entry = {row["id"]: row["transaction_id"] for row in self.entries.values()}
        self.transfers = {}
        for row in await rows("SELECT * FROM transfers ORDER BY id"):
            self.transfers.setdefault(by_entry[row["lead_entry_id"]], []).append(row)
        self.reversals = {}
        query = "SELECT reversals.*, razorpay_transfer_id FROM reversals JOIN transfers ON transfers.id = transfer_id"
        for row in await rows(query):
            self.reversals.setdefault(row["razorpay_transfer_id"], []).append(row)
        self.readings = {row["id"]: row for row in await rows("SELECT * FROM statement_readings")}
        self.settlements = {row["razorpay_settlement_id"]: row for row in await rows("SELECT * FROM settlements")}

    def fault(self, having: str, **rule: str) -> None:
        """What has to go wrong before, for the row's call to be made at all."""
        self.world.sandbox.add_fault(FaultRule.model_validate({"kind": "error", "having": having, **rule}))

    async def enter(self, cell: Cell["Stage"]) -> int:
        """A franchisee of the cell's own; its onboarding begins. Its id."""
        body = {
            **FRANCHISEE,
            "email": email_of(cell),
            "stakeholder": {**FRANCHISEE["stakeholder"], "email": stakeholder_of(cell)},
        }
        made = await self.world.call("POST", "/v1/franchisees", json=body)
        cell.facts["franchisee"] = number = int(made["id"].removeprefix("frn_"))
        return number

    async def announce(self, bill: PaymentBilled) -> None:
        """Payments tells of the money and of the bill: the books need both."""
        received = PaymentReceived(
            **bill.model_dump(include={"qr_payment_id", "razorpay_payment_id", "charge_point_id", "connector_id", "fee_source"}),
            qr_code_id=1,
            amount_paise=bill.paid_paise,
            platform_fee_paise=bill.platform_fee_paise,
            platform_fee_tax_paise=36,
            received_at=bill.started_at,
        )
        await self.world.publish(received)
        await self.world.publish(bill)

    async def is_claimed(self, bill: PaymentBilled) -> None:
        """Return once the transfer of a bill stands: it bears the time of its claim."""
        while not await self.world.admin.fetchval("SELECT 1 FROM transfers WHERE key = $1", f"txn_{bill.transaction_id}"):
            await asyncio.sleep(0.002)

    def accounts(self, cell: Cell["Stage"]) -> list[Any]:
        """The cell's linked accounts at Razorpay."""
        reference = reference_of(cell.facts["franchisee"])
        return [there for there in self.world.sandbox.state.accounts.values() if there.details["reference_id"] == reference]

    def transfers_there(self, cell: Cell["Stage"]) -> list[Any]:
        """The transfers of the cell's session that Razorpay has and that have not failed."""
        transaction = f"txn_{cell.facts['bill'].transaction_id}"
        there = self.world.sandbox.state.transfers.values()
        return [item for item in there if item.notes.get("transaction_id") == transaction and item.status != "failed"]


S = Cell[Stage]


def email_of(cell: S) -> str:
    """A franchisee's, by which its account is told apart."""
    return f"fr{cell.number}@acme.example"


def stakeholder_of(cell: S) -> str:
    """The same for the stakeholder."""
    return f"own{cell.number}@acme.example"


async def _nothing(stage: Stage, cell: S) -> None:
    """All is said."""


# Onboarding


async def _enter(stage: Stage, cell: S) -> None:
    stage.world.forwarding = False
    await stage.enter(cell)


async def _email_first(stage: Stage, cell: S) -> None:
    cell.token = email_of(cell)


async def _linked(stage: Stage, cell: S) -> None:
    await stage.enter(cell)


async def _stakeholder_first(stage: Stage, cell: S) -> None:
    cell.token = stakeholder_of(cell)


async def _account_made_answer_lost(stage: Stage, cell: S) -> None:
    stage.fault(email_of(cell), method="POST", path="/v2/accounts", when="after_effect")
    await stage.enter(cell)


async def _stakeholder_made_answer_lost(stage: Stage, cell: S) -> None:
    stage.fault(stakeholder_of(cell), method="POST", path="/v2/accounts/*/stakeholders", when="after_effect")
    await stage.enter(cell)


async def _account_known(stage: Stage, cell: S) -> None:
    stage.world.forwarding = False
    (account,) = stage.accounts(cell)
    cell.token = account.id


async def _bank_kept_answer_lost(stage: Stage, cell: S) -> None:
    await _account_known(stage, cell)
    stage.fault(cell.token, method="PATCH", path="/v2/accounts/*/products/*", when="after_effect")


async def _stakeholder_to_be_corrected(stage: Stage, cell: S) -> None:
    stage.world.forwarding = False
    query = "SELECT razorpay_stakeholder_id FROM franchisees WHERE id = $1"
    cell.token = await stage.world.admin.fetchval(query, cell.facts["franchisee"])
    body = {"stakeholder": {**FRANCHISEE["stakeholder"], "email": stakeholder_of(cell), "name": CORRECTED_NAME}}
    await stage.world.call("PATCH", f"/v1/franchisees/frn_{cell.facts['franchisee']}", json=body)


def _one_corrected(stage: Stage, cell: S) -> str | None:
    name = stage.world.sandbox.state.stakeholders[cell.token].details["name"]
    return _one_account(stage, cell) or (None if name == CORRECTED_NAME else f"the stakeholder is {name}")


def _one_account(stage: Stage, cell: S) -> str | None:
    franchisee, state = stage.franchisees[cell.facts["franchisee"]], stage.world.sandbox.state
    if (franchisee["link_step"], franchisee["status"]) != ("DONE", "ACTIVATED"):
        return f"{franchisee['link_step']} ({franchisee['link_error']}), {franchisee['status']}"
    (account,) = stage.accounts(cell)
    stakeholders = [item.id for item in state.stakeholders.values() if item.account_id == account.id]
    products = [item for item in state.products.values() if item.account_id == account.id]
    ours = [franchisee[f"razorpay_{name}_id"] for name in ("account", "stakeholder", "product")]
    if [[account.id], stakeholders, [item.id for item in products]] != [[each] for each in ours]:
        return f"Razorpay has {account.id}, {stakeholders}, {[item.id for item in products]}; we have {ours}"
    number = products[0].settlements.get("account_number")
    return None if number == FRANCHISEE["bank"]["account_number"] else f"the bank account is {number}"  # type: ignore[index]


def _accounts(stage: Stage, cell: S) -> int:
    return len(stage.accounts(cell))


# Transfers


async def _billed(stage: Stage, cell: S) -> None:
    cell.facts["bill"] = bill = stage.world.bill(stage.shared)
    cell.token = f"txn_{bill.transaction_id}"


async def _owed(stage: Stage, cell: S) -> None:
    stage.world.forwarding = False
    await stage.announce(cell.facts["bill"])


async def _transfer_made_answer_lost(stage: Stage, cell: S) -> None:
    stage.world.forwarding = False
    stage.world.clock._elapsed += 1  # its listing says by its `from` whose it is
    cell.facts["bill"] = bill = stage.world.bill(stage.shared)
    stage.fault(f"txn_{bill.transaction_id}", method="POST", path=TRANSFERS, when="after_effect")
    await stage.announce(bill)
    cell.token = str(int((stage.world.clock.now() - SCAN_MARGIN).timestamp()))
    await stage.is_claimed(bill)
    stage.world.clock._elapsed += 1


def _one_transfer(stage: Stage, cell: S) -> str | None:
    bill: PaymentBilled = cell.facts["bill"]
    entry, rows = stage.entries.get(bill.transaction_id), stage.transfers.get(bill.transaction_id, [])
    there = stage.transfers_there(cell)
    if entry is None or entry["status"] not in ("TRANSFERRED", "SETTLED"):
        return f"the entry is {entry and (entry['status'], entry['hold_reason'], entry['last_error'])}"
    if entry["failed_attempts"]:
        return f"{entry['failed_attempts']} failed attempts"
    if [(row["razorpay_transfer_id"], row["amount_paise"]) for row in rows] != [(item.id, item.amount) for item in there]:
        return f"transfers {rows}, at Razorpay {there}"
    return None if [item.amount for item in there] == [PAYOUT] else f"Razorpay has {[item.amount for item in there]}"


def _transfers(stage: Stage, cell: S) -> int:
    return len(stage.transfers_there(cell))


# Settlements


async def _paid_out(stage: Stage, cell: S) -> None:
    cell.facts["bill"] = bill = stage.world.bill(await stage.enter(cell))
    await stage.announce(bill)


def _settle(stage: Stage, cell: S) -> dict[str, Any]:
    stage.world.forwarding = False
    (account,) = stage.accounts(cell)
    (settlement,) = stage.world.sandbox.settle(account.id)
    cell.facts["settlement"], cell.facts["utr"] = settlement["id"], settlement["utr"]
    return settlement


async def _settled_and_told(stage: Stage, cell: S) -> None:
    settlement = _settle(stage, cell)
    cell.token = settlement["id"]
    (account,) = stage.accounts(cell)
    event = RazorpayEventReceived(
        webhook_event_id=cell.number,
        razorpay_event_id=f"evt_{cell.number}",
        event="settlement.processed",
        account_id=account.id,
        payload={"settlement": {"entity": settlement}},
        created_at=datetime.fromtimestamp(settlement["created_at"], UTC),
    )
    await stage.world.publish(event)


async def _settled_transfer_to_be_found(stage: Stage, cell: S) -> None:
    _settle(stage, cell)
    (transfer,) = stage.transfers_there(cell)
    cell.token = transfer.id


async def _settled_to_be_found(stage: Stage, cell: S) -> None:
    cell.token = _settle(stage, cell)["id"]


def _one_settled(stage: Stage, cell: S) -> str | None:
    wrong = _one_transfer(stage, cell)
    if wrong is not None:
        return wrong
    entry, settled = stage.entries[cell.facts["bill"].transaction_id], stage.settlements.get(cell.facts["settlement"])
    (transfer,) = stage.transfers[cell.facts["bill"].transaction_id]
    if (entry["status"], transfer["utr"]) != ("SETTLED", cell.facts["utr"]):
        return f"the entry is {entry['status']}, UTR {transfer['utr']}"
    if settled is None or (settled["status"], settled["transfers_count"], settled["transfers_paise"]) != ("MATCHED", 1, PAYOUT):
        return f"the settlement is {settled}"
    return None


# Corrections and statements


async def _refunded_after_the_bill(stage: Stage, cell: S) -> None:
    stage.world.forwarding = False
    (transfer,) = stage.transfers_there(cell)
    cell.token = transfer.id
    cell.facts["reversed"] = OFF
    await stage.world.publish(decided(stage.world, cell.facts["bill"], 2000))


async def _refunded_and_reversal_lost(stage: Stage, cell: S) -> None:
    (transfer,) = stage.transfers_there(cell)
    stage.fault(transfer.id, method="POST", path=REVERSALS, when="after_effect")
    await _refunded_after_the_bill(stage, cell)


async def _taken_back_by_hand(stage: Stage, cell: S) -> None:
    stage.world.forwarding = False
    (transfer,) = stage.transfers_there(cell)
    cell.token = transfer.id
    cell.facts["reversed"] = 100
    take_back_by_hand(stage.world, transfer.id, 100)


def _one_reversal(stage: Stage, cell: S) -> str | None:
    kept = [(row["status"], row["amount_paise"]) for row in stage.reversals.get(cell.token, [])]
    if kept != [("DONE", cell.facts["reversed"])]:
        return f"reversals {kept}"
    (there,) = _reversed_there(stage, cell)
    if there.amount != cell.facts["reversed"]:
        return f"Razorpay has {there}"
    correction = stage.corrections.get(cell.facts["bill"].transaction_id)
    return None if correction is None or correction["status"] == "SETTLED" else f"the correction is {correction['status']}"


def _reversed_there(stage: Stage, cell: S) -> list[Any]:
    return [item for item in stage.world.sandbox.state.reversals.values() if item.transfer_id == cell.token]


def _reversals(stage: Stage, cell: S) -> int:
    return len(_reversed_there(stage, cell))


async def _day_of_its_own(stage: Stage, cell: S) -> None:
    day = cell.facts["day"] = date(2025, 1, 1) + timedelta(days=cell.number)
    cell.token, cell.argument = f"year={day.year}&month={day.month}&day={day.day}&", repr(day)


async def _statement_asked_for(stage: Stage, cell: S) -> None:
    day = str(cell.facts["day"])
    made = await stage.world.call("POST", "/v1/reconciliations", json={"from": day, "to": day})
    cell.facts["reading"] = int(made["id"].removeprefix("rec_"))


def _one_read(stage: Stage, cell: S) -> str | None:
    reading = stage.readings[cell.facts["reading"]]
    return None if reading["status"] == "DONE" else f"the reading is {reading['status']} ({reading['last_error']})"


def _read(stage: Stage, cell: S) -> int:
    return int(_one_read(stage, cell) is None)


ACCOUNT = ("GET", "/v2/accounts/acc_*")
REVERSALS = f"{TRANSFERS}/trf_*/reversals"
RECON = ("GET", "/v1/settlements/recon/combined")
STAKEHOLDERS = "/v2/accounts/*/stakeholders"
PRODUCTS = ("POST", "/v2/accounts/*/products")
PRODUCT = "/v2/accounts/*/products/*"

ONE_ACCOUNT = End("account", _one_account, _accounts)
ONE_CORRECTED = End("account", _one_corrected, _accounts)
TRANSFER = End("transfer", _one_transfer, _transfers)
SETTLED = End("transfer", _one_settled, _transfers)
REVERSAL = End("reversal", _one_reversal, _reversals)
READ = End("reading", _one_read, _read)

# First those that `prepare` left half done: the clock goes on a little while others are begun.
ROWS: tuple[Row[Stage], ...] = (
    Row("create_account", "link_franchisee", ("POST", "/v2/accounts"), _email_first, _enter, ONE_ACCOUNT),
    Row("fetch_account", "link_franchisee", ACCOUNT, _account_made_answer_lost, _account_known, ONE_ACCOUNT),
    Row("create_stakeholder", "link_franchisee", ("POST", STAKEHOLDERS), _stakeholder_first, _enter, ONE_ACCOUNT),
    Row("stakeholders", "link_franchisee", ("GET", STAKEHOLDERS), _stakeholder_made_answer_lost, _account_known, ONE_ACCOUNT),
    Row("request_product", "link_franchisee", PRODUCTS, _stakeholder_made_answer_lost, _account_known, ONE_ACCOUNT),
    Row(
        "edit_stakeholder",
        "link_franchisee",
        ("PATCH", f"{STAKEHOLDERS}/*"),
        _linked,
        _stakeholder_to_be_corrected,
        ONE_CORRECTED,
    ),
    Row("edit_product", "link_franchisee", ("PATCH", PRODUCT), _stakeholder_made_answer_lost, _account_known, ONE_ACCOUNT),
    Row("fetch_product", "link_franchisee", ("GET", PRODUCT), _stakeholder_made_answer_lost, _bank_kept_answer_lost, ONE_ACCOUNT),
    Row(
        "fetch_product", "follow_kyc", ("GET", PRODUCT), _stakeholder_made_answer_lost, _account_known, ONE_ACCOUNT, claims=False
    ),
    Row("transfers_since", "pay_out", ("GET", TRANSFERS), _nothing, _transfer_made_answer_lost, TRANSFER, claims=False),
    Row("create_transfer", "pay_out", ("POST", TRANSFERS), _billed, _owed, TRANSFER),
    Row("fetch_transfer", "pay_out", ("GET", f"{TRANSFERS}/trf_*"), _paid_out, _settled_transfer_to_be_found, SETTLED),
    Row("fetch_settlement", "pay_out", ("GET", "/v1/settlements/setl_*"), _paid_out, _settled_to_be_found, SETTLED),
    Row("transfers_of_settlement", "reconcile_settlement", ("GET", TRANSFERS), _paid_out, _settled_and_told, SETTLED),
    Row("reverse_transfer", "recover", ("POST", REVERSALS), _paid_out, _refunded_after_the_bill, REVERSAL),
    Row("reversals_of", "recover", ("GET", REVERSALS), _paid_out, _refunded_and_reversal_lost, REVERSAL),
    Row("reversals_of", "pay_out", ("GET", REVERSALS), _paid_out, _taken_back_by_hand, REVERSAL),
    Row("statement_page", "read_statement", RECON, _day_of_its_own, _statement_asked_for, READ),
)

UNTRIED = {
    (
        "fetch_settlement",
        "judge_statement",
    ): "a look at a settlement of our own whose event was lost: it moves nothing, and is taken again",
    (
        "fetch_settlement",
        "reconcile_settlement",
    ): "asks franchisees' accounts whose a settlement without transfers is: it moves nothing, and is asked again",
}
"""Calls without a row, and why: the page shows them."""
