"""Hundreds of prepaid sessions through charging's own rules: meter, forecast, stop attempts, bill. No I/O, no waiting.

Time is milliseconds from the session's begin. The order of attempts and their timers are those of
`charging.usecases.stop_session`; `test_real_fleet.py` runs the same kinds of charger through the real services.
"""

import heapq
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from charging.domain.energy import start_meter
from charging.domain.limits import DEFAULT_LIMITS
from charging.domain.samples import Reading
from charging.domain.states import TransactionState
from charging.domain.stopping import DEFAULT_ESCALATION, StopMeans, learn_latency, means_of_attempt
from charging.domain.transaction import Transaction, affordable_wh
from contracts.charging import StopReason
from money.bill import final_bill
from tests.fleet.physics import MS_PER_HOUR, SOCKET_LOSS_MS, Behaviour, Box, Car, make_box, make_car

BEGIN = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)
GST_BPS = 1800
FEE_BPS = 236
"""2 % and GST on it, as a provider takes it."""
SESSIONS_PER_BOX = 4
"""So many riders after each other, so that what was learned of a charger counts."""
SWEEP_MS = 1000


@dataclass(frozen=True)
class Result:
    """One session that used its budget up."""

    behaviour: Behaviour
    overspend_paise: int
    unspent_paise: int
    unspent_seconds: float
    """How much longer it could have charged for what is left, at its power."""
    attempts: int
    first: bool
    """Of a charger that was not known yet."""


class Session:
    """One session, from plug to bill."""

    def __init__(self, random: Random, box: Box, car: Car) -> None:
        self.random = random
        self.box = box
        self.car = car
        self.events: list[tuple[int, int, str, Any]] = []
        self._number = 0
        fee_paise = car.budget_paise * FEE_BPS // 10_000
        self.transaction = _transaction(box, car, fee_paise)
        self.off_ms: int | None = None
        self.means_tried: list[StopMeans] = []
        self.lost: tuple[int, int] | None = None
        self.obeys_means = self._obeyed()
        self.sweep_ms = random.randrange(SWEEP_MS)

    def _obeyed(self) -> frozenset[StopMeans]:
        """What a charger that ignores RemoteStop takes after all."""
        stubborn = self.box.behaviour is Behaviour.IGNORES
        return frozenset(StopMeans) - ({StopMeans.REMOTE_STOP} if stubborn else frozenset())

    def at(self, ms: int) -> datetime:
        """A time of this session on the clock."""
        return BEGIN + timedelta(milliseconds=ms)

    def plan(self, ms: int, what: str, data: Any = None) -> None:
        """Something happens then."""
        self._number += 1
        heapq.heappush(self.events, (ms, self._number, what, data))

    def run(self) -> Result | None:
        """All of it. None: the budget was never used up."""
        transaction, limits = self.transaction, DEFAULT_LIMITS
        transaction.forecast(BEGIN, limits, stop_latency_ms=self.box.stop_latency_ms)
        self.plan(self.box.interval_ms, "sample")
        self._plan_sweep(0)
        while self.events:
            ms, _, what, data = heapq.heappop(self.events)
            if ms > 4 * MS_PER_HOUR:
                return None
            if what == "stopped":
                return self._bill(ms)
            getattr(self, f"_{what}")(ms, data)
            if what != "sample":
                self._plan_sweep(ms)
        return None

    # --- the charger

    def _sample(self, ms: int, _: Any) -> None:
        if self.off_ms is not None and ms >= self.off_ms:
            return
        power_w = int(self.car.power.watts(ms)) if self.box.reports_power else None
        reading = Reading(0, self.at(ms), self.car.register(ms, self.box.grain_wh), self.box.grain_wh, power_w, None, 1, ms)
        arrives = ms + self.box.way(self.random)
        if self.lost is not None and self.lost[0] <= arrives < self.lost[1]:
            arrives = self.lost[1] + self.box.way(self.random)  # it waits in the charger's queue
        self.plan(arrives, "reading", reading)
        jitter = self.random.uniform(0.97, 1.03)
        self.plan(ms + int(self.box.interval_ms * jitter), "sample")

    def _command(self, ms: int, attempt: int) -> None:
        """A stop reaches the charger."""
        means = means_of_attempt(attempt, DEFAULT_ESCALATION, self.means_tried)
        self.means_tried.append(means)
        if self.off_ms is not None:
            return
        if self.box.behaviour is Behaviour.REJECTS_ONCE and attempt == 1:
            self.plan(ms + self.box.way(self.random), "rejected", attempt)
        elif means in self.obeys_means:
            self.off_ms = ms + self.box.contactor(self.random)
            self.plan(self.off_ms + self.random.randint(50, 400) + self.box.way(self.random), "stopped")

    # --- the platform

    def _reading(self, ms: int, reading: Reading) -> None:
        transaction, limits = self.transaction, DEFAULT_LIMITS
        transaction.meter_values(self.at(ms), limits)
        transaction.read(reading, self.at(ms), limits)
        if transaction.stop_intent is not None or transaction.budget_used_up():
            transaction.stop_due_at = None
            self._want_stop(ms)
        else:
            transaction.forecast(self.at(ms), limits, stop_latency_ms=self.box.stop_latency_ms)
        self._lose_socket(ms)

    def _lose_socket(self, ms: int) -> None:
        """The network fails just where it hurts: around the time when the stop is due."""
        due = self.transaction.stop_due_at
        if self.box.behaviour is Behaviour.LOSES_SOCKET and self.lost is None and due is not None:
            ahead_ms = (due - self.at(ms)) // timedelta(milliseconds=1)
            if ahead_ms < 2 * self.box.interval_ms:
                self.lost = (ms + 1, ms + self.random.randint(*SOCKET_LOSS_MS))
                self.plan(self.lost[1], "returned")

    def _returned(self, ms: int, _: Any) -> None:
        if self.transaction.stop_intent is not None:
            self.transaction.stop_confirm_due_at = None
            self._want_stop(ms)

    def _sweep(self, ms: int, _: Any) -> None:
        transaction, now = self.transaction, self.at(ms)
        if transaction.stop_due_at is not None and transaction.stop_due_at <= now + DEFAULT_LIMITS.stop_lookahead:
            transaction.stop_due_at = None
            self._want_stop(ms)
        if transaction.stop_confirm_due_at is not None and transaction.stop_confirm_due_at <= now:
            transaction.stop_confirm_due_at = None
            self._want_stop(ms)

    def _plan_sweep(self, ms: int) -> None:
        """The first sweep that can find something due; others find nothing, and are left out."""
        transaction, lookahead_ms = self.transaction, DEFAULT_LIMITS.stop_lookahead // timedelta(milliseconds=1)
        for due_at, ahead_ms in ((transaction.stop_due_at, lookahead_ms), (transaction.stop_confirm_due_at, 0)):
            if due_at is not None:
                due_ms = max(ms + 1, (due_at - BEGIN) // timedelta(milliseconds=1) - ahead_ms)
                self.plan(due_ms + (self.sweep_ms - due_ms) % SWEEP_MS, "sweep")

    def _rejected(self, ms: int, attempt: int) -> None:
        if self.transaction.stop_attempt == attempt:
            self.transaction.stop_confirm_due_at = None
            self._want_stop(ms)

    def _want_stop(self, ms: int) -> None:
        transaction = self.transaction
        transaction.stop_intent = transaction.stop_intent or StopReason.BUDGET_EXHAUSTED
        away = self.lost is not None and self.lost[0] <= ms < self.lost[1]
        if transaction.stop_confirm_due_at is not None or away:
            return
        transaction.stop_attempt += 1
        transaction.stop_attempt_at = self.at(ms)
        transaction.stop_confirm_due_at = self.at(ms) + DEFAULT_LIMITS.stop_confirm
        self.plan(ms + self.box.way(self.random), "command", transaction.stop_attempt)

    def _bill(self, ms: int) -> Result:
        transaction, box, car = self.transaction, self.box, self.car
        assert self.off_ms is not None
        meter_stop_wh = car.register(self.off_ms, box.grain_wh)
        first = box.stop_latency_ms is None
        took_ms = transaction.stop_took_ms(meter_stop_wh, self.at(ms))
        if took_ms is not None:
            box.stop_latency_ms = learn_latency(box.stop_latency_ms, took_ms)
        transaction.take_meter_stop(meter_stop_wh, self.at(ms), self.at(self.off_ms))
        bill = final_bill(
            energy_wh=transaction.meter.confirmed_wh,
            tariff_paise_per_kwh=car.rate_paise,
            gst_bps=GST_BPS,
            platform_fee_paise=transaction.platform_fee_paise,
            paid_paise=car.budget_paise,
        )
        left_wh = max(0, (transaction.affordable_wh or 0) - transaction.meter.confirmed_wh)
        return Result(
            behaviour=box.behaviour,
            overspend_paise=bill.shortfall_paise,
            unspent_paise=bill.refund_paise + bill.residue_paise,
            unspent_seconds=left_wh * 3600 / max(1.0, car.power.watts(self.off_ms)),
            attempts=transaction.stop_attempt,
            first=first,
        )


def simulate(behaviour: Behaviour, sessions: int, *, seed: int) -> list[Result]:
    """So many sessions that use their budget up, at chargers that behave like this."""
    random = Random(seed)
    results: list[Result] = []
    while len(results) < sessions:
        box = make_box(random, behaviour)
        for _ in range(SESSIONS_PER_BOX):
            result = Session(random, box, make_car(random, box)).run()
            if result is not None:
                results.append(result)
    return results[:sessions]


def _transaction(box: Box, car: Car, fee_paise: int) -> Transaction:
    return Transaction(
        id=1,
        charger_id=1,
        charge_point_id="CP-1",
        connector_id=1,
        station_id=1,
        station_name=None,
        station_state_code=None,
        franchisee_id=None,
        start_request_id=1,
        request_key="qr_payment_1",
        payer_reference="rider_1",
        id_tag="A1",
        tariff_id=1,
        tariff_paise_per_kwh=car.rate_paise,
        gst_bps=GST_BPS,
        tariff_effective_from=None,
        budget_paise=car.budget_paise,
        rated_power_w=box.rated_w,
        connector_kind="type2",
        started_at=BEGIN,
        traceparent=None,
        meter=start_meter(meter_start_wh=car.register(0, box.grain_wh), received_at=BEGIN, charger_at=BEGIN),
        platform_fee_paise=fee_paise,
        affordable_wh=affordable_wh(
            budget_paise=car.budget_paise,
            tariff_paise_per_kwh=car.rate_paise,
            gst_bps=GST_BPS,
            platform_fee_paise=fee_paise,
        ),
        state=TransactionState.STARTED,
        subject_version=1,
        suspended_at=None,
        resumed_at=None,
        resume_count=0,
        suspension_cause=None,
        suspension_deadline_at=None,
        availability_deadline_at=None,
        availability_reason=None,
        last_activity_at=BEGIN,
        last_progress_at=BEGIN,
        disconnect_count=0,
        disconnect_energy_wh=0,
        applied_epoch=0,
        applied_seq=0,
        reported_transaction_id=None,
        stop_due_at=None,
        stop_intent=None,
        stop_attempt=0,
        stop_confirm_due_at=None,
        stop_attempt_energy_wh=0,
        stop_attempt_at=None,
        charger_stopped_at=None,
        stopped_at=None,
        stop_reason=None,
        ocpp_stop_reason=None,
        energy_wh=None,
        meter_stop_wh=None,
        implausible=False,
        late_wh=0,
    )
