"""Who owes us by its carried balance, since when and why: finance asks for it where no session will make it good."""

import sqlalchemy as sa

from chassis.database import UnitOfWork
from chassis.web import Page, PageQuery, fetch_page
from settlement.domain.ledger_entry import EntryKind, EntryStatus, HoldKind
from settlement.domain.transfer import MINIMUM_PAISE
from settlement.tables import allocations, ledger_entries
from settlement.views.carried import CarriedBalanceView

_E = ledger_entries.c


async def list_carried_balances(uow: UnitOfWork, query: PageQuery) -> Page[CarriedBalanceView]:
    """`GET /v1/carried-balances`: those below nothing alone, newest franchisee first.

    What is in a living transfer, or under way out of the linked account, is not counted: it is being made good.
    """
    off = _E.payout_paise < 0
    paise = sa.BigInteger()
    carried = (
        sa.select(
            _E.franchisee_id.label("id"),
            sa.cast(-sa.func.sum(_E.payout_paise), paise).label("owed_paise"),
            sa.cast(-sa.func.sum(_E.payout_paise).filter(off), paise).label("taken_off_paise"),
            sa.func.count().filter(off).label("corrections"),
            sa.func.min(_E.created_at).filter(off).label("since"),
        )
        .where(
            _E.payout_paise != 0,
            sa.or_(_E.payout_paise < MINIMUM_PAISE, _E.hold_kind == HoldKind.NETTED.value),
            _E.status.in_((EntryStatus.PENDING.value, EntryStatus.ON_HOLD.value)),
            ~sa.exists().where(allocations.c.ledger_entry_id == _E.id, allocations.c.live),
        )
        .group_by(_E.franchisee_id)
        .having(sa.func.sum(_E.payout_paise) < 0)
        .subquery("carried")
    )
    sessions = ledger_entries.alias("sessions")
    last = (
        sa.select(sessions.c.created_at)
        .where(sessions.c.franchisee_id == carried.c.id, sessions.c.kind == EntryKind.SESSION.value)
        .order_by(sessions.c.created_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    statement = sa.select(sa.select(carried, last.label("last_session_at")).subquery("lines"))
    order = (statement.selected_columns.id,)
    return await fetch_page(uow, statement, query, order=order, view=lambda row: CarriedBalanceView.of(row, now=uow.now))
