"""The paid-energy guarantee: whatever steady power flows, the forecast keeps the bill within the payment (features.md B1)."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

from hypothesis import example, given, settings
from hypothesis import strategies as st

from charging.domain.energy import start_meter
from charging.domain.limits import DEFAULT_LIMITS
from charging.domain.samples import Reading
from charging.domain.states import TransactionState
from charging.domain.stopping import LATENCY_MARGIN_MS
from charging.domain.transaction import Transaction, affordable_wh
from contracts.charging import EnergyConfidence, EnergyEvidence, StopReason
from money.bill import final_bill

NOW = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)


def session(*, budget_paise, rate_paise, fee_paise, rated_power_w):
    return Transaction(
        id=1,
        charger_id=1,
        charge_point_id="CP-1",
        connector_id=1,
        station_id=1,
        station_name="MG Road",
        station_state_code="29",
        franchisee_id=None,
        start_request_id=1,
        request_key="k",
        payer_reference="r",
        id_tag="T",
        tariff_id=1,
        tariff_paise_per_kwh=rate_paise,
        gst_bps=1800,
        tariff_effective_from=None,
        budget_paise=budget_paise,
        rated_power_w=rated_power_w,
        connector_kind="type2",
        started_at=NOW,
        traceparent=None,
        meter=start_meter(meter_start_wh=0, received_at=NOW, charger_at=NOW),
        platform_fee_paise=fee_paise,
        affordable_wh=affordable_wh(
            budget_paise=budget_paise, tariff_paise_per_kwh=rate_paise, gst_bps=1800, platform_fee_paise=fee_paise
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
        last_activity_at=NOW,
        last_progress_at=NOW,
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


@settings(max_examples=100, deadline=None)
@given(
    power_w=st.integers(3_000, 60_000),
    interval_s=st.integers(5, 60),
    budget_paise=st.integers(500, 8_000),
    rate_paise=st.integers(500, 3_000),
    reports_power=st.booleans(),
)
# Stretches of 6 and 7 Wh in turn: a Wh more than the stretch before is the register's rounding, no rise.
@example(power_w=4590, interval_s=5, budget_paise=500, rate_paise=500, reports_power=False)
def test_the_bill_stays_within_the_payment(power_w, interval_s, budget_paise, rate_paise, reports_power):
    transaction = session(
        budget_paise=budget_paise, rate_paise=rate_paise, fee_paise=budget_paise * 2 // 100, rated_power_w=60_000
    )
    transaction.forecast(NOW, DEFAULT_LIMITS)
    second = 0
    # The charger reports every so often; the sweep, once a second, looks at the column as the use case does.
    while (
        transaction.stop_due_at is None
        or transaction.stop_due_at > NOW + timedelta(seconds=second) + DEFAULT_LIMITS.stop_lookahead
    ):
        second += 1
        at = NOW + timedelta(seconds=second)
        if second % interval_s == 0:
            transaction.meter_values(at, DEFAULT_LIMITS)
            reading = Reading(0, at, power_w * second // 3600, 1, power_w if reports_power else None, None)
            transaction.read(reading, at, DEFAULT_LIMITS)
            assert not transaction.budget_used_up()
            transaction.forecast(at, DEFAULT_LIMITS)
    # The energy is off `stop_latency_ms` after the decision.
    energy_wh = power_w * (second * 1000 + DEFAULT_LIMITS.stop_latency_ms) // 3_600_000
    bill = final_bill(
        energy_wh=energy_wh,
        tariff_paise_per_kwh=rate_paise,
        gst_bps=1800,
        platform_fee_paise=transaction.platform_fee_paise,
        paid_paise=budget_paise,
    )
    assert bill.shortfall_paise == 0
    # And little is left unused once the power is known. The decision comes at most one period of the sweep, which is the
    # lookahead, before it is due, and it is due by the margin before the latency needs it: what flows in these two is left.
    # Then there is the forecast's own error. Per reading interval it takes the power for up to `grains` Wh too much: a stretch
    # shows up to one Wh more than flowed, and where no power is reported another is added for what the register hides. What it
    # forecasts from a reading reaches no further than to the next one, latency and margin: so often that error. The last Wh is
    # the register's rounding at the end.
    lead_ms = DEFAULT_LIMITS.stop_latency_ms + LATENCY_MARGIN_MS
    lookahead_ms = DEFAULT_LIMITS.stop_lookahead // timedelta(milliseconds=1)
    grains = 1 if reports_power else 2
    # The first stretch alone may be the begin of a rise, where no power is reported.
    if second >= grains * interval_s:
        flowed_wh = Fraction(power_w * (lookahead_ms + LATENCY_MARGIN_MS), 3_600_000)
        error_wh = grains * (1 + Fraction(lead_ms, interval_s * 1000))
        assert transaction.affordable_wh - energy_wh <= flowed_wh + error_wh + 1


def test_without_power_no_crossing_is_in_sight_and_without_payer_none_at_all():
    transaction = session(budget_paise=10_000, rate_paise=1800, fee_paise=236, rated_power_w=7400)
    at = NOW + timedelta(seconds=30)
    transaction.read(Reading(0, at, 0, 1, 0, None), at, DEFAULT_LIMITS)
    transaction.forecast(at, DEFAULT_LIMITS)
    assert transaction.stop_due_at is None
    transaction.affordable_wh = None
    transaction.forecast(at, DEFAULT_LIMITS)
    assert transaction.stop_due_at is None


def test_a_fee_that_becomes_known_moves_the_crossing():
    transaction = session(budget_paise=10_000, rate_paise=1800, fee_paise=200, rated_power_w=7200)
    transaction.forecast(NOW, DEFAULT_LIMITS)
    before = transaction.stop_due_at
    transaction.change_fee(400)
    transaction.forecast(NOW, DEFAULT_LIMITS)
    assert transaction.stop_due_at < before
    transaction.change_fee(20_000)  # a fee above the budget affords nothing: stop at once
    transaction.forecast(NOW, DEFAULT_LIMITS)
    assert transaction.stop_due_at == NOW


def finished(*, reason, readings=((30, 60),)):
    transaction = session(budget_paise=10_000, rate_paise=1800, fee_paise=236, rated_power_w=7200)
    for second, value_wh in readings:
        at = NOW + timedelta(seconds=second)
        transaction.read(Reading(0, at, value_wh, 1, 7200, None, 1, second), at, DEFAULT_LIMITS)
    transaction.finalize(reason, NOW + timedelta(seconds=90), ocpp_stop_reason=None, meter_stop_wh=None)
    return transaction


def test_a_session_whose_meter_was_lost_is_held_for_a_person():
    transaction = finished(reason=StopReason.METER_LOST)
    assert (transaction.energy_wh, transaction.implausible) == (60, True)
    assert EnergyEvidence.model_validate_json(transaction.energy_evidence).confidence is EnergyConfidence.DISPUTABLE
    assert finished(reason=StopReason.CHARGER).implausible is False


def test_late_energy_is_kept_apart_and_the_evidence_stays_as_it_was():
    transaction = finished(reason=StopReason.CHARGER)
    proof = transaction.energy_evidence
    for second, value_wh in ((120, 200), (150, 260)):
        at = NOW + timedelta(seconds=second)
        transaction.read(Reading(0, at, value_wh, 1, 7200, None, 1, second), at, DEFAULT_LIMITS)
    assert (transaction.energy_wh, transaction.late_wh, transaction.energy_evidence) == (60, 200, proof)


def test_how_long_a_stop_took_is_told_by_the_energy_that_still_flowed():
    transaction = session(budget_paise=10_000, rate_paise=1800, fee_paise=236, rated_power_w=7200)
    at = NOW + timedelta(seconds=30)
    transaction.read(Reading(0, at, 60, 1, 7200, None, 1, 1), at, DEFAULT_LIMITS)
    transaction.stop_attempt, transaction.stop_attempt_at = 1, at + timedelta(seconds=10)
    heard_at = at + timedelta(seconds=14)
    # 2 Wh a second: 20 Wh until the decision, 6 more until the contactor opened, and up to one that no register shows.
    assert transaction.stop_took_ms(86, heard_at) == 3500
    assert transaction.stop_took_ms(200, heard_at) == 4000  # no longer than until its StopTransaction came
    assert transaction.stop_took_ms(70, heard_at) == 0
    assert transaction.stop_took_ms(None, heard_at) is None
    transaction.stop_attempt = 2
    assert transaction.stop_took_ms(86, heard_at) is None
