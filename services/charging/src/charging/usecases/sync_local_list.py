"""Teaching chargers their Local Authorization List: compared when something may have changed, sent one message at a time.

What makes a comparison due is written to `sync_due_at` (a connection, a boot, a changed tag, an operator); the sweep says so in
the charger's lane, and only the lane talks to the charger.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert

from charging.domain.local_list import (
    IN_FLIGHT,
    NOT_SUPPORTED_VERSION,
    SEND_LENGTH_MAX_UNTOLD,
    LocalListHappening,
    LocalListState,
    Update,
    apply,
    bounds_of,
    next_local_list_state,
    plan,
    read_update,
)
from charging.domain.states import CommandStatus
from charging.repository import Charger
from charging.tables import chargers, id_tags, local_lists
from charging.usecases.context import Charging
from charging.usecases.outcome import Outcome
from charging.usecases.request_command import reported_configuration
from charging.usecases.send_command import create_command
from chassis.database import UnitOfWork

log = structlog.get_logger(__name__)

TRIGGER = "local_list"

SETTLE = timedelta(seconds=60)
"""After a connection or boot the list waits for the charger's configuration to be read and set, which tells its bounds."""

TAGS_SETTLE = timedelta(seconds=10)
"""After a tag changed: who enters ten tags should cause one update."""

Row = sa.Row[Any]


async def desired_entries(uow: UnitOfWork) -> dict[str, dict[str, Any]]:
    """What every charger's list should hold: staff tags that may charge. Minted tags never: they are one session's."""
    c = id_tags.c
    rows = await uow.connection.execute(
        sa.select(c.id_tag, c.expires_at, c.parent_id_tag)
        .where(c.enabled, sa.or_(c.expires_at.is_(None), c.expires_at > uow.now))
        .order_by(c.id_tag)
    )
    return {row.id_tag: _info(row.expires_at, row.parent_id_tag) for row in rows}


def _info(expires_at: datetime | None, parent_id_tag: str | None) -> dict[str, Any]:
    info = {"status": "Accepted"}
    if expires_at is not None:
        info["expiryDate"] = expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    if parent_id_tag is not None:
        info["parentIdTag"] = parent_id_tag
    return info


# --- what makes it due ------------------------------------------------------------------------------------------------


async def staff_tags_changed(uow: UnitOfWork) -> None:
    """A tag was made, changed or deleted: lists that chargers have may differ from it now."""
    c = local_lists.c
    due_at = uow.now + TAGS_SETTLE
    await uow.connection.execute(
        sa.update(local_lists)
        .where(c.state != LocalListState.UNSUPPORTED.value, sa.or_(c.sync_due_at.is_(None), c.sync_due_at > due_at))
        .values(sync_due_at=due_at)
    )


async def local_lists_of_returned(uow: UnitOfWork, charger_ids: Collection[int], *, booted: bool) -> None:
    """These chargers connected, or booted: their lists are compared when they have settled. A boot may have emptied them."""
    if charger_ids:
        driver = await uow.asyncpg()
        await driver.execute(_COMPARE_BOOTED if booted else _COMPARE_CONNECTED, list(charger_ids), uow.now + SETTLE)


_COMPARE_BOOTED = """
    UPDATE local_lists SET sync_due_at = coalesce(sync_due_at, $2), verify = true WHERE charger_id = ANY($1::bigint[])
"""
_COMPARE_CONNECTED = """
    UPDATE local_lists SET sync_due_at = coalesce(sync_due_at, $2) WHERE charger_id = ANY($1::bigint[]) AND state <> 'FAILED'
"""


async def configuration_told(app: Charging, uow: UnitOfWork, charger: Charger, row: Row, outcome: Outcome) -> None:
    """GetConfiguration was answered: a charger that manages local lists gets one, from now on by itself."""
    del app, row
    listed = (outcome.response or {}).get("configurationKey")
    told = {
        str(item.get("key", "")).lower(): str(item.get("value", ""))
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, dict)
    }
    if bounds_of(told).managed:
        await uow.connection.execute(
            insert(local_lists)
            .values(charger_id=charger.id, charge_point_id=charger.charge_point_id, sync_due_at=uow.now + SETTLE)
            .on_conflict_do_nothing()
        )


# --- the lane ---------------------------------------------------------------------------------------------------------


async def local_list_due(app: Charging, uow: UnitOfWork, charger: Charger, list_id: int) -> None:
    """Compare, and begin to teach where they differ. A charger that is away is compared when it connects."""
    row = await _locked(uow, local_lists.c.id == list_id)
    if row is None or row.charger_id != charger.id or row.sync_due_at is None or row.sync_due_at > uow.now:
        return
    values: dict[str, Any] = {"sync_due_at": None}
    state = LocalListState(row.state)
    if not charger.online or state in IN_FLIGHT:
        await _set(uow, row, **values)  # at its end the sync in flight compares again
        return
    if state is LocalListState.UNSUPPORTED and row.unsupported_firmware == await _firmware(uow, charger):
        await _set(uow, row, **values)
        return
    values |= {"retried": False}
    if row.verify or row.version is None or state is LocalListState.UNSUPPORTED:
        await _ask_version(app, uow, charger, row, **values)
    else:
        await _teach(app, uow, charger, row, **values)


async def local_list_answered(app: Charging, uow: UnitOfWork, charger: Charger, command: Row, outcome: Outcome) -> None:
    """The follower of our GetLocalListVersion and SendLocalList."""
    row = await _locked(uow, local_lists.c.charger_id == charger.id)
    if row is None or row.command_id != command.id or LocalListState(row.state) not in IN_FLIGHT:
        return
    if outcome.unsupported:
        await _unsupported(uow, charger, row)
    elif outcome.status in (CommandStatus.EXPIRED, CommandStatus.TIMED_OUT, CommandStatus.UNKNOWN):
        await _give_up(uow, row, outcome.status)
    elif command.action == "GetLocalListVersion":
        await _version_told(app, uow, charger, row, outcome)
    else:
        await _update_answered(app, uow, charger, row, read_update(command.payload), outcome)


async def _version_told(app: Charging, uow: UnitOfWork, charger: Charger, row: Row, outcome: Outcome) -> None:
    version = (outcome.response or {}).get("listVersion")
    if not isinstance(version, int):
        await _fail(uow, charger, row, outcome.said)
    elif version <= NOT_SUPPORTED_VERSION:
        await _unsupported(uow, charger, row)
    else:
        # Version 0 is an empty list (§5.10). Any other that we did not confirm holds we know not what.
        known = row.entries if version == row.version else {} if version == 0 else None
        await _set(uow, row, version=version, entries=known, verify=False)
        fresh = await _locked(uow, local_lists.c.id == row.id)
        if fresh is not None:
            await _teach(app, uow, charger, fresh)


async def _update_answered(app: Charging, uow: UnitOfWork, charger: Charger, row: Row, update: Update, outcome: Outcome) -> None:
    if outcome.said == "Accepted":
        await _set(uow, row, version=update.version, entries=apply(row.entries, update), updates=row.updates[1:])
        fresh = await _locked(uow, local_lists.c.id == row.id)
        if fresh is not None and fresh.updates:
            await _send(app, uow, charger, fresh, fresh.updates)
        elif fresh is not None:
            await _teach(app, uow, charger, fresh)
    elif row.retried:
        await _fail(uow, charger, row, outcome.said, entries=None, verify=True)
    elif outcome.said == "VersionMismatch":
        await _ask_version(app, uow, charger, row, entries=None, version=None, retried=True, full_wanted=True, updates=[])
    else:
        # Failed, or an error: once more, as a whole (§5.15: the CSMS SHOULD retry with a full update).
        await _set(uow, row, entries=None, retried=True, updates=[], version=update.version)
        fresh = await _locked(uow, local_lists.c.id == row.id)
        if fresh is not None:
            await _teach(app, uow, charger, fresh)


async def _teach(app: Charging, uow: UnitOfWork, charger: Charger, row: Row, **values: Any) -> None:
    """Send what is missing; where nothing is, it is done."""
    desired = await desired_entries(uow)
    bounds = bounds_of(await reported_configuration(uow, charger.id))
    if bounds.list_length_max is not None and len(desired) > bounds.list_length_max:
        reason = f"{len(desired)} tags, and the charger takes {bounds.list_length_max}."
        await _fail(uow, charger, row, reason, **values)
        return
    updates = plan(
        None if row.full_wanted else row.entries,
        desired,
        version=(row.version or 0) + 1,
        length_max=bounds.send_length_max or SEND_LENGTH_MAX_UNTOLD,
    )
    if updates:
        values["full_wanted"] = False
        await _send(app, uow, charger, row, [update.payload() for update in updates], **values)
        return
    state = LocalListState(row.state)
    if state in IN_FLIGHT:
        state = next_local_list_state(state, LocalListHappening.DONE)
    elif state is LocalListState.FAILED:
        state = LocalListState.IDLE
    await _set(uow, row, **(values | {"state": state.value, "reason": None, "command_id": None, "confirmed_at": uow.now}))


async def _send(app: Charging, uow: UnitOfWork, charger: Charger, row: Row, updates: list[Any], **values: Any) -> None:
    state = next_local_list_state(LocalListState(row.state), LocalListHappening.SENT)
    command_id = await _command(app, uow, charger, "SendLocalList", updates[0])
    await _set(uow, row, **(values | {"state": state.value, "updates": updates, "command_id": command_id, "reason": None}))


async def _ask_version(app: Charging, uow: UnitOfWork, charger: Charger, row: Row, **values: Any) -> None:
    state = next_local_list_state(LocalListState(row.state), LocalListHappening.ASKED)
    command_id = await _command(app, uow, charger, "GetLocalListVersion", {})
    await _set(uow, row, **(values | {"state": state.value, "command_id": command_id, "reason": None}))


async def _command(app: Charging, uow: UnitOfWork, charger: Charger, action: str, payload: dict[str, Any]) -> int:
    return await create_command(
        app,
        uow,
        charger,
        action=action,
        payload=payload,
        trigger=TRIGGER,
        deadline_at=uow.now + timedelta(seconds=app.settings.command_deadline_seconds),
    )


async def _fail(uow: UnitOfWork, charger: Charger, row: Row, reason: str, **values: Any) -> None:
    state = next_local_list_state(LocalListState(row.state), LocalListHappening.FAILED)
    log.warning("local_list.failed", charge_point_id=charger.charge_point_id, reason=reason)
    await _set(uow, row, **(values | {"state": state.value, "reason": reason, "updates": [], "command_id": None}))


async def _give_up(uow: UnitOfWork, row: Row, status: CommandStatus) -> None:
    """No answer: begun anew when the charger connects or boots. What was never sent changed nothing; else we know nothing."""
    state = next_local_list_state(LocalListState(row.state), LocalListHappening.DONE)
    values: dict[str, Any] = {"state": state.value, "reason": status.value, "updates": [], "command_id": None}
    if status is not CommandStatus.EXPIRED:
        values |= {"version": None, "entries": None, "verify": True}
    await _set(uow, row, **values)


async def _unsupported(uow: UnitOfWork, charger: Charger, row: Row) -> None:
    state = next_local_list_state(LocalListState(row.state), LocalListHappening.UNSUPPORTED)
    await _set(
        uow,
        row,
        state=state.value,
        reason="NotSupported",
        unsupported_firmware=await _firmware(uow, charger),
        version=None,
        entries=None,
        updates=[],
        command_id=None,
    )


async def _firmware(uow: UnitOfWork, charger: Charger) -> str:
    """The charger's firmware; '' where it has not said."""
    version = await uow.connection.scalar(sa.select(chargers.c.firmware_version).where(chargers.c.id == charger.id))
    return version or ""


async def _locked(uow: UnitOfWork, where: sa.ColumnElement[bool]) -> "Row | None":
    return (await uow.connection.execute(sa.select(local_lists).where(where).with_for_update())).one_or_none()


async def _set(uow: UnitOfWork, row: Row, **values: Any) -> None:
    await uow.connection.execute(sa.update(local_lists).where(local_lists.c.id == row.id).values(**values))
