"""A charger's Local Authorization List over REST: what it should hold, what it confirmed, and bringing both together."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from charging.domain.errors import ConflictError
from charging.domain.local_list import LocalListState, difference
from charging.tables import local_lists
from charging.usecases import announce
from charging.usecases.request_command import own_charger
from charging.usecases.sync_local_list import desired_entries
from charging.views import ChargerId, LocalListSync, LocalListView
from chassis.database import UnitOfWork
from chassis.web import Principal


async def show_local_list(uow: UnitOfWork, charger_id: ChargerId, principal: Principal) -> LocalListView:
    """`GET /v1/chargers/{id}/local-list`."""
    await own_charger(uow, charger_id, principal)
    return await _view(uow, charger_id)


async def sync_local_list(uow: UnitOfWork, charger_id: ChargerId, body: LocalListSync, principal: Principal) -> LocalListView:
    """`POST /v1/chargers/{id}/local-list/sync`: 202, it happens in the charger's lane. 409 where its firmware has no list.

    A charger that is away is synchronised when it connects; from now on that happens by itself.
    """
    charger = await own_charger(uow, charger_id, principal)
    values: dict[str, Any] = {"sync_due_at": uow.now} | ({"full_wanted": True} if body.full else {})
    await uow.connection.execute(
        insert(local_lists)
        .values(charger_id=charger_id, charge_point_id=charger.charge_point_id, **values)
        .on_conflict_do_update(index_elements=[local_lists.c.charger_id], set_=values)
    )
    row = await _row(uow, charger_id)
    if row.state == LocalListState.UNSUPPORTED.value and row.unsupported_firmware == (charger.firmware_version or ""):
        raise ConflictError("The charger has no Local Authorization List: its firmware said NotSupported.")
    announce.audit(
        uow,
        entity="charger",
        entity_id=charger_id,
        action="local_list_sync_requested",
        actor=principal.subject,
        trigger="api",
        at=uow.now,
        after={"full": body.full},
    )
    return await _view(uow, charger_id)


async def _row(uow: UnitOfWork, charger_id: int) -> Any:
    return (await uow.connection.execute(sa.select(local_lists).where(local_lists.c.charger_id == charger_id))).one_or_none()


async def _view(uow: UnitOfWork, charger_id: int) -> LocalListView:
    row = await _row(uow, charger_id)
    desired = await desired_entries(uow)
    entries = row.entries if row is not None else None
    differing = difference(entries, desired) if entries is not None else None
    version = row.version if row is not None else None
    return LocalListView(
        charger_id=charger_id,
        managed=row is not None,
        state=LocalListState(row.state) if row is not None else LocalListState.IDLE,
        reason=row.reason if row is not None else None,
        confirmed_version=version,
        confirmed_entries=len(entries) if entries is not None else None,
        desired_version=version if version is not None and differing == {} else (version or 0) + 1,
        desired_entries=len(desired),
        drift=differing != {},
        missing=None if differing is None else sorted(tag for tag, info in differing.items() if info is not None),
        surplus=None if differing is None else sorted(tag for tag, info in differing.items() if info is None),
        sync_due_at=row.sync_due_at if row is not None else None,
        confirmed_at=row.confirmed_at if row is not None else None,
    )
