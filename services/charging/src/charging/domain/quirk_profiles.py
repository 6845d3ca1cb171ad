"""What a charger does differently from the book, as data: profiles by vendor, model and firmware, merged into one `QuirkProfile`.

A profile says only what it knows; what several of them say is merged from general to specific, and what an operator wrote for
one charger (its override) wins over all of them. Where the profiles come from: `charging.quirk_profiles`. Rows: ocpp.md Part 1.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from charging.domain.stopping import DEFAULT_ESCALATION, StopMeans

MODELS_REMEMBERED = 1024
"""Merged profiles kept by (vendor, model, firmware): more than any network has, and a bound on what a liar can fill."""

OVERRIDE = "override"
"""Names the charger's own override where it is told what comes from where."""


@dataclass(frozen=True, slots=True)
class QuirkProfile:
    """What holds for one charger. The defaults are a charger that keeps to the specification."""

    energy_unit: str | None = None
    """Wh or kWh: what its energy register is in, whatever it claims (row 61)."""
    session_relative_register: bool = False
    """Its samples count from the session's begin, while meterStart and meterStop are of the lifetime (row 62)."""
    stop_escalation: tuple[StopMeans, ...] = DEFAULT_ESCALATION
    """Stronger means after two ignored stops, in this order (row 88)."""
    stop_by_reported_id: bool = False
    """It keeps another transactionId than it was given last: the first RemoteStop already uses the one it reports (row 51)."""
    denied_actions: frozenset[str] = frozenset()
    """Operations never sent of our own accord: `Reset`, or one kind of it, `TriggerMessage:BootNotification` (row 14)."""
    denied_keys: frozenset[str] = frozenset()
    """Configuration keys that are left alone, lower case (rows 14, 93)."""
    configuration: Mapping[str, str] = field(default_factory=dict)
    """Configuration keys that this model needs another value of than the rest, or needs at all (row 85)."""
    settle_seconds: int | None = None
    """Quiet after a connect before it is configured (rows 12 to 14); None: the setting."""
    call_timeout_seconds: int | None = None
    """How long it may take to answer a command (row 94); None: the setting."""
    offline_cap: bool | None = None
    """Whether prepaid sessions get a profile that falls to 0 A when the budget may be used up (B18); None: the setting."""
    close_without_frame: bool = False
    """It never comes back after a Close frame: when our gateway stops, its TCP connection is dropped instead (row 8)."""

    def denies(self, action: str, payload: Mapping[str, Any] | None = None) -> bool:
        """Whether this operation is never to be sent of our own accord. `payload` tells kinds of TriggerMessage apart."""
        if action in self.denied_actions:
            return True
        requested = (payload or {}).get("requestedMessage")
        return requested is not None and f"{action}:{requested}" in self.denied_actions

    def denies_key(self, key: str) -> bool:
        """Whether this configuration key is to be left alone. Case makes no difference (row 93)."""
        return key.casefold() in self.denied_keys


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a profile says what it says."""

    row: int
    """Of ocpp.md Part 1; 0 where the finding is not among them."""
    source: str
    """Where it was seen, as ocpp.md names sources: `HA#2093`."""
    says: str


@dataclass(frozen=True, slots=True)
class Profile:
    """One entry of a profile file."""

    name: str
    file: str
    vendors: tuple[str, ...]
    """Globs of chargePointVendor, without regard to case. An empty one matches a charger that sends none."""
    models: tuple[str, ...]
    """Globs of chargePointModel; () for all."""
    firmware: str | None
    """A glob of firmwareVersion (`5.7.*`), or comparisons with its number (`>=6.0 <6.8`); None for all."""
    quirks: Mapping[str, Any]
    """What it says: fields of QuirkProfile, those that it knows something of."""
    evidence: tuple[Evidence, ...] = ()
    notes: str = ""
    local: bool = False
    """From the operator's own directory."""

    def matches(self, vendor: str | None, model: str | None, firmware: str | None) -> bool:
        """Whether it holds for chargers that say this of themselves. One that has not booted yet matches nothing."""
        if vendor is None or not _any_glob(self.vendors, vendor):
            return False
        if self.models and (model is None or not _any_glob(self.models, model)):
            return False
        return self.firmware is None or (firmware is not None and firmware_matches(self.firmware, firmware))

    @property
    def rank(self) -> tuple[int, bool, bool, str]:
        """From general to specific: a model named exactly beats a glob, a glob beats none; then firmware; then the operator's."""
        exactness = 0 if not self.models else 1 if any(_is_glob(model) for model in self.models) else 2
        return exactness, self.firmware is not None, self.local, self.name


_COMPARISON = re.compile(r"(<=|>=|<|>|==)\s*v?(\d+(?:\.\d+)*)")
_NUMBER = re.compile(r"\d+(?:\.\d+)+|\d+")


def _is_glob(pattern: str) -> bool:
    return any(sign in pattern for sign in "*?[")


def _any_glob(patterns: Iterable[str], text: str) -> bool:
    said = text.strip().casefold()
    return any(fnmatchcase(said, pattern.casefold()) for pattern in patterns)


def is_firmware_pattern(text: str) -> bool:
    """Whether this is a glob, or a list of comparisons with nothing else around."""
    return bool(text.strip()) and (not any(sign in text for sign in "<>=") or not _COMPARISON.sub("", text).strip(" ,"))


def version_of(firmware: str) -> tuple[int, ...] | None:
    """The number in a firmware version: `SW:A1B_2.8` is (2, 8), `v1.8.21-rc` is (1, 8, 21). None where there is none."""
    numbers = _NUMBER.findall(firmware)
    dotted = next((number for number in numbers if "." in number), numbers[0] if numbers else None)
    return tuple(int(part) for part in dotted.split(".")) if dotted is not None else None


def firmware_matches(pattern: str, firmware: str) -> bool:
    """`firmware_matches(">=6.0 <6.8", "6.7.38")`. Versions are compared by number, missing places as 0."""
    comparisons = _COMPARISON.findall(pattern)
    if not comparisons:
        return _any_glob((pattern,), firmware)
    version = version_of(firmware)
    return version is not None and all(_compares(sign, version, bound) for sign, bound in comparisons)


def _compares(sign: str, version: tuple[int, ...], bound: str) -> bool:
    other = tuple(int(part) for part in bound.split("."))
    places = max(len(version), len(other))
    left = version + (0,) * (places - len(version))
    right = other + (0,) * (places - len(other))
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right, "==": left == right}[sign]


@dataclass(frozen=True, slots=True)
class Applied:
    """What holds for a charger, and from where."""

    effective: QuirkProfile
    profiles: tuple[Profile, ...]
    """Those that match, from general to specific."""
    origins: Mapping[str, tuple[str, ...]]
    """Field → names of the profiles, or `override`, that it comes from; a field that nobody speaks of is left out."""


class QuirkCatalogue:
    """All profiles; what holds for a charger is asked here. Immutable."""

    def __init__(self, profiles: Sequence[Profile]) -> None:
        self.profiles = tuple(sorted(profiles, key=lambda profile: profile.name))
        self._by_rank = sorted(profiles, key=lambda profile: profile.rank)
        self._remembered = lru_cache(maxsize=MODELS_REMEMBERED)(self._said_of)

    def profile_of(
        self, vendor: str | None, model: str | None, firmware: str | None, overrides: Mapping[str, Any] | None = None
    ) -> QuirkProfile:
        """What holds for a charger that says this of itself. On every message's way, so it is remembered by model."""
        said, _, _, effective = self._remembered(vendor, model, firmware)
        return _profile({**said, **_overriding(said, overrides)}) if overrides else effective

    def applied(
        self, vendor: str | None, model: str | None, firmware: str | None, overrides: Mapping[str, Any] | None = None
    ) -> Applied:
        """The same, with what it comes from."""
        said, origins, profiles, effective = self._remembered(vendor, model, firmware)
        if not overrides:
            return Applied(effective, profiles, origins)
        won = _overriding(said, overrides)
        from_override = {name: (*(origins.get(name, ()) if name == "configuration" else ()), OVERRIDE) for name in won}
        return Applied(_profile({**said, **won}), profiles, {**origins, **from_override})

    def _said_of(
        self, vendor: str | None, model: str | None, firmware: str | None
    ) -> tuple[Mapping[str, Any], Mapping[str, tuple[str, ...]], tuple[Profile, ...], QuirkProfile]:
        matching = tuple(profile for profile in self._by_rank if profile.matches(vendor, model, firmware))
        said: dict[str, Any] = {}
        origins: dict[str, tuple[str, ...]] = {}
        for profile in matching:
            for name, value in profile.quirks.items():
                if name in ("denied_actions", "denied_keys"):
                    # What somebody found to be harmful stays so, whoever else has something to say.
                    said[name] = [*said.get(name, ()), *value]
                    origins[name] = (*origins.get(name, ()), profile.name)
                elif name == "configuration":
                    said[name] = merge_configuration(said.get(name, {}), value)
                    origins[name] = (*origins.get(name, ()), profile.name)
                else:
                    said[name] = value
                    origins[name] = (profile.name,)
        return MappingProxyType(said), MappingProxyType(origins), matching, _profile(said)


def merge_configuration(under: Mapping[str, str], over: Mapping[str, str | None]) -> dict[str, str]:
    """Key by key, `over` wins, without regard to case; null takes a key out."""
    spoken_of = {key.casefold() for key in over}
    kept = {key: value for key, value in under.items() if key.casefold() not in spoken_of}
    return kept | {key: value for key, value in over.items() if value is not None}


def _overriding(said: Mapping[str, Any], overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    """The override as it wins: whole fields, but configuration key by key."""
    won = {name: value for name, value in (overrides or {}).items() if name in _FIELDS and value is not None}
    if "configuration" in won:
        won["configuration"] = merge_configuration(said.get("configuration", {}), won["configuration"])
    return won


_ACTION_OF = {
    StopMeans.PROFILE_ZERO: "SetChargingProfile",
    StopMeans.INOPERATIVE: "ChangeAvailability",
    StopMeans.RESET_HARD: "Reset",
}
"""What a stronger means would send: nothing that is denied."""

_FIELDS = frozenset(QuirkProfile.__dataclass_fields__)


def _profile(said: Mapping[str, Any]) -> QuirkProfile:
    """From plain data that was checked where it came in. An unknown word of an older release means nothing."""
    values = {name: value for name, value in said.items() if name in _FIELDS and value is not None}
    if "stop_escalation" in values:
        known = {means.value: means for means in StopMeans}
        values["stop_escalation"] = tuple(known[word] for word in values["stop_escalation"] if word in known)
    if "denied_actions" in values:
        denied = values["denied_actions"] = frozenset(values["denied_actions"])
        escalation = values.get("stop_escalation", DEFAULT_ESCALATION)
        values["stop_escalation"] = tuple(means for means in escalation if _ACTION_OF.get(means) not in denied)
    if "denied_keys" in values:
        values["denied_keys"] = frozenset(key.casefold() for key in values["denied_keys"])
    if "configuration" in values:
        values["configuration"] = MappingProxyType(dict(values["configuration"]))
    return QuirkProfile(**values)
