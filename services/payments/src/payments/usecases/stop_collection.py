"""A franchisee may not take riders' money any more, or not at this charger: its own QR codes are closed."""

import structlog

from chassis.database import UnitOfWork
from contracts.payments import AuditRecorded
from contracts.settlement import DirectCollection, FranchiseeChanged
from payments.domain.qr_code import QrCodeStatus
from payments.repository import franchisees, qr_codes
from payments.repository.qr_codes import QrCode
from payments.repository.qr_payments import QrPayment
from payments.usecases.context import Payments

log = structlog.get_logger(__name__)


async def follow_franchisee(app: Payments, uow: UnitOfWork, event: FranchiseeChanged) -> None:
    """`settlement.franchisee_changed`: the newest word counts from the commit on, for every payment on its codes.

    PAUSED leaves the codes as they are: a hold passes, and a sticker need not be printed anew. ENDED closes them for good.
    Emits AuditRecorded for each. One that is still being created is closed once Razorpay has told its id: `close_ended`.
    """
    if not await franchisees.note(uow.connection, event, now=uow.now):
        return
    if event.direct_collection is DirectCollection.ENDED:
        for code in await qr_codes.lock_live_of(uow.connection, event.franchisee_id):
            await _close(app, uow, code, why=event.reason or "its owner may not collect any more")


async def close_ended_codes(app: Payments) -> None:
    """The sweep: codes that became live while their owner was being stopped."""
    async with app.database.transaction() as uow:
        for franchisee_id in await qr_codes.owners_with_live_codes(uow.connection, DirectCollection.ENDED):
            for code in await qr_codes.lock_live_of(uow.connection, franchisee_id):
                await _close(app, uow, code, why="its owner may not collect any more")


async def close_where_the_owner_changed(app: Payments, uow: UnitOfWork, payment: QrPayment, *, owner_id: int | None) -> None:
    """A session says whose site it is. Where that is not who took the money, the code is closed, so that it happens once.

    The station was given to another after the code was made. The session is served and billed; settlement keeps its bill for
    a person. Nothing happens to a payment in our own balance.
    """
    if payment.collected_by_franchisee_id is None or payment.collected_by_franchisee_id == owner_id or payment.qr_code_id is None:
        return
    uow.after_commit(app.metrics.wrong_owner.inc)
    log.error(
        "qr_code.wrong_owner", qr_code_id=payment.qr_code_id, collected_by=payment.collected_by_franchisee_id, owner=owner_id
    )
    code = await qr_codes.get(uow.connection, payment.qr_code_id, lock=True)
    await _close(app, uow, code, why="the station has another owner now")


async def _close(app: Payments, uow: UnitOfWork, code: QrCode, *, why: str) -> None:
    """From the commit on nobody is served on it; the sweep tells Razorpay."""
    if code.status is not QrCodeStatus.ACTIVE:
        return
    await qr_codes.set_values(
        uow.connection, code.id, status=QrCodeStatus.CLOSING.value, closed_at=uow.now, calls=0, next_attempt_at=uow.now
    )
    uow.publish(
        AuditRecorded(
            entity="qr_code",
            entity_id=f"qrc_{code.id}",
            action="close",
            actor="payments",
            trigger=why,
            before={"status": code.status},
            after={"status": QrCodeStatus.CLOSING},
            at=uow.now,
        ),
        subject=f"qr_code/qrc_{code.id}",
    )
    uow.after_commit(app.metrics.direct_code_closed.inc)
    log.warning("qr_code.closed_without_its_owner", qr_code_id=code.id, franchisee_id=code.owner_franchisee_id, why=why)
