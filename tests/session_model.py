"""What a session should do, told a second time and as shortly as it can be: the reference that charging is held against.

It knows states, deadlines and counts. Energy it does not know: that is given to it. Times are seconds on the test's clock. The
numbers are those of ocpp.md Part 0, written out, not taken from the code.
"""

from dataclasses import dataclass, field

DISCONNECT_SECONDS, GATEWAY_SECONDS, BOOT_SECONDS, GUARD_SECONDS = 180, 900, 180, 900
GRACE_SECONDS, STOP_WAIT_SECONDS = 300, 5
FLAP_DROPS, FLAP_WH = 3, 10
PROBE_SECONDS = 5
GONE = ("Faulted", "Unavailable", "Reserved")
SERVING = ("Charging", "SuspendedEV", "SuspendedEVSE")
ENDS = {
    "DISCONNECT": "DISCONNECT_TIMEOUT",
    "GATEWAY": "DISCONNECT_TIMEOUT",
    "BOOT": "BOOT_TIMEOUT",
    "RETURNED": "STALE_RECONNECT",
}


@dataclass
class Session:
    """One transaction as it should be."""

    id: int
    connector: int
    socket: bool
    started_at: float
    state: str = "STARTED"
    cause: str | None = None
    ends_at: float = 0
    """Of a suspension."""
    heard_at: float = 0
    """Start or MeterValues."""
    energy_at: float = 0
    confirmed_wh: int = 0
    drops: int = 0
    drop_wh: int = 0
    free_reason: str | None = None
    free_at: float | None = None
    told_to_stop: bool = False
    """By a fault: its connector's later words don't save it."""
    stop_reason: str | None = None
    history: list[str] = field(default_factory=lambda: ["STARTED"])

    @property
    def active(self) -> bool:
        return self.state != "STOPPED"

    def _become(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self.history.append(state)

    def stop(self, reason: str) -> None:
        if self.active:
            self._become("STOPPED")
            self.stop_reason = reason
            self.cause = self.free_reason = self.free_at = None

    def stale(self, now: float) -> bool:
        return now - self.heard_at > GUARD_SECONDS

    def suspend(self, cause: str, now: float) -> None:
        first = self.state != "SUSPENDED"
        if first or cause != self.cause:
            guard = self.heard_at + GUARD_SECONDS
            self.ends_at = now + {"DISCONNECT": DISCONNECT_SECONDS, "GATEWAY": GATEWAY_SECONDS, "BOOT": BOOT_SECONDS}[cause]
            if not first or cause == "BOOT":
                self.ends_at = max(now, min(self.ends_at, guard + 1e-6))
            self.cause = cause
        self._become("SUSPENDED")
        self.free_at = None

    def drop(self, now: float, *, ours: bool, spoke: bool) -> None:
        self.suspend("GATEWAY" if ours else "DISCONNECT", now)
        if spoke and not ours:
            self.drops = 1 if self.confirmed_wh - self.drop_wh >= FLAP_WH else self.drops + 1
            self.drop_wh = self.confirmed_wh
            if self.drops >= FLAP_DROPS:
                self.stop("FLAP_LIMIT")

    def returned(self, now: float) -> None:
        if self.state == "SUSPENDED" and self.cause != "BOOT":
            self.spoke(now)

    def spoke(self, now: float) -> None:
        self.cause = "RETURNED"
        self.ends_at = max(now, self.heard_at + GUARD_SECONDS + 1e-6)

    def boot(self, now: float) -> None:
        if self.stale(now):
            self.stop("STALE_RECONNECT")
        else:
            self.suspend("BOOT", now)

    def last_value(self, now: float, *, sign_of_life: bool) -> bool:
        """GetLastMeterValue: whether it is answered. `sign_of_life`: it came after the last boot, over a socket that stands."""
        if self.state == "SUSPENDED" and self.stale(now):
            self.stop("STALE_RECONNECT")
            return False
        if self.state == "SUSPENDED" and sign_of_life:
            self.spoke(now)
        return True

    def meter_values(self, now: float, confirmed_wh: int) -> None:
        """`confirmed_wh`: what charging had confirmed after it."""
        if self.state == "SUSPENDED" and self.stale(now):
            self.stop("STALE_RECONNECT")
            return
        if self.state == "SUSPENDED" and self.free_reason is not None:
            self.free_at = now + (GRACE_SECONDS if self.free_reason == "GRACE_EXPIRED" else STOP_WAIT_SECONDS)
        self._become("RUNNING")
        self.cause = None
        self.heard_at = now
        if confirmed_wh > self.confirmed_wh:
            self.confirmed_wh, self.energy_at = confirmed_wh, now
            if self.free_reason == "GRACE_EXPIRED":
                self.free_at = now + GRACE_SECONDS

    def status(self, status: str, now: float) -> None:
        if status in GONE:
            if self.free_reason != "CONNECTOR_UNAVAILABLE" or self.free_at is None:
                self.free_reason, self.free_at = "CONNECTOR_UNAVAILABLE", now + STOP_WAIT_SECONDS
            self.told_to_stop = True
        elif status == "Available" and self.free_reason is None and self.socket:
            self.free_reason = "GRACE_EXPIRED"
            self.free_at = None if self.state == "SUSPENDED" else max(now, self.energy_at + GRACE_SECONDS)
        elif status == "Available" and self.free_reason is None and self.state != "SUSPENDED":
            self.free_reason, self.free_at = "CONNECTOR_UNAVAILABLE", now + STOP_WAIT_SECONDS
        elif status in SERVING and not self.told_to_stop:
            self.free_reason = self.free_at = None

    def sweep(self, now: float) -> None:
        """Whatever is due ends."""
        if self.active and self.free_reason is not None and self.free_at is not None and self.free_at <= now:
            self.stop(self.free_reason)
        elif self.state == "SUSPENDED" and self.cause is not None and self.ends_at <= now:
            self.stop(ENDS[self.cause])
