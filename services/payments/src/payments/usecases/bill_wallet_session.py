"""A wallet's session has ended: one bill, once, from what was put aside; the rest is free at once."""

import structlog

from chassis.database import UnitOfWork
from chassis.messaging import is_transient
from contracts.charging import TransactionStopped
from contracts.wallets import WalletSessionBilled
from money import MoneyError, final_bill
from payments.domain.credit import RefundReason
from payments.domain.wallet_session import SessionState, SessionTrigger, next_session_state
from payments.repository import wallet_sessions, wallets
from payments.repository.wallet_sessions import WalletBill, WalletSession
from payments.usecases.bill_session import RETRIED_AT_ONCE_MAX
from payments.usecases.context import Payments
from payments.usecases.follow_wallet_session import refuse_other_transaction, release, session_for
from payments.usecases.issue_invoices import owe_invoice_of_session

log = structlog.get_logger(__name__)


async def bill_wallet_session(app: Payments, uow: UnitOfWork, event: TransactionStopped) -> None:
    """`charging.transaction_stopped`. Emits WalletSessionBilled; without energy nothing is paid, and there is no bill.

    Where no honest bill can be made the session waits as BILLING_FAILED, its hold standing, with an alarm, and is tried every
    30 minutes. Raises ContradictionError for a second transaction on one session.
    """
    found = await session_for(uow, event.request_key)
    if found is None:
        return
    session, wallet = found
    refuse_other_transaction(session, event.transaction_id)
    if event.energy_wh == 0:
        if next_session_state(session.state, SessionTrigger.NOTHING_DELIVERED) is not None:
            uow.after_commit(app.metrics.zero_energy_stopped.inc)
        await release(
            app,
            uow,
            session,
            wallet,
            trigger=SessionTrigger.NOTHING_DELIVERED,
            reason=RefundReason.NO_ENERGY.value,
            detail="The session ended without any energy delivered.",
            transaction_id=event.transaction_id,
        )
        return
    try:
        # No fee: what Razorpay took of the recharge is our expense. What would go back to a payer is free in the wallet.
        bill = final_bill(
            energy_wh=event.energy_wh,
            tariff_paise_per_kwh=event.tariff_paise_per_kwh,
            gst_bps=event.gst_bps,
            platform_fee_paise=0,
            paid_paise=session.hold_paise,
        )
    except (MoneyError, AssertionError) as error:
        await _failed(app, uow, session, event, error)
        return
    state = next_session_state(session.state, SessionTrigger.BILLED)
    if state is None:
        return
    row = await wallet_sessions.add_bill(uow.connection, session=session, stopped=event, bill=bill, now=uow.now)
    await wallets.pay(
        uow.connection,
        wallet,
        held_paise=session.hold_paise,
        billed_paise=row.billed_paise,
        bill_id=row.id,
        now=uow.now,
    )
    await wallet_sessions.set_values(
        uow.connection,
        session.id,
        state=state.value,
        transaction_id=event.transaction_id,
        stopped=event.model_dump(mode="json"),
        updated_at=uow.now,
    )
    await owe_invoice_of_session(
        app,
        uow,
        event,
        row,
        source_key=session.request_key,
        rider_id=session.rider_id,
        paid_paise=row.billed_paise,
        platform_fee_paise=0,
    )
    uow.publish(_billed(session, event, row), subject=session.request_key)
    log.info(
        "wallet_session.billed",
        wallet_session_id=session.id,
        transaction_id=event.transaction_id,
        energy_wh=row.energy_wh,
        held_paise=row.held_paise,
        billed_paise=row.billed_paise,
        shortfall_paise=row.shortfall_paise,
    )


def _billed(session: WalletSession, event: TransactionStopped, bill: WalletBill) -> WalletSessionBilled:
    return WalletSessionBilled(
        wallet_session_id=session.id,
        wallet_id=session.wallet_id,
        rider_id=session.rider_id,
        transaction_id=event.transaction_id,
        charge_point_id=event.charge_point_id,
        connector_id=event.connector_id,
        station_id=event.station_id,
        franchisee_id=event.franchisee_id,
        started_at=event.started_at,
        stopped_at=event.stopped_at,
        energy_wh=bill.energy_wh,
        tariff_paise_per_kwh=bill.tariff_paise_per_kwh,
        gst_bps=bill.gst_bps,
        held_paise=bill.held_paise,
        billed_paise=bill.billed_paise,
        energy_charge_paise=bill.energy_charge_paise,
        gst_paise=bill.gst_paise,
        shortfall_paise=bill.shortfall_paise,
        implausible=bill.implausible,
        billed_at=bill.billed_at,
    )


async def _failed(
    app: Payments,
    uow: UnitOfWork,
    session: WalletSession,
    event: TransactionStopped,
    error: MoneyError | AssertionError,
) -> None:
    state = next_session_state(session.state, SessionTrigger.BILLING_FAILED)
    if state is not None:
        await wallet_sessions.set_values(
            uow.connection,
            session.id,
            state=state.value,
            transaction_id=event.transaction_id,
            stopped=event.model_dump(mode="json"),
            updated_at=uow.now,
        )
    uow.after_commit(app.metrics.billing_failed.inc)
    log.error(
        "wallet_session.billing_failed",
        wallet_session_id=session.id,
        transaction_id=event.transaction_id,
        exc_info=error,
    )


async def retry_failed_wallet_bills(app: Payments) -> None:
    """The 30-minute retry (P11): as for payments by QR code, all of them, whatever becomes of one."""
    last_id = 0
    while not app.stopping:
        async with app.database.reading() as uow:
            waiting = await wallet_sessions.ids_in_state(
                uow.connection, SessionState.BILLING_FAILED, after_id=last_id, limit=RETRIED_AT_ONCE_MAX
            )
        if not waiting:
            return
        for last_id in waiting:
            try:
                async with app.database.transaction() as uow:
                    session = await wallet_sessions.find(uow.connection, last_id)
                    if session is not None and session.state is SessionState.BILLING_FAILED and session.stopped is not None:
                        await bill_wallet_session(app, uow, TransactionStopped.model_validate(session.stopped))
            except Exception as error:
                if is_transient(error):
                    raise  # the database is away, for the others too: the sweep comes back
                app.metrics.billing_failed.inc()
                log.exception("wallet_session.billing_retry_failed", wallet_session_id=last_id)
