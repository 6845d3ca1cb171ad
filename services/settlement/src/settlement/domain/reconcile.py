"""What a row of Razorpay's statement is here, and what is to be done about it. Pure: rows and records in, findings out.

    rows of one entity ──┐
    our record of it   ──┼──> Finding: MATCHED | WAITING | FOREIGN | EXCEPTION, what to book, what a person has to see
    what is booked     ──┘

Everything is judged by all that is known at the time, and judged anew when more is: so the order in which rows, events and
repetitions come makes no difference to what stands at the end.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from settlement.domain.books import MoneyEvent
from settlement.domain.statement import StatementRow


class MoveKind(StrEnum):
    """What we know of that moves our balance at Razorpay. A new way of being paid is a PAYMENT of another subject."""

    PAYMENT = "PAYMENT"
    REFUND = "REFUND"
    TRANSFER = "TRANSFER"
    REVERSAL = "REVERSAL"


ROW_TYPES: Mapping[MoveKind, str] = {
    MoveKind.PAYMENT: "payment",
    MoveKind.REFUND: "refund",
    MoveKind.TRANSFER: "transfer",
    MoveKind.REVERSAL: "reversal",
}
"""The statement's word for each."""


class Outcome(StrEnum):
    """How a movement of ours ended, as our own records have it."""

    UNDER_WAY = "UNDER_WAY"
    DONE = "DONE"
    FAILED = "FAILED"


class MatchState(StrEnum):
    """What an entity of the statement is here."""

    WAITING = "WAITING"
    """Ours, and its end is not known here yet: looked at again with every event of it."""
    MATCHED = "MATCHED"
    FOREIGN = "FOREIGN"
    """Of another environment on the same account, by its notes or its payment's: theirs."""
    EXCEPTION = "EXCEPTION"
    """A person has to look, or has looked."""


class ExceptionKind(StrEnum):
    """Why something is listed."""

    UNKNOWN_HERE = "UNKNOWN_HERE"
    """Razorpay's statement has it, we don't."""
    UNKNOWN_AT_RAZORPAY = "UNKNOWN_AT_RAZORPAY"
    """We have it, and the statement has not, after days."""
    AMOUNT_DIFFERS = "AMOUNT_DIFFERS"
    FEE_DIFFERS = "FEE_DIFFERS"
    """Told only: it is booked by itself."""
    ADJUSTMENT = "ADJUSTMENT"
    DISPUTE = "DISPUTE"
    SETTLEMENT_DIFFERS = "SETTLEMENT_DIFFERS"
    """A settlement is not the sum of its rows."""
    SETTLEMENT_MIXED = "SETTLEMENT_MIXED"
    """A settlement took money of this and of another environment along."""


@dataclass(frozen=True, slots=True)
class Move:
    """A movement that services told of."""

    razorpay_id: str
    kind: MoveKind
    subject: str
    """Our record: qrp_17, rfd_5, xfr_7."""
    amount_paise: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Fee:
    """What Razorpay took for something: GST included, and the GST in it."""

    fee_paise: int
    tax_paise: int


@dataclass(frozen=True, slots=True)
class Problem:
    """What a person has to see: figures in paise, above nothing where money came to us."""

    kind: ExceptionKind
    words: str
    ours_paise: int | None = None
    theirs_paise: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of looking."""

    state: MatchState
    problems: tuple[Problem, ...] = ()
    fee: Fee | None = None
    """What Razorpay took for it, by the statement: the books are to say the same. None: the rows don't tell, or must not."""
    look_up: bool = False
    """Whether Razorpay is to be asked how it stands: the statement proves more than we know."""


FEE_ACCOUNTS = frozenset({"pg_fee", "fee_corrections", "recharge_fees", "gst_input"})
"""Where a payment's capture, and whatever its fee became since, put what Razorpay took."""


def booked_fee(events: Iterable[MoneyEvent]) -> Fee:
    """The fee on a payment as the books have it: as captured, and every change since, in whatever order they were booked."""
    fee, tax = 0, 0
    for event in events:
        for line in event.lines():
            paise = line.debit_paise - line.credit_paise
            fee += paise if line.account in FEE_ACCOUNTS else 0
            tax += paise if line.account == "gst_input" else 0
    return Fee(fee, tax)


def environment_of(rows: Iterable[StatementRow]) -> str | None:
    """Whose an entity is, by the notes of its rows."""
    return next((row.environment for row in rows if row.environment is not None), None)


def assess(
    rows: Sequence[StatementRow],
    move: Move | None,
    *,
    marks: frozenset[str],
    payment: Move | None,
    payment_environment: str | None,
    overdue: bool,
) -> Finding:
    """Judge an entity by the latest version of each of its rows and by our record of it.

    `marks`: our own environment, as it stands in notes. `payment`, `payment_environment`: the payment that the rows are about,
    where it is another entity. `overdue`: so old that what we don't know of it by now, we won't learn.
    """
    if move is None:
        environment = environment_of(rows) or payment_environment
        if payment is None and environment is not None and environment not in marks:
            return Finding(MatchState.FOREIGN)
        return Finding(MatchState.EXCEPTION, (_unknown(rows, payment),))
    disputes = tuple(_dispute(row) for row in rows if row.dispute_id is not None)
    finding = {
        MoveKind.PAYMENT: _payment,
        MoveKind.REFUND: _refund,
        MoveKind.TRANSFER: _transfer,
        MoveKind.REVERSAL: _reversal,
    }[move.kind](rows, move, overdue)
    if not disputes:
        return finding
    return Finding(MatchState.EXCEPTION, finding.problems + disputes[:1], finding.fee, finding.look_up)


def _unknown(rows: Sequence[StatementRow], payment: Move | None) -> Problem:
    net = sum(row.net_paise for row in rows)
    about = f" It is about our payment {payment.subject}." if payment is not None else ""
    for row in rows:
        if row.dispute_id is not None or _speaks_of_dispute(row.description):
            return _dispute(row)
    if all(row.type == "adjustment" for row in rows):
        said = f" Razorpay says: {rows[0].description}." if rows[0].description else ""
        words = f"Razorpay adjusted our balance by hand.{said}{about} Ask Razorpay what for; the books do not have it."
        return Problem(ExceptionKind.ADJUSTMENT, words, theirs_paise=net)
    marked = " Its notes say that it is ours." if environment_of(rows) is not None else ""
    words = (
        f"No service told of this {rows[0].type}.{about}{marked} Look it up in Razorpay's dashboard: it was moved "
        "by hand, is of another environment without notes, or its event never came. The books do not have it."
    )
    return Problem(ExceptionKind.UNKNOWN_HERE, words, theirs_paise=net)


def _dispute(row: StatementRow) -> Problem:
    name = f" ({row.dispute_id})" if row.dispute_id else ""
    words = (
        f"A dispute or chargeback{name} moved our balance. See it in Razorpay's dashboard, contest or accept it there; the "
        "books do not have it."
    )
    return Problem(ExceptionKind.DISPUTE, words, theirs_paise=row.net_paise)


def _speaks_of_dispute(description: str | None) -> bool:
    lowered = (description or "").lower()
    return "dispute" in lowered or "chargeback" in lowered


def _split(rows: Sequence[StatementRow], kind: MoveKind) -> tuple[list[StatementRow], list[StatementRow]]:
    """(the movement's own rows, what else was done under its id: returns and adjustments)."""
    own = [row for row in rows if row.type == ROW_TYPES[kind]]
    return own, [row for row in rows if row.type != ROW_TYPES[kind]]


def _amount_differs(words: str, *, ours: int, theirs: int) -> Finding:
    return Finding(MatchState.EXCEPTION, (Problem(ExceptionKind.AMOUNT_DIFFERS, words, ours_paise=ours, theirs_paise=theirs),))


def _payment(rows: Sequence[StatementRow], move: Move, _overdue: bool) -> Finding:
    own, others = _split(rows, MoveKind.PAYMENT)
    amount, fee = sum(row.amount_paise for row in own), Fee(sum(r.fee_paise for r in own), sum(r.tax_paise for r in own))
    if amount != move.amount_paise:
        words = f"{move.subject} was told to us with another amount. Compare both in Razorpay's dashboard; nothing was booked."
        return _amount_differs(words, ours=move.amount_paise, theirs=amount)
    net = sum(row.net_paise for row in own)
    if net != amount - fee.fee_paise:
        words = f"The row of {move.subject} does not add up: it came in with {net} paise. Ask Razorpay; nothing was booked."
        return _amount_differs(words, ours=amount - fee.fee_paise, theirs=net)
    if sum(row.net_paise for row in others):
        words = f"Razorpay adjusted {move.subject} by hand. Ask what for; the books do not have it."
        problem = Problem(ExceptionKind.ADJUSTMENT, words, theirs_paise=sum(row.net_paise for row in others))
        return Finding(MatchState.EXCEPTION, (problem,), fee)
    return Finding(MatchState.MATCHED, fee=fee)


def _refund(rows: Sequence[StatementRow], move: Move, overdue: bool) -> Finding:
    """A refund takes its amount and what its speed costs; one that failed gives both back, one that became slow its charge."""
    own, others = _split(rows, MoveKind.REFUND)
    amount, taken = sum(row.amount_paise for row in own), -sum(row.net_paise for row in rows)
    if own and amount != move.amount_paise:
        words = f"{move.subject} was asked for with another amount. Compare both in Razorpay's dashboard."
        return _amount_differs(words, ours=-move.amount_paise, theirs=-amount)
    due = move.amount_paise if move.outcome is Outcome.DONE else 0
    told = Fee(sum(row.fee_paise for row in own), sum(row.tax_paise for row in own))
    charge = taken - due
    if move.outcome is Outcome.DONE and own and 0 <= charge <= told.fee_paise:
        return Finding(MatchState.MATCHED, fee=told if charge == told.fee_paise else Fee(charge, 0))
    if move.outcome is Outcome.FAILED and charge == 0:
        return Finding(MatchState.MATCHED, fee=Fee(0, 0))
    if not overdue and not (move.outcome is Outcome.DONE and own and not others):
        return Finding(MatchState.WAITING)
    end = {
        Outcome.DONE: "went through",
        Outcome.FAILED: "failed, and moved nothing",
        Outcome.UNDER_WAY: "has not come to its end here",
    }[move.outcome]
    words = f"{move.subject} {end}; Razorpay's statement took {taken} paise for it. Look it up in Razorpay's dashboard."
    return _amount_differs(words, ours=-due, theirs=-taken)


def _transfer(rows: Sequence[StatementRow], move: Move, overdue: bool) -> Finding:
    """A transfer takes its amount and its fee; one that failed gives both back. Whether it was processed, only Razorpay says."""
    own, _ = _split(rows, MoveKind.TRANSFER)
    amount, taken = sum(row.amount_paise for row in own), -sum(row.net_paise for row in rows)
    fee = Fee(sum(row.fee_paise for row in own), sum(row.tax_paise for row in own))
    if own and amount != move.amount_paise:
        words = f"{move.subject} was asked for with another amount. Compare both in Razorpay's dashboard."
        return _amount_differs(words, ours=-move.amount_paise, theirs=-amount)
    if move.outcome is Outcome.DONE and own and taken == amount + fee.fee_paise:
        return Finding(MatchState.MATCHED, fee=fee, look_up=True)
    if move.outcome is Outcome.FAILED and taken == 0:
        return Finding(MatchState.MATCHED)
    if not overdue:
        return Finding(MatchState.WAITING, look_up=move.outcome is Outcome.UNDER_WAY)
    due = move.amount_paise + fee.fee_paise if move.outcome is Outcome.DONE else 0
    words = (
        f"{move.subject} is {move.outcome.value.lower().replace('_', ' ')} here; Razorpay's statement took {taken} paise for it. "
        "Look it up in Razorpay's dashboard."
    )
    return _amount_differs(words, ours=-due, theirs=-taken)


def _reversal(rows: Sequence[StatementRow], move: Move, _overdue: bool) -> Finding:
    net = sum(row.net_paise for row in rows)
    if net != move.amount_paise:
        words = f"{move.subject} was told to us with another amount. Compare both in Razorpay's dashboard."
        return _amount_differs(words, ours=move.amount_paise, theirs=net)
    return Finding(MatchState.MATCHED)


@dataclass(frozen=True, slots=True)
class SettlementSums:
    """The rows of one settlement, by whose they are."""

    ours: int
    """How many rows are not another environment's: ours, and what nobody can tell."""
    ours_paise: int
    foreign: int
    foreign_paise: int


def own_share(amount_paise: int, sums: SettlementSums) -> int:
    """How much of a settlement to our bank is this environment's: all but what other environments' rows brought into it.

    One balance is settled to one bank, so with environments that share it this can be more than the settlement, or below nothing.
    """
    return amount_paise - sums.foreign_paise if sums.ours else 0


def assess_settlement(amount_paise: int, sums: SettlementSums) -> Finding:
    """Judge a settlement to our bank by its rows, of days that were read whole."""
    if not sums.ours:
        return Finding(MatchState.FOREIGN)
    problems = []
    if sums.ours_paise + sums.foreign_paise != amount_paise:
        words = "The settlement is not the sum of its rows in Razorpay's statement. Ask Razorpay; it is booked as it was paid."
        theirs = sums.ours_paise + sums.foreign_paise
        problems.append(Problem(ExceptionKind.SETTLEMENT_DIFFERS, words, ours_paise=amount_paise, theirs_paise=theirs))
    if sums.foreign:
        words = (
            f"{sums.foreign} of its rows, {sums.foreign_paise} paise, are of another environment on the same Razorpay account. "
            "They are not booked here. One balance pays both: keep one environment per live account."
        )
        share = own_share(amount_paise, sums)
        problems.append(Problem(ExceptionKind.SETTLEMENT_MIXED, words, ours_paise=share, theirs_paise=amount_paise))
    return Finding(MatchState.EXCEPTION if problems else MatchState.MATCHED, tuple(problems))


def fee_problem(subject: str, *, before: Fee, now: Fee, key: str) -> Problem:
    """What is told of a fee that was corrected by itself."""
    words = (
        f"Razorpay took another fee on {subject} than was known when it ended. Booked by itself as {key}; nothing is to be done."
    )
    return Problem(ExceptionKind.FEE_DIFFERS, words, ours_paise=-before.fee_paise, theirs_paise=-now.fee_paise)
