"""Somebody proves to have paid: as a guest for a while, or to have what was paid merged into an account."""

from datetime import datetime

import structlog

from chassis.database import UnitOfWork
from chassis.web import GuestSigner, Principal, Problem
from payments.domain.errors import ConflictError, NotFoundError
from payments.domain.proof import FAILURES_MAX, FAILURES_WITHIN, PAID_WITHIN
from payments.domain.rider import normalise_vpa
from payments.repository import proofs, riders
from payments.repository.riders import Rider
from payments.usecases.context import Payments
from payments.usecases.register_rider import merge_guest
from payments.usecases.whose import rider_of
from payments.views import GuestTokenView, ProofOfPayment, RiderMeView

log = structlog.get_logger(__name__)


async def issue_guest_token(app: Payments, body: ProofOfPayment) -> GuestTokenView:
    """`POST /v1/public/riders/guest-tokens`: a credential for a quarter of an hour, for who proves a payment.

    Raises NotFoundError where nothing is proved, ConflictError where the address belongs to an account: its owner signs in.
    """
    if app.guests is None:
        raise NotFoundError("Guests can't sign in here.")
    async with app.database.transaction() as uow:
        rider, now = await _prove(app, uow, body), uow.now
    if rider is None:
        raise _nothing_proved()
    if rider.registered_at is not None:
        raise ConflictError("This UPI address belongs to an account: sign in with it.")
    return _token(app.guests, rider, now)


def _token(guests: GuestSigner, rider: Rider, now: datetime) -> GuestTokenView:
    token, expires_at = guests.sign(rider.id, now=now)
    log.info("guest.let_in", rider_id=rider.id)
    return GuestTokenView(access_token=token, expires_at=expires_at, rider_id=rider.id)


async def claim_guest(app: Payments, body: ProofOfPayment, principal: Principal) -> RiderMeView:
    """`POST /v1/riders/me/claims`: what was paid from a UPI address, by whoever proves a payment from it, is the caller's.

    Raises NotFoundError where nothing is proved, ConflictError for the address of another account.
    """
    async with app.database.transaction() as uow:
        await riders.stop_resolving(uow.connection)
        me = await rider_of(uow, principal)
        payer = await _prove(app, uow, body)
        if payer is not None and payer.registered_at is None:
            await merge_guest(uow, principal, guest_id=payer.id, into_id=me.id, proof="REFERENCE")
            payer = me = await riders.get(uow.connection, me.id)
    if payer is None:
        raise _nothing_proved()
    if payer.id != me.id:
        raise ConflictError("This UPI address belongs to another account.")
    return RiderMeView.of(me)


def _nothing_proved() -> NotFoundError:
    """The same whether there is no such address, no such payment, or another reference."""
    return NotFoundError("No payment from this UPI address in the last months has a reference that ends like this.")


async def _prove(app: Payments, uow: UnitOfWork, body: ProofOfPayment) -> Rider | None:
    """The rider whose payment it is; None where nothing is proved, which is written down: the caller commits it.

    Raises Problem 429 for an address that was guessed at too often. Tries of one address wait for each other.
    """
    vpa = normalise_vpa(body.vpa)
    if vpa is None:
        return None
    since = uow.now - FAILURES_WITHIN
    if await proofs.failures(uow.connection, vpa, since=since) >= FAILURES_MAX:
        app.metrics.proof_refused.inc()
        raise Problem(
            429,
            "Too many wrong tries for this UPI address",
            "Try again in an hour.",
            type="too-many-tries",
            headers={"Retry-After": str(int(FAILURES_WITHIN.total_seconds()))},
        )
    rider_id = await proofs.payer(uow.connection, vpa=vpa, reference_ends=body.reference_ends, paid_since=uow.now - PAID_WITHIN)
    if rider_id is None:
        await proofs.add_failure(uow.connection, vpa, forget_before=since, now=uow.now)
        return None
    return await riders.get(uow.connection, rider_id)
