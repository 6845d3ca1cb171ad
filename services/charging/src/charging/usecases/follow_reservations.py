"""What happens to reservations in the lane: the charger's answers, a start that uses one, and their end."""

from typing import Any

import sqlalchemy as sa

from charging.domain.id_tags import IdTagInfo
from charging.domain.reservations import (
    OPEN,
    ReservationHappening,
    ReservationState,
    entitles,
    is_reserved,
    next_reservation_state,
)
from charging.domain.states import CommandStatus
from charging.repository import Charger, Connector
from charging.tables import reservations
from charging.usecases import announce
from charging.usecases.context import Charging
from charging.usecases.outcome import Outcome
from charging.usecases.send_command import create_command
from chassis.database import UnitOfWork

TRIGGER = "reservation"

Row = sa.Row[Any]

_OPEN = reservations.c.state.in_([state.value for state in OPEN])


async def reservation_answered(app: Charging, uow: UnitOfWork, charger: Charger, command: Row, outcome: Outcome) -> None:
    """A ReserveNow or CancelReservation ended, whoever sent it. One about a reservation that is not ours changes nothing."""
    reservation_id = command.payload["reservationId"]
    row = await _locked(uow, reservations.c.id == reservation_id, reservations.c.charger_id == charger.id)
    if row is None or ReservationState(row.state) not in OPEN:
        return
    if command.action == "CancelReservation":
        # Rejected (§5.2): the charger holds no such reservation, so nothing is reserved any more either.
        if outcome.status in (CommandStatus.ANSWERED, CommandStatus.REJECTED):
            await _step(uow, row, ReservationHappening.CANCELLED, trigger=f"CancelReservation: {outcome.said}")
        return
    if row.command_id != command.id or ReservationState(row.state) is not ReservationState.REQUESTED:
        return
    if outcome.said == "Accepted":
        await _step(uow, row, ReservationHappening.ACCEPTED, trigger="ReserveNow", decided_at=uow.now)
        return
    await _step(uow, row, ReservationHappening.REFUSED, trigger="ReserveNow", reason=outcome.said, decided_at=uow.now)
    if outcome.status in (CommandStatus.TIMED_OUT, CommandStatus.UNKNOWN):
        # It may hold it all the same: nobody's reservation must not block a connector.
        await create_command(
            app,
            uow,
            charger,
            action="CancelReservation",
            payload={"reservationId": reservation_id},
            trigger=TRIGGER,
            deadline_at=row.expires_at,
        )


async def use_reservation(
    uow: UnitOfWork,
    charger: Charger,
    *,
    connector_id: int,
    id_tag: str,
    info: IdTagInfo,
    reservation_id: int | None,
    transaction_id: int,
) -> None:
    """A start was accepted: the reservation that it names is used, or, where it names none, the one that this tag has there.

    A reservationId of 0 or below is none (row 55). One that this tag may not use is left as it is: the charger judged wrongly.
    """
    where = [reservations.c.charger_id == charger.id, _OPEN, reservations.c.connector_id.in_((0, connector_id))]
    named = reservation_id is not None and reservation_id > 0
    where.append(reservations.c.id == reservation_id if named else reservations.c.id_tag == id_tag)
    row = await _locked(uow, *where)
    if row is None:
        return
    if entitles(id_tag=id_tag, parent_id_tag=info.parent_id_tag, reserved_for=row.id_tag, reserved_parent=row.parent_id_tag):
        await _step(uow, row, ReservationHappening.STARTED, trigger="StartTransaction", transaction_id=transaction_id)
    else:
        announce.audit(
            uow,
            entity="reservation",
            entity_id=row.id,
            action="used_by_stranger",
            trigger="StartTransaction",
            at=uow.now,
            after={"id_tag": id_tag, "transaction_id": transaction_id},
        )


async def reservation_due(app: Charging, uow: UnitOfWork, charger: Charger, reservation_id: int) -> None:
    """Its expiry is here. The charger ends it by itself (§3.12), so nothing is sent."""
    del app
    row = await _locked(
        uow, reservations.c.id == reservation_id, reservations.c.charger_id == charger.id, reservations.c.expires_at <= uow.now
    )
    if row is not None and ReservationState(row.state) in OPEN:
        await _step(uow, row, ReservationHappening.DEADLINE_PASSED, trigger="expiry")


async def reserved_for_others(uow: UnitOfWork, charger: Charger, connector_id: int, known: dict[int, Connector]) -> bool:
    """Whether reservations keep this connector from a rider. Minted tags have none."""
    c = reservations.c
    rows = await uow.connection.scalars(
        sa.select(c.connector_id).where(c.charger_id == charger.id, _OPEN, c.expires_at > uow.now)
    )
    reserved = list(rows)
    if not reserved:
        return False
    serving = ("Charging", "SuspendedEV", "SuspendedEVSE", "Faulted", "Unavailable")
    free = [number for number, connector in known.items() if number > 0 and connector.status not in serving]
    return is_reserved(connector_id, reserved=reserved, free=free or [connector_id])


async def _locked(uow: UnitOfWork, *where: sa.ColumnElement[bool]) -> "Row | None":
    return (
        await uow.connection.execute(
            sa.select(reservations)
            .where(*where)
            .order_by(reservations.c.connector_id.desc(), reservations.c.id)
            .limit(1)
            .with_for_update()
        )
    ).one_or_none()


async def _step(uow: UnitOfWork, row: Row, happening: ReservationHappening, *, trigger: str, **values: Any) -> None:
    before = ReservationState(row.state)
    after = next_reservation_state(before, happening)
    if after not in OPEN and after is not ReservationState.REFUSED:
        values["ended_at"] = uow.now
    await uow.connection.execute(sa.update(reservations).where(reservations.c.id == row.id).values(state=after.value, **values))
    announce.audit(
        uow,
        entity="reservation",
        entity_id=row.id,
        action=after.value.lower(),
        trigger=trigger,
        at=uow.now,
        before={"state": before.value},
        after={"state": after.value, "reason": values.get("reason"), "transaction_id": values.get("transaction_id")},
    )
