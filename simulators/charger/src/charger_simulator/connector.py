"""A connector: the EV at it, its transaction, its power, and the status that follows from them (OCPP 1.6 section 4.9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from charger_simulator.clock import Clock, Every, Timer
from charger_simulator.meter import Meter
from charger_simulator.quirks import Quirks
from charger_simulator.smart_charging import Limit, Profile


@dataclass(slots=True, eq=False)
class Transaction:
    """One charging session as the charge point knows it."""

    connector_id: int
    id_tag: str
    started_at: datetime
    meter_start_wh: int
    id: int | None = None
    """Given by the central system; None until StartTransaction was answered, which may be after the end if it began offline."""
    refused: bool = False
    """The idTag was not Accepted in StartTransaction.conf and StopTransactionOnInvalidId is off: no power."""
    samples: int = 0
    """MeterValues taken, for quirks that concern the n-th."""
    kept: list[dict[str, Any]] = field(default_factory=list)
    """transactionData of StopTransaction, when StopTxnSampledData asks for it."""
    interrupted: tuple[str, datetime] | None = None
    """(stop reason, when): a hard reboot cut it; StopTransaction follows after the boot."""
    sampling: Every | None = None


@dataclass(slots=True)
class PendingStart:
    """An accepted RemoteStart that waits for the EV."""

    id_tag: str
    profile: Profile | None
    timer: Timer


class Connector:
    """Connector 0 is the charge point's controller: it has a status, never an EV."""

    def __init__(
        self,
        id: int,  # noqa: A002  the field's own word
        clock: Clock,
        *,
        rated_power_w: int,
        meter_start_wh: int,
        quirks: Callable[[], Quirks],
        limit: Callable[[Connector], Limit],
        changed: Callable[[Connector], None],
    ) -> None:
        """`limit` says what the charging profiles allow; `changed` is told after every update."""
        self.id = id
        self.rated_power_w = rated_power_w
        self.meter = Meter(clock, meter_start_wh)
        self.ev_power_w = rated_power_w
        self.plugged = False
        self.transaction: Transaction | None = None
        self.pending: PendingStart | None = None
        self.operative = True
        self.make_inoperative = False
        """ChangeAvailability came during a transaction: Unavailable once it ends."""
        self.fault: str | None = None
        self.vendor_error_code: str | None = None
        self.fault_info: str | None = None
        self.powered = True
        self.finishing = False
        self.notified: tuple[str, str, str | None] | None = None
        """(status, errorCode, vendorErrorCode) last queued for the central system."""
        self.reported: tuple[str, str, str | None] | None = None
        """The same, last answered by it."""
        self._clock = clock
        self._quirks = quirks
        self._limit = limit
        self._changed = changed
        self._limit_watts: int | None = None
        self._limit_timer: Timer | None = None

    @property
    def transaction_id(self) -> int | None:
        return self.transaction.id if self.transaction else None

    @property
    def meter_wh(self) -> int:
        """The true register, whatever the quirks make of it on the wire."""
        return self.meter.wh

    @property
    def power_w(self) -> int:
        """What flows now."""
        return self.meter.power_w

    @property
    def status(self) -> str:
        if self.fault is not None:
            return "Faulted"
        transaction = self.transaction
        if transaction is not None:
            return self._charging_status(transaction)
        if not self.operative:
            return "Unavailable"
        if self.finishing and self.plugged:
            return "Finishing"
        return "Preparing" if self.plugged or self.pending is not None else "Available"

    def _charging_status(self, transaction: Transaction) -> str:
        if transaction.refused or self._limit_watts == 0:
            return "SuspendedEVSE"
        if not self.plugged or self.ev_power_w == 0:
            return "SuspendedEV"
        return self._quirks().status_while_charging or "Charging"

    @property
    def condition(self) -> tuple[str, str, str | None]:
        return self.status, self.fault or "NoError", self.vendor_error_code

    def update(self) -> None:
        """Recomputes power after anything changed. Must follow every change of the fields above."""
        self.stop_watching()
        quirks = self._quirks()
        if self.transaction is not None:
            limit = self._limit(self)
            self._limit_watts = limit.watts
            if limit.seconds is not None and self.powered:
                self._limit_timer = Timer(self._clock, limit.seconds, self.update)
        else:
            self._limit_watts = None
        flowing = self.powered and self.plugged and (self.fault is None or quirks.charge_while_faulted)
        if self.transaction is None:
            flowing = flowing and quirks.charge_after_stop and self.finishing
        elif self.transaction.refused:
            flowing = False
        wanted = min(self.ev_power_w, self.rated_power_w)
        if self._limit_watts is not None:
            wanted = min(wanted, self._limit_watts)
        self.meter.power_w = wanted if flowing else 0
        self._changed(self)

    def stop_watching(self) -> None:
        if self._limit_timer is not None:
            self._limit_timer.cancel()
            self._limit_timer = None
