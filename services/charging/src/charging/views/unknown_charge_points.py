"""Charge points that nobody registered, and how one is adopted."""

from datetime import datetime

from pydantic import Field

from charging.domain.deadlines import ConnectorKind
from charging.views.base import CONNECTORS_MAX, POWER_MAX_W, Line, StationId, UnknownChargePointId, View
from charging.views.network import ChargePointIdText
from charging.views.quirks import Quirks
from chassis.web import Body


class UnknownChargePointView(View):
    """Somebody's charger that knocked in vain."""

    id: UnknownChargePointId
    charge_point_id: str = Field(description="as it was last tried")
    first_seen_at: datetime
    last_seen_at: datetime
    times: int = Field(description="how often a gateway told of it, once a minute at most")
    network: str | None = Field(description="where it comes from: its address without the last part")
    user_agent: str | None = Field(description="its WebSocket library, where it names one")


class UnknownChargePointAdopt(Body):
    """What has to be known of a charger before it may come in."""

    station_id: StationId
    connector_kind: ConnectorKind = Field(description="socket, type2 or ccs", strict=False)
    rated_power_w: int = Field(gt=0, le=POWER_MAX_W, description="of one connector: bounds what its meter may claim")
    name: Line = ""
    connectors: int = Field(1, ge=1, le=CONNECTORS_MAX, description="how many; more are made on sight")
    charge_point_id: ChargePointIdText | None = Field(
        None, description="another spelling of it; null: as it was tried. The charger must connect under it"
    )
    quirks: Quirks = Field(default_factory=Quirks)
