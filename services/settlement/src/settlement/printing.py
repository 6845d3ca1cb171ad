"""A statement as CSV, XLSX and PDF: three writers of one fold, so that the totals are the same in each by construction.

    begin(statement) → rows(...) as they come → end(statement)

Everything here is computing and writes to a file it is given: it runs in a thread, and the same statement gives the same figures.
Amounts go from integer paise to text or decimals; no float is on the way.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import IO, Any, ClassVar, Literal, Protocol

import typst
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from money import rupees
from settlement.domain.explain import percent
from settlement.domain.franchisee_statement import Figures, Row, Statement
from settlement.domain.tax import INDIA

AMOUNTS = ("gross", "refund", "residue", "pg_fee", "gst", "commission", "tds", "payout")
"""Columns of every table of sessions, in the order of the identity."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def safe_text(text: object) -> str:
    """What somebody entered, as no spreadsheet takes for a formula: marked as text where it begins like one."""
    shown = _CONTROL.sub(" ", str(text)).replace("\t", " ").replace("\n", " ")
    return f"'{shown}" if shown.lstrip()[:1] in ("=", "+", "-", "@", "＝", "＋", "－", "＠") else shown


def in_rupees(paise: int) -> Decimal:
    """An amount as a decimal of rupees, exactly."""
    return Decimal(paise).scaleb(-2)


def india_time(at: datetime | None) -> str:
    """A time in India, to the second: "2026-11-03 14:05:09"."""
    return "" if at is None else f"{at.astimezone(INDIA):%Y-%m-%d %H:%M:%S}"


def _amounts(figures: Figures) -> list[int]:
    return [getattr(figures, f"{name}_paise") for name in AMOUNTS]


class StatementWriter(Protocol):
    """One form of a statement."""

    CONTENT_TYPE: ClassVar[str]
    ROWS: ClassVar[int | None]
    """How many sessions it lists at most; None: all."""

    def __init__(self, file: IO[bytes]) -> None: ...

    def begin(self, statement: Statement) -> None:
        """Whose and of when."""

    def rows(self, rows: Sequence[Row]) -> None:
        """What was booked, one by one, as it comes from the database."""

    def end(self, statement: Statement) -> None:
        """Its totals."""


class CsvWriter:
    """For machines: one table, whose first column says what a line is. UTF-8, no byte order mark, rupees with a point."""

    CONTENT_TYPE: ClassVar[str] = "text/csv; charset=utf-8"
    ROWS: ClassVar[int | None] = None
    COLUMNS: ClassVar[tuple[str, ...]] = (
        "record", "date", "reference", "transaction", "station", "charger", "connector", "started_at_ist", "stopped_at_ist",
        "sessions", "energy_wh", *(f"{name}_inr" for name in AMOUNTS), "amount_inr", "utr", "description",
    )  # fmt: skip

    def __init__(self, file: IO[bytes]) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        self._csv = csv.DictWriter(self._text, self.COLUMNS, restval="", lineterminator="\r\n")

    def begin(self, statement: Statement) -> None:
        self._csv.writeheader()
        owner = statement.owner
        self._line("OWNER", reference=f"frn_{owner.franchisee_id}", description=safe_text(owner.legal_business_name))
        state = "closed" if statement.closed else f"open, up to {india_time(statement.until)} IST"
        self._line("MONTH", date=str(statement.month), description=state)

    def rows(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._line(
                row.kind.value,
                row.figures,
                date=india_time(row.booked_at),
                reference=row.reference,
                transaction=f"txn_{row.transaction_id}" if row.transaction_id is not None else "",
                station=f"stn_{row.station_id}" if row.station_id is not None else "",
                charger=safe_text(row.charge_point_id or ""),
                connector=row.connector_id if row.connector_id is not None else "",
                started_at_ist=india_time(row.started_at),
                stopped_at_ist=india_time(row.stopped_at),
            )

    def end(self, statement: Statement) -> None:
        for place in sorted(statement.places):
            self._line(
                "DAY",
                statement.places[place],
                date=str(place.day),
                station=f"stn_{place.station_id}" if place.station_id else "",
                charger=safe_text(place.charge_point_id),
            )
        for payment in statement.payments:
            self._line(
                "PAYMENT",
                date=india_time(payment.paid_at),
                reference=payment.settlement_id or "",
                amount_inr=in_rupees(payment.amount_paise),
                utr=safe_text(payment.utr or ""),
                description=f"{payment.transfers} transfers",
            )
        for (section, bps), tax in sorted(statement.taxes.items()):
            words = f"{section} at {percent(bps)} of sales of {in_rupees(tax.base_paise)}"
            self._line("TDS", amount_inr=in_rupees(tax.tds_paise), description=safe_text(words))
        for line in statement.lines():
            self._line("TOTAL", reference=line.name, amount_inr=in_rupees(line.paise), description=safe_text(line.words))
        self._text.detach()

    def _line(self, record: str, figures: Figures | None = None, **values: object) -> None:
        amounts: dict[str, object] = {}
        if figures is not None:
            amounts = {f"{name}_inr": in_rupees(getattr(figures, f"{name}_paise")) for name in AMOUNTS}
            amounts |= {"sessions": figures.sessions, "energy_wh": figures.energy_wh}
        self._csv.writerow({"record": record, **amounts, **values})


class XlsxWriter:
    """For people with a spreadsheet: a summary, days and chargers, every session, payments. Amounts are numbers of rupees."""

    CONTENT_TYPE: ClassVar[str] = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    ROWS: ClassVar[int | None] = 20_000
    """A session costs 0.3 ms of computing: of a larger month the summary says that the CSV has all of them."""
    RUPEES: ClassVar[str] = "[>=10000000]##\\,##\\,##\\,##0.00;[>=100000]##\\,##\\,##0.00;##,##0.00"
    """Lakh and crore; Excel's formats know two conditions, so a large negative amount is grouped in thousands."""
    WIDTHS: ClassVar[dict[str, tuple[int, ...]]] = {
        "Summary": (44, 18, 24),
        "Days": (12, 12, 20, 9, 12, *(13,) * len(AMOUNTS)),
        "Sessions": (20, 12, 12, 12, 12, 20, 10, 20, 20, 12, *(13,) * len(AMOUNTS)),
        "Payments": (20, 24, 26, 10, 14),
    }

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        # Sheets are written to files of their own as they grow: a month of any size takes no more memory than a small one.
        self._book = Workbook(write_only=True)
        self._cells: dict[tuple[str, int, type], Any] = {}
        self._sheets = {name: self._sheet(name) for name in self.WIDTHS}
        self._sessions, self._listed = self._sheets["Sessions"], 0

    def begin(self, statement: Statement) -> None:
        owner, summary = statement.owner, self._sheets["Summary"]
        self._bold(summary, ["Statement", str(statement.month)])
        for name, value in (
            ("Franchisee", owner.legal_business_name),
            ("Number", f"frn_{owner.franchisee_id}"),
            ("Address", owner.address),
            ("GSTIN", owner.gstin or "none"),
            ("PAN", owner.pan_masked or "none"),
            ("Bank account", owner.bank_masked),
            ("State", "closed" if statement.closed else f"open, up to {india_time(statement.until)} IST"),
        ):
            self._append(summary, [name, value])
        self._append(summary, [])
        sums = ["Sessions", "Energy Wh", *_HEADINGS]
        self._bold(self._sheets["Days"], ["Day", "Station", "Charger", *sums])
        self._bold(self._sessions, _SESSION_HEADINGS)
        self._bold(self._sheets["Payments"], ["Paid (IST)", "Settlement", "UTR", "Transfers", "Amount ₹"])

    def rows(self, rows: Sequence[Row]) -> None:
        self._listed += sum(row.figures.sessions for row in rows)
        for row in rows:
            self._append(
                self._sessions,
                [
                    india_time(row.booked_at),
                    row.kind.value.capitalize(),
                    row.reference,
                    f"txn_{row.transaction_id}" if row.transaction_id is not None else "",
                    f"stn_{row.station_id}" if row.station_id is not None else "",
                    row.charge_point_id or "",
                    row.connector_id,
                    india_time(row.started_at),
                    india_time(row.stopped_at),
                    row.figures.energy_wh,
                    *(in_rupees(paise) for paise in _amounts(row.figures)),
                ],
            )

    def end(self, statement: Statement) -> None:
        summary = self._sheets["Summary"]
        for line in statement.lines():
            self._append(summary, [line.words, in_rupees(line.paise), line.name])
        self._append(summary, [])
        for (section, bps), tax in sorted(statement.taxes.items()):
            self._append(summary, [f"TDS, {section}, {percent(bps)}", in_rupees(tax.tds_paise), "on sales of"])
            self._append(summary, ["", in_rupees(tax.base_paise)])
        if statement.total.sessions > self._listed:
            self._append(
                summary, [f"{statement.total.sessions - self._listed} more sessions are in the CSV form and in these totals"]
            )
        for place in sorted(statement.places):
            figures = statement.places[place]
            key = [str(place.day), f"stn_{place.station_id}" if place.station_id else "", place.charge_point_id]
            amounts = [in_rupees(paise) for paise in _amounts(figures)]
            self._append(self._sheets["Days"], [*key, figures.sessions, figures.energy_wh, *amounts])
        for payment in statement.payments:
            values = [india_time(payment.paid_at), payment.settlement_id or "", payment.utr or "", payment.transfers]
            self._append(self._sheets["Payments"], [*values, in_rupees(payment.amount_paise)])
        self._book.save(self._file)

    def _sheet(self, name: str) -> WriteOnlyWorksheet:
        sheet = self._book.create_sheet(name)
        for column, width in enumerate(self.WIDTHS[name]):
            sheet.column_dimensions["ABCDEFGHIJKLMNOPQRSTUVWXYZ"[column]].width = width
        return sheet

    def _bold(self, sheet: WriteOnlyWorksheet, values: Iterable[object]) -> None:
        cells = [self._cell(sheet, value) for value in values]
        for cell in cells:
            cell.font = Font(bold=True)
        sheet.append(cells)

    def _append(self, sheet: WriteOnlyWorksheet, values: Iterable[object]) -> None:
        # A row is written as it is appended, so its cells serve again for the next: most of the time of a large month.
        cells = []
        for column, value in enumerate(values):
            kind = Decimal if isinstance(value, Decimal) else str
            cell = self._cells.get((sheet.title, column, kind))
            if cell is None:
                cell = self._cells[sheet.title, column, kind] = self._cell(sheet, value)
            elif isinstance(value, str):
                cell.value = safe_text(value)
                cell.data_type = "s"
            else:
                cell.value = value
            cells.append(cell)
        sheet.append(cells)

    def _cell(self, sheet: WriteOnlyWorksheet, value: object) -> Any:
        if isinstance(value, str):
            cell = WriteOnlyCell(sheet, value=safe_text(value))
            cell.data_type = "s"  # text, whatever it begins with
            return cell
        cell = WriteOnlyCell(sheet, value=value)
        if isinstance(value, Decimal):
            cell.number_format = self.RUPEES
        return cell


_HEADINGS = ("Paid ₹", "Refund ₹", "Residue ₹", "Fee ₹", "GST ₹", "Commission ₹", "TDS ₹", "Payout ₹")
_SESSION_HEADINGS = (
    "Booked (IST)", "What", "Entry", "Session", "Station", "Charger", "Connector", "Started (IST)", "Stopped (IST)",
    "Energy Wh", *_HEADINGS,
)  # fmt: skip


class PdfWriter:
    """For people who print: totals first, then days, chargers, payments and tax, then sessions as far as paper makes sense."""

    CONTENT_TYPE: ClassVar[str] = "application/pdf"
    ROWS: ClassVar[int | None] = 400
    """Of a larger month it says where the rest is."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._kept: list[list[str]] = []
        self._listed = 0

    def begin(self, statement: Statement) -> None:
        """All of it is set at the end."""

    def rows(self, rows: Sequence[Row]) -> None:
        self._listed += sum(row.figures.sessions for row in rows)
        for row in rows:
            transaction = f"txn_{row.transaction_id}" if row.transaction_id is not None else row.kind.value.capitalize()
            place = " / ".join(str(part) for part in (row.charge_point_id, row.connector_id) if part is not None)
            self._kept.append(
                [india_time(row.booked_at)[5:16], row.reference, transaction, place, _kwh(row.figures), *_shown(row.figures)]
            )

    def end(self, statement: Statement) -> None:
        self._file.write(self.typeset(statement, "pdf"))

    def typeset(self, statement: Statement, kind: Literal["pdf", "png"], *, pixels_per_inch: int = 110) -> bytes:
        """The PDF, or its first page as PNG."""
        # The fonts that come with typst: the same statement on every machine, and all of them are embedded in the PDF.
        inputs = {"statement": json.dumps(self._values(statement))}
        compiler = typst.Compiler(_template(), ignore_system_fonts=True, sys_inputs=inputs)
        pages = compiler.compile(format=kind, ppi=pixels_per_inch, timestamp=0)
        if pages is None:
            raise TypeError("typst gave no page")
        return pages if isinstance(pages, bytes) else pages[0]

    def _values(self, statement: Statement) -> dict[str, Any]:
        owner = statement.owner
        first, last = date(statement.month.year, statement.month.month, 1), statement.month.end
        return {
            "title": f"Statement {statement.month} of frn_{owner.franchisee_id}",
            "month": f"{first:%B %Y}",
            "period": f"1 {first:%b} to {(last.date().toordinal() - first.toordinal())} {first:%b %Y}, IST",
            "open": None if statement.closed else f"Not closed yet: this is up to {india_time(statement.until)} IST.",
            "owner": [
                ["Franchisee", owner.legal_business_name],
                ["Known as", owner.display_name],
                ["Address", owner.address],
                ["Number", f"frn_{owner.franchisee_id}"],
                ["GSTIN", owner.gstin or "none"],
                ["PAN", owner.pan_masked or "none"],
                ["Bank account", owner.bank_masked],
            ],
            "sessions": f"{statement.total.sessions} sessions, {_kwh(statement.total)} kWh",
            "lines": [[line.name, line.words, rupees(line.paise)] for line in statement.lines()],
            "headings": ["Paid", "Refund", "Residue", "Fee", "GST", "Commission", "TDS", "Payout"],
            "days": [
                [f"{day:%a} {day.day} {day:%b}", str(figures.sessions), _kwh(figures), *_shown(figures)]
                for day, figures in statement.by_day().items()
            ],
            "chargers": [
                [f"stn_{station}" if station else "–", charger or "–", str(figures.sessions), _kwh(figures), *_shown(figures)]
                for (station, charger), figures in statement.by_charger().items()
            ],
            "payments": [
                [
                    india_time(payment.paid_at)[:16],
                    payment.settlement_id or "–",
                    payment.utr or "–",
                    str(payment.transfers),
                    rupees(payment.amount_paise),
                ]
                for payment in statement.payments
            ],
            "taxes": [
                [section, percent(bps), rupees(tax.base_paise), rupees(tax.tds_paise)]
                for (section, bps), tax in sorted(statement.taxes.items())
            ],
            "rows": self._kept,
            "left_out": statement.total.sessions - self._listed,
        }


def _shown(figures: Figures) -> list[str]:
    """Amounts for a narrow column: the heading says rupees."""
    return [rupees(paise).replace("₹", "") for paise in _amounts(figures)]


def _kwh(figures: Figures) -> str:
    whole, rest = divmod(abs(figures.energy_wh), 1000)
    return f"{'-' if figures.energy_wh < 0 else ''}{whole}.{rest:03d}"


@cache
def _template() -> bytes:
    return files("settlement").joinpath("statement.typ").read_bytes()
