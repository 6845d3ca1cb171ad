"""Re-derive the books from raw records, and name the rows that differ. Pure: records in, differences out.

A bill is computed anew from charging's energy and rate and from what was paid, a split from the bill and the terms in force at
the session's start, Razorpay's figures from its webhooks as they came. From these figures, not from what was booked, every
journal is derived by settlement's own rules, and compared with its postings.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from money import MIN_REFUND_PAISE, MoneyError, final_bill
from settlement.domain.books import (
    ACCOUNTS,
    KINDS,
    EntryBooked,
    Journal,
    MoneyEvent,
    OwnSettled,
    PaymentBilled,
    PaymentCaptured,
    PaymentFeeRecorded,
    PaymentGivenBack,
    RefundProcessed,
    Side,
    TransferCharged,
    TransferClaimed,
    TransferProcessed,
    TransferSettled,
    UnbalancedJournal,
    payout_account,
    standing,
)
from settlement.domain.franchisee import Terms, terms_in_force
from voltlync.books.after_the_bill import Finding, corrections, due_back, netted, refunds_decided, taken_back
from voltlync.books.arithmetic import arithmetic_differences
from voltlync.books.direct import (
    as_collected,
    collector_of,
    needs_an_entry,
    receipts,
    recorded_fee,
    who_has,
    wrong_account,
)
from voltlync.books.invoices import invoice_differences
from voltlync.books.payees import payee_differences
from voltlync.books.records import Json, Records, moment, number
from voltlync.books.split import split_of
from voltlync.books.statement import StatementCheck
from voltlync.books.wallets import bills_as_payments, check_wallets
from voltlync.money_text import rupees

BILL_LINES = ("energy_charge_paise", "gst_paise", "platform_fee_paise", "refund_paise", "residue_paise", "shortfall_paise")
BY_PEOPLE = frozenset({"payment_fee_corrected", "recharge_fee_corrected", "refund_charged", "adjustment_booked"})
"""Journals that rest on Razorpay's statement: derived again from their own facts, and together with what they correct compared
with the statement's rows, where those are kept."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that differs: which, what it says, and what the raw records say."""

    at: datetime
    row: str
    says: str
    should: str

    def __str__(self) -> str:
        return f"{self.row}: {self.says}; {self.should}"


@dataclass
class Verdict:
    """What came of it."""

    journals: int = 0
    postings: int = 0
    balances: dict[str, int] = field(default_factory=dict)
    """By account, on its normal side, of what was compared."""
    statement: list[str] = field(default_factory=list)
    """What Razorpay's statement says of our balance there, over everything; empty where only a part was read."""
    differences: list[Difference] = field(default_factory=list)
    """By when they happened, the first first."""


class Verifier:
    """One comparison. `from_` and `to` bound what is compared; everything is read for it."""

    def __init__(self, records: Records, *, from_: datetime | None, to: datetime) -> None:
        self._records = records
        self._from = from_
        self._to = to
        self._found: list[Difference] = []
        self._expected: dict[str, MoneyEvent] = {}
        self._journals = {journal["key"]: journal for journal in records.journals}
        self._told = {
            (figure["entity"], figure["razorpay_id"]): (event, figure)
            for event in records.webhook_events
            for figure in event["figures"]
            if figure["entity"] != "payment" or event["event"] == "qr_code.credited"
        }
        """What Razorpay said of each of its entities, the last word of each."""

    def verdict(self) -> Verdict:
        """Everything compared."""
        for payment in self._records.payments:
            self._payment(payment)
        wallets_differ = check_wallets(self._records, to=self._to, expect=self._expect, differs=self._differs)
        for session in bills_as_payments(self._records).values():
            self._take(refunds_decided(session))
        self._entries()
        self._refunds_of_nobody()
        for transfer in self._records.transfers:
            self._transfer(transfer)
        statement = StatementCheck(self._records, to=self._to)
        self._settlements(statement.shares())
        for found in statement.differences():
            self._differs(found.at, found.row, found.says, found.should)
        for receipt in receipts(self._records):
            self._expect(receipt)
        for odd in (
            *invoice_differences(self._records),
            *payee_differences(self._records),
            *arithmetic_differences(self._records),
        ):
            self._differs(*odd)
        compared = list(self._compare())
        self._balances(compared)
        if wallets_differ is not None:
            came = self._records.wallet_control["balance_paise"]
            self._found.append(Difference(self._to, "wallets", f"they come to {came} paise", wallets_differ))
        sums = _sums(compared)
        return Verdict(
            journals=len(compared),
            postings=sum(len(journal["postings"]) for journal in compared),
            balances={code: _on_normal_side(code, sums[code]) for code in ACCOUNTS},
            statement=statement.sums.lines(_sums(self._records.journals)["nodal"]) if self._from is None else [],
            differences=sorted(self._found, key=lambda difference: difference.at),
        )

    def _differs(self, at: datetime, row: str, says: str, should: str) -> None:
        if self._within(at):
            self._found.append(Difference(at, row, says, should))

    def _within(self, at: datetime) -> bool:
        return at < self._to and (self._from is None or at >= self._from)

    def _expect(self, event: MoneyEvent) -> None:
        self._expected[event.key] = event

    def _take(self, found: Iterable[MoneyEvent | Finding]) -> None:
        """What a rule makes of records: journals that should be, and rows that differ."""
        for item in found:
            if isinstance(item, MoneyEvent):
                # It may be known to the books alone when two records were found to belong together.
                booked_at = self._booked_at(item.key, item.occurred_at.isoformat())
                self._expect(replace(item, occurred_at=booked_at))
            else:
                self._differs(*item)

    def _expect_of(self, payment: Json, event: MoneyEvent) -> None:
        """As `_expect`, by who has the payment."""
        booked = as_collected(event, by=collector_of(payment))
        if booked is not None:
            self._expect(booked)

    # -- what should be, from raw records

    def _payment(self, payment: Json) -> None:
        qrp, paid = number(payment["id"]), payment["amount_paise"]
        received_at = moment(payment["received_at"])
        self._against_webhook(payment)
        fee, tax = payment["platform_fee_paise"], payment["platform_fee_tax_paise"]
        recorded = recorded_fee(payment, self._journals)
        first_fee, first_tax = fee, tax
        if recorded is not None and payment["fee_source"] == "API":
            # It was an estimate at first; what it was stands in the journal that put it right.
            facts, recorded_at = recorded
            first_fee, first_tax = facts["fee_before_paise"], facts.get("tax_before_paise")
            self._expect_of(
                payment,
                PaymentFeeRecorded(
                    occurred_at=recorded_at,
                    qr_payment_id=qrp,
                    fee_before_paise=first_fee,
                    tax_before_paise=first_tax,
                    fee_paise=fee,
                    tax_paise=tax,
                ),
            )
        self._expect_of(
            payment,
            PaymentCaptured(
                occurred_at=received_at, qr_payment_id=qrp, amount_paise=paid, fee_paise=first_fee, tax_paise=first_tax
            ),
        )
        due = 0
        if payment["bill"] is not None:
            due = self._bill(payment, payment["bill"])
            self._take(refunds_decided(payment))
        elif payment["state"] in ("REFUND_DUE", "REFUNDED", "RESIDUE_OWED"):
            due = paid if paid >= MIN_REFUND_PAISE else 0
            self._expect_of(
                payment,
                PaymentGivenBack(
                    occurred_at=self._booked_at(f"payment/{qrp}/given_back", payment["updated_at"]),
                    qr_payment_id=qrp,
                    amount_paise=paid,
                    fee_paise=fee,
                    tax_paise=tax,
                    reason=payment["refund_reason"],
                ),
            )
        self._refunds(payment, due)

    def _booked_at(self, key: str, otherwise: str) -> datetime:
        journal = self._journals.get(key)
        return moment(journal["occurred_at"] if journal is not None else otherwise)

    def _against_webhook(self, payment: Json) -> None:
        at, paid = moment(payment["received_at"]), payment["amount_paise"]
        event, told = self._told.get(("payment", payment["razorpay_payment_id"]), (None, None))
        if event is None or told is None:
            self._differs(at, payment["id"], f"says that {rupees(paid)} were paid", "no webhook event of it is kept")
            return
        if told["amount_paise"] != paid:
            self._differs(
                at,
                payment["id"],
                f"says that {paid} paise were paid",
                f"Razorpay's {event['id']} says {told['amount_paise']} paise",
            )
        where = wrong_account(payment, event["account_id"], self._records.accounts_of_franchisees)
        if where is not None:
            says = f"says that {who_has(payment)} the payment"
            self._differs(at, payment["id"], says, f"Razorpay's {event['id']} says {where}")
        if payment["fee_source"] == "WEBHOOK" and told["fee_paise"] != payment["platform_fee_paise"]:
            self._differs(
                at,
                payment["id"],
                f"says that the fee is {payment['platform_fee_paise']} paise",
                f"Razorpay's {event['id']} says {told['fee_paise']} paise",
            )

    def _bill(self, payment: Json, bill: Json) -> int:
        """The refund that is due by the bill, computed anew."""
        qrp, at = number(payment["id"]), moment(bill["billed_at"])
        session = self._records.transactions.get(payment["transaction_id"])
        if session is None or session["energy_wh"] is None:
            self._differs(at, f"bill of {payment['id']}", f"is of {payment['transaction_id']}", "charging has no energy of it")
            return int(bill["refund_paise"])
        try:
            anew = final_bill(
                energy_wh=session["energy_wh"],
                tariff_paise_per_kwh=session["tariff_paise_per_kwh"],
                gst_bps=session["gst_bps"],
                platform_fee_paise=payment["platform_fee_paise"],
                paid_paise=payment["amount_paise"],
            )
        except MoneyError as error:
            self._differs(at, f"bill of {payment['id']}", "was made", f"none can be made: {error}")
            return int(bill["refund_paise"])
        facts = f"{session['energy_wh']} Wh at {session['tariff_paise_per_kwh']} paise/kWh of {payment['transaction_id']}"
        for line in BILL_LINES:
            if bill[line] != getattr(anew, line):
                words = f"{facts}, {payment['amount_paise']} paise paid, make it {getattr(anew, line)}"
                self._differs(at, f"bill of {payment['id']}", f"{line} is {bill[line]}", words)
        lines = {line: getattr(anew, line) for line in BILL_LINES}
        self._expect_of(payment, PaymentBilled(occurred_at=at, qr_payment_id=qrp, paid_paise=anew.paid_paise, **lines))
        return anew.refund_paise

    def _refunds(self, payment: Json, due: int) -> None:
        due_of = due_back(payment, due)
        back = dict.fromkeys(due_of, 0)
        for refund in sorted(payment["refunds"], key=lambda item: number(item["id"])):
            if refund["status"] != "PROCESSED":
                continue
            at = moment(refund["processed_at"] or refund["updated_at"])
            of = refund["number"]
            if back.get(of, 0) + refund["amount_paise"] > due_of.get(of, 0):
                words = f"{due_of.get(of, 0)} paise were due back of {payment['id']}, and {back.get(of, 0)} had gone before"
                self._differs(at, refund["id"], f"gave {refund['amount_paise']} paise back", words)
            back[of] = back.get(of, 0) + refund["amount_paise"]
            self._amount_as_told(at, refund["id"], refund["amount_paise"], ("refund", refund["razorpay_refund_id"]))
            self._expect_of(
                payment,
                RefundProcessed(
                    occurred_at=at,
                    qr_payment_id=number(payment["id"]),
                    refund_id=number(refund["id"]),
                    amount_paise=refund["amount_paise"],
                ),
            )

    def _amount_as_told(self, at: datetime, row: str, paise: int, name: tuple[str, str | None]) -> None:
        """Razorpay's own word on the amount, where a webhook of it is kept: polls and answers leave none."""
        event, told = self._told.get((name[0], name[1] or ""), (None, None))
        if event is not None and told is not None and told["amount_paise"] != paise:
            self._differs(at, row, f"is of {paise} paise", f"Razorpay's {event['id']} says {told['amount_paise']} paise")

    def _refunds_of_nobody(self) -> None:
        """Razorpay tells of a refund on a payment of ours that we did not make: by hand, or twice."""
        ours = {payment["razorpay_payment_id"]: payment for payment in self._records.payments}
        for (entity, name), (event, told) in self._told.items():
            payment = ours.get(told["razorpay_payment_id"] or "")
            if entity != "refund" or told["status"] == "failed" or payment is None:
                continue
            if all(refund["razorpay_refund_id"] != name for refund in payment["refunds"]):
                words = f"{payment['id']} has no such refund"
                self._differs(moment(event["created_at"]), event["id"], f"tells of {name}, {told['amount_paise']} paise", words)

    def _entries(self) -> None:
        bills = {payment["transaction_id"]: payment for payment in self._records.payments if payment["bill"] is not None}
        bills |= bills_as_payments(self._records)
        entries_of: dict[str, list[Json]] = {}
        for entry in self._records.entries:
            entries_of.setdefault(entry["transaction_id"], []).append(entry)
        booked = entries_of.keys()
        for transaction, payment in bills.items():
            owner = payment["bill"]["franchisee_id"] or payment["collected_by_franchisee_id"]
            if needs_an_entry(payment) and transaction not in booked | self._records.unowned:
                at = moment(payment["bill"]["billed_at"])
                self._differs(at, f"bill of {payment['id']}", f"is {owner}'s session {transaction}", "it has no ledger entry")
        for entry in self._records.entries:
            if entry["transaction_id"] in bills:
                if entry["kind"] == "SESSION":
                    payment = bills[entry["transaction_id"]]
                    self._entry(entry, payment)
                    self._take(corrections(payment, entries_of[entry["transaction_id"]], entry))
            elif self._from is None:
                at = moment(entry["created_at"])
                self._differs(at, entry["id"], f"splits {entry['transaction_id']}", "payments has no bill of it")

    def _entry(self, entry: Json, payment: Json) -> None:
        at, bill = moment(entry["created_at"]), payment["bill"]
        terms = terms_in_force(
            (
                Terms(item["commission_bps"], item["tds_bps"], item["tds_base"], moment(item["effective_from"]))
                for item in self._records.terms[entry["franchisee_id"]]
            ),
            moment(bill["started_at"]),
        )
        try:
            split = split_of(entry, bill, terms, self._records)
        except ValueError as error:
            self._differs(at, entry["id"], f"withholds {entry['tds_paise']} paise", str(error))
            return
        for line in ("gross", "refund", "residue", "pg_fee", "commission", "tds", "payout"):
            anew = getattr(split, f"{line}_paise")
            if entry[f"{line}_paise"] != anew:
                words = f"the bill and terms of {entry['franchisee_id']} make it {anew}"
                self._differs(at, entry["id"], f"{line}_paise is {entry[f'{line}_paise']}", words)
        if entry["collected_by_account_id"] != payment["collected_by_account_id"]:
            says = f"says that {who_has(entry)} the payment"
            self._differs(at, entry["id"], says, f"{payment['id']} says that {who_has(payment)} it")
        self._expect_of(
            payment,
            EntryBooked(
                occurred_at=at,
                ledger_entry_id=number(entry["id"]),
                transaction_id=number(entry["transaction_id"]),
                franchisee_id=number(entry["franchisee_id"]),
                commission_paise=split.commission_paise,
                tds_paise=split.tds_paise,
                payout_paise=split.payout_paise,
            ),
        )
        kept = entry["collected_by_account_id"] is not None
        if entry["status"] == "SETTLED" and entry["transfer_id"] is None and split.payout_paise and not kept:
            self._take([netted(entry)])

    def _transfer(self, transfer: Json) -> None:
        status = transfer["paid_twice_status"] or transfer["status"]
        if status == "FAILED":
            return
        created_at = moment(transfer["created_at"])
        xfr, amount = number(transfer["id"]), transfer["amount_paise"]
        parts = [part["amount_paise"] for part in transfer["pays"]]
        if sum(parts) != amount:
            self._differs(created_at, transfer["id"], f"is of {amount} paise", f"the entries that it pays are {sum(parts)} paise")
        self._amount_as_told(created_at, transfer["id"], amount, ("transfer", transfer["razorpay_transfer_id"]))
        carried = sum(paise for paise in parts if payout_account(paise) == "franchisee_carried")
        self._expect(TransferClaimed(occurred_at=created_at, transfer_id=xfr, amount_paise=amount, carried_paise=carried))
        if status not in ("PROCESSED", "SETTLED"):
            return
        processed_at = moment(transfer["processed_at"])
        self._expect(TransferProcessed(occurred_at=processed_at, transfer_id=xfr, amount_paise=amount))
        if transfer["fee_paise"] is not None:
            self._expect(
                TransferCharged(
                    occurred_at=processed_at,
                    transfer_id=xfr,
                    amount_paise=amount,
                    fee_paise=transfer["fee_paise"],
                    tax_paise=transfer["tax_paise"],
                )
            )
        self._take(taken_back(transfer))
        if status == "SETTLED":
            banked = amount - transfer["reversed_paise"]
            self._expect(TransferSettled(occurred_at=moment(transfer["settled_at"]), transfer_id=xfr, amount_paise=banked))

    def _settlements(self, shares: Mapping[str, int]) -> None:
        """`shares`: of settlements whose rows Razorpay's statement shows, how much is ours."""
        for settled in self._records.settlements:
            theirs = settled["last_error"] or settled["razorpay_account_id"] in self._records.accounts_of_franchisees
            share = shares.get(settled["id"], 0 if theirs else settled["amount_paise"])
            if settled["status"] == "OWN" and share:
                self._expect(
                    OwnSettled(
                        occurred_at=moment(settled["processed_at"]),
                        razorpay_settlement_id=settled["id"],
                        amount_paise=share,
                    )
                )

    # -- what is, against what should be

    def _compare(self) -> Iterator[Json]:
        """Every journal in bounds, each compared with what it should be."""
        stands = standing({journal["key"]: journal["reverses"] for journal in self._records.journals})
        missing = {key: derived for key, event in self._expected.items() if (derived := event.journal()) is not None}
        for journal in self._records.journals:
            # A figure told anew is booked as `key#2`, the first one being reversed.
            base = journal["key"].partition("#")[0]
            should = missing.pop(base, None) if journal["key"] in stands else None
            at = moment(journal["occurred_at"])
            if not self._within(at):
                continue
            yield journal
            if journal["reverses"] is not None:
                should_be = self._reversal(journal)
            elif should is not None:
                should_be = _lines(should)
            elif journal["kind"] in BY_PEOPLE or journal["key"] not in stands:
                should_be = self._of_its_facts(journal, at)
            else:
                self._differs(at, _named(journal), "is in the books", "no record bears it out")
                continue
            self._same(journal, at, should_be)
        for key, wanted in missing.items():
            words = f"{wanted.subject} makes it {_words(_lines(wanted))}"
            self._differs(wanted.occurred_at, f"journal {key}", "is not in the books", words)

    def _reversal(self, journal: Json) -> Counter[str] | None:
        original = self._journals.get(journal["reverses"])
        return None if original is None else Counter({code: -paise for code, paise in _sums([original]).items()})

    def _of_its_facts(self, journal: Json, at: datetime) -> Counter[str] | None:
        try:
            derived = KINDS[journal["kind"]].of_facts(journal["facts"], occurred_at=at).journal()
        except (KeyError, TypeError, UnbalancedJournal):
            return Counter()
        return Counter() if derived is None else _lines(derived)

    def _same(self, journal: Json, at: datetime, should: Counter[str] | None) -> None:
        is_ = _sums([journal])
        if sum(is_.values()):
            self._differs(
                at, _named(journal), f"its debits exceed its credits by {sum(is_.values())} paise", "a journal is balanced"
            )
            return
        if should is None:
            return
        for code in sorted(is_.keys() | should.keys()):
            if is_[code] != should[code]:
                words = f"{journal['subject']} makes it {_words({code: should[code]})}"
                self._differs(at, _named(journal), f"has {_words({code: is_[code]})}", words)
                return

    def _balances(self, compared: Iterable[Json]) -> None:
        """The journals' lines add up to what the trial balance moved by."""
        lines = _sums(compared)
        before = {account["code"]: account for account in self._records.trial_before.get("accounts", ())}
        for account in self._records.trial["accounts"]:
            code = account["code"]
            moved = account["debit_paise"] - account["credit_paise"]
            if code in before:
                moved -= before[code]["debit_paise"] - before[code]["credit_paise"]
            if moved != lines[code]:
                # Named last: whichever row caused it comes before.
                self._found.append(
                    Difference(
                        self._to,
                        f"account {code}",
                        f"its balance moved by {moved} paise",
                        f"its lines add up to {lines[code]} paise",
                    )
                )


def _lines(journal: Journal) -> Counter[str]:
    sums: Counter[str] = Counter()
    for line in journal.postings:
        sums[line.account] += line.debit_paise - line.credit_paise
    return sums


def _sums(journals: Iterable[Json]) -> Counter[str]:
    """Debits less credits by account."""
    sums: Counter[str] = Counter()
    for journal in journals:
        for line in journal["postings"]:
            sums[line["account"]] += line["debit_paise"] - line["credit_paise"]
    return sums


def _on_normal_side(code: str, paise: int) -> int:
    return paise if ACCOUNTS[code].normal_side is Side.DEBIT else -paise


def _named(journal: Json) -> str:
    return f"{journal['id']} ({journal['key']})"


def _words(sums: Mapping[str, int]) -> str:
    """`nodal debited 100, rider_held credited 100`; nothing posted is said as such."""
    parts = [
        f"{code} {'debited' if paise > 0 else 'credited'} {abs(paise)}" if paise else f"nothing on {code}"
        for code, paise in sums.items()
    ]
    return ", ".join(parts)
