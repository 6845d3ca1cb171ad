"""What money should do, told a second time and as shortly as it can be: what payments and settlement are held against.

Two folds over what is said. `Payments` hears Razorpay and charging and says what payments says; `Books` hears that, and what
becomes of transfers and settlements, and has the journals that should stand. Both take words in any order and more than once; a
word about what is not there yet waits, as the retry ladder makes it wait. The rules themselves (bill, split, state machines,
journals) are the services' own; what is told anew here is who does what when.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from contracts import Event
from contracts.payments import FeeSource, PaymentBilled, PaymentFeeRecorded, PaymentReceived, PaymentRefundedInFull, RefundChanged
from money import MIN_REFUND_PAISE, Bill, Split, TdsBase, calculate_settlement, final_bill
from payments.domain import refund
from payments.domain.qr_payment import PaymentState, Trigger, moved, next_state
from payments.domain.refund import RefundStatus
from settlement.domain import books
from settlement.domain.books import Journal, MoneyEvent, Posting, payout_account, reversal_of, standing
from settlement.domain.franchisee import Terms, terms_in_force
from settlement.domain.transfer import TransferStatus, advance

BILL_LINES = ("energy_charge_paise", "gst_paise", "platform_fee_paise", "refund_paise", "residue_paise")
"""What a payment is divided into: they add up to what was paid."""
SPLIT_LINES = (
    "refund_paise",
    "residue_paise",
    "pg_fee_paise",
    "gst_collected_paise",
    "commission_paise",
    "tds_paise",
    "payout_paise",
)
"""What a gross is divided into."""


# -- what is said


@dataclass(frozen=True)
class Credited:
    """Razorpay: a rider paid. A fee that the word leaves out is an estimate until `FeeTold`."""

    payment: int
    paid_paise: int
    fee_paise: int
    tax_paise: int | None
    at: datetime


@dataclass(frozen=True)
class FeeTold:
    """Razorpay, asked while the session ran."""

    payment: int
    fee_paise: int
    tax_paise: int | None
    at: datetime


@dataclass(frozen=True)
class Started:
    """Charging: a transaction runs on the payment."""

    payment: int


@dataclass(frozen=True)
class Refused:
    """Charging: nothing was started for it."""

    payment: int
    at: datetime


@dataclass(frozen=True)
class Stopped:
    """Charging: the transaction ended."""

    payment: int
    energy_wh: int
    tariff_paise_per_kwh: int
    gst_bps: int
    franchisee_id: int | None
    started_at: datetime
    at: datetime
    needs_fee: bool = False
    """It came after the fee was told: the ladder of this model makes it wait for that word."""


@dataclass(frozen=True)
class RefundTold:
    """Razorpay on a refund: one attempt of one payment."""

    payment: int
    attempt: int
    status: RefundStatus
    at: datetime


@dataclass(frozen=True)
class Claimed:
    """Settlement claimed a transfer: (transaction, payout) of each entry that it pays."""

    transfer: int
    pays: tuple[tuple[int, int], ...]
    at: datetime
    after: int | None = None
    """The attempt before it, which has to be known as failed."""

    @property
    def amount_paise(self) -> int:
        """What it moves."""
        return sum(payout for _, payout in self.pays)


@dataclass(frozen=True)
class TransferTold:
    """Razorpay on a transfer, in an answer, an event or a settlement."""

    transfer: int
    status: TransferStatus
    fee_paise: int | None
    tax_paise: int | None
    at: datetime


@dataclass(frozen=True)
class OwnSettlement:
    """Razorpay settled: `own` to our bank, as far as could be seen; a later look may say otherwise."""

    name: str
    amount_paise: int
    own: bool
    at: datetime


@dataclass(frozen=True)
class ByFinance:
    """A person entered what Razorpay's statement shows."""

    event: MoneyEvent


Word = Credited | FeeTold | Started | Refused | Stopped | RefundTold | Claimed | TransferTold | OwnSettlement | ByFinance | Event


class _Waits(Exception):
    """What the word is about is not there yet."""


def hear_all(hear: Callable[[Any], None], words: Iterable[Any]) -> None:
    """Hear them in this order; what waits is heard again after every other word. Raises _Waits for what never fits."""
    waiting: list[Any] = []
    for word in words:
        waiting.append(word)
        again = True
        while again:
            again = False
            for one in list(waiting):
                try:
                    hear(one)
                except _Waits:
                    continue
                waiting.remove(one)
                again = True
    if waiting:
        raise _Waits(f"these never fit: {waiting}")


# -- payments


@dataclass
class Attempt:
    """One refund at Razorpay, by one key."""

    number: int
    amount_paise: int
    status: RefundStatus = RefundStatus.PENDING


@dataclass
class Payment:
    """One payment's life."""

    credited: Credited
    fee_paise: int
    tax_paise: int | None
    fee_source: FeeSource
    state: PaymentState = PaymentState.START_REQUESTED
    bill: Bill | None = None
    attempts: list[Attempt] = field(default_factory=list)
    residue_paise: int = 0

    @property
    def live_refunds(self) -> int:
        """Attempts by which money moved or may still move."""
        return sum(attempt.status is not RefundStatus.FAILED for attempt in self.attempts)


class Payments:
    """Payments' fold. `said`: what it tells settlement."""

    def __init__(self) -> None:
        self.payments: dict[int, Payment] = {}
        self.said: list[Event] = []

    def hear(self, word: Word) -> None:
        """One word. Raises _Waits."""
        if isinstance(word, Credited):
            self._credited(word)
            return
        payment = self.payments.get(word.payment)  # type: ignore[union-attr]
        if payment is None:
            raise _Waits
        match word:
            case FeeTold():
                self._fee(payment, word)
            case Started():
                payment.state = moved(payment.state, Trigger.TRANSACTION_STARTED)
            case Refused():
                self._give_back(payment, Trigger.START_FAILED, "CHARGER_OFFLINE", word.at)
            case Stopped():
                self._stopped(payment, word)
            case RefundTold():
                self._refund(payment, word)

    def _credited(self, word: Credited) -> None:
        if word.payment in self.payments:
            return
        source = FeeSource.WEBHOOK if word.tax_paise is not None else FeeSource.ESTIMATE
        self.payments[word.payment] = Payment(word, word.fee_paise, word.tax_paise, source)
        self.said.append(
            PaymentReceived(
                qr_payment_id=word.payment,
                razorpay_payment_id=f"pay_{word.payment}",
                qr_code_id=1,
                amount_paise=word.paid_paise,
                platform_fee_paise=word.fee_paise,
                platform_fee_tax_paise=word.tax_paise,
                fee_source=source,
                received_at=word.at,
            )
        )

    def _fee(self, payment: Payment, word: FeeTold) -> None:
        if payment.fee_source is not FeeSource.ESTIMATE:
            return
        self.said.append(
            PaymentFeeRecorded(
                qr_payment_id=word.payment,
                razorpay_payment_id=f"pay_{word.payment}",
                fee_before_paise=payment.fee_paise,
                tax_before_paise=payment.tax_paise,
                platform_fee_paise=word.fee_paise,
                platform_fee_tax_paise=word.tax_paise,
                recorded_at=word.at,
            )
        )
        payment.fee_paise, payment.tax_paise, payment.fee_source = word.fee_paise, word.tax_paise, FeeSource.API

    def _give_back(self, payment: Payment, trigger: Trigger, reason: str, at: datetime) -> None:
        state = next_state(payment.state, trigger)
        if state is None:
            return
        payment.state = state
        self.said.append(
            PaymentRefundedInFull(
                qr_payment_id=payment.credited.payment,
                razorpay_payment_id=f"pay_{payment.credited.payment}",
                amount_paise=payment.credited.paid_paise,
                platform_fee_paise=payment.fee_paise,
                platform_fee_tax_paise=payment.tax_paise,
                reason=reason,
                decided_at=at,
            )
        )
        if not self._owe(payment, payment.credited.paid_paise):
            payment.state = moved(payment.state, Trigger.TOO_SMALL_TO_REFUND)

    def _stopped(self, payment: Payment, word: Stopped) -> None:
        if word.needs_fee and payment.fee_source is FeeSource.ESTIMATE:
            raise _Waits
        if word.energy_wh == 0:
            self._give_back(payment, Trigger.NOTHING_DELIVERED, "NO_ENERGY", word.at)
            return
        state = next_state(payment.state, Trigger.BILLED)
        if state is None:
            return
        payment.state = state
        payment.bill = bill = final_bill(
            energy_wh=word.energy_wh,
            tariff_paise_per_kwh=word.tariff_paise_per_kwh,
            gst_bps=word.gst_bps,
            platform_fee_paise=payment.fee_paise,
            paid_paise=payment.credited.paid_paise,
        )
        self.said.append(
            PaymentBilled(
                qr_payment_id=word.payment,
                razorpay_payment_id=f"pay_{word.payment}",
                transaction_id=word.payment,
                charge_point_id="CP-1",
                connector_id=1,
                station_id=1,
                franchisee_id=word.franchisee_id,
                started_at=word.started_at,
                stopped_at=word.at,
                energy_wh=word.energy_wh,
                tariff_paise_per_kwh=word.tariff_paise_per_kwh,
                gst_bps=word.gst_bps,
                paid_paise=bill.paid_paise,
                fee_source=payment.fee_source,
                shortfall_paise=bill.shortfall_paise,
                billed_at=word.at,
                **{line: getattr(bill, line) for line in BILL_LINES},
            )
        )
        self._owe(payment, bill.refund_paise + bill.residue_paise)

    def _owe(self, payment: Payment, paise: int) -> bool:
        if paise < MIN_REFUND_PAISE:
            payment.residue_paise += paise
            return False
        payment.attempts.append(Attempt(1, paise))
        return True

    def _refund(self, payment: Payment, word: RefundTold) -> None:
        if word.attempt > len(payment.attempts):
            raise _Waits
        attempt = payment.attempts[word.attempt - 1]
        status = refund.advance(attempt.status, word.status)
        if status is attempt.status:
            return
        attempt.status = status
        self.said.append(
            RefundChanged(
                refund_id=10 * word.payment + attempt.number,
                qr_payment_id=word.payment,
                razorpay_refund_id=f"rfnd_{word.payment}_{attempt.number}",
                status=status.value,
                amount_paise=attempt.amount_paise,
                subject_version=0,
                at=word.at,
            )
        )
        if status is RefundStatus.PROCESSED:
            payment.state = moved(payment.state, Trigger.REFUND_PROCESSED)
        elif status is RefundStatus.FAILED and not payment.live_refunds:
            payment.attempts.append(Attempt(attempt.number + 1, attempt.amount_paise))


# -- settlement


@dataclass
class Transfer:
    """A transfer as far as Razorpay has told of it."""

    claimed: Claimed
    status: TransferStatus = TransferStatus.CLAIMED
    fee: tuple[int, int | None] | None = None


class Books:
    """Settlement's fold: the journals, by their keys, and what they are made of."""

    def __init__(self, terms: Mapping[int, Iterable[Terms]]) -> None:
        self._terms = terms
        self.journals: dict[str, Journal] = {}
        self.splits: dict[int, Split] = {}
        """By transaction."""
        self.transfers: dict[int, Transfer] = {}

    def hear(self, word: Word) -> None:
        """One word. Raises _Waits."""
        match word:
            case PaymentReceived():
                self._post(books.PaymentCaptured(**_payment(word), **_fees(word), occurred_at=word.received_at))
            case PaymentFeeRecorded():
                before = {"fee_before_paise": word.fee_before_paise, "tax_before_paise": word.tax_before_paise}
                told = {"qr_payment_id": word.qr_payment_id, **_fees(word), **before}
                self._post(books.PaymentFeeRecorded(**told, occurred_at=word.recorded_at))
            case PaymentBilled():
                self._billed(word)
            case PaymentRefundedInFull():
                given = {**_payment(word), **_fees(word), "reason": word.reason}
                self._post(books.PaymentGivenBack(**given, occurred_at=word.decided_at))
            case RefundChanged():
                if word.status == RefundStatus.PROCESSED:
                    self._post(books.RefundProcessed(**_payment(word), refund_id=word.refund_id, occurred_at=word.at))
            case Claimed():
                self._claimed(word)
            case TransferTold():
                self._transfer(word)
            case OwnSettlement():
                settled = books.OwnSettled(razorpay_settlement_id=word.name, amount_paise=word.amount_paise, occurred_at=word.at)
                if word.own:
                    self._post(settled)
                self._stand(settled.key, word.own, word.at)
            case ByFinance():
                self._restate(word.event)

    def _billed(self, bill: PaymentBilled) -> None:
        lines = {line: getattr(bill, line) for line in (*BILL_LINES, "paid_paise", "shortfall_paise")}
        self._post(books.PaymentBilled(qr_payment_id=bill.qr_payment_id, **lines, occurred_at=bill.billed_at))
        if bill.franchisee_id is None or bill.transaction_id in self.splits:
            return
        terms = terms_in_force(self._terms[bill.franchisee_id], bill.started_at)
        split = self.splits[bill.transaction_id] = calculate_settlement(
            gross_paise=bill.paid_paise,
            refund_paise=bill.refund_paise,
            residue_paise=bill.residue_paise,
            pg_fee_paise=bill.platform_fee_paise,
            gst_collected_paise=bill.gst_paise,
            commission_bps=terms.commission_bps,
            tds_bps=terms.tds_bps,
            tds_base=TdsBase(terms.tds_base),
        )
        self._post(
            books.EntryBooked(
                ledger_entry_id=bill.transaction_id,
                transaction_id=bill.transaction_id,
                franchisee_id=bill.franchisee_id,
                commission_paise=split.commission_paise,
                tds_paise=split.tds_paise,
                payout_paise=split.payout_paise,
                occurred_at=bill.billed_at,
            )
        )

    def _claimed(self, word: Claimed) -> None:
        if any(transaction not in self.splits for transaction, _ in word.pays):
            raise _Waits
        if word.after is not None:
            before = self.transfers.get(word.after)
            if before is None or before.status is not TransferStatus.FAILED:
                raise _Waits
        carried = sum(payout for _, payout in word.pays if payout_account(payout) == "franchisee_carried")
        self.transfers.setdefault(word.transfer, Transfer(word))
        self._post(
            books.TransferClaimed(
                transfer_id=word.transfer, amount_paise=word.amount_paise, carried_paise=carried, occurred_at=word.at
            )
        )

    def _transfer(self, word: TransferTold) -> None:
        transfer = self.transfers.get(word.transfer)
        if transfer is None:
            raise _Waits
        transfer.status = advance(transfer.status, word.status)
        if word.fee_paise is not None:
            transfer.fee = (word.fee_paise, word.tax_paise)
        facts: dict[str, Any] = {"transfer_id": word.transfer, "amount_paise": transfer.claimed.amount_paise}
        self._stand(f"transfer/{word.transfer}/claimed", transfer.status is not TransferStatus.FAILED, word.at)
        if transfer.status in (TransferStatus.PROCESSED, TransferStatus.SETTLED):
            self._post(books.TransferProcessed(**facts, occurred_at=word.at))
            if transfer.fee is not None:
                fee, tax = transfer.fee
                self._restate(books.TransferCharged(**facts, fee_paise=fee, tax_paise=tax, occurred_at=word.at))
        if transfer.status is TransferStatus.SETTLED:
            self._post(books.TransferSettled(**facts, occurred_at=word.at))

    def _post(self, event: MoneyEvent) -> None:
        journal = event.journal()
        if journal is not None:
            first = self.journals.setdefault(journal.key, journal)
            assert first.postings == journal.postings, f"{journal.key} is told with other figures"

    def _stand(self, key: str, stands: bool, at: datetime) -> None:
        if key in self.journals and (key in self.standing) is not stands:
            tail = key
            while f"{tail}/reversed" in self.journals:
                tail += "/reversed"
            reversal = reversal_of(self.journals[tail], occurred_at=at, reason="it turned out otherwise")
            self.journals[reversal.key] = reversal

    def _restate(self, event: MoneyEvent) -> None:
        versions = [key for key in self.journals if key.partition("#")[0] == event.key]
        journal = event.journal()
        if not versions:
            self._post(event)
            return
        same = self.journals[versions[-1]].facts == event.facts()
        self._stand(versions[-1], same, event.occurred_at)
        if not same and journal is not None:
            anew = f"{event.key}#{len(versions) + 1}"
            self.journals[anew] = replace(journal, key=anew)

    def live_transfers(self) -> Counter[int]:
        """How many transfers each transaction is in by which money moved or may still move."""
        alive = (one.claimed.pays for one in self.transfers.values() if one.status is not TransferStatus.FAILED)
        return Counter(transaction for pays in alive for transaction, _ in pays)

    @property
    def standing(self) -> frozenset[str]:
        """Keys of the journals that are not taken back."""
        return standing({key: journal.reverses for key, journal in self.journals.items()})

    def lines(self) -> dict[str, Counter[str]]:
        """{key: debits less credits by account} of what stands; a figure told anew under its first key."""
        return {key.partition("#")[0]: balances(self.journals[key].postings) for key in self.standing}


def balances(postings: Iterable[Posting]) -> Counter[str]:
    """Debits less credits by account."""
    sums: Counter[str] = Counter()
    for line in postings:
        sums[line.account] += line.debit_paise - line.credit_paise
    return sums


def _payment(word: Any) -> dict[str, Any]:
    return {"qr_payment_id": word.qr_payment_id, "amount_paise": word.amount_paise}


def _fees(word: Any) -> dict[str, Any]:
    return {"fee_paise": word.platform_fee_paise, "tax_paise": word.platform_fee_tax_paise}
