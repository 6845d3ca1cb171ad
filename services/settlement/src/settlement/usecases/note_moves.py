"""What services tell of movements at Razorpay is kept for the statement, in the transaction that handles the telling."""

from datetime import datetime

from chassis.database import UnitOfWork
from settlement.domain.reconcile import Move, MoveKind, Outcome
from settlement.repository import matches
from settlement.usecases.context import Settlement


async def note_payment(
    app: Settlement, uow: UnitOfWork, *, razorpay_payment_id: str, subject: str, amount_paise: int, at: datetime
) -> None:
    """A payment was captured, by whatever way of paying: `subject` is our record of it. Told by every event of it."""
    move = Move(razorpay_payment_id, MoveKind.PAYMENT, subject, amount_paise, Outcome.DONE)
    await note_move(app, uow, move, version=0, at=at)


async def note_move(app: Settlement, uow: UnitOfWork, move: Move, *, version: int, at: datetime) -> None:
    """A movement, and how far it has come. If the statement has it already, it is judged anew."""
    await matches.note_move(uow.connection, move, version=version, occurred_at=at)
    if await matches.hurry(uow.connection, [move.razorpay_id], now=uow.now):
        uow.after_commit(app.statement.wake)
