"""Which rider a caller is: by the account at the identity provider, or by the payment that a guest proved."""

from chassis.database import UnitOfWork
from chassis.web import Principal, Provider
from payments.domain.errors import ConflictError, NotFoundError
from payments.repository import registrations, riders, wallets
from payments.repository.riders import Rider
from payments.repository.wallets import Wallet


async def rider_of(uow: UnitOfWork, principal: Principal) -> Rider:
    """The caller's rider. Raises ConflictError for an account that has not registered, and for a guest who has meanwhile."""
    if principal.provider is Provider.UPI_GUEST:
        if principal.rider_id is None:
            raise NotFoundError("This credential is nobody's.")
        guest = await riders.get(uow.connection, principal.rider_id)
        if guest.merged_into_id is not None:
            # One payment was proved; what else the account has is for who signs in.
            raise ConflictError("This UPI address belongs to an account: sign in with it.")
        return guest
    rider_id = await registrations.rider_of_login(uow.connection, provider=principal.provider.value, subject=principal.subject)
    if rider_id is None:
        raise ConflictError("Register first: POST /v1/riders/me.")
    return await riders.get(uow.connection, rider_id)


async def wallet_of(uow: UnitOfWork, principal: Principal, *, lock: bool = False) -> Wallet:
    """The caller's wallet; `lock` until the transaction ends. Raises ConflictError for an account that has not registered."""
    rider = await rider_of(uow, principal)
    return await wallets.of_rider(uow.connection, rider.id, lock=lock)
