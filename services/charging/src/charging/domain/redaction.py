"""Secrets in OCPP configuration: keys whose values are written to a charger, and never kept, shown or logged (row 93)."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
"""Stands for a value that is not kept."""

_SECRET = re.compile(
    r"authorization_?key$|pass(word|wd|phrase|code)|pwd|secret|psk|token|credential|wpa|private_?key|api_?key|encryption_?key"
    r"|wi-?fi_?(key|pass)|wlan_?key|(^|[^a-z])key$|pin(_?code)?$|[a-z]pin$|sim_?pin",
    re.IGNORECASE,
)
_OPEN = re.compile(r"supported|enabled|max(length|keys)?$|interval|timeout", re.IGNORECASE)
"""Settings about secrets that are none themselves: `AuthorizationKeyMaxLength`."""


def is_secret(key: str) -> bool:
    """Whether a configuration key's name says that its value is a secret: AuthorizationKey, StationPassword, WifiKey, SimPin."""
    return _SECRET.search(key.strip()) is not None and _OPEN.search(key) is None


def shown(key: str, value: str | None) -> str | None:
    """A key's value as it may be kept."""
    return HIDDEN if value and is_secret(key) else value


def redact_payload(action: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """A request as it may be kept."""
    if action == "ChangeConfiguration" and is_secret(str(payload.get("key", ""))):
        return {**payload, "value": HIDDEN}
    return dict(payload)


def redact_response(action: str, response: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """An answer as it may be kept. The list of GetConfiguration.conf comes as chargers make it: anything may be in it."""
    if response is None:
        return None
    listed = response.get("configurationKey")
    if action != "GetConfiguration" or not isinstance(listed, list):
        return dict(response)
    return {**response, "configurationKey": [_redacted(item) for item in listed]}


def _redacted(item: Any) -> Any:
    if isinstance(item, Mapping) and item.get("value") and is_secret(str(item.get("key", ""))):
        return {**item, "value": HIDDEN}
    return item
