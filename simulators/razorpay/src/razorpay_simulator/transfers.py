"""Transfers and their reversals: https://razorpay.com/docs/api/payments/route, direct ones and those out of a payment."""

from collections.abc import Mapping
from functools import partial

from razorpay_simulator import fields
from razorpay_simulator.core import Core, collection, page
from razorpay_simulator.entities import Account, Entry, JsonObject, Payment, Reversal, Transfer
from razorpay_simulator.errors import (
    AMOUNT_BELOW_MINIMUM,
    LINKED_ACCOUNT_NOT_ACTIVATED,
    REVERSAL_BALANCE,
    TRANSFER_AFTER_REFUND,
    TRANSFER_BALANCE,
    ApiError,
    unknown_id,
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
_FEES_TOO_HIGH: JsonObject = {
    "code": "BAD_REQUEST_PAYMENT_FEES_GREATER_THAN_AMOUNT",
    "description": "The fees calculated for payment is greater than the payment amount",
    "reason": "transfer_amount_higher_than_balance",
    "step": "amount_validation",
    "source": "transfer",
}


class Transfers:
    """Creates transfers and walks them: pending → processed (then settled) or failed. The parent pays the fee on top."""

    def __init__(self, core: Core, settlements: Settlements) -> None:
        self._core = core
        self._settlements = settlements

    def create(self, raw: object) -> JsonObject:
        transfer = self._ordered(fields.object_body(raw), self._core.settings.account_id)
        core = self._core
        fee = transfer_fee(transfer.amount, core.settings.transfer_fee_bps)
        transfer.fees, transfer.tax = fee.total, fee.tax
        if core.settings.transfer_balance_check == "sync":
            if not core.covers(transfer.amount + transfer.fees):
                raise ApiError(TRANSFER_BALANCE)
            self._debit(transfer)
        self._destine(transfer)
        core.state.transfers[transfer.id] = transfer
        self.watch(transfer)
        return transfer.view()

    def create_from_payment(self, payment_id: str, raw: object) -> JsonObject:
        """Several transfers out of one captured payment. Nothing protects a repeat of this call: it transfers again."""
        body = fields.object_body(raw)
        payment = self._core.find_of(self._core.state.payments, payment_id, "pay_", None)
        fields.refuse_unknown(body, {"transfers"})
        wanted = fields.required(body, "transfers")
        if not isinstance(wanted, list):
            raise ApiError("The transfers must be an array.", field="transfers")
        if not payment.captured:
            raise ApiError("The payment status should be captured for action to be taken")
        if payment.amount_refunded:
            raise ApiError(TRANSFER_AFTER_REFUND)
        transfers = [
            self._ordered(fields.object_body(item), payment.id, named=f"transfers.{number}.")
            for number, item in enumerate(wanted)
        ]
        if payment.amount_transferred + sum(transfer.amount for transfer in transfers) > payment.amount:
            raise ApiError("The sum of amount requested for transfer is greater than the captured amount")
        for transfer in transfers:
            self._destine(transfer)
            payment.amount_transferred += transfer.amount
            self._core.state.transfers[transfer.id] = transfer
        answer = collection([transfer.view() for transfer in transfers])
        for transfer in transfers:  # never before the answer, which says pending
            self._core.at(f"transfer {transfer.id}", transfer.due_at, partial(self._step, transfer))
        return answer

    def of_payment(self, payment_id: str) -> JsonObject:
        payment = self._core.find_of(self._core.state.payments, payment_id, "pay_", None)
        found = [t.view() for t in self._core.state.transfers.values() if t.source == payment.id]
        return collection(found[::-1])

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

    def resume(self, account: Account) -> None:
        """An account's funds are no longer held: settle what waited for that, each transfer when it is due."""
        for transfer in list(self._core.state.transfers.values()):
            if transfer.recipient == account.id and transfer.settlement_status is not None:
                self.watch(transfer)

    def fetch(self, transfer_id: str, expand: list[str], linked_account: str | None) -> JsonObject:
        transfer = self._find(transfer_id)
        if linked_account not in (None, transfer.recipient):
            raise unknown_id()
        return self._show(transfer, expand)

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
        return self._reverse(transfer, amount, fields.notes(body)).view()

    def reversible(self, payment: Payment) -> int:
        """What `reverse_all` would bring back to the parent's balance."""
        return sum(transfer.amount - transfer.amount_reversed for transfer in self._standing(payment))

    def reverse_all(self, payment: Payment, refund_id: str) -> None:
        """Take back all that was transferred out of a payment, because all of it is refunded."""
        standing = self._standing(payment)
        for recipient in {transfer.recipient for transfer in standing}:
            left = sum(t.amount - t.amount_reversed for t in standing if t.recipient == recipient)
            if self._core.state.balance(recipient) < left:
                raise ApiError(REVERSAL_BALANCE)
        for transfer in standing:
            self._reverse(transfer, transfer.amount - transfer.amount_reversed, {}).customer_refund_id = refund_id

    def _standing(self, payment: Payment) -> list[Transfer]:
        done = ("processed", "partially_reversed")
        return [t for t in self._core.state.transfers.values() if t.source == payment.id and t.status in done]

    def _reverse(self, transfer: Transfer, amount: int, notes: JsonObject) -> Reversal:
        core, parent = self._core, self._core.settings.account_id
        if core.state.balance(transfer.recipient) < amount:
            raise ApiError(REVERSAL_BALANCE)
        reversal = Reversal(
            id=core.ids.new("rvrsl_"),
            transfer_id=transfer.id,
            amount=amount,
            notes=notes,
            initiator_id=parent.removeprefix("acc_"),
            created_at=core.now(),
        )
        core.state.reversals[reversal.id] = reversal
        transfer.amount_reversed += amount
        transfer.status = "reversed" if transfer.amount_reversed == transfer.amount else "partially_reversed"
        if transfer.payment_id is not None:
            core.state.payments[transfer.payment_id].amount_transferred -= amount
        self._post(transfer.recipient, "reversal", reversal.id, amount, debit=amount)
        self._post(parent, "reversal", reversal.id, amount, credit=amount)
        return reversal

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

    def _ordered(self, body: JsonObject, source: str, *, named: str = "") -> Transfer:
        """The transfer that is asked for, checked but not yet booked. `named` says which of several it is."""
        core, accounts = self._core, self._core.state.accounts
        fields.refuse_unknown(body, _FIELDS)
        if body.get("account_code") is not None:
            code = body["account_code"]
            account = next((a for a in accounts.values() if a.details.get("reference_id") == code), None)
            if account is None:
                raise ApiError("input is an invalid account_code.", field="account_code")
        else:
            account = core.find(accounts, fields.required(body, "account"), "acc_")
        fields.required(body, "amount")
        amount = fields.integer(body, "amount")
        if amount is None or amount < MINIMUM:
            text = f"The {named}amount must be at least {MINIMUM}." if named else AMOUNT_BELOW_MINIMUM
            raise ApiError(text, field=f"{named}amount")
        if fields.required(body, "currency") != "INR":
            raise ApiError("The currency should be INR for transfers", field="currency")
        notes = fields.notes(body)
        shown_notes = body.get("linked_account_notes") or []
        if not isinstance(shown_notes, list) or any(not isinstance(key, str) or key not in notes for key in shown_notes):
            raise ApiError("Keys sent in linked_account_notes must exist in notes", field="linked_account_notes")
        hold_until = fields.instant(body, "on_hold_until")
        if not account.may_receive:
            raise ApiError(LINKED_ACCOUNT_NOT_ACTIVATED, field="account")
        return Transfer(
            id=core.ids.new("trf_"),
            status="pending",
            source=source,
            recipient=account.id,
            amount=amount,
            notes=notes,
            linked_account_notes=shown_notes,
            on_hold=fields.boolean(body, "on_hold"),
            on_hold_until=hold_until,
            created_at=core.now(),
            due_at=core.timestamp() + core.settings.transfer_seconds,
        )

    def _destine(self, transfer: Transfer) -> None:
        """Decide how an accepted transfer will end."""
        rule = self._core.outcomes.take_rule("transfer")
        if rule is not None and rule.outcome == "failed":
            transfer.outcome = rule.reason or "insufficient_balance"

    def _step(self, transfer: Transfer) -> None:
        """What `outcome` says happens now. A transfer that is no longer pending stays as it is."""
        if transfer.status != "pending":
            return
        core = self._core
        error = self._obstacle(transfer)
        if error is not None:
            transfer.status, transfer.error_fields = "failed", dict(error)
            if transfer.debited:
                back = transfer.amount + transfer.fees
                self._post(core.settings.account_id, "adjustment", transfer.id, transfer.amount, credit=back)
            if transfer.payment_id is not None:
                core.state.payments[transfer.payment_id].amount_transferred -= transfer.amount
            core.emit(core.settings.transfer_failed_event, {"transfer": {"entity": transfer.view()}})
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

    def _obstacle(self, transfer: Transfer) -> JsonObject | None:
        """What fails a transfer at its last moment, as the entity's error. A payment's transfer learns its fee only now."""
        core = self._core
        if transfer.payment_id is not None:
            fee = transfer_fee(transfer.amount, core.settings.transfer_fee_bps)
            payment = core.state.payments[transfer.payment_id]
            gone = [t for t in core.state.transfers.values() if t.source == payment.id and t.debited and t.status != "failed"]
            spent = sum(other.amount - other.amount_reversed + other.fees for other in gone)
            if spent + transfer.amount + fee.total > payment.amount - payment.charged_fee:
                return _FEES_TOO_HIGH
            transfer.fees, transfer.tax = fee.total, fee.tax
        covered = transfer.debited or core.covers(transfer.amount + transfer.fees)
        if transfer.outcome == "transfer_amount_higher_than_balance":
            return _FEES_TOO_HIGH
        return _UNCOVERED if transfer.outcome == "insufficient_balance" or not covered else None

    def _debit(self, transfer: Transfer) -> None:
        total = transfer.amount + transfer.fees
        transfer.debited = True
        self._core.post(
            Entry(
                account_id=self._core.settings.account_id,
                type="transfer",
                entity_id=transfer.id,
                payment_id=transfer.payment_id,
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
