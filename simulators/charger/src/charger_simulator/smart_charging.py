"""Charging profiles (OCPP 1.6 section 3.13): what limits a connector now, and when that may change next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from charger_simulator.configuration import CHARGING_PROFILES_MAX, SCHEDULE_PERIODS_MAX, STACK_LEVEL_MAX
from charger_simulator.frames import OcppError

_RECURRENCE = {"Daily": timedelta(days=1), "Weekly": timedelta(days=7)}


class Period(BaseModel):
    startPeriod: int = Field(ge=0)  # noqa: N815  the wire's names
    limit: float = Field(ge=0)
    numberPhases: int | None = Field(None, ge=1, le=3)  # noqa: N815


class Schedule(BaseModel):
    chargingRateUnit: str = Field(pattern="^[AW]$")  # noqa: N815
    chargingSchedulePeriod: list[Period] = Field(min_length=1, max_length=SCHEDULE_PERIODS_MAX)  # noqa: N815
    duration: int | None = Field(None, ge=0)
    startSchedule: AwareDatetime | None = None  # noqa: N815


class Profile(BaseModel):
    """csChargingProfiles as sent; unknown fields are dropped."""

    chargingProfileId: int  # noqa: N815
    stackLevel: int = Field(ge=0, le=STACK_LEVEL_MAX)  # noqa: N815
    chargingProfilePurpose: str = Field(pattern="^(ChargePointMaxProfile|TxDefaultProfile|TxProfile)$")  # noqa: N815
    chargingProfileKind: str = Field(pattern="^(Absolute|Recurring|Relative)$")  # noqa: N815
    recurrencyKind: str | None = Field(None, pattern="^(Daily|Weekly)$")  # noqa: N815
    transactionId: int | None = None  # noqa: N815
    validFrom: AwareDatetime | None = None  # noqa: N815
    validTo: AwareDatetime | None = None  # noqa: N815
    chargingSchedule: Schedule  # noqa: N815

    @property
    def slot(self) -> tuple[str, int]:
        return self.chargingProfilePurpose, self.stackLevel


def parsed(payload: Any) -> Profile:
    """Raises OcppError for what is no charging profile."""
    try:
        return Profile.model_validate(payload)
    except ValidationError as error:
        first = error.errors()[0]
        raise OcppError("PropertyConstraintViolation", f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


@dataclass(slots=True)
class _Installed:
    connector_id: int
    profile: Profile
    since: datetime


@dataclass(frozen=True, slots=True)
class Limit:
    """`watts` None: no limit. `seconds` until this may change by the clock alone, None: never."""

    watts: int | None
    seconds: float | None


class Profiles:
    """The profiles of one charge point."""

    __slots__ = ("_installed",)

    def __init__(self) -> None:
        self._installed: list[_Installed] = []

    def install(self, connector_id: int, profile: Profile, now: datetime) -> bool:
        """One profile per id and per (connector, purpose, stack level): a newer one replaces it. False when there is no room."""
        kept = [
            other
            for other in self._installed
            if other.profile.chargingProfileId != profile.chargingProfileId
            and not (other.connector_id == connector_id and other.profile.slot == profile.slot)
        ]
        if len(kept) >= CHARGING_PROFILES_MAX:
            return False
        self._installed = [*kept, _Installed(connector_id, profile, now)]
        return True

    def clear(
        self,
        *,
        profile_id: int | None = None,
        connector_id: int | None = None,
        purpose: str | None = None,
        level: int | None = None,
    ) -> bool:
        """Removes what matches all that is given (ClearChargingProfile). False if nothing did."""
        before = len(self._installed)
        self._installed = [
            other
            for other in self._installed
            if (profile_id is not None and other.profile.chargingProfileId != profile_id)
            or (connector_id is not None and other.connector_id != connector_id)
            or (purpose is not None and other.profile.chargingProfilePurpose != purpose)
            or (level is not None and other.profile.stackLevel != level)
        ]
        return len(self._installed) < before

    def limit(self, connector_id: int, *, now: datetime, started: datetime, voltage_v: int, phases: int, sharing: int) -> Limit:
        """For a connector with a transaction that began at `started`. A TxProfile goes before TxDefaultProfiles, the higher stack
        level before the lower; ChargePointMaxProfile caps, shared evenly by `sharing` charging connectors."""
        best: dict[str, tuple[int, int]] = {}  # purpose: (stack level, watts)
        changes: list[float] = []
        for entry in self._installed:
            profile = entry.profile
            purpose = profile.chargingProfilePurpose
            if entry.connector_id not in (0, connector_id):
                continue
            watts, seconds = _now(entry, now, started, voltage_v, phases)
            if seconds is not None:
                changes.append(seconds)
            if watts is not None and (purpose not in best or profile.stackLevel > best[purpose][0]):
                best[purpose] = (profile.stackLevel, watts)
        transaction = best.get("TxProfile", best.get("TxDefaultProfile"))
        cap = best.get("ChargePointMaxProfile")
        limits = [] if transaction is None else [transaction[1]]
        if cap is not None:
            limits.append(cap[1] // max(1, sharing))
        return Limit(min(limits, default=None), min(changes, default=None))


def _now(entry: _Installed, now: datetime, started: datetime, voltage_v: int, phases: int) -> tuple[int | None, float | None]:
    """(the profile's limit in watts at this moment, seconds to its next change); None: it says nothing, or changes no more."""
    profile, schedule = entry.profile, entry.profile.chargingSchedule
    if profile.validTo is not None and now >= profile.validTo:
        return None, None
    if profile.validFrom is not None and now < profile.validFrom:
        return None, (profile.validFrom - now).total_seconds()
    begin = started if profile.chargingProfileKind == "Relative" else schedule.startSchedule or entry.since
    recurrence = _RECURRENCE.get(profile.recurrencyKind or "") if profile.chargingProfileKind == "Recurring" else None
    elapsed = (now - begin).total_seconds()
    if recurrence is not None:
        elapsed %= recurrence.total_seconds()
    boundaries = [float(period.startPeriod) for period in schedule.chargingSchedulePeriod]
    if schedule.duration is not None:
        boundaries.append(float(schedule.duration))
    if recurrence is not None:
        boundaries.append(recurrence.total_seconds())
    ahead = [boundary - elapsed for boundary in boundaries if boundary > elapsed]
    if profile.validTo is not None:
        ahead.append((profile.validTo - now).total_seconds())
    change = min(ahead, default=None)
    if schedule.duration is not None and elapsed >= schedule.duration:
        return None, change
    current = [period for period in schedule.chargingSchedulePeriod if period.startPeriod <= elapsed]
    if not current:
        return None, change
    period = max(current, key=lambda candidate: candidate.startPeriod)
    if schedule.chargingRateUnit == "W":
        return int(period.limit), change
    return int(period.limit * voltage_v * min(period.numberPhases or phases, phases)), change
