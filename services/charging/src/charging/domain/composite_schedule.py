"""What all charging profiles of a connector come to (OCPP 1.6 §3.13.3-3.13.5, §5.7): a pure function of time.

At each moment the highest stack level leads within a purpose, a TxProfile overrules the TxDefaultProfiles, and the
ChargePointMaxProfile bounds what is left. A profile that is not valid, has not begun or has run out leaves the lead to the next.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from charging.domain.charging_profiles import Kind, Period, Profile, Purpose, RateUnit

VOLTS = 230
"""Nominal phase voltage in India (IS 12360): what turns amperes into watts where a bound and a limit have different units."""

PHASES = 3
"""§7.14: numberPhases is 3 where it is not said."""

_TENTH = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class CompositePeriod:
    """From `start_seconds` after the asked moment on, until the next one's. `limit` None: nothing limits it."""

    start_seconds: int
    limit: Decimal | None
    phases: int | None = None


def compose(
    profiles: Iterable[Profile],
    *,
    connector_id: int,
    at: datetime,
    duration_seconds: int,
    unit: RateUnit,
    transaction_started_at: datetime | None = None,
) -> tuple[CompositePeriod, ...]:
    """The schedule of a connector from `at` (whole seconds) on; of connector 0: what bounds the charge point as a whole.

    TxProfiles are those of the transaction that runs there: the caller leaves others out. Relative schedules begin with the
    transaction; with none, they are shown as if one began now.
    """
    began_at = transaction_started_at if transaction_started_at is not None else at
    there = [profile for profile in profiles if profile.connector_id in (0, connector_id)]
    moments = sorted(
        {0} | {second for profile in there for second in _turns(profile, at, duration_seconds, began_at)},
    )
    composed: list[CompositePeriod] = []
    for second in moments:
        limit = _limit_at(there, connector_id, at + timedelta(seconds=second), unit, began_at)
        period = CompositePeriod(second, *limit)
        if not composed or (composed[-1].limit, composed[-1].phases) != (period.limit, period.phases):
            composed.append(period)
    return tuple(composed)


def _limit_at(
    profiles: Sequence[Profile], connector_id: int, at: datetime, unit: RateUnit, began_at: datetime
) -> tuple[Decimal | None, int | None]:
    """(limit in `unit`, phases) at a moment."""
    bounds = [_leading(profiles, Purpose.CHARGE_POINT_MAX, at, began_at)]
    if connector_id > 0:
        own = _leading(profiles, Purpose.TX, at, began_at) or _leading(profiles, Purpose.TX_DEFAULT, at, began_at)
        bounds.append(own)
    found = [(in_unit(period, of, unit), period.phases) for period, of in filter(None, bounds)]
    return min(found, key=lambda bound: bound[0], default=(None, None))


def _leading(profiles: Sequence[Profile], purpose: Purpose, at: datetime, began_at: datetime) -> tuple[Period, RateUnit] | None:
    """The period in force of the leading profile of a purpose. At one level a connector's own goes before the charge point's."""
    leading: tuple[tuple[int, bool, int], Period, RateUnit] | None = None
    for profile in profiles:
        period = _period_at(profile, at, began_at) if profile.purpose is purpose else None
        rank = (profile.stack_level, profile.connector_id > 0, profile.profile_id)
        if period is not None and (leading is None or rank > leading[0]):
            leading = (rank, period, profile.unit)
    return leading[1:] if leading is not None else None


def _period_at(profile: Profile, at: datetime, began_at: datetime) -> Period | None:
    """The period of one profile that is in force at a moment, if any."""
    if profile.valid_from is not None and at < profile.valid_from:
        return None
    if profile.valid_to is not None and at >= profile.valid_to:
        return None
    into = (at - _begin(profile, at, began_at)).total_seconds()
    if into < 0 or (profile.duration_seconds is not None and into >= profile.duration_seconds):
        return None
    in_force = None
    for period in profile.periods:
        if period.start_seconds <= into:
            in_force = period
    return in_force


def _begin(profile: Profile, at: datetime, began_at: datetime) -> datetime:
    """When the run of a schedule began that holds at a moment (it may lie ahead)."""
    if profile.kind is Kind.RELATIVE or profile.start_at is None:
        return began_at
    if profile.recurrency is None or at < profile.start_at:
        return profile.start_at
    runs = (at - profile.start_at) // profile.recurrency.length
    return profile.start_at + runs * profile.recurrency.length


def _turns(profile: Profile, at: datetime, duration_seconds: int, began_at: datetime) -> set[int]:
    """Seconds after `at` at which this profile may change what holds."""
    end = at + timedelta(seconds=duration_seconds)
    moments = {moment for moment in (profile.valid_from, profile.valid_to) if moment is not None}
    begin = _begin(profile, at, began_at)
    while begin < end:
        moments.add(begin)
        moments.update(begin + timedelta(seconds=period.start_seconds) for period in profile.periods)
        if profile.duration_seconds is not None:
            moments.add(begin + timedelta(seconds=profile.duration_seconds))
        if profile.kind is not Kind.RECURRING or profile.recurrency is None:
            break
        begin += profile.recurrency.length
    return {int((moment - at).total_seconds()) for moment in moments if at < moment < end}


def in_unit(period: Period, of: RateUnit, unit: RateUnit) -> Decimal:
    """A limit in another unit, at nominal voltage over the period's phases; rounded down to a tenth, so never above."""
    if of is unit:
        return period.limit
    watts_per_ampere = VOLTS * (period.phases or PHASES)
    converted = period.limit * watts_per_ampere if unit is RateUnit.WATT else period.limit / watts_per_ampere
    return converted.quantize(_TENTH, rounding=ROUND_DOWN)
