"""Every guard, window and bound of a session, in one place. Defaults are ocpp.md Part 0's; settings may shorten them."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """All run on the server's receive time, never on a charger's clock (ocpp.md rows 33-35)."""

    disconnect_suspension: timedelta = timedelta(seconds=180)
    """A dropped socket has this long to come back before its sessions are finalized."""
    gateway_suspension: timedelta = timedelta(seconds=900)
    """The same after our own gateway stopped or was lost: the charger did nothing wrong (row 8: some take minutes to redial)."""
    boot_sign_of_life: timedelta = timedelta(seconds=180)
    """After a BootNotification mid-session: a rebooted charger that still knows its session speaks of it within this."""
    resume_gap_max: timedelta = timedelta(seconds=900)
    """A session silent for longer is stale: it can't be billed honestly any more. Exactly this long still resumes."""
    socket_grace: timedelta = timedelta(seconds=300)
    """An AC socket that reports Available while power flows is kept alive this long past the last confirmed forward step."""
    available_stop_wait: timedelta = timedelta(seconds=5)
    """A Type-2 or CCS connector that reports Available, or any that faults, has this long for its StopTransaction (row 43)."""
    busy_wait: timedelta = timedelta(seconds=15)
    """A start that finds its connector busy is refused only after this: the StopTransaction of the session before may still be
    on its way from a gateway's spool, which payments' wishes overtake after an outage."""
    busy_look: timedelta = timedelta(seconds=2)
    """Meanwhile it is looked at so often whether the connector has become free."""
    flap_disconnects: int = 3
    """The nth disconnect in a row without progress finalizes."""
    flap_progress_wh: int = 10
    """Less than this between two disconnects is no progress: meter jitter must not reset the count."""
    stop_confirm: timedelta = timedelta(seconds=60)
    """A stop is confirmed by StopTransaction or flat energy within this, else it is repeated and escalated."""
    stop_latency_ms: int = 2000
    """From deciding on a stop until the energy is off: the way to the charger, its answer, its contactor."""
    stop_lookahead: timedelta = timedelta(seconds=1)
    """A stop that falls due before the next sweep goes out with this one: the sweep's period is never the rider's energy."""
    stops_without_reading_max: int = 3
    """After so many unanswered stops without a single reading between, the session is closed at its last good reading."""
    live_within: timedelta = timedelta(seconds=120)
    """A sample whose own clock is at most this far behind its receipt tells of now, not of a replayed queue (row 36)."""


DEFAULT_LIMITS = Limits()
