"""Statements chain from month to month, are the same in any order of events and in every form, and take whatever is entered."""

import csv
import io
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settlement.domain.franchisee_statement import (
    FIGURES,
    Figures,
    Month,
    Owner,
    Payment,
    Place,
    Row,
    RowKind,
    Statement,
    Tax,
    masked,
    statement_of,
)
from settlement.domain.ledger_entry import EntryStatus, HoldKind
from settlement.domain.payout_calendar import Open, PayoutStatus, outlook, working_day_after
from settlement.printing import CsvWriter, StatementWriter, XlsxWriter, safe_text

OWNER = Owner(
    franchisee_id=7,
    legal_business_name="Acme Volts",
    display_name="Acme",
    address="MG Road",
    gstin=None,
    pan_masked="••••••234C",
    bank_masked="••••3456",
)
NOVEMBER = Month(2026, 11)
SIGNED = st.integers(-5_000_000, 5_000_000)


def figures(shares: tuple[int, ...], *, sessions: int = 1) -> Figures:
    """Seven signed shares, and the gross that they come to."""
    names = FIGURES[3:]
    return Figures(sessions=sessions, energy_wh=sessions * 1234, gross_paise=sum(shares), **dict(zip(names, shares, strict=True)))


@st.composite
def rows(draw: st.DrawFn, *, months: int = 3) -> Row:
    """Something booked from November 2026 on: sessions and corrections, of either sign."""
    correction = draw(st.booleans())
    at = NOVEMBER.start + timedelta(seconds=draw(st.integers(0, months * 30 * 86_400 - 1)))
    shares = tuple(draw(st.lists(SIGNED, min_size=7, max_size=7)))
    return Row(
        kind=RowKind.CORRECTION if correction else RowKind.SESSION,
        reference=f"led_{draw(st.integers(1, 10**6))}",
        booked_at=at,
        transaction_id=draw(st.integers(1, 10**6)),
        station_id=draw(st.integers(1, 3)),
        charge_point_id=draw(st.sampled_from(("CP-1", "CP-2", "=cmd|' /C calc'!A0"))),
        connector_id=1,
        started_at=at - timedelta(hours=1),
        stopped_at=at,
        tds_section=draw(st.sampled_from(("s.194-O", None))),
        tds_bps=10,
        figures=figures(shares, sessions=0 if correction else 1),
    )


@st.composite
def payments(draw: st.DrawFn, *, months: int = 3) -> Payment:
    at = NOVEMBER.start + timedelta(seconds=draw(st.integers(0, months * 30 * 86_400 - 1)))
    number = draw(st.integers(1, 10**6))
    return Payment(paid_at=at, settlement_id=f"setl_{number}", utr=f"UTR{number}", transfers=2, amount_paise=draw(SIGNED))


def of(month: Month, opening_paise: int, booked: list[Row], paid: list[Payment]) -> Statement:
    return statement_of(
        OWNER,
        month,
        now=month.end + timedelta(days=1),
        opening_paise=opening_paise,
        rows=[row for row in booked if Month.of(row.booked_at) == month],
        payments=[payment for payment in paid if Month.of(payment.paid_at) == month],
    )


@given(st.lists(rows(), max_size=20), st.lists(payments(), max_size=8), SIGNED, st.randoms(use_true_random=False))
def test_months_chain_and_come_to_the_same_in_any_order(
    booked: list[Row], paid: list[Payment], opening_paise: int, random: object
) -> None:
    shuffled = list(booked)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    month, balance = NOVEMBER, opening_paise
    for _ in range(4):
        statement, other = of(month, balance, booked, paid), of(month, balance, shuffled, paid)
        assert (statement.lines(), statement.places, statement.taxes) == (other.lines(), other.places, other.taxes)
        total = statement.total
        assert statement.closing_paise == balance + total.payout_paise - statement.paid_paise
        assert sum(statement.places.values(), Figures()) == total
        assert sum(statement.by_day().values(), Figures()) == total == sum(statement.by_charger().values(), Figures())
        assert sum(tax.tds_paise for tax in statement.taxes.values()) == total.tds_paise
        named = {line.name: line.paise for line in statement.lines()}
        assert named["opening"] + named["earned"] + named["paid"] == named["closing"]
        deducted = ("gross", "refund", "residue", "pg_fee", "gst", "commission", "tds")
        assert sum(named[name] for name in deducted) == named["earned"]
        month, balance = month.following, statement.closing_paise
    assert balance == opening_paise + sum(row.figures.payout_paise for row in booked) - sum(item.amount_paise for item in paid)


def written(form: type[StatementWriter], booked: list[Row], paid: list[Payment], opening_paise: int) -> tuple[bytes, Statement]:
    file = io.BytesIO()
    writer = form(file)
    statement = Statement(OWNER, NOVEMBER, NOVEMBER.end, True, opening_paise)
    writer.begin(statement)
    for row in booked:
        statement.add(row)
    for payment in paid:
        statement.pay(payment)
    for row in booked[: writer.ROWS]:
        writer.rows([row])
    writer.end(statement)
    return file.getvalue(), statement


@settings(max_examples=12, deadline=None)
@given(st.lists(rows(months=1), max_size=6), st.lists(payments(months=1), max_size=3), SIGNED)
def test_the_totals_are_the_same_to_the_paisa_in_both_tables(booked: list[Row], paid: list[Payment], opening_paise: int) -> None:
    text, statement = written(CsvWriter, booked, paid, opening_paise)
    expected = {line.name: line.paise for line in statement.lines()}
    lines = list(csv.DictReader(io.StringIO(text.decode())))
    totals = {line["reference"]: Decimal(line["amount_inr"]) * 100 for line in lines if line["record"] == "TOTAL"}
    assert totals == expected
    for name in ("gross", "payout", "tds"):
        shown = sum(Decimal(line[f"{name}_inr"]) for line in lines if line["record"] in ("SESSION", "CORRECTION"))
        assert shown * 100 == getattr(statement.total, f"{name}_paise")

    book = openpyxl.load_workbook(io.BytesIO(written(XlsxWriter, booked, paid, opening_paise)[0]))
    cells = {row[2]: row[1] for row in book["Summary"].iter_rows(values_only=True, max_col=3) if row[2] in expected}
    assert {name: Decimal(repr(amount)) * 100 for name, amount in cells.items()} == expected
    payouts = [row[-1] for row in book["Sessions"].iter_rows(min_row=2, values_only=True)]
    assert sum(Decimal(repr(amount)) for amount in payouts) * 100 == statement.total.payout_paise
    for sheet in book:
        assert all(cell.data_type != "f" for row in sheet for cell in row)


@pytest.mark.parametrize("text", ["=1+1", "+91 98", "-2", "@SUM(A1)", "\t=1", " =1", "\r=1", "＝1", "\x00=1"])
def test_what_begins_like_a_formula_is_marked_as_text(text: str) -> None:
    assert safe_text(text).startswith("'")
    assert safe_text("Acme = best") == "Acme = best"


def booked_at(at: datetime, **what: object) -> Row:
    """A session of 100.00 of which seven shares are 1 to 64 paise, or a correction of the same."""
    row = Row(
        kind=RowKind.SESSION, reference="led_1", booked_at=at, transaction_id=1, station_id=3, charge_point_id="CP-1",
        connector_id=1, started_at=None, stopped_at=None, tds_section="s.393", tds_bps=10,
        figures=figures((1, 2, 4, 8, 16, 32, 64)),
    )  # fmt: skip
    return replace(row, **what)  # type: ignore[arg-type]


def test_the_lines_word_for_word() -> None:
    correction = booked_at(NOVEMBER.start, kind=RowKind.CORRECTION, figures=figures((0, 0, 0, 0, 0, 0, -5), sessions=0))
    payment = Payment(paid_at=NOVEMBER.start, settlement_id="setl_1", utr="UTR1", transfers=1, amount_paise=40)
    statement = of(NOVEMBER, 1_000, [booked_at(NOVEMBER.start), correction], [payment])
    assert (statement.owner, statement.closed) == (OWNER, True)
    assert [(line.name, line.words, line.paise) for line in statement.lines()] == [
        ("opening", "Opening balance", 1_000),
        ("gross", "Paid by riders", 122),
        ("refund", "less: refunded to riders", -1),
        ("residue", "less: owed to riders, below ₹1 each", -2),
        ("pg_fee", "less: payment fees, borne by riders", -4),
        ("gst", "less: GST on energy, for the state", -8),
        ("commission", "less: commission", -16),
        ("tds", "less: income tax withheld (TDS)", -32),
        ("earned", "Earned", 59),
        ("corrections", "of it: corrections of earlier entries", -5),
        ("paid", "less: paid to the bank", -40),
        ("closing", "Closing balance", 1_019),
    ]


def test_what_is_booked_has_its_place_and_its_tax() -> None:
    known = booked_at(NOVEMBER.start)
    unknown = booked_at(NOVEMBER.start, station_id=None, charge_point_id=None, tds_section=None, tds_bps=None)
    statement = of(NOVEMBER, 0, [known, unknown, booked_at(NOVEMBER.start, reference="led_2")], [])
    first = date(2026, 11, 1)
    two = known.figures + known.figures
    assert statement.places == {Place(first, 3, "CP-1"): two, Place(first, 0, ""): unknown.figures}
    net = known.figures.net_paise
    assert net != 0
    assert statement.taxes == {("s.393", 10): Tax(2 * net, 64), ("no section kept", 0): Tax(net, 32)}


def test_by_charger_and_by_day_in_order() -> None:
    days = [NOVEMBER.start + timedelta(days=number) for number in range(3)]
    places = [(days[0], 5, "CP-2"), (days[1], 3, "CP-9"), (days[2], 3, "CP-1"), (days[2], 5, "CP-2")]
    booked = [booked_at(at, station_id=station, charge_point_id=charger) for at, station, charger in places]
    statement = of(NOVEMBER, 0, booked, [])
    assert list(statement.by_charger()) == [(3, "CP-1"), (3, "CP-9"), (5, "CP-2")]
    assert statement.by_charger()[5, "CP-2"] == booked[0].figures + booked[3].figures
    assert list(statement.by_day()) == [date(2026, 11, day) for day in (1, 2, 3)]


def test_what_is_of_another_month_is_refused() -> None:
    statement = of(NOVEMBER, 0, [booked_at(NOVEMBER.start), booked_at(NOVEMBER.end - timedelta(microseconds=1))], [])
    late = Payment(paid_at=NOVEMBER.end, settlement_id="setl_9", utr=None, transfers=1, amount_paise=1)
    with pytest.raises(AssertionError, match="led_1"):
        statement.add(booked_at(NOVEMBER.end))
    with pytest.raises(AssertionError, match="led_1"):
        statement.add(booked_at(NOVEMBER.start - timedelta(microseconds=1)))
    with pytest.raises(AssertionError, match="setl_9"):
        statement.pay(late)
    statement.pay(replace(late, paid_at=NOVEMBER.start))


def test_a_month_is_indias_and_closed_when_late_commits_are_in() -> None:
    assert Month.of(datetime(2026, 11, 30, 18, 29, tzinfo=UTC)) == NOVEMBER
    assert Month.of(datetime(2026, 11, 30, 18, 30, tzinfo=UTC)) == Month(2026, 12) == Month.parse("2026-12")
    assert Month.parse("2000-01") == Month(2000, 1)
    assert Month(2026, 12).following == Month(2027, 1)
    assert not NOVEMBER.closed(datetime(2026, 11, 30, 19, 29, 59, tzinfo=UTC))
    assert NOVEMBER.closed(datetime(2026, 11, 30, 19, 30, tzinfo=UTC))
    for wrong in ("2026-13", "2026-1", "26-11", "2026/11", "1999-01"):
        with pytest.raises(ValueError, match=r"month"):
            Month.parse(wrong)
    assert (masked("AAACL1234C"), masked(None), masked("12")) == ("••••••234C", None, "12")


FRIDAY = date(2026, 12, 4)


@pytest.mark.parametrize(
    ("day", "due"), [(date(2026, 12, 2), FRIDAY), (date(2026, 12, 3), date(2026, 12, 7)), (FRIDAY, date(2026, 12, 8)),
                     (date(2026, 12, 5), date(2026, 12, 8)), (date(2026, 12, 6), date(2026, 12, 8))],
)  # fmt: skip
def test_two_working_days_later(day: date, due: date) -> None:
    assert working_day_after(day, 2) == due


@pytest.mark.parametrize(
    ("status", "hold", "processed", "expected"),
    [
        (EntryStatus.TRANSFERRED, None, FRIDAY, (PayoutStatus.EXPECTED, date(2026, 12, 8))),
        (EntryStatus.TRANSFERRED, None, date(2026, 12, 3), (PayoutStatus.EXPECTED, date(2026, 12, 7))),
        (EntryStatus.TRANSFERRED, None, date(2026, 12, 2), (PayoutStatus.LATE, FRIDAY)),
        (EntryStatus.PENDING, None, None, (PayoutStatus.IN_TRANSFER, date(2026, 12, 9))),
        (EntryStatus.UNKNOWN, None, None, (PayoutStatus.IN_TRANSFER, None)),
        (EntryStatus.FAILED, None, None, (PayoutStatus.RETRIED, None)),
        (EntryStatus.ON_HOLD, HoldKind.GATED, None, (PayoutStatus.ON_HOLD, None)),
        (EntryStatus.ON_HOLD, HoldKind.BELOW_MINIMUM, None, (PayoutStatus.CARRIED, None)),
    ],
)
def test_nothing_is_promised_that_is_not_ours_to_keep(
    status: EntryStatus, hold: HoldKind | None, processed: date | None, expected: tuple[PayoutStatus, date | None]
) -> None:
    waiting = Open(status=status, hold_kind=hold, hold_reason="Because." if hold else None, processed_on=processed)
    found = outlook(waiting, today=date(2026, 12, 7))
    assert (found.status, found.expected_on) == expected
    if hold is not None:
        assert found.words == "Because."
    assert "will" not in found.words


@pytest.mark.parametrize(
    ("waiting", "words"),
    [
        (
            Open(status=EntryStatus.TRANSFERRED, hold_kind=None, hold_reason=None, processed_on=FRIDAY),
            "Razorpay usually settles it to your bank by Tue 8 Dec 2026; bank holidays delay it.",
        ),
        (
            Open(status=EntryStatus.TRANSFERRED, hold_kind=None, hold_reason=None, processed_on=date(2026, 12, 2)),
            "Razorpay has had it since Wed 2 Dec 2026 and usually settles it by Fri 4 Dec 2026. We ask every day.",
        ),
        (
            Open(status=EntryStatus.TRANSFERRED, hold_kind=None, hold_reason=None, processed_on=None),
            "It is on its way to Razorpay; usually at your bank by Wed 9 Dec 2026, if it gets there today.",
        ),
        (
            Open(status=EntryStatus.PENDING, hold_kind=None, hold_reason=None, processed_on=FRIDAY),
            "It is on its way to Razorpay; usually at your bank by Wed 9 Dec 2026, if it gets there today.",
        ),
        (
            Open(status=EntryStatus.ON_HOLD, hold_kind=HoldKind.BELOW_MINIMUM, hold_reason=None, processed_on=None),
            "It goes out with the next payouts.",
        ),
        (Open(status=EntryStatus.ON_HOLD, hold_kind=HoldKind.GATED, hold_reason=None, processed_on=None), "It waits."),
        (
            Open(status=EntryStatus.FAILED, hold_kind=None, hold_reason=None, processed_on=None),
            "Razorpay did not take it. It is tried again, and our staff look at it.",
        ),
        (
            Open(status=EntryStatus.UNKNOWN, hold_kind=None, hold_reason=None, processed_on=None),
            "Razorpay has not answered whether it has it. We look it up before anything is sent again.",
        ),
    ],
)
def test_where_a_payout_is_in_words(waiting: Open, words: str) -> None:
    assert outlook(waiting, today=date(2026, 12, 7)).words == words
