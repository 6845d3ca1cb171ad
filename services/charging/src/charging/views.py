"""The REST surface's models. Money in paise, energy in Wh; ids are prefixed text."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from charging.domain.deadlines import ConnectorKind
from charging.domain.start import ID_TAG_LENGTH_MAX
from charging.domain.states import CommandStatus, StartRequestState, TransactionState
from chassis.web import Body, PageQuery, PrefixedId

StationId = Annotated[int, PrefixedId("stn")]
ChargerId = Annotated[int, PrefixedId("chg")]
TariffId = Annotated[int, PrefixedId("trf")]
IdTagId = Annotated[int, PrefixedId("tag")]
StartRequestId = Annotated[int, PrefixedId("req")]
TransactionId = Annotated[int, PrefixedId("txn")]
CommandId = Annotated[int, PrefixedId("cmd")]
FranchiseeId = Annotated[int, PrefixedId("frn")]

CONNECTORS_MAX = 255
"""More than any charge point has; OCPP sets no bound."""
POWER_MAX_W = 2_000_000
"""Megawatt charging and room to spare: above it is a typing error, and would make every meter plausible."""
RATE_MAX_PAISE = 1_000_000
"""10,000 rupees a kWh: above it is a typing error."""

Name = Annotated[str, Field(min_length=1, max_length=120)]
Line = Annotated[str, Field(max_length=200)]


def given(body: Body) -> dict[str, Any]:
    """What the caller gave, as Python values (`model_dump` would write ids as text again)."""
    return {name: getattr(body, name) for name in body.model_fields_set}


def whole(body: Body) -> dict[str, Any]:
    """The same with defaults for what was left out."""
    return {name: getattr(body, name) for name in type(body).model_fields}


class View(BaseModel):
    """Made from a row."""

    model_config = ConfigDict(from_attributes=True)


class StationCreate(Body):
    """A site."""

    name: Name
    franchisee_id: FranchiseeId | None = Field(None, description="owner of the site; null: the platform's own")
    address: Line = ""
    city: Line = ""
    state: Line = Field("", description="state of India: place of supply")
    postal_code: Annotated[str, Field(max_length=12)] = ""
    latitude: float | None = Field(None, ge=-90, le=90)
    longitude: float | None = Field(None, ge=-180, le=180)


class StationChange(Body):
    """What of a station changes; what is left out stays. A new owner holds for sessions that start from now on."""

    name: Name | None = None
    franchisee_id: FranchiseeId | None = None
    address: Line | None = None
    city: Line | None = None
    state: Line | None = None
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


class Quirks(Body):
    """Overrides for this charger where its model misbehaves: data, not code."""

    energy_unit: Annotated[str, Field(pattern=r"^(Wh|kWh)$")] | None = Field(
        None, description="what its energy register is in, whatever it claims"
    )
    stop_escalation: list[Annotated[str, Field(pattern=r"^(PROFILE_ZERO|INOPERATIVE|RESET_HARD)$")]] | None = Field(
        None, description="stronger means after two ignored stops, in this order; [] for none", max_length=3
    )


class ChargerCreate(Body):
    """A charge point."""

    charge_point_id: ChargePointIdText
    station_id: StationId
    name: Line = ""
    connector_kind: ConnectorKind = Field(description="socket, type2 or ccs", strict=False)
    rated_power_w: int = Field(gt=0, le=POWER_MAX_W, description="of one connector: bounds what its meter may claim")
    connectors: int = Field(1, ge=1, le=CONNECTORS_MAX, description="how many; more are made on sight")
    quirks: Quirks = Field(default_factory=lambda: Quirks(energy_unit=None, stop_escalation=None))


class ChargerChange(Body):
    """What of a charger changes; what is left out stays."""

    station_id: StationId | None = None
    name: Line | None = None
    enabled: bool | None = Field(None, description="false: its handshake is refused from now on")
    operative: bool | None = Field(None, description="the operator's will: false sells nothing; the charger is not told")
    connector_kind: ConnectorKind | None = Field(None, strict=False)
    rated_power_w: int | None = Field(None, gt=0, le=POWER_MAX_W)
    quirks: Quirks | None = None


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
    quirks: dict[str, Any]
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
    status: str
    error_code: str
    info: str | None
    vendor_error_code: str | None
    status_received_at: datetime | None
    late_transaction_id: TransactionId | None = Field(
        description="final, yet still drawing energy: it sells nothing until it stops"
    )


class ConnectorChange(Body):
    """Where a connector differs from its charger; null: it does not."""

    kind: ConnectorKind | None = Field(None, strict=False)
    rated_power_w: int | None = Field(None, gt=0, le=POWER_MAX_W)


class ConnectorQuery(PageQuery):
    """Filters of the list."""

    station_id: StationId | None = None
    charger_id: ChargerId | None = None
    status: str | None = Field(None, max_length=20)


class TariffCreate(Body):
    """A version of a price. The most specific one in force counts; a version never changes."""

    station_id: StationId | None = Field(None, description="holds at this station; null with charger_id null: everywhere")
    charger_id: ChargerId | None = Field(None, description="holds for this charger only")
    name: Name
    paise_per_kwh: int = Field(ge=0, le=RATE_MAX_PAISE, description="energy without GST")
    gst_bps: int = Field(1800, ge=0, le=10_000, description="GST on the energy charge, 1/100 percent")
    effective_from: AwareDatetime | None = Field(None, description="null: from now", strict=False)


class TariffView(View):
    """A version of a price."""

    id: TariffId
    station_id: StationId | None
    charger_id: ChargerId | None
    name: str
    paise_per_kwh: int
    gst_bps: int
    effective_from: datetime
    created_at: datetime


class TariffQuery(PageQuery):
    """Filters of the list."""

    station_id: StationId | None = None
    charger_id: ChargerId | None = None


class IdTagCreate(Body):
    """A staff tag: what it charges is metered, neither billed nor settled."""

    id_tag: Annotated[str, Field(min_length=1, max_length=ID_TAG_LENGTH_MAX, pattern=r"^[0-9A-Za-z_.:\-]+$")]
    holder: Name
    expires_at: AwareDatetime | None = Field(None, strict=False)


class IdTagChange(Body):
    """What of a tag changes."""

    holder: Name | None = None
    enabled: bool | None = None
    expires_at: AwareDatetime | None = Field(None, strict=False)


class IdTagView(View):
    """A staff tag."""

    id: IdTagId
    id_tag: str
    holder: str
    enabled: bool
    expires_at: datetime | None
    created_at: datetime


class StartRequestView(View):
    """A paid start and what became of it."""

    id: StartRequestId
    request_key: str
    charge_point_id: str
    connector_id: int
    budget_paise: int
    platform_fee_paise: int
    payer_reference: str
    state: StartRequestState
    reason: str | None
    detail: str
    deadline_at: datetime
    transaction_id: TransactionId | None
    requested_at: datetime
    decided_at: datetime | None


class StartRequestQuery(PageQuery):
    """Filters of the list."""

    charge_point_id: str | None = Field(None, max_length=64)
    request_key: str | None = Field(None, max_length=64)
    state: StartRequestState | None = None


class TransactionView(View):
    """A session: terms, life, energy, and the bill once there is one."""

    id: TransactionId
    charger_id: ChargerId
    charge_point_id: str
    connector_id: int
    station_id: StationId
    franchisee_id: FranchiseeId | None
    start_request_id: StartRequestId | None
    request_key: str | None
    payer_reference: str | None
    id_tag: str
    tariff_id: TariffId | None
    tariff_paise_per_kwh: int
    gst_bps: int
    budget_paise: int | None
    platform_fee_paise: int
    affordable_wh: int | None
    state: TransactionState
    started_at: datetime
    suspended_at: datetime | None
    resumed_at: datetime | None
    resume_count: int
    suspension_deadline_at: datetime | None
    last_activity_at: datetime
    disconnect_count: int
    meter_start_wh: int
    confirmed_wh: int = Field(description="energy so far, by confirmed steps of the register")
    power_w: int | None
    stop_due_at: datetime | None = Field(description="forecast: when the budget is used up, less the time a stop takes")
    stop_intent: str | None
    stop_attempt: int
    stopped_at: datetime | None
    stop_reason: str | None
    ocpp_stop_reason: str | None
    energy_wh: int | None = Field(description="billed energy; null while it runs")
    meter_stop_wh: int | None
    implausible: bool
    late_wh: int
    energy_charge_paise: int | None
    gst_amount_paise: int | None
    total_billed_paise: int | None


class TransactionQuery(PageQuery):
    """Filters of the list."""

    charger_id: ChargerId | None = None
    station_id: StationId | None = None
    charge_point_id: str | None = Field(None, max_length=64)
    state: TransactionState | None = None
    active: bool | None = Field(None, description="true: not STOPPED")
    request_key: str | None = Field(None, max_length=64)


class MeterValueView(View):
    """One reading."""

    epoch: int
    seq: int
    n: int
    received_at: datetime
    charger_at: datetime | None
    energy_wh: int | None = Field(description="the register as reported")
    confirmed_wh: int | None = Field(description="the session's energy after it")
    power_w: int | None
    soc_percent: int | None
    sampled_value: list[dict[str, Any]]


class CommandCreate(Body):
    """An OCPP operation to send."""

    action: Annotated[str, Field(min_length=1, max_length=50)] = Field(
        description="as OCPP 1.6 names it: Reset, GetConfiguration"
    )
    payload: dict[str, Any] = Field(default_factory=dict, description="the request in OCPP's own words")


class CommandQuery(PageQuery):
    """Filters of a charger's commands."""

    status: CommandStatus | None = None


class WaitQuery(BaseModel):
    """How long to wait for the charger's answer."""

    model_config = ConfigDict(extra="forbid")

    wait: float = Field(0, ge=0, le=25, description="seconds; the command comes back as it is by then")


class CommandView(View):
    """A command and its answer."""

    id: CommandId
    charger_id: ChargerId
    charge_point_id: str
    action: str
    payload: dict[str, Any]
    status: CommandStatus
    actor: str
    trigger: str
    transaction_id: TransactionId | None
    attempts: int
    response: dict[str, Any] | None = Field(description="the charger's answer")
    error_code: str | None
    error_description: str | None
    late_response: dict[str, Any] | None
    deadline_at: datetime
    created_at: datetime
    dispatched_at: datetime | None
    completed_at: datetime | None
