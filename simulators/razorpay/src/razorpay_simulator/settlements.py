"""Settlements and their reconciliation: https://razorpay.com/docs/api/settlements."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone

from pydantic import BaseModel, ConfigDict, Field

from razorpay_simulator.core import Core, page, page_bounds
from razorpay_simulator.entities import Entry, JsonObject, Settlement, Transfer
from razorpay_simulator.errors import ApiError, ControlError, unknown_id

RECON_PAGE = 1000
IST = timezone(timedelta(hours=5, minutes=30))
"""A settlement's day is India's."""
UTR_PREFIX = "AXISCN"


class Adjustment(BaseModel):
    """What Razorpay takes or gives by hand: a chargeback, a correction, a credit."""

    model_config = ConfigDict(extra="forbid")

    amount: int = Field(description="Added to the balance; negative: taken from it, as a lost dispute is.")
    payment: str | None = Field(default=None, description="The payment it is about.")
    dispute: bool = Field(default=False, description="Give it a dispute's id.")
    description: str | None = Field(default=None, description="As the statement's row will have it.")


class Settlements:
    """Pays balances out to banks: the parent's on demand, a linked account's on demand or when its time has come."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def settle_linked(self, account_id: str) -> JsonObject | None:
        """Settle now all transfers of a linked account that are not on hold.

        None: there are none, or no balance, or the account's funds are held.
        """
        if account_id not in self._core.state.accounts:
            raise ControlError(f"no linked account {account_id}")
        return self._settle_linked(account_id, self._core.timestamp(), lambda _: True)

    def settle_due(self, account_id: str, due: float) -> None:
        """Settle the transfers of a linked account whose time came at `due`.

        A clock may wake a sleeper a rounding error early, so `due` counts, not the moment of waking.
        """
        self._settle_linked(account_id, due, lambda transfer: transfer.settles_at is not None and transfer.settles_at <= due)

    def settle_own(self) -> JsonObject | None:
        """Settle the parent's whole balance to its own bank. None: there is nothing to pay out."""
        return self._settle_own(lambda _: True)

    def settle_own_due(self, due: float) -> None:
        """Settle what was captured long enough before `due`, less all that was taken from the balance by now."""
        wait = self._core.settings.own_settlement_seconds or 0
        self._settle_own(lambda entry: entry.debit > 0 or entry.created_at <= due - wait)

    def _settle_own(self, wanted: Callable[[Entry], bool]) -> JsonObject | None:
        core, account_id = self._core, self._core.settings.account_id
        entries = [e for e in core.state.entries if e.account_id == account_id and e.settlement_id is None and wanted(e)]
        amount = sum(entry.credit - entry.debit for entry in entries)
        if amount <= 0:
            return None
        settlement = self._record(account_id, amount)
        for entry in entries:
            entry.settlement_id, entry.settled_at = settlement.id, settlement.created_at
        self._pay_out(settlement)
        core.emit("settlement.processed", {"settlement": {"entity": settlement.view()}})
        return settlement.view()

    def fetch(self, settlement_id: str, linked_account: str | None) -> JsonObject:
        """Any settlement of the parent's or its linked accounts'; as a linked account, its own."""
        settlement = self._core.find(self._core.state.settlements, settlement_id, "setl_")
        if linked_account not in (None, settlement.account_id):
            raise unknown_id()
        return settlement.view()

    def fetch_all(self, query: Mapping[str, str], linked_account: str | None) -> JsonObject:
        """The parent's own settlements, or with `X-Razorpay-Account` a linked account's."""
        owner = linked_account or self._core.settings.account_id
        return page((s for s in self._core.state.settlements.values() if s.account_id == owner), query)

    def recon(self, query: Mapping[str, str], linked_account: str | None) -> JsonObject:
        """Every movement settled in a month or on a day."""
        year, month, day = query.get("year", ""), query.get("month", ""), query.get("day")
        if not (year.isascii() and year.isdigit() and len(year) == 4):
            raise ApiError("The year must be 4 digits.", field="year")
        if not (month.isascii() and month.isdigit() and 1 <= int(month) <= 12):
            raise ApiError("The month is not a valid month.", field="month")
        if day is not None and not (day.isascii() and day.isdigit() and 1 <= int(day) <= 31):
            raise ApiError("The day is not a valid day.", field="day")
        count, skip = page_bounds(query, RECON_PAGE)
        owner = linked_account or self._core.settings.account_id
        rows = []
        for entry in self._core.state.entries:
            if entry.account_id != owner or entry.settled_at is None or entry.type == "settlement":
                continue
            settled = datetime.fromtimestamp(entry.settled_at, UTC).astimezone(IST)
            if (settled.year, settled.month) == (int(year), int(month)) and (day is None or settled.day == int(day)):
                rows.append(self._row(entry))
        rows = rows[skip : skip + count]
        return {"entity": "collection", "count": len(rows), "items": rows}

    def _settle_linked(self, account_id: str, now: float, wanted: Callable[[Transfer], bool]) -> JsonObject | None:
        core = self._core
        if core.state.accounts[account_id].hold_funds:
            return None
        transfers = [
            transfer
            for transfer in core.state.transfers.values()
            if transfer.recipient == account_id
            and transfer.settlement_status in ("pending", "on_hold")
            and not transfer.held(now)
            and transfer.status in ("processed", "partially_reversed")
            and wanted(transfer)
        ]
        # What was reversed out of settled transfers has been taken from the balance, so the balance is the limit.
        amount = min(sum(t.amount - t.amount_reversed for t in transfers), core.state.balance(account_id))
        if not transfers or amount <= 0:
            return None
        settlement = self._record(account_id, amount)
        settled = {transfer.id for transfer in transfers}
        for transfer in transfers:
            transfer.settlement_status, transfer.recipient_settlement_id = "settled", settlement.id
        for entry in core.state.entries:
            if entry.account_id == account_id and entry.entity_id in settled:
                entry.settlement_id, entry.settled_at = settlement.id, settlement.created_at
        self._pay_out(settlement)
        entity = settlement.view()
        if core.settings.settlement_with_transfers:
            entity["transfers"] = [transfer.view() for transfer in transfers]
        parent = core.settings.settlement_event_account == "parent"
        core.emit("settlement.processed", {"settlement": {"entity": entity}}, account_id=None if parent else account_id)
        return settlement.view()

    def _record(self, account_id: str, amount: int) -> Settlement:
        core = self._core
        settlement = Settlement(
            id=core.ids.new("setl_"),
            amount=amount,
            utr=UTR_PREFIX + core.ids.digits(10),
            created_at=core.now(),
            account_id=account_id,
        )
        core.state.settlements[settlement.id] = settlement
        return settlement

    def _pay_out(self, settlement: Settlement) -> None:
        self._core.post(
            Entry(
                account_id=settlement.account_id,
                type="settlement",
                entity_id=settlement.id,
                amount=settlement.amount,
                debit=settlement.amount,
                created_at=settlement.created_at,
                settlement_id=settlement.id,
                settled_at=settlement.created_at,
            )
        )

    def _row(self, entry: Entry) -> JsonObject:
        settlement = self._core.state.settlements.get(entry.settlement_id or "")
        payment = self._core.state.payments.get(entry.payment_id or "")
        order = self._core.state.orders.get(payment.order_id or "") if payment else None
        row: JsonObject = {
            "entity_id": entry.entity_id,
            "type": entry.type,
            "debit": entry.debit,
            "credit": entry.credit,
            "amount": entry.amount,
            "currency": "INR",
            "fee": entry.fee,
            "tax": entry.tax,
            "on_hold": False,
            "settled": True,
            "created_at": entry.created_at,
            "settled_at": entry.settled_at,
            "settlement_id": entry.settlement_id,
            "posted_at": None,
            "credit_type": "default",
            "description": payment.description if payment and entry.type == "payment" else entry.description,
            "notes": self._notes(entry),
            "payment_id": entry.payment_id,
            "settlement_utr": settlement.utr if settlement else None,
            "order_id": order.id if order else None,
            "order_receipt": order.receipt if order else None,
            "method": payment.method if payment else None,
            "card_network": None,
            "card_issuer": None,
            "card_type": None,
            "dispute_id": entry.dispute_id,
        }
        if entry.type == "adjustment":
            del row["credit_type"]
        return row

    def _notes(self, entry: Entry) -> JsonObject | list[object] | str | None:
        """The notes of what moved. Razorpay's samples show text, objects and null: by default the sandbox does all three."""
        state = self._core.state
        record = state.payments.get(entry.entity_id) or state.refunds.get(entry.entity_id) or state.transfers.get(entry.entity_id)
        notes: JsonObject = {} if record is None else record.notes
        shape: str = self._core.settings.recon_notes
        if shape == "mixed":
            shape = {"payment": "text", "refund": "object"}.get(entry.type, "null")
        if shape == "null":
            return None
        return json.dumps(notes) if shape == "text" else notes or []
