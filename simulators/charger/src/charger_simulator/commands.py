"""What the central system may ask of a charge point (OCPP 1.6 section 5): Core, RemoteTrigger, SmartCharging."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from charger_simulator.clock import Timer
from charger_simulator.connector import Connector, PendingStart
from charger_simulator.frames import OcppError
from charger_simulator.messaging import Answer
from charger_simulator.outbox import Outgoing
from charger_simulator.smart_charging import Profile, parsed

if TYPE_CHECKING:
    from charger_simulator.charge_point import ChargePoint

# ruff: noqa: SLF001  the commands are the charge point's own, written apart from it

Payload = dict[str, Any]
T = TypeVar("T")


def answer(charge_point: ChargePoint, action: str, payload: Payload) -> Answer:
    """Raises OcppError, NotImplemented for an action that this station does not have."""
    handler = _HANDLERS.get(action)
    if handler is None:
        raise OcppError("NotImplemented", f"{action} is not implemented")
    return handler(charge_point, payload)


def _status(status: str, then: Callable[[], None] | None = None) -> Answer:
    return Answer({"status": status}, then)


def _field(payload: Payload, name: str, kind: type[T], allowed: tuple[T, ...] = ()) -> T:
    """A required field. Raises OcppError (OCPP-J 4.2.3)."""
    if name not in payload:
        raise OcppError("OccurenceConstraintViolation", f"{name} is missing")
    value = payload[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise OcppError("TypeConstraintViolation", f"{name} must be {kind.__name__}")
    if allowed and value not in allowed:
        raise OcppError("PropertyConstraintViolation", f"{name} can't be {value!r}")
    return value


def _optional(payload: Payload, name: str, kind: type[T]) -> T | None:
    return _field(payload, name, kind) if payload.get(name) is not None else None


def _change_availability(cp: ChargePoint, payload: Payload) -> Answer:
    number = _field(payload, "connectorId", int)
    operative = _field(payload, "type", str, ("Operative", "Inoperative")) == "Operative"
    if number != 0 and number not in cp.connectors:
        return _status("Rejected")
    concerned = cp._all() if number == 0 else [cp.connectors[number]]

    def change() -> None:
        for connector in concerned:
            waits = not operative and connector.transaction is not None
            connector.make_inoperative = waits
            if not waits:
                connector.operative = operative
                if not operative:
                    cp._forget_pending(connector)
            connector.update()

    scheduled = not operative and any(connector.transaction is not None for connector in concerned)
    return _status("Scheduled" if scheduled else "Accepted", change)


def _change_configuration(cp: ChargePoint, payload: Payload) -> Answer:
    key = _field(payload, "key", str)
    status = cp.configuration.change(key, _field(payload, "value", str))
    known = [item["key"] for item in cp.configuration.listing([key])[0]]
    spelled = str(known[0]) if known else key
    return _status(status, (lambda: cp.configured(spelled)) if status == "Accepted" else None)


def _get_configuration(cp: ChargePoint, payload: Payload) -> Answer:
    names = _optional(payload, "key", list) or []
    known, unknown = cp.configuration.listing([str(name) for name in names])
    return Answer({"configurationKey": known, "unknownKey": unknown})


def _clear_cache(_cp: ChargePoint, _payload: Payload) -> Answer:
    return _status("Accepted")


def _data_transfer(cp: ChargePoint, payload: Payload) -> Answer:
    vendor = _field(payload, "vendorId", str)
    return _status("Accepted" if vendor == cp.settings.data_transfer_vendor else "UnknownVendorId")


def _remote_start(cp: ChargePoint, payload: Payload) -> Answer:
    id_tag = _field(payload, "idTag", str)
    number = _optional(payload, "connectorId", int)
    requested = payload.get("chargingProfile")
    profile = None if requested is None else parsed(requested)
    if profile is not None and profile.chargingProfilePurpose != "TxProfile":
        return _status("Rejected")
    candidates = list(cp.connectors.values()) if number is None else [cp.connectors[number]] if number in cp.connectors else []
    free = [connector for connector in candidates if cp._is_free(connector) and connector.pending is None]
    if not free or not cp.booted:  # not booted: Pending forbids remote starts (section 4.2)
        return _status("Rejected")
    connector = min(free, key=lambda candidate: not candidate.plugged)  # where an EV waits, rather than where none does
    return _status("Accepted", lambda: _attempt(cp, connector, id_tag, profile))


def _attempt(cp: ChargePoint, connector: Connector, id_tag: str, profile: Profile | None) -> None:
    if not cp.configuration.flag("AuthorizeRemoteTxRequests"):
        _begin_or_wait(cp, connector, id_tag, profile)
        return

    async def ask_first() -> None:
        if await cp._authorized(id_tag) and cp._is_free(connector):
            _begin_or_wait(cp, connector, id_tag, profile)

    cp._spawn(ask_first())


def _begin_or_wait(cp: ChargePoint, connector: Connector, id_tag: str, profile: Profile | None) -> None:
    if connector.plugged:
        cp._begin(connector, id_tag, profile)
        return

    def give_up() -> None:
        connector.pending = None
        connector.update()

    timer = Timer(cp.clock, cp.configuration.number("ConnectionTimeOut"), give_up)
    connector.pending = PendingStart(id_tag, profile, timer)
    connector.update()


def _remote_stop(cp: ChargePoint, payload: Payload) -> Answer:
    wanted = _field(payload, "transactionId", int)
    for connector in cp.connectors.values():
        # A station that shows an id of its own in MeterValues takes that one too.
        if connector.transaction is not None and wanted in (connector.transaction_id, cp.quirks.meter_values_transaction_id):
            return _status("Accepted", partial(_end_if_running, cp, connector, "Remote"))
    return _status("Rejected")


def _end_if_running(cp: ChargePoint, connector: Connector, reason: str) -> None:
    if connector.transaction is not None:
        cp._end(connector, reason)


def _reset(cp: ChargePoint, payload: Payload) -> Answer:
    hard = _field(payload, "type", str, ("Hard", "Soft")) == "Hard"
    return _status("Accepted", lambda: cp._spawn(cp.reboot(hard)))


def _unlock_connector(cp: ChargePoint, payload: Payload) -> Answer:
    number = _field(payload, "connectorId", int)
    if number not in cp.connectors:
        return _status("NotSupported")
    connector = cp.connectors[number]
    if cp.settings.unlock_result != "Unlocked":
        return _status(cp.settings.unlock_result)
    return _status("Unlocked", lambda: _end_if_running(cp, connector, "UnlockCommand"))


def _trigger_message(cp: ChargePoint, payload: Payload) -> Answer:
    wanted = _field(payload, "requestedMessage", str)
    number = _optional(payload, "connectorId", int)
    if number is not None and number != 0 and number not in cp.connectors:
        return _status("Rejected")
    sender = _TRIGGERED.get(wanted)
    if sender is None:
        return _status("NotImplemented")
    return _status("Accepted", lambda: sender(cp, number))


def _send_statuses(cp: ChargePoint, number: int | None) -> None:
    for connector in cp._all():
        if number is None or connector.id == number:
            cp._notify_status(connector)


def _send_meter_values(cp: ChargePoint, number: int | None) -> None:
    for connector in cp.connectors.values():
        if not number or connector.id == number:
            cp._meter_values(connector, "Trigger", "MeterValuesSampledData", transactional=False)


def _idle(action: str) -> Callable[[ChargePoint, int | None], None]:
    return lambda cp, _: cp._queue(Outgoing(action, lambda: {"status": "Idle"}))


_TRIGGERED: dict[str, Callable[[ChargePoint, int | None], None]] = {
    "BootNotification": lambda cp, _: cp._send_boot(),
    "DiagnosticsStatusNotification": _idle("DiagnosticsStatusNotification"),
    "FirmwareStatusNotification": _idle("FirmwareStatusNotification"),
    "Heartbeat": lambda cp, _: cp.heartbeat(),
    "MeterValues": _send_meter_values,
    "StatusNotification": _send_statuses,
}


def _set_charging_profile(cp: ChargePoint, payload: Payload) -> Answer:
    number = _field(payload, "connectorId", int)
    profile = parsed(_field(payload, "csChargingProfiles", dict))
    purpose = profile.chargingProfilePurpose
    if (number != 0 and number not in cp.connectors) or (purpose == "ChargePointMaxProfile" and number != 0):
        return _status("Rejected")
    if purpose == "TxProfile":
        connector = cp.connectors.get(number)
        if connector is None or connector.transaction is None:
            return _status("Rejected")
        if profile.transactionId is not None and profile.transactionId != connector.transaction_id:
            return _status("Rejected")
    if not cp.profiles.install(number, profile, cp.clock.now()):
        return _status("Rejected")
    return _status("Accepted", cp._update_all)


def _clear_charging_profile(cp: ChargePoint, payload: Payload) -> Answer:
    cleared = cp.profiles.clear(
        profile_id=_optional(payload, "id", int),
        connector_id=_optional(payload, "connectorId", int),
        purpose=_optional(payload, "chargingProfilePurpose", str),
        level=_optional(payload, "stackLevel", int),
    )
    return _status("Accepted" if cleared else "Unknown", cp._update_all)


_HANDLERS: dict[str, Callable[[ChargePoint, Payload], Answer]] = {
    "ChangeAvailability": _change_availability,
    "ChangeConfiguration": _change_configuration,
    "ClearCache": _clear_cache,
    "ClearChargingProfile": _clear_charging_profile,
    "DataTransfer": _data_transfer,
    "GetConfiguration": _get_configuration,
    "RemoteStartTransaction": _remote_start,
    "RemoteStopTransaction": _remote_stop,
    "Reset": _reset,
    "SetChargingProfile": _set_charging_profile,
    "TriggerMessage": _trigger_message,
    "UnlockConnector": _unlock_connector,
}
