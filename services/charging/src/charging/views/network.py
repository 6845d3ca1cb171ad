"""Sites, chargers, connectors."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from charging.domain.deadlines import ConnectorKind
from charging.views.base import (
    CONNECTORS_MAX,
    POWER_MAX_W,
    ChargerId,
    CommandId,
    FranchiseeId,
    Line,
    Name,
    StationId,
    TransactionId,
    View,
)
from charging.views.quirks import Quirks
from chassis.web import Body, PageQuery
from money import GST_STATES, state_code


def _state_name(text: str) -> str:
    """The state as the GST list spells it. Raises ValueError: invoices name the place of supply by its code."""
    if not text.strip():
        return ""
    code = state_code(text)
    if code is None:
        raise ValueError("no state or union territory of India is called so")
    return GST_STATES[code]


State = Annotated[str, Field(max_length=60), AfterValidator(_state_name)]


class StationCreate(Body):
    """A site."""

    name: Name
    franchisee_id: FranchiseeId | None = Field(None, description="owner of the site; null: the platform's own")
    address: Line = ""
    city: Line = ""
    state: State = Field("", description="state or union territory, by name or GST code: place of supply")
    postal_code: Annotated[str, Field(max_length=12)] = ""
    latitude: float | None = Field(None, ge=-90, le=90)
    longitude: float | None = Field(None, ge=-180, le=180)


class StationChange(Body):
    """What of a station changes; what is left out stays. A new owner holds for sessions that start from now on."""

    name: Name | None = None
    franchisee_id: FranchiseeId | None = None
    address: Line | None = None
    city: Line | None = None
    state: State | None = None
    postal_code: Annotated[str, Field(max_length=12)] | None = None
    latitude: float | None = Field(None, ge=-90, le=90)
    longitude: float | None = Field(None, ge=-180, le=180)


class StationView(View):
    """A site."""

    id: StationId
    name: str
    franchisee_id: FranchiseeId | None
    address: str
    city: str
    state: str
    postal_code: str
    latitude: float | None
    longitude: float | None
    created_at: datetime
    updated_at: datetime


class StationQuery(PageQuery):
    """Filters of the list."""

    franchisee_id: FranchiseeId | None = None


ChargePointIdText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=48,
        pattern=r"^[A-Za-z0-9*\-_=:+|@.]+$",
        description="its identity in the OCPP URL; unique without regard to case",
    ),
]


class ChargerCreate(Body):
    """A charge point."""

    charge_point_id: ChargePointIdText
    station_id: StationId
    name: Line = ""
    connector_kind: ConnectorKind = Field(description="socket, type2 or ccs", strict=False)
    rated_power_w: int = Field(gt=0, le=POWER_MAX_W, description="of one connector: bounds what its meter may claim")
    connectors: int = Field(1, ge=1, le=CONNECTORS_MAX, description="how many; more are made on sight")
    quirks: Quirks = Field(default_factory=Quirks)


class ChargerChange(Body):
    """What of a charger changes; what is left out stays."""

    station_id: StationId | None = None
    name: Line | None = None
    enabled: bool | None = Field(None, description="false: its handshake is refused from now on")
    operative: bool | None = Field(None, description="the operator's will: false sells nothing")
    tell_charger: bool = Field(False, description="with `operative`: a ChangeAvailability is sent too, once it is connected")
    connector_kind: ConnectorKind | None = Field(None, strict=False)
    rated_power_w: int | None = Field(None, gt=0, le=POWER_MAX_W)
    quirks: Quirks | None = Field(None, description="overrides of its model's profile, all of them: what is left out is no more")


class ChargerView(View):
    """A charge point: what we set, what it said at boot, and its connection."""

    id: ChargerId
    charge_point_id: str
    station_id: StationId
    name: str
    enabled: bool
    operative: bool
    connector_kind: ConnectorKind
    rated_power_w: int
    quirks: dict[str, Any] = Field(description="overrides; what holds is at `/v1/chargers/{id}/quirks`")
    vendor: str | None
    model: str | None
    serial_number: str | None
    box_serial_number: str | None
    firmware_version: str | None
    iccid: str | None
    imsi: str | None
    meter_type: str | None
    meter_serial_number: str | None
    online: bool
    gateway: str | None
    online_since: datetime | None
    offline_since: datetime | None
    last_seen_at: datetime | None = Field(description="last message, exact to a minute")
    booted_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ChargerWithPassword(ChargerView):
    """With its password, shown this once."""

    password: str = Field(description="for HTTP Basic; only its hash is kept")


class CredentialsRotate(Body):
    """How a charger gets its new password."""

    deliver: bool = Field(False, description="told to the charger over its socket, and to nobody else")


class RotatedCredentials(ChargerView):
    """With its new password, shown this once; or with the command that hands it over."""

    password: str | None = Field(description="for HTTP Basic; only its hash is kept; null where it is delivered to the charger")
    command_id: CommandId | None = Field(description="the hand-over: its answer, and as its effect the connection that proves it")


class ChargerQuery(PageQuery):
    """Filters of the list."""

    station_id: StationId | None = None
    charge_point_id: str | None = Field(None, max_length=64)
    online: bool | None = None


class ConnectorView(View):
    """A connector as it last reported."""

    charger_id: ChargerId
    connector_id: int
    kind: ConnectorKind | None = Field(description="where it differs from the charger's")
    rated_power_w: int | None = Field(description="where it differs from the charger's")
    operative: bool = Field(description="the operator's will, apart from what it reports: false sells nothing")
    status: str = Field(description="as it reports")
    error_code: str
    info: str | None
    vendor_error_code: str | None
    status_received_at: datetime | None
    late_transaction_id: TransactionId | None = Field(
        description="final, yet still drawing energy: it sells nothing until it stops"
    )


class ConnectorChange(Body):
    """Where a connector differs from its charger (null: it does not), and whether it sells."""

    kind: ConnectorKind | None = Field(None, strict=False)
    rated_power_w: int | None = Field(None, gt=0, le=POWER_MAX_W)
    operative: bool | None = Field(None, description="the operator's will: false sells nothing. Not of connector 0")
    tell_charger: bool = Field(False, description="with `operative`: a ChangeAvailability is sent too, once it is connected")


class ConnectorQuery(PageQuery):
    """Filters of the list."""

    station_id: StationId | None = None
    charger_id: ChargerId | None = None
    status: str | None = Field(None, max_length=20)
