"""Razorpay is asked what was paid: a payment that no event told of is kept like the event, and worked as that would have been.

The webhook stays the way in which money comes. This is for the day on which it does not: Razorpay disables an endpoint that
failed for a day, a firewall drops what it sends, an event is lost. Windows of time, and nothing kept between two looks: whatever
is in them and unknown to us is asked for, by whoever looks, as often as it takes.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import structlog

from chassis.telemetry import current_traceparent
from payments.domain import untold, webhook
from payments.domain.untold import Window
from payments.repository import qr_codes, qr_payments, recharges, webhook_events
from payments.repository.webhook_events import Incoming
from payments.usecases.context import Payments
from razorpay_client import PAGE_SIZE, RazorpayError

log = structlog.get_logger(__name__)

Entity = Mapping[str, Any]


async def ask_for_recent_payments(app: Payments) -> None:
    """The sweep of every minute: what was paid in the last quarter of an hour."""
    await _ask_for(app, untold.recent(app.clock.now()))


async def ask_for_late_payments(app: Payments) -> None:
    """The sweep of every quarter of an hour, and at start: what was paid before that, within a day."""
    await _ask_for(app, untold.late(app.clock.now()))


async def _ask_for(app: Payments, window: Window) -> None:
    """Look through our own account, then each that collects on QR codes of its own."""
    now = app.clock.now()
    async with app.database.reading() as uow:
        if await webhook_events.are_overdue(uow.connection, before=now - untold.GRACE):
            log.warning(
                "payments.not_asked_for", reason="events that came are still to be worked: what is unknown may be in them"
            )
            return
        accounts = await qr_codes.collecting_accounts(uow.connection, open_since=window.begin)
    for account in (None, *accounts):
        try:
            await _look_through(app, window, account)
        except RazorpayError as error:
            # The others' are looked through all the same, and this one's next time.
            log.warning("payments.not_asked_for", account_id=account, error=error.description)


async def _look_through(app: Payments, window: Window, account: str | None) -> None:
    """Page by page. The window ends before now, so that no new payment moves what is on a page."""
    skip = 0
    while not app.stopping:
        page = await app.razorpay.payments_page(
            int(window.begin.timestamp()), until=int(window.end.timestamp()), skip=skip, account=account
        )
        for payment in await _unknown(app, page):
            try:
                await _keep(app, payment, account)
            except RazorpayError as error:
                log.warning("payment.not_asked_about", razorpay_payment_id=payment["id"], error=error.description)
        skip += len(page)
        if len(page) < PAGE_SIZE:
            return


async def _unknown(app: Payments, page: Iterable[Entity]) -> list[Entity]:
    """Those captured that we know nothing of. What was paid on orders of others than ours is none of our business."""
    captured = {str(payment["id"]): payment for payment in page if untold.is_captured(payment)}
    if not captured:
        return []
    orders = {str(payment["order_id"]) for payment in captured.values() if payment.get("order_id")}
    async with app.database.reading() as uow:
        known = await qr_payments.among(uow.connection, captured) | await recharges.payments_among(uow.connection, captured)
        asked = await webhook_events.among(uow.connection, [untold.event_id(payment_id) for payment_id in captured])
        ours = await recharges.orders_among(uow.connection, orders)
    return [
        payment
        for payment_id, payment in captured.items()
        if payment_id not in known
        and untold.event_id(payment_id) not in asked
        and (not payment.get("order_id") or payment["order_id"] in ours)
    ]


async def _keep(app: Payments, payment: Entity, account: str | None) -> None:
    """Keep it like the event, before anything is decided. What is on neither order nor QR code too: it is asked about once."""
    codes = [] if payment.get("order_id") else await app.razorpay.qr_codes_of_payment(str(payment["id"]), account=account)
    name, body = untold.credited_event(payment, codes[0], account=account) if codes else untold.captured_event(payment)
    stored, new = await app.inbox.store(
        Incoming(
            razorpay_event_id=untold.event_id(str(payment["id"])),
            body_sha256=webhook.body_hash(body),
            event=name,
            account_id=account,
            body=body,
            headers={},
            verified_by=webhook.Secret.ASKED,
            traceparent=current_traceparent(),
            created_at=webhook.unix_time(payment.get("created_at")),
        )
    )
    if new:
        log.warning(
            "payment.found", razorpay_payment_id=payment["id"], razorpay_event=name, account_id=account, webhook_event_id=stored
        )
