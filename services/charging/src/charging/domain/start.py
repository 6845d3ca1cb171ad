"""Who may start, and on which terms. Pure decisions over facts that the use case has read."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from contracts.charging import StartRefusal

ID_TAG_LENGTH_MAX = 20
"""OCPP 1.6 IdToken is CiString20."""

BUSY_STATUSES = frozenset({"Charging", "SuspendedEV", "SuspendedEVSE", "Reserved"})
"""Statuses of OCPP 1.6 §7.7 in which a connector serves somebody. Preparing and Finishing are not among them: in the one the car
is waiting to be paid for, in the other the charger itself knows whether it takes a start (row 45)."""


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of the charger and connector that a start is for."""

    charger_known: bool
    enabled: bool
    online: bool
    operative: bool
    """As the operator wants it, apart from what the charger reports."""
    connector_operative: bool
    """The same of the connector alone."""
    connector_exists: bool
    connector_status: str
    active_transaction: bool
    pending_request: bool
    late_energy: bool
    """The connector still delivers for a transaction that is final: it sells nothing until that stops."""
    has_tariff: bool
    reserved: bool = False
    """A reservation keeps it for somebody else."""


def refusal(place: Place) -> tuple[StartRefusal, str] | None:
    """Why a session can't start there now, with a sentence for people; None: it may be tried."""
    if not place.charger_known:
        return StartRefusal.UNKNOWN_CHARGER, "There is no such charger."
    if not place.enabled or not place.operative:
        return StartRefusal.CONNECTOR_UNAVAILABLE, "The charger is out of service."
    if not place.online:
        return StartRefusal.CHARGER_OFFLINE, "The charger is not connected."
    if not place.connector_exists or not place.connector_operative or place.connector_status == "Unavailable":
        return StartRefusal.CONNECTOR_UNAVAILABLE, "The connector is out of service."
    if place.connector_status == "Faulted":
        return StartRefusal.CONNECTOR_FAULTED, "The connector reports a fault."
    if place.active_transaction or place.pending_request or place.late_energy or place.connector_status in BUSY_STATUSES:
        return StartRefusal.CONNECTOR_BUSY, "The connector is in use."
    if place.reserved:
        return StartRefusal.CONNECTOR_BUSY, "The connector is reserved."
    if not place.has_tariff:
        return StartRefusal.NO_TARIFF, "No tariff is set for this connector."
    return None


def may_free_up(place: Place) -> bool:
    """Whether what makes a connector busy could be over without our knowing yet: a session, late energy, a status. Another
    start that waits for the same connector is certain, and so is a reservation."""
    return not place.pending_request and not place.reserved


_NOT_TAG = re.compile(r"[^0-9A-Z_.:\-]")


def normalise_id_tag(id_tag: str) -> str:
    """An idTag as compared: upper case, without spaces and what payment terminals put before a semicolon (row 53)."""
    return _NOT_TAG.sub("", id_tag.rsplit(";", 1)[-1].upper())


@dataclass(frozen=True, slots=True)
class Tariff:
    """One version of a price. It holds for a charger, a station, or (neither) everywhere."""

    id: int
    station_id: int | None
    charger_id: int | None
    paise_per_kwh: int
    gst_bps: int
    effective_from: datetime


def tariff_in_force(tariffs: Iterable[Tariff], at: datetime) -> Tariff | None:
    """The most specific tariff (charger, then station, then everywhere), in its latest version that is in force."""
    candidates = [tariff for tariff in tariffs if tariff.effective_from <= at]
    return max(
        candidates,
        key=lambda t: (t.charger_id is not None, t.station_id is not None, t.effective_from, t.id),
        default=None,
    )


def planned_changes(tariffs: Iterable[Tariff], after: datetime) -> list[tuple[datetime, Tariff]]:
    """(from when, which) each time another tariff comes to hold after a moment, in order of time."""
    known = list(tariffs)
    changes: list[tuple[datetime, Tariff]] = []
    holds = tariff_in_force(known, after)
    for begins in sorted({tariff.effective_from for tariff in known if tariff.effective_from > after}):
        then = tariff_in_force(known, begins)
        if then is not None and then != holds:
            changes.append((begins, then))
            holds = then
    return changes
