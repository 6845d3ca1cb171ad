"""Configuration on connect (C12): a slow, polite conversation with a charger, held in its lane one command at a time.

    sweep: due ─> WAITING ──GetConfiguration──> LISTING ──ChangeConfiguration, one key at a time──> CHANGING ─┐
                     ▲                                                                                         │
                     └── busy, a start pending, or another connection                DONE <── READING_BACK <──┘

What ocpp.md warns of is kept here: nothing before the charger has settled (rows 13, 14); a listing that fails or hangs is never
asked for again on that firmware (row 12); a key that made it hang or drop is not tried again; one that keeps dropping is left
alone; nothing while a session runs or a paid start waits, for a key may make it reboot. Commands go behind all others.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from charging.configuration_repository import load_keys, lock_configuration, save_keys, set_configuration
from charging.domain.commands import CARE
from charging.domain.configuration import (
    TOOK,
    UNDER_WAY,
    Configuration,
    ConfigurationState,
    Key,
    KeyAnswer,
    answer_of,
    desired_of,
)
from charging.domain.states import CommandStatus, StartRequestState, TransactionState
from charging.repository import Charger
from charging.tables import chargers, commands, configurations, start_requests, transactions
from charging.usecases import announce
from charging.usecases.context import Charging
from charging.usecases.outcome import Outcome
from charging.usecases.send_command import create_command
from chassis.database import UnitOfWork

log = structlog.get_logger(__name__)

COMMAND_DEADLINE = timedelta(seconds=60)
"""What could not be sent within this waits for the next conversation: never for a fresh connection's first seconds."""

STUCK_SLACK = timedelta(seconds=60)
"""Beyond a command's deadline, timeout and report: then the step is taken for lost."""

READ_BACK_KEYS_MAX = 20
"""Keys named in one GetConfiguration; a box that takes fewer says so by GetConfigurationMaxKeys."""


async def due(app: Charging, uow: UnitOfWork, charger: Charger) -> None:
    """The sweep found this charger due, or its conversation stuck. Checked again here, under the row's lock."""
    row = await lock_configuration(uow, charger)
    state = ConfigurationState(row.state)
    if state in UNDER_WAY:
        if row.due_at is not None and row.due_at <= uow.now:
            await _interrupted(app, uow, charger, row, "no outcome of its last command was ever reported")
        return
    waits = state is ConfigurationState.WAITING and row.due_at is not None and row.due_at > uow.now
    if waits or not charger.online or charger.vendor is None:
        return
    make = {"vendor": charger.vendor, "model": charger.model, "firmware_version": charger.firmware_version}
    anew = any(getattr(row, name) != value for name, value in make.items())
    outdated = row.desired_version != app.configuration.version
    if not anew and not outdated and (row.due_at is None or row.due_at > uow.now):
        return
    profile = app.quirk_profile_of(charger)
    settled = await _settled_at(uow, charger, profile.settle_seconds or app.settings.configuration_settle_seconds)
    if settled > uow.now:
        await _wait(uow, charger, until=settled, reason="it has just connected")
        return
    reason = await _busy(uow, charger)
    if reason is not None:
        postponed = uow.now + timedelta(seconds=app.settings.configuration_postpone_seconds)
        await _wait(uow, charger, until=postponed, reason=reason)
        return
    if profile.denies("ChangeConfiguration"):
        await _rest(
            app, uow, charger, ConfigurationState.LEFT_ALONE, due_at=None, reason="its quirk profile denies ChangeConfiguration"
        )
        return
    known = await load_keys(uow, charger.id)
    if anew:
        known.forget_probes()
    for key in known.keys.values():
        if key.answer in TOOK:
            key.settled = False  # it took the value once: if it reports another now, it is to take it again
    overrides = {name: (key.key, key.override) for name, key in known.keys.items() if key.override is not None}
    known.wish(desired_of(app.configuration.keys, profile, overrides))
    await save_keys(uow, charger.id, known.keys.values())
    fresh = {"listing_refused": False, "interruptions": 0, "reboot_required": False} if anew else {}
    await set_configuration(
        uow,
        charger.id,
        **make,
        **fresh,
        desired_version=app.configuration.version,
        started_at=uow.now,
        epoch=charger.epoch,
        changed=False,
        reason=None,
    )
    if profile.denies("GetConfiguration") or (row.listing_refused and not anew):
        await _next_change(app, uow, charger, known, changed=False)
    else:
        await _send(app, uow, charger, ConfigurationState.LISTING, "GetConfiguration", {})


async def answered(app: Charging, uow: UnitOfWork, charger: Charger, row: "sa.Row[Any]", outcome: Outcome) -> None:
    """Follower of the conversation's commands: take what was said; go on, or stop where the charger is busy."""
    care = await lock_configuration(uow, charger)
    state = ConfigurationState(care.state)
    if care.command_id != row.id or state not in UNDER_WAY:
        return  # a conversation that was given up meanwhile
    known = await load_keys(uow, charger.id)
    overrides = {name: (key.key, key.override) for name, key in known.keys.items() if key.override is not None}
    known.wish(desired_of(app.configuration.keys, app.quirk_profile_of(charger), overrides))
    status: CommandStatus = outcome.status
    lost = status in (CommandStatus.TIMED_OUT, CommandStatus.UNKNOWN)
    changed = care.changed
    if state is ConfigurationState.CHANGING:
        answer = answer_of(status, outcome.said)
        if answer is not None and care.key in known.keys:
            key = known.asked(care.key, answer)
            changed = changed or answer in TOOK
            if answer is KeyAnswer.REBOOT_REQUIRED:
                await set_configuration(uow, charger.id, reboot_required=True)
            _note(uow, charger, key, row.payload.get("value"), answer)
    elif status is CommandStatus.ANSWERED:
        known.take_listing(outcome.response or {}, outcome.at)
    elif status is not CommandStatus.EXPIRED:
        # It may hang on this one for ever: not asked again until its firmware changes.
        await set_configuration(uow, charger.id, listing_refused=True)
    await save_keys(uow, charger.id, known.keys.values())
    await set_configuration(uow, charger.id, changed=changed, drift=known.drift)
    if lost:
        what = row.action if care.key is None else f"{row.action} {care.key}"
        await _interrupted(app, uow, charger, care, f"{what}: {status.value}")
        return
    if status is CommandStatus.EXPIRED or not charger.online or charger.epoch != care.epoch:
        postponed = uow.now + timedelta(seconds=app.settings.configuration_postpone_seconds)
        await _wait(uow, charger, until=postponed, reason="its connection ended meanwhile")
        return
    if state is ConfigurationState.READING_BACK:
        await _done(app, uow, charger, known)
        return
    reason = await _busy(uow, charger)
    if reason is not None:
        postponed = uow.now + timedelta(seconds=app.settings.configuration_postpone_seconds)
        await _wait(uow, charger, until=postponed, reason=reason)
        return
    await _next_change(app, uow, charger, known, changed=changed)


async def _next_change(app: Charging, uow: UnitOfWork, charger: Charger, known: Configuration, *, changed: bool) -> None:
    key = known.next_change()
    if key is not None and key.desired is not None:
        key.sent, key.sent_at = key.desired, uow.now
        await save_keys(uow, charger.id, [key])
        payload = {"key": key.key, "value": key.desired}
        await _send(app, uow, charger, ConfigurationState.CHANGING, "ChangeConfiguration", payload, key=key.name)
        return
    care = await lock_configuration(uow, charger)
    began: datetime = care.started_at
    asked = [
        each.key for each in known.keys.values() if each.answer in TOOK and each.sent_at is not None and each.sent_at >= began
    ]
    if not changed or care.listing_refused or app.quirk_profile_of(charger).denies("GetConfiguration"):
        await _done(app, uow, charger, known)
        return
    names = asked[: _keys_at_once(known)]
    await _send(app, uow, charger, ConfigurationState.READING_BACK, "GetConfiguration", {"key": names})


def _keys_at_once(known: Configuration) -> int:
    """How many keys a GetConfiguration may name (§9.1.8)."""
    limit = known.keys.get("getconfigurationmaxkeys")
    said = limit.reported if limit is not None else None
    return min(READ_BACK_KEYS_MAX, max(1, int(said))) if said is not None and said.isdecimal() else READ_BACK_KEYS_MAX


async def _send(
    app: Charging,
    uow: UnitOfWork,
    charger: Charger,
    state: ConfigurationState,
    action: str,
    payload: Mapping[str, Any],
    *,
    key: str | None = None,
) -> None:
    command_id = await create_command(
        app, uow, charger, action=action, payload=payload, trigger=CARE, deadline_at=uow.now + COMMAND_DEADLINE
    )
    timeout = app.quirk_profile_of(charger).call_timeout_seconds or app.settings.command_timeout_seconds
    await set_configuration(
        uow,
        charger.id,
        state=state.value,
        command_id=command_id,
        key=key,
        due_at=uow.now + COMMAND_DEADLINE + timedelta(seconds=timeout) + STUCK_SLACK,
    )


async def _settled_at(uow: UnitOfWork, charger: Charger, seconds: float) -> datetime:
    """When the charger may be spoken to: so long after its connection, and after its last BootNotification."""
    c = chargers.c
    since = await uow.connection.scalar(sa.select(sa.func.greatest(c.online_since, c.booted_at)).where(c.id == charger.id))
    return (since or uow.now) + timedelta(seconds=seconds)


async def _busy(uow: UnitOfWork, charger: Charger) -> str | None:
    """Why the charger is to be left in peace just now; None: it has nothing better to do."""
    if await uow.connection.scalar(
        sa.select(transactions.c.id)
        .where(transactions.c.charger_id == charger.id, transactions.c.state != TransactionState.STOPPED.value)
        .limit(1)
    ):
        return "a session runs"
    if await uow.connection.scalar(
        sa.select(start_requests.c.id)
        .where(start_requests.c.charger_id == charger.id, start_requests.c.state == StartRequestState.REQUESTED.value)
        .limit(1)
    ):
        return "a paid start is pending"
    unended = (CommandStatus.PENDING.value, CommandStatus.DISPATCHED.value)
    if await uow.connection.scalar(
        sa.select(commands.c.id)
        .where(commands.c.charger_id == charger.id, commands.c.status.in_(unended), commands.c.trigger != CARE)
        .limit(1)
    ):
        return "another command is under way"
    return None


async def _wait(uow: UnitOfWork, charger: Charger, *, until: datetime, reason: str) -> None:
    await set_configuration(
        uow, charger.id, state=ConfigurationState.WAITING.value, due_at=until, command_id=None, key=None, reason=reason
    )


async def _interrupted(app: Charging, uow: UnitOfWork, charger: Charger, care: "sa.Row[Any]", why: str) -> None:
    """It hung or dropped. Now and then that happens to any charger; on one firmware again and again it is our asking."""
    count = care.interruptions + 1
    uow.after_commit(app.metrics.configuration_interrupted.inc)
    log.warning("configuration.interrupted", charge_point_id=charger.charge_point_id, why=why, count=count)
    await set_configuration(uow, charger.id, interruptions=count)
    if count >= app.settings.configuration_interruptions_max:
        uow.after_commit(app.metrics.configuration_given_up.inc)
        await _rest(app, uow, charger, ConfigurationState.GIVEN_UP, due_at=None, reason=why)
    else:
        await _wait(uow, charger, until=uow.now + timedelta(seconds=app.settings.configuration_retry_seconds), reason=why)


async def _done(app: Charging, uow: UnitOfWork, charger: Charger, known: Configuration) -> None:
    uow.after_commit(app.metrics.configured.inc)
    recheck = uow.now + timedelta(seconds=app.settings.configuration_recheck_seconds)
    await set_configuration(uow, charger.id, drift=known.drift, finished_at=uow.now, interruptions=0)
    await _rest(app, uow, charger, ConfigurationState.DONE, due_at=recheck, reason=None)


async def _rest(
    app: Charging, uow: UnitOfWork, charger: Charger, state: ConfigurationState, *, due_at: datetime | None, reason: str | None
) -> None:
    make = {"vendor": charger.vendor, "model": charger.model, "firmware_version": charger.firmware_version}
    care = await lock_configuration(uow, charger)
    # A person who asked for a refresh meanwhile has emptied desired_version: that stands, and it begins anew.
    version = care.desired_version if state is ConfigurationState.DONE else app.configuration.version
    await set_configuration(
        uow,
        charger.id,
        **make,
        state=state.value,
        due_at=due_at,
        desired_version=version,
        command_id=None,
        key=None,
        reason=reason,
    )
    if care.state != state.value or state is not ConfigurationState.LEFT_ALONE:
        announce.audit(
            uow,
            entity="charger",
            entity_id=charger.id,
            action=f"configuration.{state.value.lower()}",
            trigger=CARE,
            at=uow.now,
            after={"drift": care.drift, "reason": reason, "firmware_version": charger.firmware_version},
        )


def _note(uow: UnitOfWork, charger: Charger, key: Key, value: Any, answer: KeyAnswer) -> None:
    announce.audit(
        uow,
        entity="charger",
        entity_id=charger.id,
        action="configuration.key_sent",
        trigger=CARE,
        at=uow.now,
        before={"key": key.key, "value": key.reported},
        after={"key": key.key, "value": value, "answer": answer.value},
    )


def due_chargers(app: Charging, now: datetime) -> "sa.Select[Any]":
    """(id, charge_point_id, due_at) of chargers to be configured now, as many as may be under way at once; and of those stuck."""
    c, f = chargers.c, configurations.c
    under_way = [state.value for state in UNDER_WAY]
    running = sa.select(sa.func.count()).where(f.state.in_(under_way)).scalar_subquery()
    settle = timedelta(seconds=app.settings.configuration_settle_seconds)
    changed = sa.or_(
        f.desired_version != app.configuration.version,
        f.vendor.is_distinct_from(c.vendor),
        f.model.is_distinct_from(c.model),
        f.firmware_version.is_distinct_from(c.firmware_version),
    )
    # Of WAITING and of what is changed alike the due time counts where there is one ahead: a busy charger is not asked every 5 s.
    waiting_its_time = sa.and_(f.state == ConfigurationState.WAITING.value, f.due_at > now)
    ready = (
        sa.select(c.id, c.charge_point_id, sa.func.coalesce(f.due_at, c.online_since).label("due_at"))
        .select_from(chargers.outerjoin(configurations, f.charger_id == c.id))
        .where(
            c.online,
            c.enabled,
            c.vendor.is_not(None),
            c.online_since <= now - settle,
            sa.or_(c.booted_at.is_(None), c.booted_at <= now - settle),
            sa.or_(
                f.charger_id.is_(None),
                sa.and_(f.state.not_in(under_way), sa.or_(f.due_at <= now, sa.and_(changed, sa.not_(waiting_its_time)))),
            ),
        )
        .order_by(sa.func.coalesce(f.due_at, c.online_since), c.id)
        .limit(sa.func.greatest(0, app.settings.configuration_at_once - running))
        .subquery()
    )
    stuck = (
        sa.select(f.charger_id.label("id"), f.charge_point_id, f.due_at)
        .where(f.state.in_(under_way), f.due_at <= now)
        .limit(app.settings.configuration_at_once)
        .subquery()
    )
    return sa.union_all(sa.select(ready), sa.select(stuck))  # type: ignore[return-value]
