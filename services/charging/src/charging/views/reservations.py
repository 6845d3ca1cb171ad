"""Reservations."""

from datetime import datetime, timedelta

from pydantic import AwareDatetime, Field

from charging.domain.reservations import ReservationState
from charging.views.base import CONNECTORS_MAX, ChargerId, CommandId, ReservationId, TransactionId, View
from charging.views.id_tags import IdTagText
from chassis.web import Body, PageQuery

RESERVED_MAX = timedelta(days=30)
"""A connector kept for longer is out of service, and should be said to be."""


class ReservationCreate(Body):
    """A connector to be kept for a staff tag."""

    charger_id: ChargerId
    connector_id: int = Field(0, ge=0, le=CONNECTORS_MAX, description="0: any connector of the charger")
    id_tag: IdTagText = Field(description="a staff tag that may charge")
    parent_id_tag: IdTagText | None = Field(None, description="any tag of this group may use it; left out: the tag's own group")
    expires_at: AwareDatetime = Field(strict=False)


class ReservationQuery(PageQuery):
    """Filters of the list."""

    charger_id: ChargerId | None = None
    state: ReservationState | None = None
    id_tag: str | None = Field(None, max_length=40)


class ReservationView(View):
    """A reservation, and what became of it."""

    id: ReservationId = Field(description="its number is OCPP's reservationId")
    charger_id: ChargerId
    charge_point_id: str
    connector_id: int
    id_tag: str
    parent_id_tag: str | None
    expires_at: datetime
    state: ReservationState
    reason: str | None = Field(description="why REFUSED: the charger's word (Faulted, Occupied, ...), or the command's end")
    command_id: CommandId | None = Field(description="its ReserveNow")
    transaction_id: TransactionId | None = Field(description="that used it")
    actor: str
    created_at: datetime
    decided_at: datetime | None
    ended_at: datetime | None
