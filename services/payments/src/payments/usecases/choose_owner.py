"""May a QR code be a franchisee's own? Charging says whose site it is, settlement whether that one may collect."""

from chassis.database import UnitOfWork
from chassis.messaging import BrokerUnavailable, RpcTimeout, Undeliverable
from contracts.charging import SiteOwnerAnswer, SiteOwnerRequested
from contracts.settlement import DirectCollection
from contracts.topology import address_of
from payments.domain.errors import ConflictError, UnansweredError
from payments.repository import franchisees
from payments.repository.franchisees import Franchisee
from payments.usecases.context import Payments

ASKING_SECONDS = 5
"""Somebody waits for the answer, and may ask again."""


async def site_owner(app: Payments, charge_point_id: str) -> int:
    """The franchisee at whose station the charger stands now: asked, as money is to go to his account.

    Raises ConflictError for the platform's own site or no charger, UnansweredError where charging does not answer.
    """
    question = SiteOwnerRequested(charge_point_id=charge_point_id)
    try:
        answer = await app.bus.ask(
            question, to=address_of(question, sender="payments"), answer=SiteOwnerAnswer, timeout_seconds=ASKING_SECONDS
        )
    except (RpcTimeout, Undeliverable, BrokerUnavailable) as error:
        raise UnansweredError("Charging does not say whose site it is just now; try again.") from error
    if answer.station_id is None:
        raise ConflictError(f"Charging knows no charger {charge_point_id}.")
    if answer.franchisee_id is None:
        raise ConflictError(f"{charge_point_id} stands at the platform's own site: its QR code is the platform's.")
    return answer.franchisee_id


async def collector_for(uow: UnitOfWork, franchisee_id: int) -> Franchisee:
    """The franchisee, if riders' money may go to its linked account, and that stays so until the transaction ends.

    Raises ConflictError, with settlement's reason.
    """
    franchisee = await franchisees.find(uow.connection, franchisee_id, hold=True)
    if franchisee is None or franchisee.razorpay_account_id is None:
        raise ConflictError(f"frn_{franchisee_id} has no linked account at Razorpay.")
    if franchisee.direct_collection is not DirectCollection.ALLOWED:
        raise ConflictError(f"frn_{franchisee_id} may not take payments itself: {franchisee.reason}")
    return franchisee
