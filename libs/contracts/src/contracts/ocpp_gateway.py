"""What the gateway says: the normalised life of chargers' sockets and frames, and the commands it takes.

Payloads are OCPP 1.6 in snake_case after the gateway's sanitising: strings trimmed to their length, unknown enum members
mapped (the original kept in `original`), unknown fields dropped. Charger clocks are untrusted: `timestamp` fields are the
charger's own text made a datetime where that was possible, else None.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import AwareDatetime, Field, NonNegativeInt, SkipValidation

from contracts.base import ChargePointId, ChargerEvent, Command, Contract, Event, Query


class DisconnectReason(StrEnum):
    """Why a socket ended. Only the gateway's own leaving earns the charger the longer window."""

    CLOSED = "CLOSED"
    """The charger or the network closed it."""
    SUPERSEDED = "SUPERSEDED"
    """A newer socket of the same charger won."""
    HEARTBEAT_TIMEOUT = "HEARTBEAT_TIMEOUT"
    """No frame at all for 120 s."""
    UNRESPONSIVE = "UNRESPONSIVE"
    """Several CALLs in a row unanswered while heartbeats went on (ocpp.md row 12)."""
    GATEWAY_STOPPING = "GATEWAY_STOPPING"
    """We are restarting: the charger did nothing wrong, it has up to 900 s."""
    GATEWAY_LOST = "GATEWAY_LOST"
    """The gateway's lease lapsed: charging takes its sockets as dropped, with the 900 s window."""
    PROTOCOL_ERROR = "PROTOCOL_ERROR"
    """The peer broke WebSocket or flooded us."""


class ChargePointConnected(ChargerEvent):
    """A socket of a known charger passed its handshake. Sent as seq 0 of its epoch."""

    TYPE: ClassVar[str] = "ocpp_gateway.charge_point_connected.v1"
    remote_address: str | None = None
    subprotocol: str | None = Field(None, description="as offered; None where the charger sent no header")
    password_version: int | None = Field(
        None, description="version of the credentials that its password was checked against; None: not told"
    )
    previous_password: bool = Field(False, description="it came with the password that is being replaced")


class ChargePointDisconnected(ChargerEvent):
    """The socket of this epoch is gone. Late news about an older epoch changes nothing."""

    TYPE: ClassVar[str] = "ocpp_gateway.charge_point_disconnected.v1"
    reason: DisconnectReason
    close_code: int | None = None


class BootNotificationReceived(ChargerEvent):
    """BootNotification.req (OCPP 1.6 §4.2). Already answered Accepted."""

    TYPE: ClassVar[str] = "ocpp_gateway.boot_notification_received.v1"
    charge_point_vendor: str = ""
    charge_point_model: str = ""
    charge_point_serial_number: str | None = None
    charge_box_serial_number: str | None = None
    firmware_version: str | None = None
    iccid: str | None = None
    imsi: str | None = None
    meter_type: str | None = None
    meter_serial_number: str | None = None


class StatusNotificationReceived(ChargerEvent):
    """StatusNotification.req (§4.9). Already answered."""

    TYPE: ClassVar[str] = "ocpp_gateway.status_notification_received.v1"
    connector_id: NonNegativeInt
    status: str
    error_code: str = "NoError"
    info: str | None = None
    timestamp: AwareDatetime | None = None
    vendor_id: str | None = None
    vendor_error_code: str | None = None
    original: dict[str, Any] | None = Field(None, description="fields as the charger sent them, where we changed them")


class SampledValue(Contract):
    """One sampled value, defaults of OCPP 1.6 §7.43 filled in; `value` stays the charger's text, trimmed."""

    value: str
    context: str = "Sample.Periodic"
    format: str = "Raw"
    measurand: str = "Energy.Active.Import.Register"
    phase: str | None = None
    location: str = "Outlet"
    unit: str | None = None


class MeterValue(Contract):
    """Samples taken at one moment of the charger's clock."""

    timestamp: AwareDatetime | None = None
    sampled_value: tuple[SampledValue, ...] = ()


class MeterValuesReceived(ChargerEvent):
    """MeterValues.req (§4.7). Answered once the broker confirmed this event."""

    TYPE: ClassVar[str] = "ocpp_gateway.meter_values_received.v1"
    connector_id: NonNegativeInt
    transaction_id: int | None = Field(None, description="as the charger says; may be 0, -1 or garbage")
    meter_value: tuple[MeterValue, ...] = ()


UnparsedSample = Mapping[str, Any]
"""A SampledValue just as the charger sent it: a key that is not there means the default of OCPP 1.6 §7.43."""


class UnparsedMeterValue(Contract):
    """A MeterValue whose samples stay as they came, for a reader that judges each sample itself."""

    timestamp: AwareDatetime | None = None
    sampled_value: SkipValidation[Sequence[UnparsedSample]] = ()


class UnparsedMeterValuesReceived(ChargerEvent):
    """MeterValuesReceived for the hot path: models of ten samples cost five times what all the rest of the event does, and a
    reader looks at two or three of them. On the wire it is the same message.
    """

    connector_id: NonNegativeInt
    transaction_id: int | None = None
    meter_value: tuple[UnparsedMeterValue, ...] = ()


class StartTransactionReceived(ChargerEvent):
    """StartTransaction.req (§4.8): an RPC through the lane, answered after charging's commit with StartTransactionDecision."""

    TYPE: ClassVar[str] = "ocpp_gateway.start_transaction_received.v1"
    connector_id: NonNegativeInt
    id_tag: str
    meter_start_wh: int
    timestamp: AwareDatetime | None = None
    timestamp_text: str = Field("", description="the charger's own text: part of the business key of a repeated start")
    reservation_id: int | None = None


class IdTagStatus(StrEnum):
    """AuthorizationStatus of OCPP 1.6 §7.2."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    CONCURRENT_TX = "ConcurrentTx"


class StartTransactionDecision(Contract):
    """The answer to a StartTransaction. The id is real and positive even when the status is not Accepted."""

    TYPE: ClassVar[str] = "charging.start_transaction_decided.v1"
    transaction_id: int = Field(gt=0)
    status: IdTagStatus
    expiry_date: AwareDatetime | None = None
    parent_id_tag: str | None = None


class StopTransactionReceived(ChargerEvent):
    """StopTransaction.req (§4.10). Answered Accepted once the broker confirmed this event; never refused."""

    TYPE: ClassVar[str] = "ocpp_gateway.stop_transaction_received.v1"
    transaction_id: int | None = Field(None, description="as the charger says; may be 0, -1 or unknown")
    meter_stop_wh: int | None = None
    id_tag: str | None = None
    timestamp: AwareDatetime | None = None
    reason: str = Field("Local", description="an OCPP reason; an unknown one became Other, absent is Local")
    original_reason: str | None = Field(None, description='the charger\'s own word where it was no OCPP reason ("AppStop")')
    transaction_data: tuple[MeterValue, ...] = ()


class DataTransferReceived(ChargerEvent):
    """DataTransfer.req (§4.3): an RPC through the lane, answered after charging's commit with DataTransferDecision."""

    TYPE: ClassVar[str] = "ocpp_gateway.data_transfer_received.v1"
    vendor_id: str
    message_id_text: str | None = Field(None, description="messageId of the request")
    data: Any = Field(None, description="the charger's data: text, or an object where the charger sent one")


class DataTransferDecision(Contract):
    """The answer to a DataTransfer: Accepted, Rejected, UnknownMessageId or UnknownVendorId."""

    TYPE: ClassVar[str] = "charging.data_transfer_decided.v1"
    status: str
    data: str | None = None


class FirmwareStatusReceived(ChargerEvent):
    """FirmwareStatusNotification.req (§4.5). Answered once confirmed."""

    TYPE: ClassVar[str] = "ocpp_gateway.firmware_status_received.v1"
    status: str


class DiagnosticsStatusReceived(ChargerEvent):
    """DiagnosticsStatusNotification.req (§4.4). Answered once confirmed."""

    TYPE: ClassVar[str] = "ocpp_gateway.diagnostics_status_received.v1"
    status: str


class CommandOutcome(StrEnum):
    """What became of one command on the wire. Exactly one is reported per command, late answers apart."""

    ANSWERED = "ANSWERED"
    """A CALLRESULT came: `response` holds it."""
    CALL_ERROR = "CALL_ERROR"
    """A CALLERROR came: `error_code`, `error_description`."""
    NOT_SENT = "NOT_SENT"
    """Certainly never on the wire: another epoch, tombstoned, or past its deadline before its turn. May be sent again."""
    TIMED_OUT = "TIMED_OUT"
    """On the wire, no answer in time. Its effect is unknown."""
    CONNECTION_LOST = "CONNECTION_LOST"
    """On the wire, and the socket ended before the answer. Its effect is unknown."""
    UNKNOWN = "UNKNOWN"
    """A gateway died with it: it may have been sent."""


class CommandCompleted(ChargerEvent):
    """A command's outcome. `late` marks an answer that came after TIMED_OUT was reported: recorded, it changes no outcome."""

    TYPE: ClassVar[str] = "ocpp_gateway.command_completed.v1"
    command_id: str
    action: str
    outcome: CommandOutcome
    response: dict[str, Any] | None = None
    error_code: str | None = None
    error_description: str | None = None
    late: bool = False


class CommandSendRequested(Command):
    """Send this CALL to the charger, on this connection and no other. Published to the gateway's own queue, by its name.

    `priority`: 0 stop, 1 start, 5 everything else; a lower number overtakes what waits. On a fresh socket all but RemoteStop
    wait for Boot, or for 20 s of it without one.
    """

    TYPE: ClassVar[str] = "ocpp_gateway.command_send_requested.v1"
    command_id: str
    charge_point_id: ChargePointId
    epoch: int
    action: str
    payload: dict[str, Any]
    priority: int = 5
    deadline: AwareDatetime = Field(description="not sent after this; NOT_SENT is reported")
    timeout_seconds: float = Field(30.0, description="how long the charger may take to answer")
    sealed: str | None = Field(
        None,
        description="fields of the payload that only charger and gateway may read (a new password), as JSON sealed with the "
        "installation's command secrets key (chassis.sealing); they replace those of the payload on the wire",
    )


class UnknownChargePointSeen(Event):
    """A charge point that nobody registered tried to connect (404). At most one a minute each."""

    TYPE: ClassVar[str] = "ocpp_gateway.unknown_charge_point_seen.v1"
    charge_point_id: str
    remote_address: str | None = None
    user_agent: str | None = Field(None, description="of the handshake: its WebSocket library, a hint at the vendor")
    seen_at: AwareDatetime


class AuthorizeAnswer(Contract):
    """IdTagInfo of Authorize.conf."""

    TYPE: ClassVar[str] = "charging.authorize_answered.v1"
    status: IdTagStatus
    expiry_date: AwareDatetime | None = None
    parent_id_tag: str | None = None


class AuthorizeRequested(Query):
    """May this id tag charge? (Authorize.req, §4.1). Plain RPC: it changes nothing, so it needs no lane."""

    TYPE: ClassVar[str] = "charging.authorize_requested.v1"
    ANSWER: ClassVar[type[Contract]] = AuthorizeAnswer
    charge_point_id: ChargePointId
    id_tag: str


class CredentialsAnswer(Contract):
    """The projection that a gateway checks handshakes against."""

    TYPE: ClassVar[str] = "charging.credentials_listed.v1"

    class Credential(Contract):
        """One charger: `password_hash` is hex SHA-256 of salt + password bytes; empty hash: no password set, all refused."""

        charge_point_id: ChargePointId
        salt: str
        password_hash: str
        version: int
        enabled: bool = True
        previous_salt: str | None = Field(None, description="while a new password is handed over the old one is accepted too")
        previous_password_hash: str | None = None
        close_without_frame: bool = Field(False, description="it never comes back after a Close frame (ocpp.md row 8)")

    credentials: tuple[Credential, ...]
    next_after: str | None = Field(None, description="ask again with this; None when whole")


class CredentialsListRequested(Query):
    """All chargers' credentials, a page at a time in order of charge_point_id: what a gateway rebuilds its projection from."""

    TYPE: ClassVar[str] = "charging.credentials_list_requested.v1"
    ANSWER: ClassVar[type[Contract]] = CredentialsAnswer
    after: str = ""
    limit: int = Field(1000, ge=1, le=5000)
    charge_point_id: ChargePointId | None = Field(None, description="just this one (case-insensitive)")
