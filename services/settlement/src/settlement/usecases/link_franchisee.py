"""Take a franchisee through its onboarding at Razorpay, a step at a time: account, stakeholder, product, bank account.

Each step is claimed, called and persisted by itself. None has idempotency at Razorpay, so each finds out by itself whether an
earlier call, whose answer was lost, had its effect.
"""

from typing import Any

import structlog

from razorpay_client import Permanent, RazorpayError
from settlement.domain.due import backoff_seconds, later
from settlement.domain.franchisee import FranchiseeStatus
from settlement.domain.link import (
    NEXT_STEP,
    PRODUCT_BODY,
    LinkStep,
    account_body,
    account_that_has_the_email,
    bank_body,
    reference_of,
    stakeholder_body,
    stakeholder_correction,
    with_corrections,
)
from settlement.repository import franchisees
from settlement.repository.franchisees import Franchisee
from settlement.usecases.announce import audit
from settlement.usecases.context import Settlement
from settlement.usecases.follow_kyc import fold_kyc

log = structlog.get_logger(__name__)

_FROM_ANEW = (LinkStep.BANK, LinkStep.CORRECTION, LinkStep.DONE)
"""What PATCH sets: bank account and stakeholder can be changed once all was sent."""


async def take_up_link(app: Settlement) -> bool:
    """Claim the franchisee whose next step is due and take that step. False: nothing is due."""
    async with app.database.transaction() as uow:
        lapses_at = later(uow.now, app.settings.transfer_lease_seconds)
        franchisee = await franchisees.claim_link_due(uow.connection, now=uow.now, lapses_at=lapses_at)
    if franchisee is None:
        return False
    try:
        learnt = await _STEPS[franchisee.link_step](app, franchisee)
    except Permanent as error:
        app.metrics.link_failed.labels(franchisee.link_step.value).inc()
        log.warning("link.refused", franchisee_id=franchisee.id, step=franchisee.link_step.value, error=error.description)
        # Nothing but a change of the details helps: PATCH takes it up again. Nothing of it had an effect.
        await _leave(app, franchisee, link_error=error.description, link_due_at=None, link_calls=0)
    except RazorpayError as error:
        pause = backoff_seconds(reference_of(franchisee.id), franchisee.link_calls)
        await _leave(app, franchisee, link_error=error.description, link_due_at=later(app.clock.now(), pause))
    else:
        await _persist(app, franchisee, learnt)
    return True


async def _leave(app: Settlement, franchisee: Franchisee, **values: Any) -> None:
    async with app.database.transaction() as uow:
        ours = await franchisees.get(uow.connection, franchisee.id, lock=True)
        if ours.link_due_at == franchisee.link_due_at:  # else PATCH has changed details during the call, and made them due
            await franchisees.set_values(uow.connection, franchisee.id, updated_at=uow.now, **values)


async def _persist(app: Settlement, franchisee: Franchisee, learnt: dict[str, Any]) -> None:
    async with app.database.transaction() as uow:
        ours = await franchisees.get(uow.connection, franchisee.id, lock=True)
        step = NEXT_STEP[franchisee.link_step]
        if ours.link_due_at != franchisee.link_due_at and ours.link_step in _FROM_ANEW:
            # PATCH came during the call: Razorpay may have the old bank account, whichever of two calls came last, and what
            # was corrected may be still to send. It goes on from where PATCH left it.
            step = ours.link_step
        sent = learnt.get("stakeholder_sent", ours.stakeholder_sent)
        step = with_corrections(step, wanted=stakeholder_correction(ours.stakeholder), sent=sent)
        if franchisee.link_step is LinkStep.ACCOUNT:
            learnt = {**learnt, "status": FranchiseeStatus.LINKED.value}
        changed = await franchisees.set_values(
            uow.connection,
            franchisee.id,
            link_step=step.value,
            link_calls=0,
            link_error=None,
            link_due_at=None if step is LinkStep.DONE else uow.now,
            updated_at=uow.now,
            **learnt,
        )
        audit(
            uow,
            entity="franchisee",
            entity_id=f"frn_{franchisee.id}",
            action="link",
            actor="settlement",
            trigger=f"step {franchisee.link_step.value}",
            # Personal details are nobody's business in the journal.
            after={"link_step": step.value, **{name: value for name, value in learnt.items() if name != "stakeholder_sent"}},
        )
        if changed.razorpay_account_id is not None:
            # Razorpay may have spoken of the account before its answer to our call was kept.
            await fold_kyc(app, uow, razorpay_account_id=changed.razorpay_account_id, trigger="link")


async def _account(app: Settlement, franchisee: Franchisee) -> dict[str, Any]:
    body = account_body(
        franchisee_id=franchisee.id,
        email=franchisee.email,
        phone=franchisee.phone,
        legal_business_name=franchisee.legal_business_name,
        display_name=franchisee.display_name,
        business_type=franchisee.business_type,
        contact_name=franchisee.contact_name,
        category=app.settings.linked_account_category,
        subcategory=app.settings.linked_account_subcategory,
        address=franchisee.address,
        pan=franchisee.pan,
        gstin=franchisee.gstin,
        environment=app.settings.environment_mark,
    )
    try:
        account = await app.razorpay.create_account(body)
    except Permanent as error:
        named = account_that_has_the_email(error.description)
        if named is None:
            raise
        account = await app.razorpay.fetch_account(named)
        if account.get("reference_id") != reference_of(franchisee.id):
            raise  # somebody else's: a person has to give another address
    return {"razorpay_account_id": str(account["id"])}


async def _stakeholder(app: Settlement, franchisee: Franchisee) -> dict[str, Any]:
    account_id = _known(franchisee.razorpay_account_id)
    if franchisee.link_calls > 1:
        existing = await app.razorpay.stakeholders(account_id)
        if existing:
            # Details may have been corrected since the call that made it.
            pan = (existing[0].get("kyc") or {}).get("pan")
            sent = stakeholder_correction({"name": existing[0].get("name"), "email": None, "pan": pan})
            return {"razorpay_stakeholder_id": str(existing[0]["id"]), "stakeholder_sent": sent}
    stakeholder = await app.razorpay.create_stakeholder(account_id, stakeholder_body(franchisee.stakeholder))
    sent = stakeholder_correction(franchisee.stakeholder)
    return {"razorpay_stakeholder_id": str(stakeholder["id"]), "stakeholder_sent": sent}


async def _correction(app: Settlement, franchisee: Franchisee) -> dict[str, Any]:
    account_id, stakeholder_id = _known(franchisee.razorpay_account_id), _known(franchisee.razorpay_stakeholder_id)
    wanted = stakeholder_correction(franchisee.stakeholder)
    await app.razorpay.edit_stakeholder(account_id, stakeholder_id, wanted)
    return {"stakeholder_sent": wanted}


async def _product(app: Settlement, franchisee: Franchisee) -> dict[str, Any]:
    product = await app.razorpay.request_product(_known(franchisee.razorpay_account_id), PRODUCT_BODY)
    return {"razorpay_product_id": str(product["id"])}


async def _bank(app: Settlement, franchisee: Franchisee) -> dict[str, Any]:
    account_id, product_id = _known(franchisee.razorpay_account_id), _known(franchisee.razorpay_product_id)
    if franchisee.link_calls > 1:
        # Under review nothing may be changed: an earlier call had its effect if Razorpay has our bank account already.
        product = await app.razorpay.fetch_product(account_id, product_id)
        active = (product.get("active_configuration") or {}).get("settlements") or {}
        if (
            active.get("account_number") == franchisee.bank["account_number"]
            and active.get("ifsc_code") == franchisee.bank["ifsc_code"]
        ):
            return {}
    await app.razorpay.edit_product(account_id, product_id, bank_body(franchisee.bank))
    return {}


def _known(razorpay_id: str | None) -> str:
    assert razorpay_id is not None, "an earlier step has set it"  # noqa: S101
    return razorpay_id


_STEPS = {
    LinkStep.ACCOUNT: _account,
    LinkStep.STAKEHOLDER: _stakeholder,
    LinkStep.PRODUCT: _product,
    LinkStep.BANK: _bank,
    LinkStep.CORRECTION: _correction,
}
