"""Credit notes, and the refunds that wait for theirs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from payments.domain.credit_note import CreditNote, Reduced
from payments.domain.errors import NotFoundError
from payments.invoice_tables import credit_notes, credit_notes_due, invoice_series, invoices
from payments.repository.invoices import InvoiceRow, ids_of_rider, invoice_from
from payments.repository.operator_refunds import OperatorRefund
from payments.repository.rows import columns_of
from payments.tables import operator_refunds

_T, _D, _O = credit_notes.c, credit_notes_due.c, operator_refunds.c


@dataclass(frozen=True, slots=True)
class CreditNoteRow:
    """A row of `credit_notes`, with the decision that it is of and the refund's number among those of its bill."""

    id: int
    number: str
    series: str
    serial: int
    financial_year: int
    note_date: date
    operator_refund_id: int
    invoice_id: int
    taxable_paise: int
    cgst_paise: int
    sgst_paise: int
    igst_paise: int
    round_off_paise: int
    total_paise: int
    issued_at: datetime
    qr_payment_id: int | None
    wallet_session_id: int | None
    source_key: str
    refund_number: int
    reason: str
    gst_before_paise: int


@dataclass(frozen=True, slots=True)
class NoteOnInvoice:
    """A note with the invoice that it reduces, whose seller, buyer and place are its own."""

    note: CreditNoteRow
    invoice: InvoiceRow


@dataclass(frozen=True, slots=True)
class Due:
    """A refund that waits for its note."""

    reduced: Reduced
    attempts: int


async def add_due(connection: AsyncConnection, operator_refund_id: int, *, now: datetime) -> None:
    """A refund reduced the supply: its note is due."""
    await connection.execute(
        insert(credit_notes_due).values(operator_refund_id=operator_refund_id, next_attempt_at=now, created_at=now)
    )


async def take_due(connection: AsyncConnection, *, now: datetime, limit: int) -> list[Due]:
    """What is due and has its invoice, in the order of the decisions, locked; what another numbers is left to it."""
    query = (
        select(
            _D.operator_refund_id,
            _D.attempts,
            _O.energy_charge_paise,
            _O.gst_paise,
            _O.gst_before_paise,
            invoices.c.id.label("invoice_id"),
            invoices.c.interstate,
        )
        .join(operator_refunds, _O.id == _D.operator_refund_id)
        .join(invoices, invoices.c.source_key == _O.source_key)
        .where(_D.next_attempt_at <= now)
        .order_by(_D.operator_refund_id)
        .limit(limit)
        .with_for_update(of=credit_notes_due, skip_locked=True)
    )
    rows = (await connection.execute(query)).all()
    return [Due(Reduced(**columns_of(row, Reduced)), row.attempts) for row in rows]


async def put_off(connection: AsyncConnection, due: Due, *, error: str, until: datetime) -> None:
    """No note can be made of it now; the others go on."""
    await connection.execute(
        update(credit_notes_due)
        .where(_D.operator_refund_id == due.reduced.operator_refund_id)
        .values(attempts=due.attempts + 1, last_error=error, next_attempt_at=until)
    )


async def waiting(connection: AsyncConnection, *, since: datetime) -> int:
    """How many refunds have waited for their note since before a moment."""
    count = select(func.count()).select_from(credit_notes_due).where(_D.created_at < since)
    return (await connection.scalar(count)) or 0


async def issue(connection: AsyncConnection, issued: Sequence[CreditNote]) -> None:
    """Write notes of one series, in order of their numbers; their refunds wait no longer. The caller holds the series."""
    last = issued[-1]
    await connection.execute(insert(credit_notes), [_values(note) for note in issued])
    of = [note.reduced.operator_refund_id for note in issued]
    await connection.execute(delete(credit_notes_due).where(_D.operator_refund_id.in_(of)))
    await connection.execute(
        update(invoice_series)
        .where(invoice_series.c.series == last.series)
        .values(last_number=last.serial, last_issued_at=last.issued_at)
    )


def _values(note: CreditNote) -> dict[str, Any]:
    return {
        "number": note.number,
        "series": note.series,
        "serial": note.serial,
        "financial_year": note.financial_year,
        "note_date": note.note_date,
        "operator_refund_id": note.reduced.operator_refund_id,
        "invoice_id": note.reduced.invoice_id,
        "taxable_paise": note.lines.taxable_paise,
        "cgst_paise": note.lines.cgst_paise,
        "sgst_paise": note.lines.sgst_paise,
        "igst_paise": note.lines.igst_paise,
        "round_off_paise": note.lines.round_off_paise,
        "total_paise": note.lines.total_paise,
        "issued_at": note.issued_at,
    }


_SELECT = select(
    credit_notes,
    _O.qr_payment_id,
    _O.wallet_session_id,
    _O.source_key,
    _O.number.label("refund_number"),
    _O.reason,
    _O.gst_before_paise,
).join(operator_refunds, _O.id == _T.operator_refund_id)


def note_from(row: Any) -> CreditNoteRow:
    """The note of a row of `listing`."""
    return CreditNoteRow(**columns_of(row, CreditNoteRow))


async def get(connection: AsyncConnection, credit_note_id: int) -> CreditNoteRow:
    """One note. Raises NotFoundError."""
    row = (await connection.execute(_SELECT.where(_T.id == credit_note_id))).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no credit note crn_{credit_note_id}.")
    return note_from(row)


async def ids_of(connection: AsyncConnection, decided: Iterable[OperatorRefund]) -> dict[int, int]:
    """{operators' refund: its note}, where it has one."""
    query = select(_T.operator_refund_id, _T.id).where(_T.operator_refund_id.in_([refund.id for refund in decided]))
    return {row.operator_refund_id: row.id for row in await connection.execute(query)}


def listing(*, first_day: date | None, last_day: date | None, qr_payment_id: int | None, invoice_id: int | None) -> Select[Any]:
    """Notes by what is given; days are India's, both included."""
    query = _SELECT
    if first_day is not None:
        query = query.where(_T.note_date >= first_day)
    if last_day is not None:
        query = query.where(_T.note_date <= last_day)
    if qr_payment_id is not None:
        query = query.where(_O.qr_payment_id == qr_payment_id)
    if invoice_id is not None:
        query = query.where(_T.invoice_id == invoice_id)
    return query


def of_rider(rider_id: int) -> Select[Any]:
    """What was issued on a rider's invoices."""
    return _SELECT.where(_T.invoice_id.in_(ids_of_rider(rider_id)))


async def of_days(
    connection: AsyncConnection, *, first_day: date, last_day: date, after_id: int, limit: int
) -> list[NoteOnInvoice]:
    """Notes of these days after an id with their invoices, in order of ids, which is the order of their numbers."""
    query = listing(first_day=first_day, last_day=last_day, qr_payment_id=None, invoice_id=None)
    rows = (await connection.execute(query.where(_T.id > after_id).order_by(_T.id).limit(limit))).all()
    notes = [note_from(row) for row in rows]
    wanted = select(invoices).where(invoices.c.id.in_({note.invoice_id for note in notes}))
    reduced = {row.id: invoice_from(row) for row in await connection.execute(wanted)}
    return [NoteOnInvoice(note, reduced[note.invoice_id]) for note in notes]
