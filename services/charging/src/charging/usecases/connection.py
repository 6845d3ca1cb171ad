"""A charger's connections: connected, disconnected, booted, and a gateway that is gone with them all.

The newest epoch wins; late news about an older one changes nothing. The news of a whole batch is judged here event by event,
and read and written together (`known_chargers`).
"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from charging.domain.deadlines import OUR_DISCONNECTS, SuspensionCause, cause_of, is_stale
from charging.domain.transaction import Transaction
from charging.repository import Charger, save_connections, update_charger
from charging.tables import chargers
from charging.usecases import announce
from charging.usecases.context import Charging
from charging.usecases.finalize import finalize
from charging.usecases.hand_over_credentials import announce_credentials
from charging.usecases.known_chargers import KnownChargers, know
from charging.usecases.send_command import dispatch
from charging.usecases.stop_session import want_stop
from chassis.database import UnitOfWork
from contracts.base import ChargerEvent
from contracts.charging import StopReason
from contracts.ocpp_gateway import (
    BootNotificationReceived,
    ChargePointConnected,
    ChargePointDisconnected,
    DisconnectReason,
)

LAST_SEEN_RESOLUTION = timedelta(seconds=60)
"""How exact last_seen_at is kept: writing the charger's row at every message would double the writes."""

PROBE = timedelta(seconds=5)
"""A socket that was shorter than this and silent was a probe: no step towards the flap limit. The known ones last 3 s."""


async def alive(uow: UnitOfWork, charger: Charger, event: ChargerEvent) -> None:
    """A frame came: the charger is there, even if its gateway was taken for lost meanwhile. Writes at most once a minute."""
    if returned(charger, event):
        await come_back(uow, charger, event)
    elif seen_anew(charger, event):
        await update_charger(uow, charger.id, last_seen_at=event.received_at)


async def come_back(uow: UnitOfWork, charger: Charger, event: ChargerEvent) -> None:
    """Take the connection of this frame for one that stands, and hand over what waited for it."""
    take_connection(charger, event)
    await save_connections(uow, [charger])
    await dispatch(uow, charger)


async def heard(uow: UnitOfWork, known: KnownChargers, charger: Charger, event: ChargerEvent) -> None:
    """`alive` of a known charger: written with the others."""
    if returned(charger, event):
        take_connection(charger, event)
        known.connection_changed(charger)
        await known.hand_over(uow, charger)
    elif seen_anew(charger, event):
        known.connection_changed(charger)


def returned(charger: Charger, event: ChargerEvent) -> bool:
    """Whether this frame comes over a connection that we did not know to stand."""
    if event.epoch != charger.epoch:
        return event.epoch > charger.epoch
    return not charger.online and (charger.offline_since is None or event.received_at > charger.offline_since)


def seen_anew(charger: Charger, event: ChargerEvent) -> bool:
    """Whether last_seen_at is due to be written; takes it as written."""
    if charger.last_seen_at is not None and event.received_at - charger.last_seen_at < LAST_SEEN_RESOLUTION:
        return False
    charger.last_seen_at = event.received_at
    return True


def take_connection(charger: Charger, event: ChargerEvent) -> None:
    """The charger is online over the connection of this event."""
    charger.epoch, charger.gateway, charger.online = event.epoch, event.gateway, True
    charger.online_since = charger.last_seen_at = event.received_at


async def connected(app: Charging, uow: UnitOfWork, known: KnownChargers, charger: Charger, event: ChargePointConnected) -> None:
    """A socket of the charger is up: what waited for it goes out, and disconnect deadlines give way to the 900 s guard."""
    if event.epoch <= charger.epoch:
        return
    take_connection(charger, event)
    known.connection_changed(charger)
    for transaction in known.transactions_of(charger):
        if transaction.active:
            transaction.socket_returned(event.received_at, app.limits)
        intent = transaction.stop_intent
        if intent is not None and transaction.wants_stop:
            # It could not be told, or may not have heard: once more, on this connection.
            transaction.stop_confirm_due_at = None
            await want_stop(app, uow, charger, transaction, intent)
    known.connected(charger)
    await known.hand_over(uow, charger)


async def disconnected(
    app: Charging, uow: UnitOfWork, known: KnownChargers, charger: Charger, event: ChargePointDisconnected
) -> None:
    """The socket is gone: every active session suspends, with its deadline; one that keeps dropping without energy ends."""
    if event.epoch != charger.epoch or not charger.online:
        return
    if event.reason is DisconnectReason.SUPERSEDED:
        return  # a newer socket is there already; its own news is on the way
    counts = event.reason not in OUR_DISCONNECTS and not _was_probe(charger, event)
    _dropped(app, uow, known, charger, event.reason, event.received_at, counts=counts)


def _was_probe(charger: Charger, event: ChargePointDisconnected) -> bool:
    """Whether the socket ended in a moment and without a word: some try the door before they come in (row 2)."""
    if event.seq > 1:
        return False  # seq 0 said that it was made, this one is its end, and there was something between
    since = charger.online_since
    return since is not None and event.received_at - since < PROBE


async def gateway_lost(app: Charging, uow: UnitOfWork, charge_point_id: str, epoch: int) -> None:
    """The gateway that held this connection is gone (its lease lapsed): taken as dropped, with the longer window."""
    known = await know(uow, [charge_point_id])
    charger = known.chargers.get(charge_point_id)
    if charger is not None and charger.online and charger.epoch == epoch:
        _dropped(app, uow, known, charger, DisconnectReason.GATEWAY_LOST, uow.now, counts=False)
        await known.write(uow)


def _dropped(
    app: Charging,
    uow: UnitOfWork,
    known: KnownChargers,
    charger: Charger,
    reason: DisconnectReason,
    at: datetime,
    *,
    counts: bool,
) -> None:
    """`counts`: towards the flap limit."""
    charger.online, charger.offline_since = False, at
    known.connection_changed(charger)
    for transaction in known.active_of(charger):
        before = transaction.state
        if transaction.suspend(cause_of(reason), at, app.limits):
            announce.stepped(uow, transaction, before, trigger=f"disconnect: {reason.value}", at=at)
            uow.after_commit(app.metrics.disconnect_suspended.inc)
        if counts and transaction.count_disconnect(app.limits):
            finalize(app, uow, transaction, StopReason.FLAP_LIMIT, at=at, trigger="disconnects without energy between")


async def booted(app: Charging, uow: UnitOfWork, known: KnownChargers, charger: Charger, event: BootNotificationReceived) -> None:
    """BootNotification (§4.2): note what it is; suspend what runs, once per drop, for a sign of life; end what is stale."""
    if (event.epoch, event.seq) <= (charger.boot_epoch, charger.boot_seq):
        return
    await heard(uow, known, charger, event)
    closed_without_frame = app.quirk_profile_of(charger).close_without_frame
    charger.vendor, charger.model = event.charge_point_vendor, event.charge_point_model
    charger.firmware_version = event.firmware_version
    charger.boot_epoch, charger.boot_seq = event.epoch, event.seq
    known.booted(charger, event)
    if app.quirk_profile_of(charger).close_without_frame != closed_without_frame:
        await known.write(uow)  # the row says what it is before the gateways are told
        row = (await uow.connection.execute(sa.select(chargers).where(chargers.c.id == charger.id))).one()
        announce_credentials(app, uow, row)
    for transaction in known.active_of(charger):
        # A session that ran on in silence for longer than that is no more to be gone on with than a suspended one.
        if is_stale(transaction.last_activity_at, event.received_at, app.limits):
            await end_stale(app, uow, charger, transaction, event.received_at, trigger="BootNotification")
            continue
        before = transaction.state
        if transaction.suspend(SuspensionCause.BOOT, event.received_at, app.limits):
            announce.stepped(uow, transaction, before, trigger="BootNotification", at=event.received_at)


async def end_stale(
    app: Charging, uow: UnitOfWork, charger: Charger, transaction: Transaction, at: datetime, *, trigger: str
) -> None:
    """A resume that comes more than 900 s after the last activity: finalized, never silently resumed, and told to stop."""
    finalize(app, uow, transaction, StopReason.STALE_RECONNECT, at=at, trigger=trigger)
    await want_stop(app, uow, charger, transaction, StopReason.STALE_RECONNECT)
