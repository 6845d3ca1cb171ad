"""After a reading: what went through by our records, and Razorpay's statement has not, though its days were read."""

from datetime import datetime, timedelta

import structlog

from settlement.domain.reconcile import ExceptionKind, Move, MoveKind, Problem
from settlement.domain.statement import DAYS_MAX, IST, day_of, first_of_unbroken
from settlement.repository import matches, statement
from settlement.usecases.context import Settlement

log = structlog.get_logger(__name__)

MOVES_AT_ONCE = 200
"""Movements looked at in one transaction."""


async def look_for_missing(app: Settlement) -> None:
    """Open an exception for each. Of a day that was not read whole nothing can be said."""
    after: tuple[datetime, str] | None = None
    while True:
        async with app.database.transaction() as uow:
            today = day_of(uow.now)
            read = await statement.days_read(uow.connection, since=today - timedelta(days=DAYS_MAX))
            first = first_of_unbroken(read, until=today - timedelta(days=1))
            if first is None:
                return
            since = datetime.combine(first, datetime.min.time(), IST)
            before = uow.now - timedelta(days=app.settings.recon_overdue_days)
            page = await matches.unseen(uow.connection, since=since, before=before, after=after, limit=MOVES_AT_ONCE)
            for _, move in page:
                opened = await matches.settle_exceptions(
                    uow.connection, move.razorpay_id, [_missing(move)], subject=move.subject, now=uow.now
                )
                if opened:
                    log.error("statement.lacks", razorpay_id=move.razorpay_id, subject=move.subject, paise=move.amount_paise)
        if not page:
            return
        after = page[-1][0], page[-1][1].razorpay_id


def _missing(move: Move) -> Problem:
    words = (
        f"{move.subject} went through by our records, and Razorpay's statement does not show it, though its days were read. Look "
        "it up in Razorpay's dashboard: it may wait for a settlement on hold, or never have happened."
    )
    came_in = move.kind in (MoveKind.PAYMENT, MoveKind.REVERSAL)
    return Problem(ExceptionKind.UNKNOWN_AT_RAZORPAY, words, ours_paise=move.amount_paise if came_in else -move.amount_paise)
