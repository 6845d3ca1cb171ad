"""What charging says of sessions, and the wishes it takes through a charger's lane."""

from enum import StrEnum
from typing import Any, ClassVar

from pydantic import AwareDatetime, Field

from contracts.base import BasisPoints, ChargePointId, Contract, Event, LaneEvent, Paise, Query, Wh


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


class SiteOwnerAnswer(Contract):
    """Where a charger stands and whose that is, at this moment."""

    TYPE: ClassVar[str] = "charging.site_owner_told.v1"
    station_id: int | None = Field(None, description="null: there is no such charger")
    franchisee_id: int | None = Field(None, description="owner of the station; null: the platform's own")


class SiteOwnerRequested(Query):
    """Whose station does a charger stand at? Asked before a franchisee's own QR code is made for it."""

    TYPE: ClassVar[str] = "charging.site_owner_requested.v1"
    ANSWER: ClassVar[type[Contract]] = SiteOwnerAnswer
    charge_point_id: ChargePointId


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
    COMMAND_EFFECT = "COMMAND_EFFECT"
    """What a command was to bring about should have shown by now."""
    RESERVATION = "RESERVATION"
    LOCAL_LIST = "LOCAL_LIST"
    """A charger's Local Authorization List is to be compared with what is desired."""
    OFFLINE_CAP = "OFFLINE_CAP"
    """A prepaid session's offline-safe cap is to be renewed."""
    CONFIGURATION = "CONFIGURATION"
    """A charger's configuration is due to be looked at, or got stuck half way. `subject_id` is the charger's id."""


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
    previous_salt: str | None = Field(None, description="while a new password is handed over the old one is accepted too")
    previous_password_hash: str | None = None
    close_without_frame: bool = Field(False, description="it never comes back after a Close frame (ocpp.md row 8)")


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


class TariffAnswer(Contract):
    """The tariff in force at a charger; every field null where none is, or where there is no such charger."""

    TYPE: ClassVar[str] = "charging.tariff_found.v1"
    tariff_id: int | None = None
    paise_per_kwh: Paise | None = Field(None, description="energy without GST")
    gst_bps: BasisPoints | None = None
    all_in_paise_per_kwh: Paise | None = Field(None, description="what riders are shown: with GST, rounded as on a bill")
    effective_from: AwareDatetime | None = None
    effective_until: AwareDatetime | None = Field(None, description="when another price is planned to hold; None: none is")


class TariffRequested(Query):
    """What does a kWh cost at this charger at a time? Asked where a price is printed; sessions snapshot theirs."""

    TYPE: ClassVar[str] = "charging.tariff_requested.v1"
    ANSWER: ClassVar[type[Contract]] = TariffAnswer
    charge_point_id: ChargePointId
    at: AwareDatetime


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
    tariff_effective_from: AwareDatetime | None = Field(None, description="since when that version was in force")
    started_at: AwareDatetime
    station_name: str | None = Field(None, description="as riders know the place; None: it began before this was told")
    station_state_code: str | None = Field(
        None, description="GST code of the state: the place of supply; None: not told, or the station names none"
    )


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


class EnergyConfidence(StrEnum):
    """How sure a bill's energy is. Which word holds is decided by `charging.domain.evidence`, from the bottom up."""

    EXACT = "EXACT"
    """One register without a break from meterStart to meterStop, nothing held or dropped."""
    GOOD = "GOOD"
    """Measured throughout, but not in one piece: a register that began anew, a reading put aside, no usable meterStop. What
    may have flowed unseen is not billed."""
    DISPUTABLE = "DISPUTABLE"
    """The readings contradict each other, or ended before the energy did: the smaller figure is billed, a person looks at it."""
    NONE = "NONE"
    """No energy was confirmed: nothing is billed."""


class SegmentBegin(StrEnum):
    """Why a stretch of one register begins where it does."""

    START = "START"
    """meterStart."""
    RESTART = "RESTART"
    """A boot or disconnect came between: the register goes on from another value."""
    RESET = "RESET"
    """Two readings in a row agree that the register stands lower."""
    JUMP = "JUMP"
    """Two readings in a row agree on a step that the connector can't have delivered: rated power x time is counted of it."""
    AFTER_JUMP = "AFTER_JUMP"
    """The register goes on from where it jumped to."""
    SESSION_RELATIVE = "SESSION_RELATIVE"
    """The samples count from the session's begin, whatever meterStart says."""
    LIFETIME = "LIFETIME"
    """Taken for session-relative at first, the register is meterStart's after all."""


class EnergySegment(Contract):
    """A stretch of readings of one register. A reading is named `<epoch>/<seq>/<n>` as in the transaction's meter values."""

    began: SegmentBegin
    from_reading: str = Field(description="the reading it counts from, or `meterStart`")
    to_reading: str = Field(description="the last reading that counted, or `<epoch>/<seq>/meterStop`")
    from_wh: Wh = Field(description="the register there, as the charger showed it")
    to_wh: Wh
    counted_wh: Wh = Field(ge=0, description="what counts of it")
    joined: int = Field(1, description="segments told as one, where there are very many")


class DoubtKind(StrEnum):
    """What was wrong with a reading."""

    BELOW = "BELOW"
    """Lower than the last good one, and nothing explained it."""
    ABOVE = "ABOVE"
    """A larger step than the connector can deliver in the time."""
    OLD = "OLD"
    """Taken before the last good one, by the charger's own clock, and lower."""


class DoubtOutcome(StrEnum):
    """What became of it."""

    WAITS = "WAITS"
    """No further reading decided."""
    DROPPED = "DROPPED"
    """The next reading went on from before it."""
    CONFIRMED = "CONFIRMED"
    """The next reading went on from it."""


class DoubtfulReading(Contract):
    """A reading that was held, or not used."""

    reading: str
    value_wh: int = Field(description="the register as it said")
    kind: DoubtKind
    outcome: DoubtOutcome


class MeterStopRole(StrEnum):
    """What meterStop did."""

    COUNTED = "COUNTED"
    """It was the last good reading, or repeated it."""
    ABSENT = "ABSENT"
    """There was none, or -1: the last good reading stands."""
    BELOW = "BELOW"
    """Lower than the last good reading, which stands."""
    IMPLAUSIBLE = "IMPLAUSIBLE"
    """More than the connector can deliver in the time: not counted, or not in full."""


class EnergyEvidence(Contract):
    """What a bill's energy rests on. Frozen when the transaction is finalized."""

    confidence: EnergyConfidence
    because: str = Field(description="the rule that gave the word, as a sentence")
    billed_wh: Wh
    segments: tuple[EnergySegment, ...] = Field(description="their counted_wh add up to the register's energy")
    doubts: tuple[DoubtfulReading, ...] = ()
    doubts_left_out: int = Field(0, description="further doubtful readings, beyond those listed")
    meter_stop: MeterStopRole
    power_wh: Wh | None = Field(None, description="reported power x time; null: no power was reported")
    energy_unit: str | None = Field(None, description="unit the register was read in, where a quirk overrides it")


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
    implausible: bool = Field(
        False, description="METER_IMPLAUSIBLE or METER_LOST: billed the smaller figure, the payout waits for a person"
    )
    evidence: EnergyEvidence | None = Field(None, description="what the energy rests on")


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
