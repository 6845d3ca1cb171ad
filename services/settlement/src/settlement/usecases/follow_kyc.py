"""Razorpay's KYC of franchisees, by event and by poll: the gates follow, and what waited for them goes."""

import structlog

from chassis.database import UnitOfWork
from razorpay_client import RazorpayError
from settlement.domain.due import later
from settlement.domain.franchisee import EFFECTS, POLL_PREFIX, KycEvent, standing
from settlement.repository import franchisees, ledger, transfers
from settlement.repository.franchisees import Franchisee
from settlement.usecases.announce import announce_franchisee, audit
from settlement.usecases.context import Settlement

log = structlog.get_logger(__name__)

POLL_BATCH = 50
"""Franchisees looked up in one sweep: onboarding is rare, and Razorpay throttles."""


async def note_kyc_event(app: Settlement, uow: UnitOfWork, event: KycEvent, *, razorpay_account_id: str, trigger: str) -> None:
    """Record a word on an account and fold all of them anew. An account that we don't know yet is folded once it is linked."""
    if await franchisees.add_kyc_event(uow.connection, event, razorpay_account_id=razorpay_account_id, now=uow.now):
        await fold_kyc(app, uow, razorpay_account_id=razorpay_account_id, trigger=trigger)


async def fold_kyc(app: Settlement, uow: UnitOfWork, *, razorpay_account_id: str, trigger: str) -> None:
    """Bring a franchisee to where all that Razorpay said has it. Emits AuditRecorded where that is elsewhere."""
    franchisee = await franchisees.find_by_account(uow.connection, razorpay_account_id, lock=True)
    if franchisee is None:
        log.info("kyc.no_franchisee_of_ours", razorpay_account_id=razorpay_account_id)
        return
    folded = standing(await franchisees.kyc_events_of(uow.connection, razorpay_account_id))
    before = _standing_of(franchisee)
    changed = await franchisees.set_standing(uow.connection, franchisee.id, folded, now=uow.now)
    await announce_franchisee(uow, changed, before=franchisee)
    if _standing_of(changed) == before:
        return
    audit(
        uow,
        entity="franchisee",
        entity_id=f"frn_{franchisee.id}",
        action="kyc",
        actor="razorpay",
        trigger=trigger,
        before=before,
        after=_standing_of(changed),
    )
    log.info("franchisee.standing_changed", franchisee_id=franchisee.id, **_standing_of(changed))
    if changed.gate is None:
        await open_gate(app, uow, changed)


async def open_gate(app: Settlement, uow: UnitOfWork, franchisee: Franchisee) -> None:
    """What waited for a franchisee's gate is due now."""
    # Transfers before entries: the order in which everybody locks them.
    await transfers.hurry_waiting(uow.connection, franchisee.id, now=uow.now)
    await ledger.release_gated(uow.connection, franchisee.id, now=uow.now)
    uow.after_commit(app.payouts.wake_all)


async def poll_kyc(app: Settlement) -> None:
    """Sweep: look up the product configuration of those who may not be paid yet; Razorpay promises no event for every change."""
    async with app.database.reading() as uow:
        before = later(uow.now, -app.settings.kyc_poll_seconds)
        waiting = await franchisees.kyc_poll_due(uow.connection, before=before, limit=POLL_BATCH)
    for franchisee in waiting:
        if franchisee.razorpay_account_id is None or franchisee.razorpay_product_id is None:
            continue
        asked_at = app.clock.now()
        try:
            product = await app.razorpay.fetch_product(franchisee.razorpay_account_id, franchisee.razorpay_product_id)
        except RazorpayError as error:
            log.warning("kyc.poll_failed", franchisee_id=franchisee.id, error=error.description)
            async with app.database.transaction() as uow:  # else it would be the first of every batch
                await franchisees.set_values(uow.connection, franchisee.id, kyc_polled_at=uow.now)
            continue
        status = str(product.get("activation_status"))
        async with app.database.transaction() as uow:
            await franchisees.set_values(uow.connection, franchisee.id, kyc_polled_at=uow.now)
            name = f"{POLL_PREFIX}{status}"
            if status.upper() == franchisee.status.value or name not in EFFECTS:
                continue
            # Dated before the question, so that an event of the meantime is the later word. One per account and moment.
            word = KycEvent(f"poll/{franchisee.id}/{int(asked_at.timestamp())}", name, asked_at)
            await note_kyc_event(app, uow, word, razorpay_account_id=franchisee.razorpay_account_id, trigger="poll")


def _standing_of(franchisee: Franchisee) -> dict[str, object]:
    return {
        "status": franchisee.status.value,
        "transfers_enabled": franchisee.transfers_enabled,
        "funds_on_hold": franchisee.funds_on_hold,
    }
