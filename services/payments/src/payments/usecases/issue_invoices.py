"""One GST invoice per billed session, numbered one after the other: by a worker, so that no bill waits for another's number.

A bill leaves a row in `invoices_due` in its own transaction. Whoever numbers holds the series' row: number, invoice, the due
row's end and the counter are one transaction, so that none is skipped, given twice, or left out, whatever dies.
"""

from datetime import timedelta

import structlog

from chassis.database import UnitOfWork
from chassis.telemetry import mask_phone, mask_vpa
from contracts.charging import TransactionStopped
from money import Bill, MoneyError
from payments.domain.errors import PaymentsError
from payments.domain.invoice import Invoice, Supply, make_invoice, series_of
from payments.repository import invoices
from payments.repository.invoices import Due
from payments.repository.qr_payments import QrPayment
from payments.repository.wallet_sessions import WalletBill
from payments.usecases.context import Payments

log = structlog.get_logger(__name__)

NUMBERED_AT_ONCE = 50
"""Invoices of one transaction, which others who number wait for."""

WAITS_TOO_LONG = timedelta(minutes=5)
"""Issuing takes a moment: a bill that has waited so long is waiting for a person."""


async def owe_invoice(app: Payments, uow: UnitOfWork, supply: Supply) -> None:
    """A session was billed with energy: its invoice is due, from this transaction's commit on. A repeat changes nothing."""
    await invoices.add_due(uow.connection, supply, now=uow.now)
    uow.after_commit(app.invoices.wake)


async def owe_invoice_of_session(
    app: Payments,
    uow: UnitOfWork,
    event: TransactionStopped,
    bill: Bill | WalletBill,
    *,
    source_key: str,
    rider_id: int,
    paid_paise: int,
    platform_fee_paise: int,
    qr_payment_id: int | None = None,
    buyer_masked: str | None = None,
) -> None:
    """The same, of a session that charging told the end of, by whatever it was paid."""
    supply = Supply(
        source_key=source_key,
        qr_payment_id=qr_payment_id,
        transaction_id=event.transaction_id,
        charge_point_id=event.charge_point_id,
        connector_id=event.connector_id,
        station_id=event.station_id,
        station_name=event.station_name,
        place_code=event.station_state_code,
        franchisee_id=event.franchisee_id,
        buyer_reference=f"rdr_{rider_id}",
        buyer_masked=buyer_masked,
        tariff_id=event.tariff_id or None,
        tariff_paise_per_kwh=event.tariff_paise_per_kwh,
        gst_bps=event.gst_bps,
        energy_wh=bill.energy_wh,
        paid_paise=paid_paise,
        energy_charge_paise=bill.energy_charge_paise,
        gst_paise=bill.gst_paise,
        platform_fee_paise=platform_fee_paise,
        shortfall_paise=bill.shortfall_paise,
        started_at=event.started_at,
        stopped_at=event.stopped_at,
        billed_at=uow.now,
    )
    await owe_invoice(app, uow, supply)


async def owe_invoice_of_payment(
    app: Payments, uow: UnitOfWork, payment: QrPayment, event: TransactionStopped, bill: Bill
) -> None:
    """The same, of a session that was paid by scanning. Who collected the payment itself is the seller, and invoices it."""
    if payment.collected_by_account_id is not None:
        return
    await owe_invoice_of_session(
        app,
        uow,
        event,
        bill,
        source_key=payment.request_key,
        rider_id=payment.rider_id,
        paid_paise=bill.paid_paise,
        platform_fee_paise=bill.platform_fee_paise,
        qr_payment_id=payment.id,
        buyer_masked=mask_vpa(payment.vpa) if payment.vpa else mask_phone(payment.contact) if payment.contact else None,
    )


async def issue_invoices(app: Payments) -> bool:
    """Number what is due, in the order in which it was billed. False: nothing is due, or we don't know yet who sells."""
    seller = app.settings.seller
    if seller is None:
        return False
    async with app.database.transaction() as uow:
        series, year = series_of(app.settings.invoice_prefix, uow.now)
        last, last_issued_at = await invoices.hold_series(uow.connection, series, year)
        # Who waited for the series may have begun before the one who held it: dates ascend with numbers all the same.
        issued_at = max(uow.now, last_issued_at) if last_issued_at is not None else uow.now
        due = await invoices.take_due(uow.connection, now=uow.now, limit=NUMBERED_AT_ONCE)
        issued: list[tuple[Due, Invoice]] = []
        for waits in due:
            try:
                made = make_invoice(
                    waits.supply, seller, series=series, year=year, serial=last + len(issued) + 1, issued_at=issued_at
                )
            except (MoneyError, PaymentsError, AssertionError) as error:
                await _put_off(app, uow, waits, error)
            else:
                issued.append((waits, made))
        if issued:
            await invoices.issue(uow.connection, issued)
            uow.after_commit(lambda: app.metrics.invoices.inc(len(issued)))
            log.info("invoices.issued", first=issued[0][1].number, last=issued[-1][1].number, count=len(issued))
    return bool(due)


async def _put_off(app: Payments, uow: UnitOfWork, due: Due, error: Exception) -> None:
    until = uow.now + timedelta(seconds=app.settings.retry_seconds)
    await invoices.put_off(uow.connection, due, error=f"{type(error).__name__}: {error}", until=until)
    uow.after_commit(app.metrics.invoice_failed.inc)
    log.error("invoice.failed", source_key=due.supply.source_key, attempts=due.attempts + 1, exc_info=error)
