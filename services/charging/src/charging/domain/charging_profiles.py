"""Charging profiles (OCPP 1.6 §3.13, §7.8-7.14): what one says, whether it may be, and which others it replaces or clears.

The stored form is OCPP's own (`csChargingProfiles`); `read_profile` gives it meaning. What it means at a moment is
`composite_schedule`'s matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Any

from charging.domain.states import ForbiddenTransitionError


class Purpose(StrEnum):
    """ChargingProfilePurposeType, §7.11."""

    CHARGE_POINT_MAX = "ChargePointMaxProfile"
    TX_DEFAULT = "TxDefaultProfile"
    TX = "TxProfile"


class Kind(StrEnum):
    """ChargingProfileKindType, §7.10."""

    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"


class Recurrency(StrEnum):
    """RecurrencyKindType, §7.40."""

    DAILY = "Daily"
    WEEKLY = "Weekly"

    @property
    def length(self) -> timedelta:
        """After how long it begins again."""
        return timedelta(days=1 if self is Recurrency.DAILY else 7)


class RateUnit(StrEnum):
    """ChargingRateUnitType, §7.12."""

    AMPERE = "A"
    WATT = "W"


@dataclass(frozen=True, slots=True)
class Period:
    """ChargingSchedulePeriod, §7.14: from `start_seconds` into the schedule on, until the next one's."""

    start_seconds: int
    limit: Decimal
    phases: int | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """A charging profile on a connector; 0 is the charge point as a whole. Times are aware and whole seconds."""

    connector_id: int
    profile_id: int
    purpose: Purpose
    stack_level: int
    kind: Kind
    unit: RateUnit
    periods: tuple[Period, ...]
    recurrency: Recurrency | None = None
    transaction_id: int | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    start_at: datetime | None = None
    duration_seconds: int | None = None


class ProfileState(StrEnum):
    """What became of a profile that was sent to a charger."""

    REQUESTED = "REQUESTED"
    ACCEPTED = "ACCEPTED"
    """The charger holds it."""
    REFUSED = "REFUSED"
    """The charger said no, or was never reached."""
    UNKNOWN = "UNKNOWN"
    """Sent and not answered: the charger may hold it."""
    REPLACED = "REPLACED"
    """Another took its place in the stack, or its id."""
    CLEARED = "CLEARED"


class ProfileHappening(StrEnum):
    """What moves a profile."""

    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    UNANSWERED = "UNANSWERED"
    REPLACED = "REPLACED"
    CLEARED = "CLEARED"


HELD = frozenset({ProfileState.ACCEPTED, ProfileState.UNKNOWN})
"""States in which the charger holds it, or may."""

PROFILE_TRANSITIONS: Mapping[tuple[ProfileState, ProfileHappening], ProfileState] = {
    (ProfileState.REQUESTED, ProfileHappening.ACCEPTED): ProfileState.ACCEPTED,
    (ProfileState.REQUESTED, ProfileHappening.REFUSED): ProfileState.REFUSED,
    (ProfileState.REQUESTED, ProfileHappening.UNANSWERED): ProfileState.UNKNOWN,
    (ProfileState.ACCEPTED, ProfileHappening.REPLACED): ProfileState.REPLACED,
    (ProfileState.ACCEPTED, ProfileHappening.CLEARED): ProfileState.CLEARED,
    (ProfileState.UNKNOWN, ProfileHappening.REPLACED): ProfileState.REPLACED,
    (ProfileState.UNKNOWN, ProfileHappening.CLEARED): ProfileState.CLEARED,
}


def next_profile_state(state: ProfileState, happening: ProfileHappening) -> ProfileState:
    """Where a profile goes. Raises ForbiddenTransitionError."""
    after = PROFILE_TRANSITIONS.get((state, happening))
    if after is None:
        raise ForbiddenTransitionError(state, happening)
    return after


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a charger reports of itself by configuration keys (§9.4); None: it has not said."""

    stack_level_max: int | None = None
    """ChargeProfileMaxStackLevel"""
    periods_max: int | None = None
    """ChargingScheduleMaxPeriods"""
    units: frozenset[RateUnit] | None = None
    """ChargingScheduleAllowedChargingRateUnit"""
    profiles_max: int | None = None
    """MaxChargingProfilesInstalled"""
    smart_charging: bool | None = None
    """Whether SupportedFeatureProfiles lists SmartCharging"""


NOTHING_KNOWN = Capabilities()

_UNIT_WORDS = {"current": RateUnit.AMPERE, "a": RateUnit.AMPERE, "power": RateUnit.WATT, "w": RateUnit.WATT}


def capabilities_of(configuration: Mapping[str, str]) -> Capabilities:
    """From configuration keys in lower case (chargers spell them as they like, row 93). What is no number says nothing."""

    def number(key: str) -> int | None:
        text = configuration.get(key, "").strip()
        return int(text) if text.isdecimal() else None

    units = frozenset(
        _UNIT_WORDS[word]
        for text in configuration.get("chargingscheduleallowedchargingrateunit", "").split(",")
        if (word := text.strip(' "').lower()) in _UNIT_WORDS
    )
    features = configuration.get("supportedfeatureprofiles")
    return Capabilities(
        stack_level_max=number("chargeprofilemaxstacklevel"),
        periods_max=number("chargingschedulemaxperiods"),
        units=units or None,
        profiles_max=number("maxchargingprofilesinstalled"),
        smart_charging=None if features is None else "smartcharging" in features.lower().replace(" ", ""),
    )


def read_profile(connector_id: int, said: Mapping[str, Any]) -> Profile:
    """A profile from OCPP's words, which fit their schema. Raises ValueError, in words, for a time that is none."""
    schedule = said["chargingSchedule"]
    recurrency = said.get("recurrencyKind")
    return Profile(
        connector_id=connector_id,
        profile_id=said["chargingProfileId"],
        purpose=Purpose(said["chargingProfilePurpose"]),
        stack_level=said["stackLevel"],
        kind=Kind(said["chargingProfileKind"]),
        unit=RateUnit(schedule["chargingRateUnit"]),
        periods=tuple(
            Period(period["startPeriod"], Decimal(str(period["limit"])), period.get("numberPhases"))
            for period in schedule["chargingSchedulePeriod"]
        ),
        recurrency=Recurrency(recurrency) if recurrency is not None else None,
        transaction_id=said.get("transactionId"),
        valid_from=_moment("validFrom", said.get("validFrom")),
        valid_to=_moment("validTo", said.get("validTo")),
        start_at=_moment("startSchedule", schedule.get("startSchedule")),
        duration_seconds=schedule.get("duration"),
    )


def _moment(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is no time; write it as 2026-01-05T04:30:00Z.") from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).replace(microsecond=0)


def complaints(profile: Profile, can: Capabilities = NOTHING_KNOWN) -> list[str]:
    """Everything that the specification, or this charger, has against a profile, in words. A running transaction apart."""
    return [*_of_purpose(profile), *_of_kind(profile), *_of_periods(profile), *_of_charger(profile, can)]


def _of_purpose(profile: Profile) -> list[str]:
    found = []
    if profile.connector_id < 0:
        found.append("connectorId can't be negative.")
    if profile.purpose is Purpose.CHARGE_POINT_MAX and profile.connector_id != 0:
        found.append("A ChargePointMaxProfile is for the charge point as a whole: connectorId 0.")
    if profile.purpose is Purpose.TX and profile.connector_id == 0:
        found.append("A TxProfile is for one connector's transaction: connectorId can't be 0.")
    if profile.purpose is not Purpose.TX and profile.transaction_id is not None:
        found.append("transactionId belongs to a TxProfile only.")
    if profile.purpose is Purpose.CHARGE_POINT_MAX and profile.kind is Kind.RELATIVE:
        found.append("A ChargePointMaxProfile can't be Relative: it has no transaction to begin with.")
    if profile.stack_level < 0:
        found.append("stackLevel can't be negative.")
    if profile.valid_from is not None and profile.valid_to is not None and profile.valid_from >= profile.valid_to:
        found.append("validFrom must be before validTo.")
    return found


def _of_kind(profile: Profile) -> list[str]:
    found = []
    if profile.kind is Kind.RELATIVE and profile.start_at is not None:
        found.append("A Relative schedule has no startSchedule.")
    if profile.kind is not Kind.RELATIVE and profile.start_at is None:
        found.append(f"The schedule of {profile.kind.value} needs startSchedule.")
    if (profile.kind is Kind.RECURRING) != (profile.recurrency is not None):
        found.append("recurrencyKind belongs to Recurring, and Recurring needs it.")
    if profile.duration_seconds is not None:
        if profile.duration_seconds <= 0:
            found.append("duration must be positive.")
        if profile.recurrency is not None and profile.duration_seconds > profile.recurrency.length.total_seconds():
            found.append(f"duration is longer than {profile.recurrency.value} recurs.")
    return found


def _of_periods(profile: Profile) -> list[str]:
    if not profile.periods:
        return ["chargingSchedulePeriod needs at least one period."]
    found = []
    if profile.periods[0].start_seconds != 0:
        found.append("The first period must start at 0.")
    if any(before.start_seconds >= after.start_seconds for before, after in pairwise(profile.periods)):
        found.append("startPeriod must ascend.")
    if profile.duration_seconds is not None and 0 < profile.duration_seconds <= profile.periods[-1].start_seconds:
        found.append("The last period starts after the schedule has ended.")
    if any(period.limit < 0 for period in profile.periods):
        found.append("limit can't be negative.")
    if any(period.limit * 10 % 1 for period in profile.periods):
        found.append("limit has at most one digit after the point.")
    if any(period.phases is not None and not 1 <= period.phases <= 3 for period in profile.periods):
        found.append("numberPhases is 1, 2 or 3.")
    return found


def _of_charger(profile: Profile, can: Capabilities) -> list[str]:
    found = []
    if can.smart_charging is False:
        found.append("The charger does not support the SmartCharging feature profile.")
    if can.stack_level_max is not None and profile.stack_level > can.stack_level_max:
        found.append(f"The charger takes stackLevel up to {can.stack_level_max}.")
    if can.periods_max is not None and len(profile.periods) > can.periods_max:
        found.append(f"The charger takes up to {can.periods_max} periods.")
    if can.units is not None and profile.unit not in can.units:
        found.append(f"The charger takes limits in {' and '.join(sorted(can.units))} only.")
    return found


def replaces(new: Profile, old: Profile) -> bool:
    """Whether a charger that takes `new` drops `old` (§5.16): the same id, or the same place in the stack."""
    same_place = (new.connector_id, new.purpose, new.stack_level) == (old.connector_id, old.purpose, old.stack_level)
    return same_place or new.profile_id == old.profile_id


def clears(request: Mapping[str, Any], profile: Profile) -> bool:
    """Whether a ClearChargingProfile.req (§5.3, §6.7) means this profile: by its id, or by all that is given; by nothing, all."""
    if request.get("id") is not None:
        return bool(request["id"] == profile.profile_id)
    asked: Sequence[tuple[Any, Any]] = (
        (request.get("connectorId"), profile.connector_id),
        (request.get("chargingProfilePurpose"), profile.purpose.value),
        (request.get("stackLevel"), profile.stack_level),
    )
    return all(wanted is None or wanted == has for wanted, has in asked)
