"""A rider puts money into the wallet: our row first, then an order at Razorpay, which the rider's checkout pays.

After an unknown outcome the orders with our receipt are listed before anything is sent again (razorpay.md 0a).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from chassis.web import Principal
from payments.domain import recharge
from payments.domain.errors import ProviderUnavailableError
from payments.domain.recharge import RechargeStatus
from payments.domain.refund import backoff_seconds
from payments.domain.wallet import check_recharge
from payments.repository import recharges
from payments.repository.recharges import Recharge
from payments.usecases.audit import audit
from payments.usecases.context import Payments
from payments.usecases.whose import wallet_of
from payments.views import RechargeCreate, RechargeView
from razorpay_client import Permanent, RazorpayError, Retryable

log = structlog.get_logger(__name__)

CLAIM_SECONDS = 120
"""How long an order that Razorpay is being asked for is left alone: longer than any call."""


async def recharge_wallet(app: Payments, body: RechargeCreate, principal: Principal) -> RechargeView:
    """`POST /v1/wallets/me/recharges`. Answers CREATING where Razorpay's answer is still open; a sweep settles it.

    Raises ConflictError outside the limits, ProviderUnavailableError where Razorpay refused.
    """
    async with app.database.transaction() as uow:
        wallet = await wallet_of(uow, principal)
        check_recharge(body.amount_paise, balance_paise=wallet.balance_paise, limits=app.settings.wallet_limits)
        recharge_id = await recharges.add(uow.connection, wallet_id=wallet.id, amount_paise=body.amount_paise, now=uow.now)
        asked = recharge.order_body(recharge_id, amount_paise=body.amount_paise, environment=app.settings.qr_mark)
        await recharges.set_values(uow.connection, recharge_id, body=asked)
        row = await recharges.claim(uow.connection, await recharges.get(uow.connection, recharge_id), lapses_at=_lapse(uow.now))
        audit(
            uow,
            principal,
            entity="recharge",
            entity_id=f"rcg_{recharge_id}",
            action="create",
            after={"amount_paise": body.amount_paise},
        )
    await _ask(app, row)
    async with app.database.reading() as uow:
        made = await recharges.get(uow.connection, row.id)
    if made.status is RechargeStatus.REFUSED:
        raise ProviderUnavailableError(f"Razorpay refused the order: {made.last_error}")
    return RechargeView.of(made, key_id=app.settings.razorpay_key_id)


async def settle_recharges(app: Payments) -> None:
    """The sweep: whatever is CREATING and due, one after the other."""
    while not app.stopping:
        async with app.database.transaction() as uow:
            row = await recharges.claim_due(uow.connection, now=uow.now, lapses_at=_lapse(uow.now))
        if row is None:
            return
        await _ask(app, row)


def _lapse(now: datetime) -> datetime:
    return now + timedelta(seconds=CLAIM_SECONDS)


async def _ask(app: Payments, row: Recharge) -> None:
    """Ask Razorpay for a claimed row's order, and persist. The claim is committed; no transaction is open during the call."""
    try:
        entity = await _found_or_made(app, row)
    except RazorpayError as error:
        await _come_back(app, row, error)
        return
    async with app.database.transaction() as uow:
        await recharges.opened(uow.connection, row.id, str(entity["id"]))
    log.info("recharge.open", recharge_id=row.id, razorpay_order_id=entity["id"], amount_paise=row.amount_paise)


async def _found_or_made(app: Payments, row: Recharge) -> Mapping[str, Any]:
    """The order that an earlier call made, else a new one. Permanent is raised for a refused creation alone."""
    if row.calls > 0:
        try:
            listed = await app.razorpay.orders_with_receipt(recharge.receipt_of(row.id))
        except Permanent as error:
            raise Retryable(f"the list was refused, so nobody knows whether it exists: {error.description}") from error
        found = recharge.find_order(listed, recharge_id=row.id, environment=app.settings.qr_mark)
        if found is not None:
            return found
    return await app.razorpay.create_order(row.body)


async def _come_back(app: Payments, row: Recharge, error: RazorpayError) -> None:
    refused = isinstance(error, Permanent)
    log.warning(
        "recharge.refused" if refused else "recharge.retry_later",
        recharge_id=row.id,
        status=error.status,
        error=error.description,
    )
    async with app.database.transaction() as uow:
        current = await recharges.get(uow.connection, row.id, lock=True)
        if current.status is not RechargeStatus.CREATING:
            return  # an event has settled it meanwhile
        if refused:
            await recharges.set_values(
                uow.connection,
                row.id,
                status=RechargeStatus.REFUSED.value,
                last_error=error.description,
                next_attempt_at=None,
            )
            uow.after_commit(app.metrics.recharge_failed.inc)
            return
        pause = timedelta(seconds=backoff_seconds(recharge.receipt_of(row.id), row.calls + 1))
        await recharges.set_values(uow.connection, row.id, last_error=error.description, next_attempt_at=uow.now + pause)
