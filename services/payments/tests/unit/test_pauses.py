"""When something is asked for again: ever later, within bounds."""

from datetime import UTC, datetime, timedelta

from payments.domain import fee, refund

PAID_AT = datetime(2026, 12, 1, 10, 0, tzinfo=UTC)


def test_a_fee_is_asked_for_after_as_long_again_as_the_payment_is_old() -> None:
    ages = (0, 59, 60, 61, 600, 3_599, 3_600, 3_601, 90_000)
    pauses = {age: fee.ask_again_at(PAID_AT, now) - now for age in ages for now in [PAID_AT + timedelta(seconds=age)]}
    assert {age: pause.total_seconds() for age, pause in pauses.items()} == {
        0: 60, 59: 60, 60: 60, 61: 61, 600: 600, 3_599: 3_599, 3_600: 3_600, 3_601: 3_600, 90_000: 3_600,
    }  # fmt: skip


def test_a_failed_look_at_a_refund_comes_back_after_as_long_again_as_it_stands() -> None:
    waits = {age: refund.look_again_seconds(age) for age in (0, 4.9, 5, 5.1, 600, 1_799, 1_800, 1_801, 90_000)}
    assert waits == {0: 5, 4.9: 5, 5: 5, 5.1: 5.1, 600: 600, 1_799: 1_799, 1_800: 1_800, 1_801: 1_800, 90_000: 1_800}
