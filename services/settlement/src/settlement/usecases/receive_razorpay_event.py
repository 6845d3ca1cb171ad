"""A verified Razorpay event reached us through payments: transfers, settlements and KYC are ours, the rest is passed over."""

import structlog

from chassis.database import UnitOfWork
from chassis.telemetry import current_traceparent
from contracts.payments import RazorpayEventReceived
from settlement.domain.franchisee import read_kyc_event
from settlement.domain.settlement_event import read_settlement
from settlement.domain.transfer import Observed
from settlement.repository import settlements, transfers
from settlement.usecases.context import Settlement
from settlement.usecases.follow_kyc import note_kyc_event
from settlement.usecases.follow_transfer import follow_transfer

log = structlog.get_logger(__name__)

TRANSFER_EVENTS = frozenset({"transfer.processed", "transfer.failed", "transfers.failed"})
"""One page of Razorpay's docs spells it `transfers.failed`: both are taken."""


async def receive_razorpay_event(app: Settlement, uow: UnitOfWork, event: RazorpayEventReceived) -> None:
    """Razorpay's events come in any order and more than once; each handler goes forward only.

    What is of another environment on the same account, or of nobody we know, changes nothing.
    """
    if event.event in TRANSFER_EVENTS:
        await _transfer(app, uow, event)
    elif event.event == "settlement.processed":
        await _settlement(app, uow, event)
    else:
        kyc = read_kyc_event(
            event.event,
            event.payload,
            event_id=event.razorpay_event_id,
            account_id=event.account_id,
            occurred_at=event.created_at,
        )
        if kyc is None:
            log.info("razorpay_event.passed_over", razorpay_event=event.event, razorpay_event_id=event.razorpay_event_id)
            return
        account_id, word = kyc
        await note_kyc_event(app, uow, word, razorpay_account_id=account_id, trigger=event.event)


async def _transfer(app: Settlement, uow: UnitOfWork, event: RazorpayEventReceived) -> None:
    part = event.payload.get("transfer")
    entity = part.get("entity") if isinstance(part, dict) else None
    if not isinstance(entity, dict) or "id" not in entity:
        raise ValueError(f"{event.event} without a transfer")
    seen = Observed.from_entity(entity)
    transfer = await transfers.find_observed(uow.connection, seen, environment=app.settings.environment_mark)
    if transfer is None:
        log.info("razorpay_event.no_transfer_of_ours", razorpay_transfer_id=seen.razorpay_transfer_id)
        return
    await follow_transfer(app, uow, transfer, seen)


async def _settlement(app: Settlement, uow: UnitOfWork, event: RazorpayEventReceived) -> None:
    """Recorded now, looked into by the worker: it may have to ask Razorpay, and no transaction is open during a call."""
    await settlements.add(
        uow.connection,
        read_settlement(event.payload),
        razorpay_account_id=event.account_id,
        processed_at=event.created_at,
        traceparent=current_traceparent(),
        now=uow.now,
    )
    uow.after_commit(app.settlements.wake)
