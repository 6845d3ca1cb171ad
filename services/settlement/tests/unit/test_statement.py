"""Rows of Razorpay's statement: read in every shape, judged by example, and by property in whatever order they come."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.domain.books import PaymentCaptured, PaymentFeeCorrected, PaymentFeeRecorded
from settlement.domain.reconcile import (
    ExceptionKind,
    Fee,
    Finding,
    MatchState,
    Move,
    MoveKind,
    Outcome,
    Problem,
    SettlementSums,
    assess,
    assess_settlement,
    booked_fee,
    fee_problem,
    own_share,
)
from settlement.domain.statement import StatementRow, day_of, days_to_read, first_of_unbroken, read_row

AT = 1_763_019_089
THEN = datetime.fromtimestamp(AT, UTC)
MARKS = frozenset({"live"})

ROW: dict[str, Any] = {
    "entity_id": "trf_1",
    "type": "transfer",
    "debit": 100_296,
    "credit": 0,
    "amount": 100_000,
    "currency": "INR",
    "fee": 296,
    "tax": 46,
    "on_hold": False,
    "settled": True,
    "created_at": AT,
    "settled_at": AT + 86_400,
    "settlement_id": "setl_1",
    "posted_at": None,
    "credit_type": "default",
    "description": None,
    "notes": None,
    "payment_id": None,
    "settlement_utr": "AXISCN1",
    "order_id": None,
    "order_receipt": None,
    "method": None,
    "dispute_id": None,
}


def payment_row(paise: int = 10_000, fee: int = 236, tax: int = 36, **more: Any) -> StatementRow:
    body = {"entity_id": "pay_1", "type": "payment", "debit": 0, "credit": paise - fee, "amount": paise, "fee": fee, "tax": tax}
    return read_row({**ROW, **body, "payment_id": "pay_1", **more})


def refund_row(paise: int = 2_685, fee: int = 0, tax: int = 0, **more: Any) -> StatementRow:
    body = {"entity_id": "rfnd_1", "type": "refund", "debit": paise + fee, "credit": 0, "amount": paise, "fee": fee, "tax": tax}
    return read_row({**ROW, **body, "payment_id": "pay_1", **more})


def back(entity_id: str, paise: int) -> StatementRow:
    body = {"entity_id": entity_id, "type": "adjustment", "debit": 0, "credit": paise, "amount": paise, "fee": 0, "tax": 0}
    return read_row({**ROW, **body, "created_at": AT + 60})


def move(kind: MoveKind, paise: int, outcome: Outcome = Outcome.DONE) -> Move:
    name = {MoveKind.PAYMENT: ("pay_1", "qrp_1"), MoveKind.REFUND: ("rfnd_1", "rfd_1"), MoveKind.TRANSFER: ("trf_1", "xfr_1")}
    return Move(*(name.get(kind, ("rvrsl_1", "xrv_1"))[:1]), kind, name.get(kind, ("rvrsl_1", "xrv_1"))[1], paise, outcome)


def judged(rows: list[StatementRow], ours: Move | None, **more: Any) -> Finding:
    facts: dict[str, Any] = {"marks": MARKS, "payment": None, "payment_environment": None, "overdue": False, **more}
    return assess(rows, ours, **facts)


@pytest.mark.parametrize(
    ("notes", "environment"),
    [
        (None, None),
        ([], None),
        ("{}", None),
        ("not json", None),
        ('{"voltlync_environment": "live"}', "live"),
        ({"environment": "staging", "key": "txn_1"}, "staging"),
        ("[1]", None),
        (7, None),
    ],
)
def test_notes_come_as_text_object_list_or_null(notes: object, environment: str | None) -> None:
    assert read_row({**ROW, "notes": notes}).environment == environment


def test_what_no_figure_moment_or_text_can_be_is_none() -> None:
    for value, paise in (
        (2**53 - 1, 2**53 - 1),
        (1 - 2**53, 1 - 2**53),
        (2**53, 0),
        (-(2**53), 0),
        (True, 0),
        ("5", 0),
        (None, 0),
    ):
        assert read_row({**ROW, "debit": value}).debit_paise == paise
    for value in (0, -1, 2**35, True, "1764570000", None):
        assert read_row({**ROW, "settled_at": value}).settled_at is None
    for value in (1, 2**35 - 1):
        assert read_row({**ROW, "settled_at": value}).settled_at == datetime.fromtimestamp(value, UTC)
    assert (read_row({**ROW, "utr": "", "settlement_utr": ""}).utr, read_row({**ROW, "settlement_utr": "XXXX"}).utr) == (
        None,
        "XXXX",
    )
    assert read_row({**ROW, "description": "x" * 300}).description == "x" * 200


def test_a_row_is_read_whatever_is_missing_or_strange_in_it() -> None:
    row = read_row(ROW)
    assert (row.net_paise, row.fee_paise, row.tax_paise, row.utr) == (-100_296, 296, 46, "AXISCN1")
    assert row.settled_at == datetime.fromtimestamp(AT + 86_400, UTC)
    for raw in ({}, [], None, "row", {"entity_id": None, "debit": "7", "created_at": -1}, {"amount": 1.5, "fee": True}):
        strange = read_row(raw)
        assert strange.entity_id.startswith("row_")
        assert (strange.net_paise, strange.fee_paise, strange.type) == (0, 0, "other")
    assert read_row({**ROW, "description": "a\0b", "notes": {"x": ["\0"]}}).body["notes"] == {"x": [""]}
    assert read_row(ROW).digest != read_row({**ROW, "settlement_utr": None}).digest
    assert read_row(dict(reversed(ROW.items()))).digest == read_row(ROW).digest


def test_every_field_of_a_row_is_read() -> None:
    told = {
        **ROW, "settlement_id": "setl_1", "payment_id": "pay_9", "order_id": "order_9", "order_receipt": "recharge_9",
        "dispute_id": "disp_9", "description": "words", "created_at": AT, "notes": {"environment": "live"},
    }  # fmt: skip
    row = read_row(told)
    read = (row.settlement_id, row.payment_id, row.order_id, row.order_receipt, row.dispute_id, row.description, row.environment)
    assert read == ("setl_1", "pay_9", "order_9", "recharge_9", "disp_9", "words", "live")
    assert (row.entity_id, row.type, row.amount_paise, row.moved_at) == ("trf_1", "transfer", 100_000, THEN)
    assert (row.net_paise, row.body["order_id"]) == (-100_296, "order_9")
    assert read_row("row").body == {"unreadable": "row"}
    names = [read_row(raw).entity_id for raw in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2, "b": 2})]
    assert names[0] == names[1] != names[2]
    assert len(names[0]) == len("row_") + 14
    assert booked_fee([]) == Fee(0, 0)
    assert read_row({"settled_at": AT}).moved_at == THEN
    assert read_row({}).moved_at == datetime.fromtimestamp(0, UTC)


def test_days_are_indias_and_what_was_missed_is_read_as_well() -> None:
    assert day_of(datetime(2026, 11, 30, 18, 30, tzinfo=UTC)) == date(2026, 12, 1)
    today = date(2026, 12, 1)
    november = [date(2026, 11, day) for day in range(1, 31)]
    daily = {"daily": (november[26], november[29])}

    def to_read(*read: date) -> dict[str, tuple[date, date]]:
        return days_to_read(today, days_back=4, read=read)

    assert to_read() == to_read(*november) == to_read(*november[:26]) == daily
    assert to_read(*november[:10]) == daily | {"missed": (november[10], november[25])}
    assert to_read(*november[:9]) == daily | {"missed": (november[9], november[25])}
    # Somebody asked for the last days after an outage: those before them are still missing.
    assert to_read(*november[:10], *november[19:], today) == daily | {"missed": (november[10], november[25])}
    assert to_read(date(2020, 1, 1))["missed"][0] == date(2026, 8, 31)
    read = [today - timedelta(days=n) for n in (1, 2, 4)]
    assert first_of_unbroken(read, until=today - timedelta(days=1)) == today - timedelta(days=2)
    assert first_of_unbroken(read, until=today) is None


WAITING, MATCHED, FOREIGN, EXCEPTION = MatchState.WAITING, MatchState.MATCHED, MatchState.FOREIGN, MatchState.EXCEPTION
PAY, REFUND, TRANSFER = MoveKind.PAYMENT, MoveKind.REFUND, MoveKind.TRANSFER
UNDER_WAY, FAILED = Outcome.UNDER_WAY, Outcome.FAILED
TRF = read_row(ROW)


@pytest.mark.parametrize(
    ("rows", "ours", "more", "state", "kind", "fee"),
    [
        ([payment_row()], move(PAY, 10_000), {}, MATCHED, None, Fee(236, 36)),
        ([payment_row()], move(PAY, 9_999), {}, EXCEPTION, ExceptionKind.AMOUNT_DIFFERS, None),
        ([payment_row(credit=9_000)], move(PAY, 10_000), {}, EXCEPTION, ExceptionKind.AMOUNT_DIFFERS, None),
        ([payment_row(), payment_row(created_at=AT + 1)], move(PAY, 10_000), {}, EXCEPTION, ExceptionKind.AMOUNT_DIFFERS, None),
        ([payment_row(), back("pay_1", 7)], move(PAY, 10_000), {}, EXCEPTION, ExceptionKind.ADJUSTMENT, Fee(236, 36)),
        ([payment_row(dispute_id="disp_1")], move(PAY, 10_000), {}, EXCEPTION, ExceptionKind.DISPUTE, Fee(236, 36)),
        ([payment_row()], None, {}, EXCEPTION, ExceptionKind.UNKNOWN_HERE, None),
        ([payment_row(notes={"environment": "live"})], None, {}, EXCEPTION, ExceptionKind.UNKNOWN_HERE, None),
        ([payment_row(notes='{"environment": "test"}')], None, {}, FOREIGN, None, None),
        ([payment_row(notes='{"environment": "test"}')], move(PAY, 10_000), {}, MATCHED, None, Fee(236, 36)),
        ([refund_row()], None, {"payment_environment": "test"}, FOREIGN, None, None),
        ([refund_row()], None, {"payment": move(PAY, 10_000)}, EXCEPTION, ExceptionKind.UNKNOWN_HERE, None),
        (
            [refund_row(notes={"environment": "test"})],
            None,
            {"payment": move(PAY, 10_000)},
            EXCEPTION,
            ExceptionKind.UNKNOWN_HERE,
            None,
        ),
        ([back("adj_1", 50)], None, {}, EXCEPTION, ExceptionKind.ADJUSTMENT, None),
        ([replace(back("adj_1", 50), description="Chargeback lost")], None, {}, EXCEPTION, ExceptionKind.DISPUTE, None),
        ([replace(back("adj_1", 50), dispute_id="disp_1")], None, {}, EXCEPTION, ExceptionKind.DISPUTE, None),
        ([refund_row()], move(REFUND, 2_685), {}, MATCHED, None, Fee(0, 0)),
        ([refund_row(fee=590, tax=90)], move(REFUND, 2_685), {}, MATCHED, None, Fee(590, 90)),
        # It became slow, and its charge came back.
        ([refund_row(fee=590, tax=90), back("rfnd_1", 590)], move(REFUND, 2_685), {}, MATCHED, None, Fee(0, 0)),
        ([refund_row()], move(REFUND, 2_684), {}, EXCEPTION, ExceptionKind.AMOUNT_DIFFERS, None),
        ([refund_row(debit=2_690)], move(REFUND, 2_685), {}, EXCEPTION, ExceptionKind.AMOUNT_DIFFERS, None),
        ([refund_row()], move(REFUND, 2_685, UNDER_WAY), {}, WAITING, None, None),
        ([refund_row()], move(REFUND, 2_685, UNDER_WAY), {"overdue": True}, EXCEPTION, ExceptionKind.AMOUNT_DIFFERS, None),
        ([refund_row(fee=590, tax=90), back("rfnd_1", 3_275)], move(REFUND, 2_685, FAILED), {}, MATCHED, None, Fee(0, 0)),
        ([refund_row()], move(REFUND, 2_685, FAILED), {}, WAITING, None, None),
        ([refund_row()], move(REFUND, 2_685, FAILED), {"overdue": True}, EXCEPTION, ExceptionKind.AMOUNT_DIFFERS, None),
        ([TRF], move(TRANSFER, 100_000), {}, MATCHED, None, Fee(296, 46)),
        ([TRF], move(TRANSFER, 100_001), {}, EXCEPTION, ExceptionKind.AMOUNT_DIFFERS, None),
        ([TRF], move(TRANSFER, 100_000, UNDER_WAY), {}, WAITING, None, None),
        # Being debited proves nothing: what failed gets its money back later.
        ([TRF], move(TRANSFER, 100_000, FAILED), {}, WAITING, None, None),
        ([TRF], move(TRANSFER, 100_000, FAILED), {"overdue": True}, EXCEPTION, ExceptionKind.AMOUNT_DIFFERS, None),
        ([TRF, back("trf_1", 100_296)], move(TRANSFER, 100_000, FAILED), {}, MATCHED, None, None),
    ],
)
def test_rows_by_example(
    rows: list[StatementRow],
    ours: Move | None,
    more: dict[str, Any],
    state: MatchState,
    kind: ExceptionKind | None,
    fee: Fee | None,
) -> None:
    finding = judged(rows, ours, **more)
    assert finding.state is state
    assert [problem.kind for problem in finding.problems] == ([kind] if kind is not None else [])
    assert finding.fee == fee
    assert all(problem.words.endswith(".") for problem in finding.problems)


def test_a_reversal_comes_in_with_its_amount() -> None:
    row = replace(back("rvrsl_1", 500), type="reversal")
    assert judged([row], move(MoveKind.REVERSAL, 500)).state is MATCHED
    assert judged([row], move(MoveKind.REVERSAL, 501)).state is EXCEPTION


def problem_of(rows: list[StatementRow], ours: Move | None, **more: Any) -> Problem:
    (problem,) = judged(rows, ours, **more).problems
    return problem


def test_whoever_looks_is_told_both_figures_and_what_to_do() -> None:
    compare = "Compare both in Razorpay's dashboard"
    assert problem_of([payment_row()], move(PAY, 9_999)) == Problem(
        ExceptionKind.AMOUNT_DIFFERS,
        f"qrp_1 was told to us with another amount. {compare}; nothing was booked.",
        ours_paise=9_999,
        theirs_paise=10_000,
    )
    assert problem_of([payment_row(credit=9_000)], move(PAY, 10_000)) == Problem(
        ExceptionKind.AMOUNT_DIFFERS,
        "The row of qrp_1 does not add up: it came in with 9000 paise. Ask Razorpay; nothing was booked.",
        ours_paise=9_764,
        theirs_paise=9_000,
    )
    assert problem_of([payment_row(), back("pay_1", 7)], move(PAY, 10_000)) == Problem(
        ExceptionKind.ADJUSTMENT,
        "Razorpay adjusted qrp_1 by hand. Ask what for; the books do not have it.",
        theirs_paise=7,
    )
    assert problem_of([refund_row()], move(REFUND, 2_684)) == Problem(
        ExceptionKind.AMOUNT_DIFFERS,
        f"rfd_1 was asked for with another amount. {compare}.",
        ours_paise=-2_684,
        theirs_paise=-2_685,
    )
    ends = {
        UNDER_WAY: ("has not come to its end here", 0),
        FAILED: ("failed, and moved nothing", 0),
        Outcome.DONE: ("went through", -2_685),
    }
    for outcome, (end, due) in ends.items():
        rows = [refund_row(), back("rfnd_1", 1_000)]
        assert problem_of(rows, move(REFUND, 2_685, outcome), overdue=True) == Problem(
            ExceptionKind.AMOUNT_DIFFERS,
            f"rfd_1 {end}; Razorpay's statement took 1685 paise for it. Look it up in Razorpay's dashboard.",
            ours_paise=due,
            theirs_paise=-1_685,
        )
    assert problem_of([TRF], move(TRANSFER, 100_001)) == Problem(
        ExceptionKind.AMOUNT_DIFFERS,
        f"xfr_1 was asked for with another amount. {compare}.",
        ours_paise=-100_001,
        theirs_paise=-100_000,
    )
    stands = {UNDER_WAY: ("under way", 0), FAILED: ("failed", 0), Outcome.DONE: ("done", -100_296)}
    for outcome, (words, due) in stands.items():
        assert problem_of([TRF, back("trf_1", 50)], move(TRANSFER, 100_000, outcome), overdue=True) == Problem(
            ExceptionKind.AMOUNT_DIFFERS,
            f"xfr_1 is {words} here; Razorpay's statement took 100246 paise for it. Look it up in Razorpay's dashboard.",
            ours_paise=due,
            theirs_paise=-100_246,
        )
    reversal = replace(back("rvrsl_1", 500), type="reversal")
    assert problem_of([reversal], move(MoveKind.REVERSAL, 501)) == Problem(
        ExceptionKind.AMOUNT_DIFFERS, f"xrv_1 was told to us with another amount. {compare}.", ours_paise=501, theirs_paise=500
    )


def test_a_dispute_and_what_nobody_knows_are_told_with_their_figures() -> None:
    dispute = "A dispute or chargeback{} moved our balance. See it in Razorpay's dashboard, contest or accept it there; the "
    dispute += "books do not have it."
    adjusted = back("adj_1", 50)
    assert problem_of([replace(adjusted, dispute_id="disp_1")], None) == Problem(
        ExceptionKind.DISPUTE, dispute.format(" (disp_1)"), theirs_paise=50
    )
    assert problem_of([replace(adjusted, description="A DISPUTE")], None).words == dispute.format("")
    both = judged([payment_row(dispute_id="disp_1", credit=9_000)], move(PAY, 10_000))
    assert [problem.kind for problem in both.problems] == [ExceptionKind.AMOUNT_DIFFERS, ExceptionKind.DISPUTE]
    twice = judged([payment_row(dispute_id="disp_1"), payment_row(dispute_id="disp_2")], move(PAY, 10_000)).problems
    assert [problem.words for problem in twice if problem.kind is ExceptionKind.DISPUTE] == [dispute.format(" (disp_1)")]
    assert problem_of([replace(adjusted, description="Goodwill")], None) == Problem(
        ExceptionKind.ADJUSTMENT,
        "Razorpay adjusted our balance by hand. Razorpay says: Goodwill. Ask Razorpay what for; the books do not have it.",
        theirs_paise=50,
    )
    plain = problem_of([replace(adjusted, description=None)], None, payment=move(PAY, 10_000))
    assert plain.words == (
        "Razorpay adjusted our balance by hand. It is about our payment qrp_1. Ask Razorpay what for; the books do not have it."
    )
    rest = (
        " Look it up in Razorpay's dashboard: it was moved by hand, is of another environment without notes, or its event "
        "never came. The books do not have it."
    )
    assert problem_of([payment_row()], None) == Problem(
        ExceptionKind.UNKNOWN_HERE, f"No service told of this payment.{rest}", theirs_paise=9_764
    )
    assert problem_of([refund_row(notes={"environment": "live"})], None, payment=move(PAY, 10_000)).words == (
        f"No service told of this refund. It is about our payment qrp_1. Its notes say that it is ours.{rest}"
    )


def test_razorpay_is_asked_how_a_transfer_stands_where_the_statement_proves_more() -> None:
    assert judged([TRF], move(TRANSFER, 100_000)) == Finding(MATCHED, fee=Fee(296, 46), look_up=True)
    assert judged([TRF], move(TRANSFER, 100_000, UNDER_WAY)) == Finding(WAITING, look_up=True)
    assert judged([TRF], move(TRANSFER, 100_000, FAILED)) == Finding(WAITING, look_up=False)
    disputed = judged([replace(TRF, dispute_id="disp_1")], move(TRANSFER, 100_000))
    assert (disputed.state, disputed.fee, disputed.look_up) == (EXCEPTION, Fee(296, 46), True)


def test_a_fee_that_was_put_right_is_told() -> None:
    assert fee_problem("qrp_1", before=Fee(236, 36), now=Fee(295, 45), key="payment/1/fee_corrected/1") == Problem(
        ExceptionKind.FEE_DIFFERS,
        "Razorpay took another fee on qrp_1 than was known when it ended. Booked by itself as payment/1/fee_corrected/1; "
        "nothing is to be done.",
        ours_paise=-236,
        theirs_paise=-295,
    )


def test_a_settlement_that_is_not_its_rows_or_is_shared_is_told() -> None:
    finding = assess_settlement(1_000, SettlementSums(ours=2, ours_paise=700, foreign=1, foreign_paise=290))
    assert finding == Finding(
        EXCEPTION,
        (
            Problem(
                ExceptionKind.SETTLEMENT_DIFFERS,
                "The settlement is not the sum of its rows in Razorpay's statement. Ask Razorpay; it is booked as it was paid.",
                ours_paise=1_000,
                theirs_paise=990,
            ),
            Problem(
                ExceptionKind.SETTLEMENT_MIXED,
                "1 of its rows, 290 paise, are of another environment on the same Razorpay account. They are not booked here. "
                "One balance pays both: keep one environment per live account.",
                ours_paise=710,
                theirs_paise=1_000,
            ),
        ),
    )
    assert assess_settlement(700, SettlementSums(2, 700, 0, 0)) == Finding(MATCHED)


@given(st.integers(0, 5), st.integers(-10_000, 10_000), st.integers(0, 5), st.integers(-10_000, 10_000), st.integers(-5, 5))
def test_a_settlement_is_ours_but_for_what_others_brought(ours: int, own: int, others: int, foreign: int, error: int) -> None:
    sums = SettlementSums(ours, own if ours else 0, others, foreign if others else 0)
    amount = sums.ours_paise + sums.foreign_paise + error
    finding = assess_settlement(amount, sums)
    if not ours:
        assert finding.state is FOREIGN
        assert own_share(amount, sums) == 0
        return
    wanted = {ExceptionKind.SETTLEMENT_DIFFERS: error != 0, ExceptionKind.SETTLEMENT_MIXED: others > 0}
    assert {problem.kind for problem in finding.problems} == {kind for kind, is_so in wanted.items() if is_so}
    assert own_share(amount, sums) == sums.ours_paise + error, "a settlement that is not its rows is booked as it was paid"
    if not others:
        assert own_share(amount, sums) == amount, "one environment per account: all of it"


# -- any order


@dataclass
class Model:
    """What settlement keeps, in memory: judged anew after each thing that comes, as its worker does."""

    rows: dict[tuple[str, str, datetime], StatementRow] = field(default_factory=dict)
    moves: dict[str, tuple[int, Move]] = field(default_factory=dict)
    captured: PaymentCaptured | None = None
    later: list[PaymentFeeRecorded] = field(default_factory=list)
    ended: bool = False
    corrections: int = 0
    open: dict[str, frozenset[ExceptionKind]] = field(default_factory=dict)
    charge: Fee | None = None

    def take(self, kind: str, what: Any) -> None:
        if kind == "row":
            self.rows[what.key] = what
        elif kind == "move":
            version, told = what
            if told.razorpay_id not in self.moves or self.moves[told.razorpay_id][0] < version:
                self.moves[told.razorpay_id] = what
        elif kind == "captured":
            self.captured = what
        elif kind == "recorded" and what not in self.later:
            self.later.append(what)
        elif kind == "ended":
            self.ended = True
        self.judge()

    def judge(self) -> None:
        by_entity: dict[str, list[StatementRow]] = {}
        for row in self.rows.values():
            by_entity.setdefault(row.entity_id, []).append(row)
        for entity, rows in by_entity.items():
            ours = self.moves.get(entity, (0, None))[1]
            payment = self.moves.get(rows[0].payment_id or "", (0, None))[1] if rows[0].payment_id != entity else None
            family = by_entity.get(rows[0].payment_id or "", [])
            theirs = next((row.environment for row in family if row.environment), None)
            finding = judged(rows, ours, payment=payment, payment_environment=theirs)
            self.open[entity] = frozenset(problem.kind for problem in finding.problems)
            if ours is not None and ours.kind is PAY and finding.fee is not None:
                self.correct(finding.fee)
            if ours is not None and ours.kind is REFUND and ours.outcome is Outcome.DONE and finding.fee is not None:
                self.charge = finding.fee

    def correct(self, fee: Fee) -> None:
        if self.captured is None or not self.ended:
            return
        before = booked_fee([self.captured, *self.later])
        correction = PaymentFeeCorrected(
            occurred_at=THEN,
            qr_payment_id=1,
            fee_before_paise=before.fee_paise,
            tax_before_paise=before.tax_paise,
            fee_paise=fee.fee_paise,
            tax_paise=fee.tax_paise,
            correction=self.corrections + 1,
        )
        if (journal := correction.journal()) is not None:
            assert journal.key == f"payment/1/fee_corrected/{self.corrections + 1}"
            self.corrections += 1
            self.later.append(correction)

    def state(self) -> Any:
        fee = booked_fee([self.captured, *self.later]) if self.captured is not None else None
        return fee, self.charge, {entity: kinds for entity, kinds in self.open.items() if kinds}


fees = st.tuples(st.integers(0, 900), st.integers(0, 900)).map(lambda pair: Fee(max(pair), min(pair)))


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[str, Any]]:
    first, recorded, statement, charge = draw(fees), draw(fees), draw(fees), draw(fees)
    told_fee, told_tax = draw(st.sampled_from([None, first.fee_paise])), draw(st.sampled_from([None, first.tax_paise]))
    of: dict[str, Any] = {"occurred_at": THEN, "qr_payment_id": 1}
    speedy = refund_row(fee=charge.fee_paise, tax=charge.tax_paise)
    refund = move(REFUND, 2_685, draw(st.sampled_from([Outcome.DONE, FAILED])))
    foreign = payment_row(entity_id="pay_2", payment_id="pay_2", notes={"environment": "test"})
    story: list[tuple[str, Any]] = [
        ("captured", PaymentCaptured(**of, amount_paise=10_000, fee_paise=told_fee, tax_paise=told_tax)),
        ("ended", None),
        ("move", (0, move(PAY, 10_000))),
        ("move", (1, replace(refund, outcome=UNDER_WAY))),
        ("move", (2, refund)),
        ("row", payment_row(fee=statement.fee_paise, tax=statement.tax_paise)),
        ("row", speedy),
        ("row", foreign),
        ("row", refund_row(entity_id="rfnd_2", payment_id="pay_2")),
        ("row", refund_row(entity_id="rfnd_3", created_at=AT + 5)),
        ("row", back("adj_1", 50)),
    ]
    if draw(st.booleans()):
        before = {"fee_before_paise": told_fee or 0, "tax_before_paise": told_tax}
        told = PaymentFeeRecorded(**of, **before, fee_paise=recorded.fee_paise, tax_paise=recorded.tax_paise)
        story.append(("recorded", told))
    if draw(st.booleans()):
        returned = charge.fee_paise + (refund.amount_paise if refund.outcome is FAILED else 0)
        story.append(("row", back("rfnd_1", returned)))
    return story


@given(stories(), st.data())
def test_any_order_of_rows_events_and_repeats_gives_the_same_books_and_exceptions(
    story: list[tuple[str, Any]], data: st.DataObject
) -> None:
    straight, shuffled = Model(), Model()
    for kind, what in story:
        straight.take(kind, what)
    order = data.draw(st.permutations(story))
    repeats = data.draw(st.lists(st.sampled_from(order), max_size=4))
    for kind, what in [*order, *repeats]:
        shuffled.take(kind, what)
    assert shuffled.state() == straight.state()
    fee, _, listed = straight.state()
    row = next(what for kind, what in story if kind == "row" and what.entity_id == "pay_1")
    assert fee == Fee(row.fee_paise, row.tax_paise), "the statement has the last word"
    assert Counter(kind for kinds in listed.values() for kind in kinds) >= Counter(
        {ExceptionKind.UNKNOWN_HERE: 1, ExceptionKind.ADJUSTMENT: 1}
    )
    assert "pay_2" not in listed
    assert "rfnd_2" not in listed
    settled = len(shuffled.later)
    for kind, what in story:
        shuffled.take(kind, what)
    assert len(shuffled.later) == settled, "told again, nothing is booked again"
