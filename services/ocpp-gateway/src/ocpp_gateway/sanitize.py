"""Making what chargers send fit the specification, by tables: one row per field says what is trimmed, mapped, made up or dropped.

Only messages that fail the schema come here. Unknown fields are dropped; fields of an unknown value are mapped, defaulted or left
out; what was changed is kept as the charger sent it. Nothing here raises for any input, and nothing depends on time.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

import orjson

ORIGINAL_CHARACTERS_MAX = 500
"""Of a changed field's original no more is kept: it is for people."""

NUMBER_CHARACTERS_MAX = 40
"""Longer texts are no numbers of a meter."""

SAFE_INTEGER = 2**53
"""Larger integers are garbage of a charger, and no JSON reader agrees on them."""


class Missing:
    """A field that has no usable value."""


MISSING = Missing()


class Field(Protocol):
    """A rule for one field."""

    @property
    def default(self) -> Any:
        """Taken where nothing usable came; MISSING leaves the field out."""
        ...

    def clean(self, value: Any) -> Any:
        """The value made to fit, or MISSING."""
        ...


@dataclass(frozen=True)
class Text:
    """A CiString of the specification: numbers become text, blanks around it go, what is too long is cut."""

    length_max: int | None = None
    default: Any = MISSING

    def clean(self, value: Any) -> Any:
        """Text within its length; null, lists and objects are no text."""
        if type(value) is bool:
            value = "true" if value else "false"
        elif isinstance(value, int | float):
            value = (
                orjson.dumps(value).decode() if abs(value) < SAFE_INTEGER else f"{value:.0f}" if math.isfinite(value) else None
            )
        if type(value) is not str:
            return MISSING
        return value.strip()[: self.length_max]


@dataclass(frozen=True)
class Whole:
    """An integer: 10.0, "10", 26008.333 and "1234,5" are rounded half away from zero; out of bounds is no value."""

    minimum: int = -SAFE_INTEGER
    maximum: int = SAFE_INTEGER
    default: Any = MISSING

    def clean(self, value: Any) -> Any:
        """An integer within bounds, or MISSING."""
        number = whole_number(value)
        return number if number is not None and self.minimum <= number <= self.maximum else MISSING


def whole_number(value: Any) -> int | None:
    """The integer that a number or numeric text means (rounded half away from zero), None where it means none."""
    if type(value) is int:
        return value
    if type(value) is bool:
        return None
    if type(value) is str:
        if len(value) > NUMBER_CHARACTERS_MAX:
            return None
        value = value.strip().replace(",", ".", 1)
    elif type(value) is not float:
        return None
    try:
        exact = Decimal(value) if type(value) is str else Decimal(repr(value))
        return int(exact.to_integral_value("ROUND_HALF_UP")) if exact.is_finite() and abs(exact) <= SAFE_INTEGER else None
    except (InvalidOperation, ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class Choice:
    """An enumeration: matched in any case, by alias, else `otherwise`."""

    members: tuple[str, ...]
    otherwise: Any = MISSING
    """For a value that is no member: a member ("Other"), or MISSING to drop the attribute."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Known misspellings, lower case."""
    default: Any = MISSING

    def clean(self, value: Any) -> Any:
        """A member, or `otherwise`; null is no value at all."""
        if value is None:
            return MISSING
        if type(value) is not str:
            return self.otherwise
        wanted = value.strip().lower()
        for member in self.members:
            if member.lower() == wanted:
                return member
        return self.aliases.get(wanted, self.otherwise)


@dataclass(frozen=True)
class Moment:
    """A timestamp stays the charger's text here; `timestamps.charger_time` judges it later."""

    default: Any = MISSING

    def clean(self, value: Any) -> Any:
        """Text, or MISSING."""
        return value if type(value) is str else MISSING


@dataclass(frozen=True)
class Records:
    """A list of objects, each by its own table. One object instead of a list is a list of one; what is no object is left out."""

    table: "Table"
    default: Any = MISSING

    def clean(self, value: Any) -> Any:
        """A list of clean objects; null is an empty list."""
        if value is None:
            return []
        if type(value) is dict:
            value = [value]
        if type(value) is not list:
            return MISSING
        cleaned = [sanitize(self.table, item)[0] for item in value if type(item) is dict]
        return [item for item in cleaned if all(name in item for name in self.table.essential)]


@dataclass(frozen=True)
class Anything:
    """Text as it is; an object or list where text is due (row 90) is kept whole, for the reader to understand."""

    default: Any = MISSING

    def clean(self, value: Any) -> Any:
        """The value, unless it is null."""
        return MISSING if value is None else value


@dataclass(frozen=True)
class Table:
    """The fields of one object."""

    fields: Mapping[str, Field]
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Names some vendors use, and what the specification calls them; taken only where the right name is absent."""
    essential: tuple[str, ...] = ()
    """In a list: objects that lack one of these are left out."""


def sanitize(table: Table, payload: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the payload made to fit, the original of each field of it that was changed).

    Defaults are filled in. What is still missing afterwards could not be understood: the schema says so.
    """
    clean: dict[str, Any] = {}
    original: dict[str, Any] = {}
    for name, rule in table.fields.items():
        given = payload.get(name, MISSING)
        if given is MISSING:
            given = next(
                (payload[alias] for alias, meant in table.renamed.items() if meant == name and alias in payload), MISSING
            )
        value = MISSING if given is MISSING else rule.clean(given)
        if value is MISSING:
            value = rule.default
        if value is not MISSING:
            clean[name] = value
        if (
            given is not MISSING
            and given is not None
            and (type(value) is not type(given) or value != given)
            and type(given) is not list
        ):
            original[name] = given if isinstance(given, int | float | bool) else str(given)[:ORIGINAL_CHARACTERS_MAX]
    return clean, original


# Enumerations of OCPP 1.6 §7.
STATUSES = (
    "Available",
    "Preparing",
    "Charging",
    "SuspendedEVSE",
    "SuspendedEV",
    "Finishing",
    "Reserved",
    "Unavailable",
    "Faulted",
)
ERROR_CODES = (
    "ConnectorLockFailure", "EVCommunicationError", "GroundFailure", "HighTemperature", "InternalError", "LocalListConflict",
    "NoError", "OtherError", "OverCurrentFailure", "PowerMeterFailure", "PowerSwitchFailure", "ReaderFailure", "ResetFailure",
    "UnderVoltage", "OverVoltage", "WeakSignal",
)  # fmt: skip
STOP_REASONS = (
    "EmergencyStop", "EVDisconnected", "HardReset", "Local", "Other", "PowerLoss", "Reboot", "Remote", "SoftReset",
    "UnlockCommand", "DeAuthorized",
)  # fmt: skip
CONTEXTS = (
    "Interruption.Begin", "Interruption.End", "Sample.Clock", "Sample.Periodic", "Transaction.Begin", "Transaction.End",
    "Trigger", "Other",
)  # fmt: skip
MEASURANDS = (
    "Energy.Active.Export.Register", "Energy.Active.Import.Register", "Energy.Reactive.Export.Register",
    "Energy.Reactive.Import.Register", "Energy.Active.Export.Interval", "Energy.Active.Import.Interval",
    "Energy.Reactive.Export.Interval", "Energy.Reactive.Import.Interval", "Power.Active.Export", "Power.Active.Import",
    "Power.Offered", "Power.Reactive.Export", "Power.Reactive.Import", "Power.Factor", "Current.Import", "Current.Export",
    "Current.Offered", "Voltage", "Frequency", "Temperature", "SoC", "RPM",
)  # fmt: skip
PHASES = ("L1", "L2", "L3", "N", "L1-N", "L2-N", "L3-N", "L1-L2", "L2-L3", "L3-L1")
LOCATIONS = ("Cable", "EV", "Inlet", "Outlet", "Body")
UNITS = (
    "Wh", "kWh", "varh", "kvarh", "W", "kW", "VA", "kVA", "var", "kvar", "A", "V", "K", "Celcius", "Celsius", "Fahrenheit",
    "Percent",
)  # fmt: skip
FIRMWARE_STATUSES = ("Downloaded", "DownloadFailed", "Downloading", "Idle", "InstallationFailed", "Installing", "Installed")
DIAGNOSTICS_STATUSES = ("Idle", "Uploaded", "UploadFailed", "Uploading")

CONNECTOR_ID_MAX = 9_999
"""No station has more outlets; larger numbers are garbage."""

_CONNECTOR = Whole(0, CONNECTOR_ID_MAX, default=0)

# A measurand that nobody knows must not turn into energy by default, so it is marked rather than dropped.
_SAMPLED_VALUE = Table(
    {
        "value": Text(),
        "context": Choice(CONTEXTS, otherwise="Other"),
        "format": Choice(("Raw", "SignedData")),
        "measurand": Choice(MEASURANDS, otherwise=MISSING),
        "phase": Choice(PHASES, aliases={"l1n": "L1-N", "l2n": "L2-N", "l3n": "L3-N"}),
        "location": Choice(LOCATIONS),
        "unit": Choice(UNITS, aliases={"%": "Percent", "celcius": "Celcius", "deg c": "Celsius", "c": "Celsius"}),
    },
    essential=("value",),
)


@dataclass(frozen=True)
class Samples(Records):
    """`sampledValue`: as Records, without samples of measurands that nobody knows (left out, they would read as energy)."""

    def clean(self, value: Any) -> Any:
        """The samples whose meaning is known; one of several bad samples does not take the others with it."""
        if type(value) is dict:
            value = [value]
        if type(value) is list:
            value = [item for item in value if type(item) is dict and _measurand_known(item)]
        return super().clean(value)


def _measurand_known(sample: Mapping[str, Any]) -> bool:
    given = sample.get("measurand")
    return given is None or given == "" or Choice(MEASURANDS).clean(given) is not MISSING


_METER_VALUE = Table({"timestamp": Moment(default=""), "sampledValue": Samples(_SAMPLED_VALUE, default=[])})

TABLES: dict[str, Table] = {
    "Authorize": Table({"idTag": Text(20, default="")}),
    "BootNotification": Table(
        {
            "chargePointVendor": Text(20, default=""),
            "chargePointModel": Text(20, default=""),
            "chargePointSerialNumber": Text(25),
            "chargeBoxSerialNumber": Text(25),
            "firmwareVersion": Text(50),
            "iccid": Text(20),
            "imsi": Text(20),
            "meterType": Text(25),
            "meterSerialNumber": Text(25),
        }
    ),
    "DataTransfer": Table({"vendorId": Text(255, default=""), "messageId": Text(50), "data": Anything()}),
    "DiagnosticsStatusNotification": Table({"status": Choice(DIAGNOSTICS_STATUSES)}),
    "FirmwareStatusNotification": Table({"status": Choice(FIRMWARE_STATUSES)}),
    "Heartbeat": Table({}),
    "MeterValues": Table(
        {"connectorId": _CONNECTOR, "transactionId": Whole(), "meterValue": Records(_METER_VALUE, default=[])},
    ),
    "StartTransaction": Table(
        {
            "connectorId": _CONNECTOR,
            "idTag": Text(20, default=""),
            "meterStart": Whole(default=0),
            "timestamp": Moment(default=""),
            "reservationId": Whole(minimum=1),
        }
    ),
    "StatusNotification": Table(
        {
            "connectorId": Whole(0, CONNECTOR_ID_MAX),
            "status": Choice(STATUSES, aliases={"occupied": "Charging", "inoperative": "Unavailable"}),
            "errorCode": Choice(
                ERROR_CODES,
                otherwise="OtherError",
                default="NoError",
                aliases={"": "NoError", "none": "NoError", "mode3error": "EVCommunicationError"},
            ),
            "info": Text(50),
            "timestamp": Moment(),
            "vendorId": Text(255),
            "vendorErrorCode": Text(50),
        }
    ),
    "StopTransaction": Table(
        {
            "transactionId": Whole(),
            "meterStop": Whole(),
            "timestamp": Moment(default=""),
            "idTag": Text(20),
            "reason": Choice(STOP_REASONS, otherwise="Other"),
            "transactionData": Records(_METER_VALUE),
        },
        renamed={"disconnectReason": "reason"},
    ),
}
"""By action. A transaction message (MeterValues, StartTransaction, StopTransaction) comes out fit for its schema whatever came
in: a charger throws the record away after a few refusals, and charging knows best what to do with a poor one."""
