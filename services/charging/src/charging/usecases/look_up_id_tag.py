"""What we say of a staff tag: to Authorize and StopTransaction, and to StartTransaction, where it may be too often in use."""

import sqlalchemy as sa

from charging.domain.id_tags import UNKNOWN_TAG, IdTagInfo, id_tag_status, status_at_start
from charging.tables import id_tags, transactions
from chassis.database import UnitOfWork


async def id_tag_info(uow: UnitOfWork, id_tag: str) -> IdTagInfo:
    """IdTagInfo of a staff tag (normalised); Invalid for one that nobody entered."""
    c = id_tags.c
    row = (
        await uow.connection.execute(sa.select(c.enabled, c.expires_at, c.parent_id_tag).where(c.id_tag == id_tag))
    ).one_or_none()
    if row is None:
        return UNKNOWN_TAG
    status = id_tag_status(enabled=row.enabled, expires_at=row.expires_at, at=uow.now)
    return IdTagInfo(status, row.expires_at, row.parent_id_tag)


async def starting_id_tag_info(uow: UnitOfWork, id_tag: str, *, charger_id: int, connector_id: int) -> IdTagInfo:
    """The same at a StartTransaction. What runs on that very connector does not count: this start ends it."""
    info = await id_tag_info(uow, id_tag)
    bound = await uow.connection.scalar(sa.select(id_tags.c.concurrent_sessions_max).where(id_tags.c.id_tag == id_tag))
    if bound is None:
        return info
    t = transactions.c
    running = await uow.connection.scalar(
        sa.select(sa.func.count())
        .select_from(transactions)
        .where(t.id_tag == id_tag, t.state != "STOPPED", sa.or_(t.charger_id != charger_id, t.connector_id != connector_id))
    )
    status = status_at_start(info.status, running=running or 0, concurrent_sessions_max=bound)
    return IdTagInfo(status, info.expiry_date, info.parent_id_tag)
