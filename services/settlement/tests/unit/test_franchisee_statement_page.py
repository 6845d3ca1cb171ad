"""A month as it is printed: the totals of its tables, to the paisa."""

import io
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from money import rupees
from settlement.domain.franchisee_statement import Payment, Row, RowKind
from settlement.printing import PdfWriter

from .test_franchisee_statement import NOVEMBER, SIGNED, figures, payments, rows, written


@settings(max_examples=12, deadline=None)
@given(st.lists(rows(months=1), max_size=6), st.lists(payments(months=1), max_size=3), SIGNED)
def test_the_totals_are_the_same_to_the_paisa_on_paper(booked: list[Row], paid: list[Payment], opening_paise: int) -> None:
    paper, statement = written(PdfWriter, booked, paid, opening_paise)
    shown = " ".join(PdfReader(io.BytesIO(paper)).pages[0].extract_text().split())
    for line in statement.lines():
        assert f"{line.words} {rupees(line.paise)}" in shown


def test_a_pdf_of_a_large_month_says_what_it_leaves_out() -> None:
    row = Row(
        kind=RowKind.SESSION, reference="led_1", booked_at=NOVEMBER.start, transaction_id=1, station_id=1,
        charge_point_id="C" * 90, connector_id=1, started_at=None, stopped_at=None, tds_section=None, tds_bps=None,
        figures=figures((0,) * 6 + (1,)),
    )  # fmt: skip
    pages = PdfReader(io.BytesIO(written(PdfWriter, [row] + [replace(row, charge_point_id="CP-1")] * 409, [], 0)[0])).pages
    assert "10 more sessions" in pages[-1].extract_text()
