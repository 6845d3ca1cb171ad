"""Paid starts, transactions, readings."""

from datetime import datetime
from typing import Any

from pydantic import Field

from charging.domain.states import StartRequestState, TransactionState
from charging.views.base import ChargerId, FranchiseeId, StartRequestId, StationId, TariffId, TransactionId, View
from chassis.web import PageQuery
from contracts.charging import EnergyEvidence


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


class EnergyView(View):
    """What a session's energy rests on."""

    transaction_id: TransactionId
    sentence: str = Field(description="for a person who asks")
    meter_start_wh: int
    meter_stop_wh: int | None
    billed_wh: int
    late_wh: int = Field(description="reported after the end: never billed")
    readings: int = Field(description="meter values stored with the session, those not used included")
    evidence: EnergyEvidence | None = Field(description="null: it ended before evidence was kept, or it was never accepted")


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
