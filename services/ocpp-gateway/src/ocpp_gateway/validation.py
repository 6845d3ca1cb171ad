"""The `ocpp` package's OCPP 1.6 schemas, compiled. Formats are off: half the fleet sends timestamps that are no RFC 3339."""

import json
from importlib import resources
from typing import Any

from jsonschema_rs import Draft4Validator

from ocpp_gateway.sanitize import CONNECTOR_ID_MAX, SAFE_INTEGER, TABLES

_BOUNDED: dict[str, tuple[int, int]] = {
    "connectorId": (0, CONNECTOR_ID_MAX),
    "transactionId": (-SAFE_INTEGER, SAFE_INTEGER),
    "meterStart": (-SAFE_INTEGER, SAFE_INTEGER),
    "meterStop": (-SAFE_INTEGER, SAFE_INTEGER),
    "reservationId": (1, SAFE_INTEGER),
}
"""The specification bounds no integer; databases do. What is outside goes through the sanitiser."""

_MAY_LACK: dict[str, tuple[str, ...]] = {
    "StopTransaction": ("transactionId", "meterStop", "timestamp"),
    "MeterValues": ("transactionId",),
}
"""Fields without which we still understand the message (ocpp.md rows 23, 77, 81). Its own, not those of the lists inside it."""


def _relaxed(schema: Any, action: str, may_lack: tuple[str, ...] = ()) -> Any:
    """The schema as we hold chargers to it: bounds on integers, empty lists allowed (row 27), `data` of any type (row 90)."""
    if isinstance(schema, list):
        return [_relaxed(item, action) for item in schema]
    if not isinstance(schema, dict):
        return schema
    relaxed = {name: _relaxed(value, action) for name, value in schema.items() if name != "minItems"}
    properties = relaxed.get("properties", {})
    for name, (minimum, maximum) in _BOUNDED.items():
        if name in properties:
            properties[name] |= {"minimum": minimum, "maximum": maximum}
    if action == "DataTransfer" and "data" in properties:
        properties["data"] = {}
    required = [name for name in relaxed.get("required", ()) if name not in may_lack]
    relaxed.pop("required", None)
    return relaxed | ({"required": required} if required else {})


def _compiled() -> dict[str, Draft4Validator]:
    folder = resources.files("ocpp.v16.schemas")
    return {
        action: Draft4Validator(
            _relaxed(json.loads((folder / f"{action}.json").read_text("utf-8-sig")), action, _MAY_LACK.get(action, ())),
            validate_formats=False,
        )
        for action in TABLES
    }


_VALIDATORS = _compiled()

CALLS_OF_OCPP_16 = frozenset(
    entry.name.removesuffix(".json")
    for entry in resources.files("ocpp.v16.schemas").iterdir()
    if entry.name.endswith(".json") and not entry.name.endswith("Response.json")
)
"""What OCPP 1.6 and its security extension know: what we do not serve of it is NotSupported, all else NotImplemented."""


def is_valid(action: str, payload: Any) -> bool:
    """Whether a request's payload fits its schema. Never raises: what the validator can't even convert is not valid."""
    try:
        return bool(_VALIDATORS[action].is_valid(payload))
    except (ValueError, TypeError, OverflowError, RecursionError):
        return False


def complaint(action: str, payload: Any) -> tuple[str, str]:
    """(which keyword, a sentence) of the first thing that is wrong, for a CALLERROR and the log."""
    try:
        for error in _VALIDATORS[action].iter_errors(payload):
            path = "/".join(str(step) for step in error.instance_path) or "payload"
            kind = type(error.kind).__name__.removeprefix("ValidationErrorKind_").lower()
            return kind, f"{path} breaks {kind}"
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        return "conversion", f"payload: {type(error).__name__}"
    return "none", "payload is not acceptable"
