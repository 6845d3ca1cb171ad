"""Reservations over REST (OCPP 1.6 §3.12): a connector kept for a staff tag, or its group, until a moment."""

from datetime import datetime

import sqlalchemy as sa

from charging.domain.errors import ConflictError
from charging.domain.id_tags import IdTagInfo
from charging.domain.reservations import OPEN, ReservationState
from charging.domain.start import normalise_id_tag
from charging.tables import connectors, reservations
from charging.usecases import announce
from charging.usecases.context import Charging
from charging.usecases.follow_reservations import TRIGGER
from charging.usecases.look_up_id_tag import id_tag_info
from charging.usecases.request_command import own_charger, reported_configuration, request_command
from charging.usecases.scope import missing, of_own_chargers
from charging.views import ReservationCreate, ReservationId, ReservationQuery, ReservationView
from charging.views.reservations import RESERVED_MAX
from chassis.database import UnitOfWork
from chassis.web import Page, Principal, fetch_page, invalid_field
from contracts.ocpp_gateway import IdTagStatus


async def create_reservation(app: Charging, uow: UnitOfWork, body: ReservationCreate, principal: Principal) -> ReservationView:
    """`POST /v1/reservations`: 201 REQUESTED; the charger's answer makes it ACCEPTED or REFUSED."""
    charger = await own_charger(uow, body.charger_id, principal)
    if not uow.now < body.expires_at <= uow.now + RESERVED_MAX:
        raise invalid_field("#/body/expires_at", f"It must lie ahead, by {RESERVED_MAX.days} days at most")
    id_tag = normalise_id_tag(body.id_tag)
    info = await id_tag_info(uow, id_tag)
    if info.status is not IdTagStatus.ACCEPTED:
        raise invalid_field("#/body/id_tag", f"No staff tag that may charge: {info.status.value}")
    await _check_place(uow, charger.id, body.connector_id)
    parent = normalise_id_tag(body.parent_id_tag) if body.parent_id_tag is not None else info.parent_id_tag
    reservation_id: int = (
        await uow.connection.execute(
            sa.insert(reservations)
            .values(
                charger_id=charger.id,
                charge_point_id=charger.charge_point_id,
                connector_id=body.connector_id,
                id_tag=id_tag,
                parent_id_tag=parent,
                expires_at=body.expires_at,
                actor=principal.subject,
                created_at=uow.now,
            )
            .returning(reservations.c.id)
        )
    ).scalar_one()
    payload = _reserve_now(reservation_id, body.connector_id, body.expires_at, id_tag, IdTagInfo(info.status, None, parent))
    command_id = await request_command(
        app, uow, charger, action="ReserveNow", payload=payload, trigger=TRIGGER, principal=principal
    )
    row = (
        await uow.connection.execute(
            sa.update(reservations)
            .where(reservations.c.id == reservation_id)
            .values(command_id=command_id)
            .returning(*reservations.c)
        )
    ).one()
    announce.audit(
        uow,
        entity="reservation",
        entity_id=reservation_id,
        action="requested",
        actor=principal.subject,
        trigger="api",
        at=uow.now,
        after={"charger_id": charger.id, "connector_id": body.connector_id, "id_tag": id_tag},
    )
    return ReservationView.model_validate(row)


async def _check_place(uow: UnitOfWork, charger_id: int, connector_id: int) -> None:
    """Raises ConflictError where the charger has said that it can't."""
    told = await reported_configuration(uow, charger_id)
    features = told.get("supportedfeatureprofiles")
    if features is not None and "reservation" not in features.lower():
        raise ConflictError("The charger does not support the Reservation feature profile.")
    if connector_id == 0:
        if told.get("reserveconnectorzerosupported", "true").strip().lower() == "false":
            raise ConflictError("The charger does not reserve connector 0 (ReserveConnectorZeroSupported).")
        return
    numbers = await uow.connection.scalars(
        sa.select(connectors.c.connector_id).where(connectors.c.charger_id == charger_id, connectors.c.connector_id > 0)
    )
    known = set(numbers)
    if known and connector_id not in known:
        raise invalid_field("#/body/connector_id", f"The charger has connectors {', '.join(map(str, sorted(known)))}")


def _reserve_now(reservation_id: int, connector_id: int, expires_at: datetime, id_tag: str, info: IdTagInfo) -> dict[str, object]:
    payload: dict[str, object] = {
        "connectorId": connector_id,
        "expiryDate": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "idTag": id_tag,
        "reservationId": reservation_id,
    }
    return payload | ({"parentIdTag": info.parent_id_tag} if info.parent_id_tag is not None else {})


async def list_reservations(uow: UnitOfWork, query: ReservationQuery, principal: Principal) -> Page[ReservationView]:
    """`GET /v1/reservations`, newest first."""
    c = reservations.c
    statement = sa.select(reservations).where(of_own_chargers(principal, c.charger_id))
    if query.charger_id is not None:
        statement = statement.where(c.charger_id == query.charger_id)
    if query.state is not None:
        statement = statement.where(c.state == query.state.value)
    if query.id_tag is not None:
        statement = statement.where(c.id_tag == normalise_id_tag(query.id_tag))
    return await fetch_page(uow, statement, query, order=(c.id,), view=ReservationView.model_validate)


async def show_reservation(uow: UnitOfWork, reservation_id: ReservationId, principal: Principal) -> ReservationView:
    """`GET /v1/reservations/{id}`."""
    row = (
        await uow.connection.execute(
            sa.select(reservations).where(
                reservations.c.id == reservation_id, of_own_chargers(principal, reservations.c.charger_id)
            )
        )
    ).one_or_none()
    if row is None:
        raise missing("reservation", "rsv", reservation_id)
    return ReservationView.model_validate(row)


async def cancel_reservation(
    app: Charging, uow: UnitOfWork, reservation_id: ReservationId, principal: Principal
) -> ReservationView:
    """`DELETE /v1/reservations/{id}`: 202; CANCELLED once the charger has answered. One that has ended is 409."""
    shown = await show_reservation(uow, reservation_id, principal)
    if ReservationState(shown.state) not in OPEN:
        raise ConflictError(f"The reservation is {shown.state.value}.")
    charger = await own_charger(uow, shown.charger_id, principal)
    await request_command(
        app,
        uow,
        charger,
        action="CancelReservation",
        payload={"reservationId": reservation_id},
        trigger=TRIGGER,
        principal=principal,
    )
    announce.audit(
        uow,
        entity="reservation",
        entity_id=reservation_id,
        action="cancel_requested",
        actor=principal.subject,
        trigger="api",
        at=uow.now,
    )
    return shown
