"""The clock's door: what is looked at again and again. Due columns rule; a sweep only wakes who works them off."""

import sqlalchemy as sa

from chassis.runtime import Sweep
from settlement.settings import SettlementSettings
from settlement.tables import franchisees, ledger_entries, settlements, transfers
from settlement.usecases.context import Settlement
from settlement.usecases.follow_kyc import poll_kyc
from settlement.usecases.measure import measure_ledger


async def wake_workers(app: Settlement) -> None:
    """Wake whoever has something due by now: a retry, a lapsed claim, a wake that was lost."""
    async with app.database.reading() as uow:
        due = (
            await uow.connection.execute(
                sa.select(
                    sa.or_(
                        sa.exists().where(ledger_entries.c.due_at <= uow.now),
                        sa.exists().where(transfers.c.next_attempt_at <= uow.now),
                    ).label("payouts"),
                    sa.exists().where(franchisees.c.link_due_at <= uow.now).label("links"),
                    sa.exists().where(settlements.c.next_attempt_at <= uow.now).label("settlements"),
                )
            )
        ).one()
    for worker, is_due in ((app.payouts, due.payouts), (app.links, due.links), (app.settlements, due.settlements)):
        if is_due:
            worker.wake()


def sweeps(settings: SettlementSettings) -> tuple[Sweep, ...]:
    """The table of sweeps."""
    return (
        Sweep("due", every_seconds=settings.sweep_seconds, function=wake_workers),
        Sweep("kyc-poll", every_seconds=300, function=poll_kyc),
        Sweep("measure", every_seconds=300, function=measure_ledger),
    )
