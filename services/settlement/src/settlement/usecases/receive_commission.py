"""Finance enters what a franchisee paid us of its commission, and takes back what was entered by mistake."""

from chassis.database import UnitOfWork
from chassis.web import Principal, invalid_field
from settlement.domain.books import CommissionReceived
from settlement.domain.errors import NoSuchFranchisee, NoSuchReceipt, ReceiptExists, ReceiptWithdrawn
from settlement.domain.tax import india_day
from settlement.repository import franchisees, receivables
from settlement.usecases.announce import audit
from settlement.usecases.context import Settlement
from settlement.usecases.keep_books import post, set_standing
from settlement.views import CommissionReceipt, CommissionReceiptView, FranchiseeId, ReceiptId, ReceiptWithdrawal


async def enter_commission_receipt(
    app: Settlement, uow: UnitOfWork, franchisee_id: FranchiseeId, body: CommissionReceipt, principal: Principal
) -> CommissionReceiptView:
    """`POST /v1/franchisees/{id}/commission-receipts`. More than is owed is taken: it pays what comes.

    Raises NoSuchFranchisee, ReceiptExists for a bank reference that was entered already.
    """
    if await franchisees.find(uow.connection, franchisee_id) is None:
        raise NoSuchFranchisee(franchisee_id)
    if body.received_on > india_day(uow.now):
        raise invalid_field("#/body/received_on", "This day has not come yet")
    row = await receivables.add_receipt(
        uow.connection, franchisee_id=franchisee_id, entered_by=principal.subject, now=uow.now, **body.model_dump()
    )
    if row is None:
        raise ReceiptExists(body.bank_reference)
    received = CommissionReceived(
        occurred_at=uow.now, receipt_id=row.id, franchisee_id=franchisee_id, amount_paise=row.amount_paise
    )
    await post(app, uow, received)
    _audit(uow, row.id, "enter", principal, franchisee_id=franchisee_id, **body.model_dump(mode="json"))
    return CommissionReceiptView.of(row)


async def withdraw_commission_receipt(
    uow: UnitOfWork, receipt_id: ReceiptId, body: ReceiptWithdrawal, principal: Principal
) -> CommissionReceiptView:
    """`POST /v1/commission-receipts/{id}/withdraw`: its journal is reversed, the row stays.

    Raises NoSuchReceipt, ReceiptWithdrawn.
    """
    row = await receivables.find_receipt(uow.connection, receipt_id, lock=True)
    if row is None:
        raise NoSuchReceipt(receipt_id)
    if row.withdrawn_at is not None:
        raise ReceiptWithdrawn(receipt_id)
    row = await receivables.withdraw_receipt(uow.connection, receipt_id, by=principal.subject, reason=body.reason, now=uow.now)
    await set_standing(uow, f"receipt/{receipt_id}/received", stands=False, reason=body.reason)
    _audit(uow, receipt_id, "withdraw", principal, reason=body.reason)
    return CommissionReceiptView.of(row)


def _audit(uow: UnitOfWork, receipt_id: int, action: str, principal: Principal, **after: object) -> None:
    audit(
        uow,
        entity="commission_receipt",
        entity_id=f"cmr_{receipt_id}",
        action=action,
        actor=principal.subject,
        trigger="api",
        after=after,
    )
