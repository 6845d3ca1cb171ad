"""Sweep: franchisees whom others have not heard of, as after their linking and after the release that began to tell of them."""

from settlement.repository import franchisees
from settlement.usecases.announce import announce_franchisee
from settlement.usecases.context import Settlement

AT_ONCE = 100
"""Rows in one transaction."""


async def tell_of_franchisees(app: Settlement) -> None:
    """Emits FranchiseeChanged for each, once; from then on a change tells it."""
    while True:
        async with app.database.transaction() as uow:
            untold = await franchisees.lock_untold(uow.connection, limit=AT_ONCE)
            for franchisee in untold:
                await announce_franchisee(uow, franchisee)
        if len(untold) < AT_ONCE:
            return
