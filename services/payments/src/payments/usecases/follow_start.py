"""Charging has answered a start request: a transaction runs on the payment, or the payment goes back."""

import structlog

from chassis.database import UnitOfWork
from contracts.charging import StartRefused, TransactionStarted
from payments.domain.errors import ContradictionError, NotFoundError
from payments.domain.qr_payment import GIVEN_BACK, Trigger, next_state, payment_of_request_key
from payments.repository import qr_payments
from payments.repository.qr_payments import QrPayment
from payments.usecases.context import Payments
from payments.usecases.give_back import give_back_all
from payments.usecases.stop_collection import close_where_the_owner_changed

log = structlog.get_logger(__name__)


async def payment_for(uow: UnitOfWork, request_key: str | None) -> QrPayment | None:
    """The QR payment of a request key, locked; None for a session that no QR paid for (a staff tag, a wallet).

    Raises NotFoundError for a key of ours without a row: a message of another database, which must not be passed over.
    """
    qr_payment_id = payment_of_request_key(request_key)
    if qr_payment_id is None:
        return None
    payment = await qr_payments.find(uow.connection, qr_payment_id, lock=True)
    if payment is None:
        raise NotFoundError(f"there is no payment {request_key}")
    return payment


async def refund_unstarted(app: Payments, uow: UnitOfWork, event: StartRefused) -> None:
    """`charging.start_refused` and `charging.start_expired`: all of it goes back, with charging's reason."""
    payment = await payment_for(uow, event.request_key)
    if payment is not None:
        await give_back_all(app, uow, payment, trigger=Trigger.START_FAILED, reason=event.reason.value, detail=event.detail)


async def link_transaction(app: Payments, uow: UnitOfWork, event: TransactionStarted) -> None:
    """`charging.transaction_started`: the payment has its transaction. Comes late where the stop overtook it."""
    payment = await payment_for(uow, event.request_key)
    if payment is None:
        return
    refuse_other_transaction(payment, event.transaction_id)
    await close_where_the_owner_changed(app, uow, payment, owner_id=event.franchisee_id)
    state = next_state(payment.state, Trigger.TRANSACTION_STARTED)
    if state is not None:
        await qr_payments.set_values(
            uow.connection,
            payment.id,
            state=state.value,
            transaction_id=event.transaction_id,
            station_id=event.station_id,
            franchisee_id=event.franchisee_id,
            updated_at=uow.now,
        )
        log.info("payment.charging", qr_payment_id=payment.id, transaction_id=event.transaction_id)


def refuse_other_transaction(payment: QrPayment, transaction_id: int) -> None:
    """One payment is one transaction. Raises ContradictionError for a second, or for one on a payment that was never served."""
    if payment.transaction_id is not None and payment.transaction_id != transaction_id:
        raise ContradictionError(f"{payment.request_key} has transaction {payment.transaction_id}, not {transaction_id}")
    if payment.transaction_id is None and payment.state in GIVEN_BACK:
        raise ContradictionError(f"transaction {transaction_id} runs on {payment.request_key}, which was given back unstarted")
