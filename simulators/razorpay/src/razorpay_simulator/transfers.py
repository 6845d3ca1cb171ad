"""Direct transfers and their reversals: https://razorpay.com/docs/api/payments/route/direct-transfers."""

from collections.abc import Mapping

from razorpay_simulator import fields
from razorpay_simulator.core import Core, collection, page
from razorpay_simulator.entities import Account, Entry, JsonObject, Reversal, Transfer
from razorpay_simulator.errors import (
    AMOUNT_BELOW_MINIMUM,
    LINKED_ACCOUNT_NOT_ACTIVATED,
    REVERSAL_BALANCE,
    TRANSFER_BALANCE,
    ApiError,
)
from razorpay_simulator.fees import transfer_fee
from razorpay_simulator.settlements import Settlements

MINIMUM = 100
"""Paise: the least that can be transferred."""
_FIELDS = {"account", "account_code", "amount", "currency", "notes", "linked_account_notes", "on_hold", "on_hold_until"}
_UNCOVERED: JsonObject = {
    "code": "BAD_REQUEST_TRANSFER_INSUFFICIENT_BALANCE",
    "description": "Transfer failed due to insufficient balance",
    "reason": "insufficient_balance",
    "step": "balance_check",
    "source": "transfer",
}


class Transfers:
    """Creates transfers and walks them: pending → processed (then settled) or failed. The parent pays the fee on top."""

    def __init__(self, core: Core, settlements: Settlements) -> None:
        self._core = core
        self._settlements = settlements

    def create(self, raw: object) -> JsonObject:
        body = fields.object_body(raw)
        fields.refuse_unknown(body, _FIELDS)
        amount, account = self._check(body)
        notes = fields.notes(body)
        shown_notes = body.get("linked_account_notes") or []
        if not isinstance(shown_notes, list) or any(not isinstance(key, str) or key not in notes for key in shown_notes):
            raise ApiError("Keys sent in linked_account_notes must exist in notes", field="linked_account_notes")
        hold_until = fields.instant(body, "on_hold_until")
        if not account.may_receive:
            raise ApiError(LINKED_ACCOUNT_NOT_ACTIVATED, field="account")
        core = self._core
        fee = transfer_fee(amount, core.settings.transfer_fee_bps)
        covered_now = core.settings.transfer_balance_check == "sync"
        if covered_now and not core.covers(amount + fee.total):
            raise ApiError(TRANSFER_BALANCE)
        transfer = Transfer(
            id=core.ids.new("trf_"),
            status="pending",
            source=core.settings.account_id,
            recipient=account.id,
            amount=amount,
            fees=fee.total,
            tax=fee.tax,
            notes=notes,
            linked_account_notes=shown_notes,
            on_hold=fields.boolean(body, "on_hold"),
            on_hold_until=hold_until,
            created_at=core.now(),
            due_at=core.timestamp() + core.settings.transfer_seconds,
            outcome="failed" if core.outcomes.take("transfer") == "failed" else "processed",
        )
        if covered_now:
            self._debit(transfer)
        core.state.transfers[transfer.id] = transfer
        self.watch(transfer)
        return transfer.view()

    def watch(self, transfer: Transfer) -> None:
        """Take an open transfer's next step when it is due; at once where it takes no time."""
        if transfer.status == "pending":
            if transfer.due_at <= self._core.timestamp():
                self._step(transfer)
            else:
                self._core.at(f"transfer {transfer.id}", transfer.due_at, lambda: self._step(transfer))
        elif transfer.settlement_status in ("pending", "on_hold") and transfer.settles_at is not None:
            due = transfer.settles_at
            if transfer.on_hold:
                if transfer.on_hold_until is None:
                    return
                due = max(due, float(transfer.on_hold_until))
            self._core.at(f"settlement of {transfer.id}", due, lambda: self._settlements.settle_due(transfer.recipient, due))

    def fetch(self, transfer_id: str, expand: list[str]) -> JsonObject:
        return self._show(self._find(transfer_id), expand)

    def fetch_all(self, query: Mapping[str, str], expand: list[str], linked_account: str | None) -> JsonObject:
        transfers = list(self._core.state.transfers.values())
        if linked_account is not None:
            transfers = [t for t in transfers if t.recipient == linked_account]
        if settlement_id := query.get("recipient_settlement_id"):
            self._core.find(self._core.state.settlements, settlement_id, "setl_")
            transfers = [t for t in transfers if t.recipient_settlement_id == settlement_id]
        return page(transfers, query, show=lambda transfer: self._show(transfer, expand))

    def update(self, transfer_id: str, raw: object) -> JsonObject:
        """Hold a transfer's settlement, or let it go."""
        body = fields.object_body(raw)
        transfer = self._find(transfer_id)
        fields.refuse_unknown(body, {"on_hold", "on_hold_until", "notes"})
        if "notes" in body:
            transfer.notes = fields.notes(body)
        if transfer.settlement_status == "settled" and {"on_hold", "on_hold_until"} & body.keys():
            raise ApiError("The transfer has already been settled to the linked account.")
        if "on_hold" in body or "on_hold_until" in body:
            transfer.on_hold = fields.boolean(body, "on_hold", default=transfer.on_hold)
            transfer.on_hold_until = fields.instant(body, "on_hold_until")
            if transfer.settlement_status is not None:
                transfer.settlement_status = "on_hold" if transfer.on_hold else "pending"
                self.watch(transfer)
        return transfer.view()

    def reverse(self, transfer_id: str, raw: object) -> JsonObject:
        """Take back all that is left of a transfer, or `amount` of it, from the linked account's balance."""
        body = {} if raw is None else fields.object_body(raw)
        transfer = self._find(transfer_id)
        fields.refuse_unknown(body, {"amount", "notes", "linked_account_notes"})
        left = transfer.amount - transfer.amount_reversed
        if transfer.status not in ("processed", "partially_reversed"):
            raise ApiError("The transfer cannot be reversed in its present status.")
        amount = fields.integer(body, "amount")
        amount = left if amount is None else amount
        if amount < 1:
            raise ApiError("The amount must be at least 1.", field="amount")
        if amount > left:
            raise ApiError("The reversal amount provided is greater than the transfer amount.", field="amount")
        if self._core.state.balance(transfer.recipient) < amount:
            raise ApiError(REVERSAL_BALANCE)
        reversal = Reversal(
            id=self._core.ids.new("rvrsl_"),
            transfer_id=transfer.id,
            amount=amount,
            notes=fields.notes(body),
            initiator_id=self._core.settings.account_id.removeprefix("acc_"),
            created_at=self._core.now(),
        )
        self._core.state.reversals[reversal.id] = reversal
        transfer.amount_reversed += amount
        transfer.status = "reversed" if amount == left else "partially_reversed"
        self._post(transfer.recipient, "reversal", reversal.id, amount, debit=amount)
        self._post(transfer.source, "reversal", reversal.id, amount, credit=amount)
        return reversal.view()

    def reversals(self, transfer_id: str) -> JsonObject:
        transfer = self._find(transfer_id)
        found = [r.view() for r in self._core.state.reversals.values() if r.transfer_id == transfer.id]
        return collection(found[::-1])

    def _find(self, transfer_id: str) -> Transfer:
        return self._core.find(self._core.state.transfers, transfer_id, "trf_")

    def _show(self, transfer: Transfer, expand: list[str]) -> JsonObject:
        shown = transfer.view()
        if "recipient_settlement" in expand:
            settlement = self._core.state.settlements.get(transfer.recipient_settlement_id or "")
            shown["recipient_settlement"] = settlement.view() if settlement else None
        return shown

    def _check(self, body: JsonObject) -> tuple[int, Account]:
        """The amount and the recipient."""
        accounts = self._core.state.accounts
        if body.get("account_code") is not None:
            code = body["account_code"]
            account = next((a for a in accounts.values() if a.details.get("reference_id") == code), None)
            if account is None:
                raise ApiError("input is an invalid account_code.", field="account_code")
        else:
            account = self._core.find(accounts, fields.required(body, "account"), "acc_")
        fields.required(body, "amount")
        amount = fields.integer(body, "amount")
        if amount is None or amount < MINIMUM:
            raise ApiError(AMOUNT_BELOW_MINIMUM, field="amount")
        if fields.required(body, "currency") != "INR":
            raise ApiError("The currency should be INR for transfers", field="currency")
        return amount, account

    def _step(self, transfer: Transfer) -> None:
        """What `outcome` says happens now. A transfer that is no longer pending stays as it is."""
        if transfer.status != "pending":
            return
        core = self._core
        covered = transfer.debited or core.covers(transfer.amount + transfer.fees)
        if transfer.outcome == "failed" or not covered:
            transfer.status, transfer.error_fields = "failed", dict(_UNCOVERED)
            if transfer.debited:
                back = transfer.amount + transfer.fees
                self._post(transfer.source, "adjustment", transfer.id, transfer.amount, credit=back)
            core.emit("transfer.failed", {"transfer": {"entity": transfer.view()}})
            return
        if not transfer.debited:
            self._debit(transfer)
        transfer.status, transfer.processed_at = "processed", core.now()
        transfer.settlement_status = "on_hold" if transfer.on_hold else "pending"
        self._post(transfer.recipient, "transfer", transfer.id, transfer.amount, credit=transfer.amount)
        core.emit("transfer.processed", {"transfer": {"entity": transfer.view()}})
        if core.settings.linked_settlement_seconds is not None:
            transfer.settles_at = core.timestamp() + core.settings.linked_settlement_seconds
            self.watch(transfer)

    def _debit(self, transfer: Transfer) -> None:
        total = transfer.amount + transfer.fees
        transfer.debited = True
        self._core.post(
            Entry(
                account_id=transfer.source,
                type="transfer",
                entity_id=transfer.id,
                amount=transfer.amount,
                debit=total,
                fee=transfer.fees,
                tax=transfer.tax,
                created_at=self._core.now(),
            )
        )

    def _post(self, account_id: str, kind: str, entity_id: str, amount: int, *, credit: int = 0, debit: int = 0) -> None:
        self._core.post(
            Entry.model_validate(
                {
                    "account_id": account_id,
                    "type": kind,
                    "entity_id": entity_id,
                    "amount": amount,
                    "credit": credit,
                    "debit": debit,
                    "created_at": self._core.now(),
                }
            )
        )
