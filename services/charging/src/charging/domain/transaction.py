"""A transaction: its terms, its life, its meter, its deadlines. The methods are the only places that change it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from charging.domain import energy, states
from charging.domain.deadlines import ConnectorKind, SuspensionCause, is_stale, should_use_grace_period, suspension_deadline
from charging.domain.energy import Meter
from charging.domain.evidence import METER_STOP_N
from charging.domain.limits import Limits
from charging.domain.samples import Reading
from charging.domain.states import TransactionHappening, TransactionState
from charging.domain.stopping import LATENCY_MARGIN_MS
from contracts.charging import StopReason
from money.forecast import energy_affordable_wh, milliseconds_until_wh

FORECAST_HORIZON_MS = 7 * 24 * 3_600_000
"""A forecast further ahead than a week is as good as none, and must still fit a timestamp."""


@dataclass(slots=True)
class Transaction:
    """One row of `transactions`. Fields up to `started_at` are snapshotted at StartTransaction and never change."""

    id: int
    charger_id: int
    charge_point_id: str
    connector_id: int
    station_id: int
    franchisee_id: int | None
    station_name: str | None
    station_state_code: str | None
    start_request_id: int | None
    request_key: str | None
    payer_reference: str | None
    id_tag: str
    tariff_id: int | None
    tariff_paise_per_kwh: int
    gst_bps: int
    tariff_effective_from: datetime | None
    budget_paise: int | None
    rated_power_w: int
    connector_kind: str
    started_at: datetime
    traceparent: str | None
    """Trace of the payment: this session's events continue it."""

    meter: Meter

    platform_fee_paise: int
    affordable_wh: int | None
    """The energy that the budget pays for, by the bill's own rounding; None: no payer, no limit."""
    state: TransactionState
    subject_version: int
    suspended_at: datetime | None
    resumed_at: datetime | None
    resume_count: int
    suspension_cause: SuspensionCause | None
    suspension_deadline_at: datetime | None
    availability_deadline_at: datetime | None
    availability_reason: StopReason | None
    last_activity_at: datetime
    last_progress_at: datetime
    disconnect_count: int
    disconnect_energy_wh: int
    applied_epoch: int
    applied_seq: int
    reported_transaction_id: int | None

    stop_due_at: datetime | None
    stop_intent: StopReason | None
    stop_attempt: int
    stop_confirm_due_at: datetime | None
    stop_attempt_energy_wh: int
    stop_attempt_at: datetime | None
    charger_stopped_at: datetime | None

    stopped_at: datetime | None
    stop_reason: StopReason | None
    ocpp_stop_reason: str | None
    energy_wh: int | None
    """Billed energy, frozen by the finalizer."""
    meter_stop_wh: int | None
    implausible: bool
    late_wh: int
    energy_evidence: str | None = None
    """What `energy_wh` rests on (`EnergyEvidence` as JSON), frozen with it."""

    @property
    def active(self) -> bool:
        """Not final yet."""
        return self.state is not TransactionState.STOPPED

    @property
    def wants_stop(self) -> bool:
        """A stop was decided, and the charger has not confirmed it."""
        return self.stop_intent is not None and self.charger_stopped_at is None

    # --- life ---------------------------------------------------------------------------------------------------------

    def _move(self, happening: TransactionHappening) -> bool:
        before = self.state
        self.state = states.next_transaction_state(before, happening)
        if self.state is before:
            return False
        self.subject_version += 1
        return True

    def suspend(self, cause: SuspensionCause, at: datetime, limits: Limits) -> bool:
        """The socket dropped or the charger rebooted. Returns whether this was a step (a suspended one stays suspended)."""
        happening = TransactionHappening.BOOTED if cause is SuspensionCause.BOOT else TransactionHappening.DROPPED
        stepped = self._move(happening)
        if stepped:
            self.suspended_at = at
        # Boots repeat on mere reconnects (row 40): a second one does not buy more time.
        if stepped or self.suspension_cause is not cause:
            self.suspension_cause = cause
            self.suspension_deadline_at = suspension_deadline(cause, at, self.last_activity_at, limits, again=not stepped)
        # What its connector reported holds, but its time does not run while nobody could tell us better: see `meter_values`.
        self.availability_deadline_at = None
        energy.open_segment(self.meter)
        return stepped

    def socket_returned(self, at: datetime, limits: Limits) -> None:
        """The charger is back: the disconnect's deadline no longer holds, the 900 s guard still does."""
        energy.open_segment(self.meter)
        if self.state is TransactionState.SUSPENDED and self.suspension_cause is not SuspensionCause.BOOT:
            self.suspension_cause = SuspensionCause.RETURNED
            self.suspension_deadline_at = suspension_deadline(SuspensionCause.RETURNED, at, self.last_activity_at, limits)

    def spoke_of_session(self, at: datetime, limits: Limits) -> None:
        """The rebooted charger asked for its session: it knows it. Only the 900 s guard bounds the wait for MeterValues now."""
        self.suspension_cause = SuspensionCause.RETURNED
        self.suspension_deadline_at = suspension_deadline(SuspensionCause.RETURNED, at, self.last_activity_at, limits)

    def stale_at(self, at: datetime, limits: Limits) -> bool:
        """Whether a resume at this time comes too late."""
        return self.state is TransactionState.SUSPENDED and is_stale(self.last_activity_at, at, limits)

    def meter_values(self, at: datetime, limits: Limits) -> bool:
        """MeterValues came: it runs. Returns whether this was a step. The caller has checked `stale_at`."""
        was_suspended = self.state is TransactionState.SUSPENDED
        stepped = self._move(TransactionHappening.METER_VALUES)
        if was_suspended:
            self.resumed_at = at
            self.resume_count += 1
            if self.availability_reason is not None:
                self._await_availability(self.availability_reason, at, limits)
        self.suspension_cause = None
        self.suspension_deadline_at = None
        self.last_activity_at = at
        return stepped

    def count_disconnect(self, limits: Limits) -> bool:
        """One more drop; True when it is one too many without energy between (flapping)."""
        progressed = self.meter.confirmed_wh - self.disconnect_energy_wh >= limits.flap_progress_wh
        self.disconnect_count = 1 if progressed else self.disconnect_count + 1
        self.disconnect_energy_wh = self.meter.confirmed_wh
        return self.disconnect_count >= limits.flap_disconnects

    def connector_gone(self, at: datetime, limits: Limits) -> None:
        """The connector faulted or was closed mid-session: it ends in a moment, with its StopTransaction if that comes."""
        if self.availability_reason is not StopReason.CONNECTOR_UNAVAILABLE or self.availability_deadline_at is None:
            self._await_availability(StopReason.CONNECTOR_UNAVAILABLE, at, limits)

    def connector_free(self, at: datetime, limits: Limits) -> None:
        """The connector reports Available mid-session. A socket says so while it charges: it lives on by rising energy alone.

        A suspended session waits for its queued StopTransaction by its own deadline: on return, status overtakes it (§3.7).
        A socket's grace begins once it resumes.
        """
        graced = should_use_grace_period(ConnectorKind(self.connector_kind), "Available")
        if self.availability_reason is not None or (self.state is TransactionState.SUSPENDED and not graced):
            return
        if self.state is TransactionState.SUSPENDED:
            self.availability_reason = StopReason.GRACE_EXPIRED
        elif graced:
            self.availability_reason = StopReason.GRACE_EXPIRED
            self.availability_deadline_at = max(at, self.last_progress_at + limits.socket_grace)
        else:
            self._await_availability(StopReason.CONNECTOR_UNAVAILABLE, at, limits)

    def _await_availability(self, reason: StopReason, at: datetime, limits: Limits) -> None:
        """From now on this ends the session, unless energy (a socket's grace) or the connector's status says otherwise."""
        graced = reason is StopReason.GRACE_EXPIRED
        self.availability_reason = reason
        self.availability_deadline_at = at + (limits.socket_grace if graced else limits.available_stop_wait)

    def connector_serves(self) -> None:
        """The connector reports that it serves the session after all. A fault's end stands: it was told to stop."""
        if self.stop_intent is not StopReason.CONNECTOR_UNAVAILABLE:
            self.availability_reason = None
            self.availability_deadline_at = None

    def finalize(self, reason: StopReason, at: datetime, *, ocpp_stop_reason: str | None, meter_stop_wh: int | None) -> None:
        """Energy and reason become final. Raises ForbiddenTransitionError if they are already."""
        self._move(TransactionHappening.FINALIZED)
        self.energy_wh, self.implausible, evidence = energy.freeze(self.meter, lost=reason is StopReason.METER_LOST)
        self.energy_evidence = evidence.model_dump_json()
        self.stopped_at = at
        self.stop_reason = reason
        self.ocpp_stop_reason = ocpp_stop_reason
        self.meter_stop_wh = meter_stop_wh
        self.suspension_cause = None
        self.suspension_deadline_at = self.availability_deadline_at = self.stop_due_at = None
        self.availability_reason = None

    # --- energy and budget --------------------------------------------------------------------------------------------

    def read(self, reading: Reading, received_at: datetime, limits: Limits) -> int:
        """Show the meter a reading and renew what hangs on it; returns the confirmed energy of this step."""
        if reading.energy_wh is None:
            if reading.power_w is not None and not energy.is_old(self.meter, reading.charger_at):
                self.meter.power_w = reading.power_w
            return 0
        credit_wh = energy.take(
            self.meter,
            value_wh=reading.energy_wh,
            resolution_wh=reading.resolution_wh,
            received_at=received_at,
            charger_at=reading.charger_at,
            rated_power_w=self.rated_power_w,
            power_w=reading.power_w,
            key=(reading.epoch, reading.seq, reading.n),
        )
        if credit_wh > 0:
            self.last_progress_at = received_at
            if not self.active:
                self.late_wh = max(0, self.meter.confirmed_wh - (self.energy_wh or 0))
            elif self.availability_reason is StopReason.GRACE_EXPIRED:
                self.availability_deadline_at = received_at + limits.socket_grace  # kept alive by rising energy alone
        return credit_wh

    def take_meter_stop(
        self, meter_stop_wh: int | None, received_at: datetime, charger_at: datetime | None, *, epoch: int = 0, seq: int = 0
    ) -> int:
        """The last sample of the session; returns what it confirmed. After the end it can only be late energy."""
        credit_wh = energy.close(
            self.meter,
            meter_stop_wh=meter_stop_wh,
            received_at=received_at,
            charger_at=charger_at,
            rated_power_w=self.rated_power_w,
            key=(epoch, seq, METER_STOP_N),
        )
        if not self.active:
            self.late_wh = max(0, self.meter.confirmed_wh - (self.energy_wh or 0))
        return credit_wh

    def stop_took_ms(self, meter_stop_wh: int | None, received_at: datetime) -> int | None:
        """How long this session's stop took from our decision until its energy was off, by the energy that still flowed.

        To be asked before `take_meter_stop`. It holds all that a forecast is late by: the way there, contactor, the reading's
        age. None where it can't be told: not the first attempt, a reading since, no usable meterStop.
        """
        meter = self.meter
        if self.stop_attempt != 1 or self.stop_attempt_at is None or meter_stop_wh is None or meter.offset_wh != 0:
            return None
        power_w = energy.flowing_w(meter, self.rated_power_w)
        if power_w <= 0 or meter.read_at > self.stop_attempt_at or meter_stop_wh < meter.register_wh:
            return None
        # Both registers hide a fraction: a Wh more may have flowed, a second at 3.6 kW.
        since_reading_ms = (meter_stop_wh - meter.register_wh + 1) * energy.MS_PER_HOUR // power_w
        took_ms = since_reading_ms - (self.stop_attempt_at - meter.read_at) // timedelta(milliseconds=1)
        heard_ms = (received_at - self.stop_attempt_at) // timedelta(milliseconds=1)
        return max(0, min(took_ms, heard_ms))

    def budget_used_up(self) -> bool:
        """The confirmed energy costs the whole budget: one Wh more and the bill would exceed what was paid."""
        return self.affordable_wh is not None and self.meter.confirmed_wh >= self.affordable_wh

    def forecast(self, at: datetime, limits: Limits, *, stop_latency_ms: int | None = None) -> None:
        """Set `stop_due_at`: when the budget runs out at the power that flows, less what a stop takes. None: nothing flows.

        `stop_latency_ms`: what was learned of this charger's stops; None: the setting's guess.
        """
        self.stop_due_at = None
        if self.affordable_wh is None or not self.active:
            return
        ms = milliseconds_until_wh(
            delivered_wh=self.meter.confirmed_wh,
            # A register of coarse grain shows nothing between its steps: the last one that is paid for is the target.
            target_wh=self.affordable_wh - self.affordable_wh % self.meter.grain_wh,
            power_w=energy.flowing_w(self.meter, self.rated_power_w),
        )
        if ms is not None:
            lead_ms = (limits.stop_latency_ms if stop_latency_ms is None else stop_latency_ms) + LATENCY_MARGIN_MS
            ahead_ms = min(max(ms - lead_ms, 0), FORECAST_HORIZON_MS)
            self.stop_due_at = at + timedelta(milliseconds=ahead_ms)

    def change_fee(self, platform_fee_paise: int) -> None:
        """The payment's fee became known: what the budget affords changes with it."""
        self.platform_fee_paise = platform_fee_paise
        self.affordable_wh = affordable_wh(
            budget_paise=self.budget_paise,
            tariff_paise_per_kwh=self.tariff_paise_per_kwh,
            gst_bps=self.gst_bps,
            platform_fee_paise=platform_fee_paise,
        )


def affordable_wh(*, budget_paise: int | None, tariff_paise_per_kwh: int, gst_bps: int, platform_fee_paise: int) -> int | None:
    """What a budget pays for, in Wh; None without a payer."""
    if budget_paise is None:
        return None
    return energy_affordable_wh(
        budget_paise=budget_paise,
        tariff_paise_per_kwh=tariff_paise_per_kwh,
        gst_bps=gst_bps,
        platform_fee_paise=platform_fee_paise,
    )
