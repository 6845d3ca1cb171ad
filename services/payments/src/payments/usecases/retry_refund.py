"""An operator has mended what made a refund fail: try it now, under the same rules as the 30-minute retry."""

from chassis.database import UnitOfWork
from chassis.web import Principal
from payments.domain.errors import ConflictError
from payments.domain.refund import RefundStatus
from payments.repository import refunds
from payments.usecases.audit import audit
from payments.usecases.context import Payments
from payments.views import RefundId, RefundView


async def retry_refund(app: Payments, uow: UnitOfWork, refund_id: RefundId, principal: Principal) -> RefundView:
    """`POST /v1/refunds/{id}/retry`: due now. A failed one gets a new attempt, once Razorpay shows that none is live.

    Raises NotFoundError, and ConflictError for one that Razorpay has, is being asked for now, or that a later attempt replaced.
    """
    refund = await refunds.get(uow.connection, refund_id, lock=True)
    waits = refund.status in (RefundStatus.PENDING, RefundStatus.UNKNOWN, RefundStatus.FAILED)
    replaced = refund.replaced
    if not waits or replaced:
        raise ConflictError(
            f"It is {refund.status}, there is nothing to retry." if not replaced else "A later attempt replaced it."
        )
    await refunds.set_values(uow.connection, refund.id, next_attempt_at=uow.now)
    audit(uow, principal, entity="refund", entity_id=f"rfd_{refund.id}", action="retry", before={"status": refund.status})
    uow.after_commit(app.refunds.wake)
    return RefundView.of(await refunds.get(uow.connection, refund.id))
