"""Razorpay captured a payment of an order: if the order is ours, it is in the rider's wallet, once."""

import structlog

from chassis.database import UnitOfWork
from contracts.wallets import WalletRecharged
from payments.domain import recharge, webhook
from payments.domain.errors import ContradictionError
from payments.domain.recharge import Capture, RechargeFeeSource, RechargeStatus
from payments.domain.webhook import Envelope, Secret
from payments.repository import recharges, wallets
from payments.repository.recharges import Recharge
from payments.repository.webhook_events import WebhookEvent
from payments.usecases.context import Payments
from payments.usecases.lookups import Lookups
from payments.usecases.outcome import Ignored

log = structlog.get_logger(__name__)


async def credit_recharge(
    app: Payments, uow: UnitOfWork, event: WebhookEvent, envelope: Envelope, lookups: Lookups
) -> Ignored | None:
    """`payment.captured` with an order: the one event that recharges a wallet. QR payments fire it as well, without an order.

    What was captured is credited, whatever was asked for and however full the wallet is: it is the rider's money. A payment
    that failed at first, or was authorised late, is known by this event like any other. Emits WalletRecharged.
    """
    capture = recharge.read_capture(envelope)
    if capture is None:
        return Ignored("NO_ORDER: a session's payment, told by qr_code.credited")
    if await recharges.find_payment(uow.connection, capture.razorpay_payment_id) is not None:
        return None
    row = await _whose(app, uow, capture, lookups)
    if isinstance(row, Ignored):
        return row
    asked = event.verified_by == Secret.ASKED
    fee, tax, source = capture.fee_paise, capture.tax_paise, RechargeFeeSource.API if asked else RechargeFeeSource.WEBHOOK
    if fee is None and not asked and (entity := lookups.payment(capture.razorpay_payment_id, account=None)) is not None:
        fee, tax, source = webhook.read_paise(entity.get("fee")), webhook.read_paise(entity.get("tax")), RechargeFeeSource.API
    wallet = await wallets.get(uow.connection, row.wallet_id, lock=True)
    payment = await recharges.add_payment(
        uow.connection,
        recharge_id=row.id,
        capture=capture,
        fee_paise=fee,
        fee_tax_paise=tax if fee is not None else None,
        fee_source=source if fee is not None else None,
        webhook_event_id=event.id,
        received_at=event.received_at,
        now=uow.now,
    )
    if payment is None:
        return None  # somebody recorded it at this very moment
    await wallets.put_in(uow.connection, wallet, amount_paise=payment.amount_paise, payment_id=payment.id, now=uow.now)
    await recharges.set_values(
        uow.connection,
        row.id,
        status=RechargeStatus.PAID.value,
        razorpay_order_id=capture.razorpay_order_id,
        paid_at=row.paid_at or uow.now,
        next_attempt_at=None,
    )
    uow.publish(
        WalletRecharged(
            recharge_payment_id=payment.id,
            recharge_id=row.id,
            wallet_id=wallet.id,
            rider_id=wallet.rider_id,
            razorpay_payment_id=payment.razorpay_payment_id,
            razorpay_order_id=payment.razorpay_order_id,
            amount_paise=payment.amount_paise,
            fee_paise=payment.fee_paise,
            fee_tax_paise=payment.fee_tax_paise,
            credited_at=payment.credited_at,
        ),
        subject=f"recharge_payment/{payment.id}",
    )
    if payment.amount_paise != row.amount_paise or row.status is RechargeStatus.PAID:
        uow.after_commit(app.metrics.recharge_mismatch.inc)
        log.error(
            "recharge.not_as_asked", recharge_id=row.id, asked_paise=row.amount_paise, paid_paise=payment.amount_paise,
            paid_before=row.status is RechargeStatus.PAID,
        )  # fmt: skip
    if asked:
        uow.after_commit(app.metrics.payment_found.labels("payment.captured").inc)
    log.info(
        "wallet.recharged",
        wallet_id=wallet.id,
        recharge_payment_id=payment.id,
        razorpay_payment_id=payment.razorpay_payment_id,
        amount_paise=payment.amount_paise,
        fee_paise=payment.fee_paise,
    )
    return None


async def _whose(app: Payments, uow: UnitOfWork, capture: Capture, lookups: Lookups) -> Recharge | Ignored:
    """The recharge whose order was paid, locked: by Razorpay's id, else by our mark in the order's notes.

    Every environment on the same account gets every event, and so does whatever else the account sells.
    Raises ContradictionError for an order of ours whose row is gone: money came that nobody would have.
    """
    known = await recharges.find_by_order(uow.connection, capture.razorpay_order_id)
    if known is not None:
        return known
    mark = recharge.read_mark(lookups.order(capture.razorpay_order_id))
    if mark is None:
        return Ignored("UNKNOWN_ORDER: it bears no mark of ours")
    if mark.environment != app.settings.qr_mark:
        return Ignored(f"OTHER_ENVIRONMENT: {webhook.storable(mark.environment)}")
    row = await recharges.find(uow.connection, mark.recharge_id, lock=True)
    if row is None or row.razorpay_order_id not in (None, capture.razorpay_order_id):
        raise ContradictionError(f"{capture.razorpay_order_id} is marked as recharge {mark.recharge_id}, which is not its own")
    return row
