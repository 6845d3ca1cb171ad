"""What OCPP 1.6 says a request must look like: the `ocpp` package's JSON Schemas, compiled once."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema_rs

from charging.domain.charging_profiles import Purpose, complaints, read_profile
from charging.domain.commands import OPERATIONS
from charging.domain.errors import InvalidCommandError


@cache
def _validators() -> Mapping[str, "jsonschema_rs.Validator"]:
    folder = files("ocpp") / "v16" / "schemas"
    return {
        action: jsonschema_rs.validator_for(
            # Formats are not checked: the schemas' date-time is stricter than what chargers take and send (ocpp.md 3.4).
            json.loads((folder / f"{action}.json").read_text(encoding="utf-8-sig")),
            validate_formats=False,
        )
        for action in sorted(OPERATIONS)
    }


def check_command(action: str, payload: Mapping[str, Any]) -> None:
    """Raises InvalidCommandError, in words, if this is no operation of a Central System, or not its request."""
    validator = _validators().get(action)
    if validator is None:
        raise InvalidCommandError(
            f"{action} is no operation that a Central System starts; there are {', '.join(sorted(OPERATIONS))}."
        )
    for error in validator.iter_errors(dict(payload)):
        place = "/".join(str(step) for step in error.instance_path)
        raise InvalidCommandError(f"{action}.req {place}: {error.message}" if place else f"{action}.req: {error.message}")
    wrong = _wrong_profile(action, payload)
    if wrong:
        raise InvalidCommandError(f"{action}.req: {wrong}")


def _wrong_profile(action: str, payload: Mapping[str, Any]) -> str:
    """What the specification has against the charging profile of a request, beyond its shape (§3.13, §5.11); '' for nothing."""
    if action == "SetChargingProfile":
        connector_id, said = payload["connectorId"], payload["csChargingProfiles"]
    elif action == "RemoteStartTransaction" and "chargingProfile" in payload:
        connector_id, said = payload.get("connectorId", 1), payload["chargingProfile"]
        if said["chargingProfilePurpose"] != Purpose.TX.value or "transactionId" in said:
            return "Its chargingProfile must be a TxProfile, without transactionId."
    else:
        return ""
    try:
        return " ".join(complaints(read_profile(connector_id, said)))
    except ValueError as error:
        return str(error)
