"""A person with an account becomes a rider, and whoever paid as a guest and provably is that person is merged (ADR 0014)."""

import structlog

from chassis.database import UnitOfWork
from chassis.web import Principal, Provider
from payments.domain.errors import ConflictError
from payments.domain.rider import normalise_phone
from payments.repository import registrations, riders, wallets
from payments.repository.riders import Rider
from payments.usecases.audit import audit
from payments.usecases.context import Payments
from payments.views import RiderMeView

log = structlog.get_logger(__name__)


async def register_rider(app: Payments, uow: UnitOfWork, principal: Principal) -> RiderMeView:
    """`POST /v1/riders/me`: the caller's rider and wallet are there from now on. Again it changes nothing, but for a new phone.

    Raises ConflictError for a guest's credential, which is no account.
    """
    if principal.provider is Provider.UPI_GUEST:
        raise ConflictError("Sign in with an account: a guest has none to register.")
    phone = normalise_phone(principal.phone)
    rider = await _known(uow, principal)
    if rider is None or (phone is not None and rider.phone != phone):
        await riders.stop_resolving(uow.connection)
        rider = await _known(uow, principal)  # registered by somebody else's hand, perhaps, while we waited
        rider_id = rider.id if rider is not None else await _make(uow, principal)
        if phone is not None:
            await _take_phone(app, uow, principal, rider_id, phone)
        rider = await riders.get(uow.connection, rider_id)
    return RiderMeView.of(rider)


async def _known(uow: UnitOfWork, principal: Principal) -> Rider | None:
    rider_id = await registrations.rider_of_login(uow.connection, provider=principal.provider.value, subject=principal.subject)
    return None if rider_id is None else await riders.get(uow.connection, rider_id)


async def _make(uow: UnitOfWork, principal: Principal) -> int:
    rider_id = await registrations.add(uow.connection, provider=principal.provider.value, subject=principal.subject, now=uow.now)
    await wallets.add(uow.connection, rider_id=rider_id, now=uow.now)
    audit(uow, principal, entity="rider", entity_id=f"rdr_{rider_id}", action="register")
    log.info("rider.registered", rider_id=rider_id)
    return rider_id


async def _take_phone(app: Payments, uow: UnitOfWork, principal: Principal, rider_id: int, phone: str) -> None:
    """The verified phone, and the guests that it proves to be this person: who paid with it, who paid from its addresses.

    A phone that another registered rider has stays there: numbers change hands, and a wallet must not change hands with them.
    """
    holder = await registrations.holder_of_phone(uow.connection, phone)
    if holder is not None and holder[1] and holder[0] != rider_id:
        uow.after_commit(app.metrics.rider_phone_taken.inc)
        log.error("rider.phone_taken", rider_id=rider_id, holder_id=holder[0])
        return
    if holder is not None and holder[0] != rider_id:
        await merge_guest(uow, principal, guest_id=holder[0], into_id=rider_id, proof="PHONE")
    await registrations.set_phone(uow.connection, rider_id, phone)
    for guest_id in await registrations.guests_of_phones_payments(uow.connection, rider_id):
        await merge_guest(uow, principal, guest_id=guest_id, into_id=rider_id, proof="PHONE_AND_VPA")


async def merge_guest(uow: UnitOfWork, principal: Principal, *, guest_id: int, into_id: int, proof: str) -> bool:
    """Everything of a guest goes over, and the guest's row points to who it was; False where it is no guest any more.

    The caller has stopped resolving (`riders.stop_resolving`), before it looked for the guest.
    """
    if not await registrations.merge(uow.connection, guest_id=guest_id, into_id=into_id, now=uow.now):
        return False
    audit(
        uow,
        principal,
        entity="rider",
        entity_id=f"rdr_{guest_id}",
        action="merge",
        after={"merged_into": f"rdr_{into_id}", "proof": proof},
    )
    log.info("rider.merged", guest_id=guest_id, rider_id=into_id, proof=proof)
    return True
