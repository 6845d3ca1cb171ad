"""Sweep: wake whoever has something due by now: a retry, a lapsed claim, a wake that was lost."""

import sqlalchemy as sa

from settlement.statement_tables import statement_matches, statement_readings
from settlement.tables import franchisees, ledger_entries, reversals, settlements, transfers
from settlement.usecases.context import Settlement


async def look_for_due(app: Settlement) -> None:
    """One question for all workers: idle, it costs one query."""
    async with app.database.reading() as uow:
        due = (
            await uow.connection.execute(
                sa.select(
                    sa.or_(
                        sa.exists().where(ledger_entries.c.due_at <= uow.now),
                        sa.exists().where(transfers.c.next_attempt_at <= uow.now),
                        sa.exists().where(reversals.c.next_attempt_at <= uow.now),
                    ).label("payouts"),
                    sa.exists().where(franchisees.c.link_due_at <= uow.now).label("links"),
                    sa.exists().where(settlements.c.next_attempt_at <= uow.now).label("settlements"),
                    sa.or_(
                        sa.exists().where(statement_readings.c.next_attempt_at <= uow.now),
                        sa.exists().where(statement_matches.c.next_look_at <= uow.now),
                    ).label("statement"),
                )
            )
        ).one()
    for worker, is_due in (
        (app.payouts, due.payouts),
        (app.links, due.links),
        (app.settlements, due.settlements),
        (app.statement, due.statement),
    ):
        if is_due:
            worker.wake_all()
