"""What charging says of sessions, and the wishes it takes through a charger's lane."""

from enum import StrEnum
from typing import Any, ClassVar

from pydantic import AwareDatetime, Field

from contracts.base import BasisPoints, ChargePointId, Contract, Event, LaneEvent, Paise, Wh


class StopReason(StrEnum):
    """`stop_reason` of a transaction (ocpp.md Part 0). The charger's own word is kept beside it as `ocpp_stop_reason`."""

    CHARGER = "CHARGER"
    BUDGET_EXHAUSTED = "BUDGET_EXHAUSTED"
    DISCONNECT_TIMEOUT = "DISCONNECT_TIMEOUT"
    BOOT_TIMEOUT = "BOOT_TIMEOUT"
    STALE_RECONNECT = "STALE_RECONNECT"
    GRACE_EXPIRED = "GRACE_EXPIRED"
    CONNECTOR_UNAVAILABLE = "CONNECTOR_UNAVAILABLE"
    FLAP_LIMIT = "FLAP_LIMIT"
    START_REFUSED = "START_REFUSED"
    OPERATOR = "OPERATOR"
    METER_LOST = "METER_LOST"
    SWEPT = "SWEPT"


class StartRefusal(StrEnum):
    """Why a start request was refused or expired; shown to riders in words, to operators as it is."""

    UNKNOWN_CHARGER = "UNKNOWN_CHARGER"
    CHARGER_OFFLINE = "CHARGER_OFFLINE"
    CONNECTOR_BUSY = "CONNECTOR_BUSY"
    CONNECTOR_FAULTED = "CONNECTOR_FAULTED"
    CONNECTOR_UNAVAILABLE = "CONNECTOR_UNAVAILABLE"
    NO_TARIFF = "NO_TARIFF"
    REMOTE_START_REJECTED = "REMOTE_START_REJECTED"
    NOT_PLUGGED_IN = "NOT_PLUGGED_IN"
    """The charger accepted, and no StartTransaction came before the deadline."""
    DEADLINE_PASSED = "DEADLINE_PASSED"
    """The request was first read after its deadline, or its command could not be delivered in time."""
    CANCELLED = "CANCELLED"


class StartRequested(LaneEvent):
    """Start a prepaid session. `request_key` names the one wish (payments: `qr_payment_{id}`); a repeat changes nothing."""

    TYPE: ClassVar[str] = "charging.session_start_requested.v1"
    request_key: str = Field(max_length=64)
    connector_id: int = Field(ge=1)
    budget_paise: Paise = Field(gt=0)
    platform_fee_paise: Paise = Field(ge=0, description="what the payment provider took, or its estimate: part of the budget")
    payer_reference: str = Field(description="who pays, as payments names it; opaque here")
    deadline: AwareDatetime = Field(description="absolute; nothing starts after it")


class StartCancelRequested(LaneEvent):
    """Cancel a start request that has not become a transaction. Answered by start_refused (CANCELLED), or not at all."""

    TYPE: ClassVar[str] = "charging.session_cancel_requested.v1"
    request_key: str
    actor: str


class PlatformFeeRecorded(LaneEvent):
    """The fee of a running session became known after its start: the budget check takes it from now on."""

    TYPE: ClassVar[str] = "charging.session_fee_change_requested.v1"
    request_key: str
    platform_fee_paise: Paise


class SessionStopRequested(LaneEvent):
    """Stop a running transaction: an operator's, rider's or service's wish."""

    TYPE: ClassVar[str] = "charging.session_stop_requested.v1"
    transaction_id: int
    actor: str
    trigger: str = Field(description="what led to it: api, budget, escalation, ...")


class CommandRequested(LaneEvent):
    """Send an OCPP operation to a charger. The row exists already (written by the REST call); this puts it in order."""

    TYPE: ClassVar[str] = "charging.command_requested.v1"
    command_id: str


class DeadlineKind(StrEnum):
    """Which column fell due."""

    START_REQUEST = "START_REQUEST"
    COMMAND = "COMMAND"
    SUSPENSION = "SUSPENSION"
    STOP_DUE = "STOP_DUE"
    STOP_UNCONFIRMED = "STOP_UNCONFIRMED"
    GATEWAY_LEASE = "GATEWAY_LEASE"


class DeadlineDue(LaneEvent):
    """A deadline column is due. The sweep only says so; the lane's handler checks again under the row's lock."""

    TYPE: ClassVar[str] = "charging.deadline_due.v1"
    kind: DeadlineKind
    subject_id: str = Field(description="id of the row whose deadline it is")
    due_at: AwareDatetime


class ChargerCredentialsChanged(Event):
    """A charger was made, renamed, disabled, or its password changed: gateways renew their projection of it."""

    TYPE: ClassVar[str] = "charging.charger_credentials_changed.v1"
    charge_point_id: ChargePointId
    salt: str
    password_hash: str
    version: int
    enabled: bool = True


class StartRefused(Event):
    """A start request ended without a session. Payments refunds in full."""

    TYPE: ClassVar[str] = "charging.start_refused.v1"
    request_key: str
    charge_point_id: ChargePointId
    connector_id: int
    payer_reference: str
    reason: StartRefusal
    detail: str = Field("", description="a sentence for people")
    refused_at: AwareDatetime


class StartExpired(StartRefused):
    """A start request's deadline passed without a StartTransaction. Payments refunds in full; a start after this is Blocked."""

    TYPE: ClassVar[str] = "charging.start_expired.v1"


class TransactionTerms(Contract):
    """What was snapshotted at StartTransaction and rides on every later event of the transaction."""

    transaction_id: int = Field(gt=0)
    charge_point_id: ChargePointId
    connector_id: int
    station_id: int
    franchisee_id: int | None = Field(None, description="owner of the site at the start; None: the platform's own")
    request_key: str | None = Field(None, description="None for a staff tag: metered, neither billed nor settled")
    payer_reference: str | None = None
    tariff_id: int
    tariff_paise_per_kwh: Paise
    gst_bps: BasisPoints
    started_at: AwareDatetime


class TransactionStarted(TransactionTerms, Event):
    """STARTED: the charger's StartTransaction was accepted."""

    TYPE: ClassVar[str] = "charging.transaction_started.v1"
    subject_version: int = 1


class TransactionStateChanged(TransactionTerms, Event):
    """RUNNING, SUSPENDED or back: one per step. `subject_version` orders them."""

    TYPE: ClassVar[str] = "charging.transaction_state_changed.v1"
    subject_version: int
    before: str
    after: str
    trigger: str
    at: AwareDatetime
    energy_wh: Wh


class TransactionStopped(TransactionTerms, Event):
    """The one finalizer closed the transaction. Said once; energy and reason are final."""

    TYPE: ClassVar[str] = "charging.transaction_stopped.v1"
    subject_version: int
    stopped_at: AwareDatetime
    stop_reason: StopReason
    ocpp_stop_reason: str | None = None
    energy_wh: Wh = Field(ge=0, description="billed energy: the confirmed forward steps")
    meter_start_wh: Wh
    meter_stop_wh: Wh | None = None
    implausible: bool = Field(False, description="METER_IMPLAUSIBLE: billed the smaller figure, the payout waits")


class LateEnergyReported(Event):
    """Energy reported after the transaction was final: stored, never billed."""

    TYPE: ClassVar[str] = "charging.late_energy_reported.v1"
    transaction_id: int
    charge_point_id: ChargePointId
    late_wh: Wh


class AuditRecorded(Event):
    """A material change: actor, action, trigger, before and after. The journal keeps them."""

    TYPE: ClassVar[str] = "charging.audit_recorded.v1"
    entity: str
    entity_id: str
    action: str
    actor: str
    trigger: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    at: AwareDatetime
