"""How settlement's amounts came about (B9): each a Derivation to be worked out again, and a paragraph a franchisee understands.

    gross = refund + residue + pg_fee + gst + net        net = commission + tds + payout

Formulas are written in the names of their inputs, with `half_up(a ÷ b)`, `min` and `max`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from money import BASIS_POINTS, Derivation, TdsBase, rupees
from settlement.domain.payout_calendar import shown

FEE_WORDS: Mapping[str | None, str] = {
    "WEBHOOK": "as Razorpay told it with the payment",
    "API": "as Razorpay told it when we asked",
    "ESTIMATE": "an estimate, since Razorpay had not told it when the session ended",
    None: "as the bill has it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFacts:
    """What an entry's amounts rest on."""

    ledger_entry_id: int
    transaction_id: int
    qr_payment_id: int | None
    """None: a wallet paid."""
    collected: bool
    """Whether the franchisee took the money itself, on its own QR code."""
    gross_paise: int
    refund_paise: int
    residue_paise: int
    pg_fee_paise: int
    gst_paise: int
    commission_paise: int
    tds_paise: int
    payout_paise: int
    fee_source: str | None
    commission_bps: int
    terms_since: date
    tds_bps: int
    tds_base: TdsBase
    tds_section: str | None
    tax_rule_id: int | None
    annual_threshold_paise: int | None
    year_sales_paise: int | None
    """What was billed in the financial year before this entry, where a threshold is looked at."""
    year_due_paise_bps: int | None
    year_withheld_paise: int | None

    @property
    def net_paise(self) -> int:
        """The energy without GST."""
        return self.commission_paise + self.tds_paise + self.payout_paise


def explain_entry(facts: EntryFacts) -> list[Derivation]:
    """Every amount of a ledger entry."""
    paid_by = f"payment qrp_{facts.qr_payment_id}" if facts.qr_payment_id is not None else f"session txn_{facts.transaction_id}"
    bill = f"bill of txn_{facts.transaction_id}"
    billed = facts.net_paise + facts.gst_paise + facts.pg_fee_paise
    since = f"terms in force since {shown(facts.terms_since)}"
    return [
        Derivation(
            name="gross",
            paise=facts.gross_paise,
            sentence=_gross_words(facts),
            formula="paid_paise",
            inputs={"paid_paise": facts.gross_paise},
            sources={"paid_paise": paid_by},
        ),
        Derivation(
            name="refund",
            paise=facts.refund_paise,
            sentence=(
                f"The session cost {rupees(billed)}, so {rupees(facts.refund_paise)} goes back to the rider."
                if facts.refund_paise
                else f"The session cost {rupees(billed)}: no refund."
            ),
            formula="gross_paise − billed_paise − residue_paise",
            inputs={"gross_paise": facts.gross_paise, "billed_paise": billed, "residue_paise": facts.residue_paise},
            sources={"billed_paise": bill, "residue_paise": bill},
        ),
        Derivation(
            name="residue",
            paise=facts.residue_paise,
            sentence=(
                f"{rupees(facts.residue_paise)} is owed to the rider, less than the ₹1.00 that Razorpay refunds at least."
                if facts.residue_paise
                else "Nothing is left over below ₹1.00."
            ),
            formula="gross_paise − billed_paise − refund_paise",
            inputs={"gross_paise": facts.gross_paise, "billed_paise": billed, "refund_paise": facts.refund_paise},
            sources={"billed_paise": bill, "refund_paise": bill},
        ),
        Derivation(
            name="pg_fee",
            paise=facts.pg_fee_paise,
            sentence=(
                f"Razorpay's fee in the bill is {rupees(facts.pg_fee_paise)}, {FEE_WORDS.get(facts.fee_source, 'billed')}."
                if facts.qr_payment_id is not None
                else f"Razorpay's fee in the bill is {rupees(facts.pg_fee_paise)}: that of the wallet's recharge is VoltLync's."
            ),
            formula="fee_paise",
            inputs={"fee_paise": facts.pg_fee_paise, "fee_source": facts.fee_source},
            sources={"fee_paise": bill},
        ),
        Derivation(
            name="gst",
            paise=facts.gst_paise,
            sentence=(
                f"GST on the energy is {rupees(facts.gst_paise)}: you collected it, and pay it to the state."
                if facts.collected
                else f"GST on the energy is {rupees(facts.gst_paise)} and goes to the state."
            ),
            formula="billed_gst_paise",
            inputs={"billed_gst_paise": facts.gst_paise},
            sources={"billed_gst_paise": bill},
        ),
        Derivation(
            name="net",
            paise=facts.net_paise,
            sentence=f"That leaves {rupees(facts.net_paise)} for the energy itself.",
            formula="gross_paise − refund_paise − residue_paise − pg_fee_paise − gst_paise",
            inputs={
                "gross_paise": facts.gross_paise,
                "refund_paise": facts.refund_paise,
                "residue_paise": facts.residue_paise,
                "pg_fee_paise": facts.pg_fee_paise,
                "gst_paise": facts.gst_paise,
            },
            sources={"gross_paise": paid_by, "refund_paise": bill, "pg_fee_paise": bill, "gst_paise": bill},
        ),
        Derivation(
            name="commission",
            paise=facts.commission_paise,
            sentence=f"The commission is {percent(facts.commission_bps)} of it: {rupees(facts.commission_paise)}.",
            formula=f"half_up(net_paise × commission_bps ÷ {BASIS_POINTS})",
            inputs={"net_paise": facts.net_paise, "commission_bps": facts.commission_bps},
            sources={"commission_bps": since},
        ),
        _tds(facts, since),
        Derivation(
            name="payout",
            paise=facts.payout_paise,
            sentence=f"The rest, {rupees(facts.payout_paise)}, is yours{', and you have it' if facts.collected else ''}.",
            formula="net_paise − commission_paise − tds_paise",
            inputs={"net_paise": facts.net_paise, "commission_paise": facts.commission_paise, "tds_paise": facts.tds_paise},
        ),
    ]


def owed_words(facts: EntryFacts) -> str:
    """The last sentence of an entry that its franchisee collected."""
    owed = rupees(facts.commission_paise + facts.tds_paise)
    return f"Nothing is paid out: the money went to your own account. You owe VoltLync commission and tax withheld, {owed}."


def _gross_words(facts: EntryFacts) -> str:
    if facts.qr_payment_id is None:
        return f"{rupees(facts.gross_paise)} were paid from a wallet."
    return f"{rupees(facts.gross_paise)} came in{' on your own QR code' if facts.collected else ''}."


def _tds(facts: EntryFacts, terms: str) -> Derivation:
    left = facts.net_paise - facts.commission_paise
    less_commission = facts.tds_base is TdsBase.NET_LESS_COMMISSION
    base = left if less_commission else facts.net_paise
    of = "the energy less commission" if less_commission else "the energy"
    section = f" ({facts.tds_section})" if facts.tds_section else ""
    source = f"tax rule txr_{facts.tax_rule_id}" if facts.tax_rule_id is not None else terms
    inputs: dict[str, int | str | None] = {
        "base_paise": base,
        "tds_bps": facts.tds_bps,
        "after_commission_paise": left,
        "section": facts.tds_section,
    }
    sources = {"tds_bps": source, "base_paise": f"{facts.tds_base.value}, {source}"}
    rate = f"{percent(facts.tds_bps)} of {of}"
    threshold = facts.annual_threshold_paise
    if threshold is None or facts.year_sales_paise is None or facts.year_withheld_paise is None:
        return Derivation(
            name="tds",
            paise=facts.tds_paise,
            sentence=f"Income tax withheld{section} is {rate}: {rupees(facts.tds_paise)}.",
            formula=f"min(half_up(base_paise × tds_bps ÷ {BASIS_POINTS}), after_commission_paise)",
            inputs=inputs,
            sources=sources,
        )
    sales = facts.year_sales_paise + facts.gross_paise - facts.refund_paise - facts.residue_paise
    inputs |= {"year_sales_paise": sales, "threshold_paise": threshold}
    sources |= {"year_sales_paise": "this financial year with this session", "threshold_paise": source}
    if sales <= threshold:
        words = (
            f"No income tax is withheld{section}: this financial year's sales are {rupees(sales)}, at most {rupees(threshold)}."
        )
        return Derivation(name="tds", paise=facts.tds_paise, sentence=words, formula="0", inputs=inputs, sources=sources)
    inputs |= {"year_due_paise_bps": facts.year_due_paise_bps, "year_withheld_paise": facts.year_withheld_paise}
    due = f"half_up((year_due_paise_bps + base_paise × tds_bps) ÷ {BASIS_POINTS})"
    return Derivation(
        name="tds",
        paise=facts.tds_paise,
        sentence=(
            f"Income tax withheld{section} is {rupees(facts.tds_paise)}: this financial year's sales of {rupees(sales)} exceed "
            f"{rupees(threshold)}, so {rate} is due on all of the year, less {rupees(facts.year_withheld_paise)} withheld before."
        ),
        formula=f"min(max({due} − year_withheld_paise, 0), after_commission_paise)",
        inputs=inputs,
        sources=sources,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFacts:
    """What a transfer's amounts rest on."""

    amount_paise: int
    entries: Mapping[int, int]
    """Payout in paise by ledger entry."""
    lead_entry_id: int
    fee_paise: int | None
    tax_paise: int | None


def explain_transfer(facts: TransferFacts) -> list[Derivation]:
    """A transfer's amount by what it pays, how much of it was carried along, and Razorpay's charge."""
    carried = {entry: paise for entry, paise in sorted(facts.entries.items()) if entry != facts.lead_entry_id}
    found = [
        _sum(
            "amount",
            facts.amount_paise,
            facts.entries,
            sentence=f"{rupees(facts.amount_paise)} pays {counted(len(facts.entries), 'session')}.",
        )
    ]
    if carried:
        total = sum(carried.values())
        sessions = counted(len(carried), "earlier session")
        words = f"{rupees(total)} of it are payouts of under ₹1.00 from {sessions}, carried until now."
        found.append(_sum("carried", total, carried, sentence=words))
    if facts.fee_paise is not None:
        found.append(
            Derivation(
                name="fee",
                paise=facts.fee_paise,
                sentence=f"Razorpay charges {rupees(facts.fee_paise)} for the transfer. VoltLync bears it; nothing is deducted.",
                formula="fee_without_gst_paise + fee_gst_paise",
                inputs={
                    "fee_without_gst_paise": facts.fee_paise - (facts.tax_paise or 0),
                    "fee_gst_paise": facts.tax_paise or 0,
                },
                sources=dict.fromkeys(("fee_without_gst_paise", "fee_gst_paise"), "Razorpay's transfer"),
            )
        )
    return found


def where_it_is(settlement_id: str | None, utr: str | None) -> str:
    """A transfer's last sentence."""
    if settlement_id is None:
        return "It is not at the bank yet, as far as Razorpay has told us."
    reference = f" under the reference (UTR) {utr}" if utr else ""
    return f"Razorpay settled it to the bank with {settlement_id}{reference}."


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementFacts:
    """What a settlement's amount rests on."""

    settlement_id: str
    amount_paise: int
    transfers: int
    transfers_paise: int


def explain_settlement(facts: SettlementFacts) -> list[Derivation]:
    """A settlement's amount by the transfers in it, and what is not ours."""
    other = facts.amount_paise - facts.transfers_paise
    transfers = f"{rupees(facts.transfers_paise)} in {counted(facts.transfers, 'transfer')}"
    words = f"{rupees(facts.amount_paise)} went to the bank: {transfers}"
    rest = f" and {rupees(other)} that no transfer of ours explains" if other else ""
    return [
        Derivation(
            name="amount",
            paise=facts.amount_paise,
            sentence=f"{words}{rest}.",
            formula="transfers_paise + other_paise",
            inputs={"transfers_paise": facts.transfers_paise, "other_paise": other, "transfers": facts.transfers},
            sources={"transfers_paise": f"transfers settled by {facts.settlement_id}", "other_paise": "Razorpay's settlement"},
        )
    ]


def paragraph(derivations: Sequence[Derivation], *more: str) -> str:
    """The sentences one after the other."""
    return " ".join([*(derivation.sentence for derivation in derivations), *more])


def percent(bps: int) -> str:
    """12.5 % of 1250."""
    whole, rest = divmod(bps, 100)
    return f"{whole}{f'.{rest:02d}'.rstrip('0') if rest else ''} %"


def counted(number: int, noun: str) -> str:
    """1 session, 2 sessions."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _sum(name: str, paise: int, parts: Mapping[int, int], *, sentence: str) -> Derivation:
    inputs = {f"led_{entry}": amount for entry, amount in sorted(parts.items())}
    return Derivation(
        name=name,
        paise=paise,
        sentence=sentence,
        formula=" + ".join(inputs),
        inputs=inputs,
        sources={entry: f"payout of {entry}" for entry in inputs},
    )
