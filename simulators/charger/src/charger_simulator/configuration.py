"""The OCPP configuration keys (OCPP 1.6 section 9), their types, and which may be changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

MEASURANDS = ("Energy.Active.Import.Register", "Power.Active.Import", "Voltage", "Current.Import")
FEATURE_PROFILES = "Core,RemoteTrigger,SmartCharging"
CHARGING_PROFILES_MAX = 16
SCHEDULE_PERIODS_MAX = 24
STACK_LEVEL_MAX = 8


def _boolean(value: str) -> bool:
    return value.lower() in ("true", "false")


def _whole(value: str) -> bool:
    return value.isascii() and value.isdigit()


def _measurands(value: str) -> bool:
    return all(item in MEASURANDS for item in _listed(value))


def _any(_: str) -> bool:
    return True


def _listed(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


@dataclass(frozen=True, slots=True)
class _Key:
    default: str
    accepts: Callable[[str], bool] = _any
    readonly: bool = False
    secret: bool = False  # may be written, is never listed


# Stored and reported, but without effect on a simulated station: AuthorizationCacheEnabled, ConnectorPhaseRotation,
# LocalAuthorizeOffline, LocalPreAuthorize, MaxEnergyOnInvalidId, MinimumStatusDuration, ResetRetries,
# UnlockConnectorOnEVSideDisconnect. All others act.
_KEYS: dict[str, _Key] = {
    "AllowOfflineTxForUnknownId": _Key("false", _boolean),
    "AuthorizationCacheEnabled": _Key("false", _boolean),
    "AuthorizationKey": _Key("", lambda value: len(value) >= 8, secret=True),
    "AuthorizeRemoteTxRequests": _Key("false", _boolean),
    "ChargeProfileMaxStackLevel": _Key(str(STACK_LEVEL_MAX), readonly=True),
    "ChargingScheduleAllowedChargingRateUnit": _Key("Current,Power", readonly=True),
    "ChargingScheduleMaxPeriods": _Key(str(SCHEDULE_PERIODS_MAX), readonly=True),
    "ClockAlignedDataInterval": _Key("0", _whole),
    "ConnectionTimeOut": _Key("60", _whole),
    "ConnectorPhaseRotation": _Key("0.Unknown"),
    "GetConfigurationMaxKeys": _Key("50", readonly=True),
    "HeartbeatInterval": _Key("300", _whole),
    "LocalAuthorizeOffline": _Key("false", _boolean),
    "LocalPreAuthorize": _Key("false", _boolean),
    "MaxChargingProfilesInstalled": _Key(str(CHARGING_PROFILES_MAX), readonly=True),
    "MaxEnergyOnInvalidId": _Key("0", _whole),
    "MeterValueSampleInterval": _Key("60", _whole),
    "MeterValuesAlignedData": _Key("Energy.Active.Import.Register", _measurands),
    "MeterValuesSampledData": _Key("Energy.Active.Import.Register,Power.Active.Import", _measurands),
    "MinimumStatusDuration": _Key("0", _whole),
    "NumberOfConnectors": _Key("1", readonly=True),
    "ResetRetries": _Key("1", _whole),
    "StopTransactionOnEVSideDisconnect": _Key("true", _boolean),
    "StopTransactionOnInvalidId": _Key("true", _boolean),
    "StopTxnAlignedData": _Key("", readonly=True),
    "StopTxnSampledData": _Key("", _measurands),
    "SupportedFeatureProfiles": _Key(FEATURE_PROFILES, readonly=True),
    "TransactionMessageAttempts": _Key("3", _whole),
    "TransactionMessageRetryInterval": _Key("60", _whole),
    "UnlockConnectorOnEVSideDisconnect": _Key("true", _boolean),
    "WebSocketPingInterval": _Key("0", _whole),
}
_SPELLING = {name.lower(): name for name in _KEYS}


class Configuration:
    """One station's keys. They survive a reboot. Only what differs from the defaults takes memory."""

    __slots__ = ("_changed",)

    def __init__(self, changed: Mapping[str, str], *, connectors: int) -> None:
        """Raises ValueError for a key that we don't have or a value that it can't hold."""
        self._changed = {"NumberOfConnectors": str(connectors)}
        for name, value in changed.items():
            key = _KEYS.get(name)
            if key is None or not key.accepts(value):
                raise ValueError(f"configuration key {name!r} does not exist or can't be {value!r}")
            self._changed[name] = value

    def text(self, name: str) -> str:
        return self._changed.get(name, _KEYS[name].default)

    def number(self, name: str) -> int:
        return int(self.text(name))

    def flag(self, name: str) -> bool:
        return self.text(name).lower() == "true"

    def items(self, name: str) -> list[str]:
        return _listed(self.text(name))

    def set_number(self, name: str, value: int) -> None:
        self._changed[name] = str(value)

    def change(self, name: str, value: str) -> str:
        """The status of ChangeConfiguration.conf: Accepted, Rejected (read-only or a bad value), NotSupported (unknown key)."""
        spelled = _SPELLING.get(name.lower())  # keys are case-insensitive (CiString50)
        if spelled is None:
            return "NotSupported"
        key = _KEYS[spelled]
        if key.readonly or not key.accepts(value):
            return "Rejected"
        self._changed[spelled] = value
        return "Accepted"

    def listing(self, names: list[str]) -> tuple[list[dict[str, object]], list[str]]:
        """(configurationKey, unknownKey) of GetConfiguration.conf; all keys when none are named. Secrets are never listed."""
        wanted = names or list(_KEYS)
        known: list[dict[str, object]] = []
        unknown: list[str] = []
        for name in wanted:
            spelled = _SPELLING.get(name.lower())
            if spelled is None or _KEYS[spelled].secret:
                if names:
                    unknown.append(name)
                continue
            known.append({"key": spelled, "readonly": _KEYS[spelled].readonly, "value": self.text(spelled)})
        return known, unknown
