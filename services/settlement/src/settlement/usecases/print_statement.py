"""A franchisee's month as JSON, PDF, CSV or XLSX: one fold, then its sessions row by row, in a file before anything is sent.

Nothing is held in memory but a page of rows, days and chargers; no transaction is open while a slow caller reads.
"""

import asyncio
import tempfile
from collections.abc import Callable
from typing import IO

from aiohttp import web

from chassis.database import UnitOfWork
from chassis.web import Principal, invalid_field
from settlement.domain.franchisee_statement import Month, Owner, Statement, masked, statement_of, until_of
from settlement.printing import CsvWriter, PdfWriter, StatementWriter, XlsxWriter
from settlement.repository import statements
from settlement.repository.franchisees import Franchisee
from settlement.usecases.context import Settlement
from settlement.usecases.see import visible_franchisee
from settlement.views import FranchiseeId
from settlement.views.statements import StatementMonth, StatementView


async def show_statement(
    uow: UnitOfWork, franchisee_id: FranchiseeId, month: StatementMonth, principal: Principal
) -> StatementView:
    """`GET /v1/franchisees/{id}/statements/{month}`. Raises NoSuchFranchisee, Problem 422 for a month that has not begun."""
    return StatementView.of(await _read(uow, franchisee_id, month, principal))


async def print_statement_csv(
    app: Settlement, franchisee_id: FranchiseeId, month: StatementMonth, principal: Principal
) -> web.StreamResponse:
    """`GET …/statements/{month}.csv`. Raises as show_statement."""
    return await _print(app, franchisee_id, month, principal, CsvWriter, "csv")


async def print_statement_xlsx(
    app: Settlement, franchisee_id: FranchiseeId, month: StatementMonth, principal: Principal
) -> web.StreamResponse:
    """`GET …/statements/{month}.xlsx`. Raises as show_statement."""
    return await _print(app, franchisee_id, month, principal, XlsxWriter, "xlsx")


async def print_statement_pdf(
    app: Settlement, franchisee_id: FranchiseeId, month: StatementMonth, principal: Principal
) -> web.StreamResponse:
    """`GET …/statements/{month}.pdf`. Raises as show_statement."""
    return await _print(app, franchisee_id, month, principal, PdfWriter, "pdf")


async def _print(
    app: Settlement,
    franchisee_id: int,
    month: str,
    principal: Principal,
    form: Callable[[IO[bytes]], StatementWriter],
    ending: str,
) -> web.StreamResponse:
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by whoever sends it, or below
    try:
        async with app.printing:
            writer = form(file)
            async with app.database.reading() as uow:
                statement = await _read(uow, franchisee_id, month, principal)
                await asyncio.to_thread(writer.begin, statement)
                async for rows in statements.rows(
                    uow.connection, franchisee_id, since=statement.month.start, until=statement.until, limit=writer.ROWS
                ):
                    await asyncio.to_thread(writer.rows, rows)
            await asyncio.to_thread(writer.end, statement)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    name = f"voltlync-frn_{franchisee_id}-{month}.{ending}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-cache"}
    return web.Response(body=file, headers=headers | {"Content-Type": writer.CONTENT_TYPE})


async def _read(uow: UnitOfWork, franchisee_id: int, text: str, principal: Principal) -> Statement:
    """The whole statement, of sums by day and charger: no session is looked at twice."""
    franchisee = await visible_franchisee(uow, franchisee_id, principal)
    month = Month.parse(text)
    if uow.now < month.start:
        raise invalid_field("#/path/month", "This month has not begun")
    span = {"since": month.start, "until": until_of(month, uow.now)}
    return statement_of(
        _owner(franchisee),
        month,
        now=uow.now,
        opening_paise=await statements.balance(uow.connection, franchisee_id, before=month.start),
        rows=await statements.sums_by_place(uow.connection, franchisee_id, **span),
        payments=await statements.payments(uow.connection, franchisee_id, **span),
    )


def _owner(franchisee: Franchisee) -> Owner:
    """Who it is for: of bank account and PAN only the end."""
    address, bank = franchisee.address, franchisee.bank
    parts = [address.get(name) for name in ("street1", "street2", "city", "state")]
    return Owner(
        franchisee_id=franchisee.id,
        legal_business_name=franchisee.legal_business_name,
        display_name=franchisee.display_name,
        address=f"{', '.join(str(part) for part in parts if part)} {address.get('postal_code', '')}".strip(),
        gstin=franchisee.gstin,
        pan_masked=masked(franchisee.pan),
        bank_masked=f"{masked(str(bank['account_number']))}, {bank['ifsc_code']}",
    )
