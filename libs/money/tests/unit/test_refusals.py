"""What is refused, by name: no figure is better than a wrong one."""

import inspect
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from decimal import Decimal
from typing import Any

import pytest

import money
from money import Bill, Derivation, FeeSource, Split

BILLING = {"energy_wh": 3333, "tariff_paise_per_kwh": 1800, "gst_bps": 1800, "platform_fee_paise": 236, "paid_paise": 10000}
SETTLING = {
    "gross_paise": 10000,
    "refund_paise": 2685,
    "residue_paise": 0,
    "pg_fee_paise": 236,
    "gst_collected_paise": 1080,
    "commission_bps": 2000,
    "tds_bps": 10,
}
AFFORDING = {"budget_paise": 10000, "tariff_paise_per_kwh": 1800, "gst_bps": 1800, "platform_fee_paise": 236}
TIMING = {"delivered_wh": 4000, "target_wh": 4596, "power_w": 7400}
FORECASTING = {"delivered_wh": 4000, "power_w": 7400, "stop_latency_ms": 5000, **AFFORDING}
CALLS: list[tuple[Callable[..., Any], dict[str, int]]] = [
    (money.divide_half_up, {"numerator": 5, "denominator": 2}),
    (money.final_bill, BILLING),
    (money.calculate_settlement, SETTLING),
    (money.energy_affordable_wh, AFFORDING),
    (money.milliseconds_until_wh, TIMING),
    (money.forecast_stop, FORECASTING),
    (money.estimated_fee, {"paid_paise": 10000, "fee_bps": 200}),
    (money.rupees, {"paise": 100}),
]
ARGUMENTS = [
    pytest.param(function, arguments, name, id=f"{function.__name__}/{name}")
    for function, arguments in CALLS
    for name in arguments
]


@pytest.mark.parametrize(("function", "arguments", "name"), ARGUMENTS)
@pytest.mark.parametrize("value", [1.0, 0.5, Decimal(1), True, "1", None], ids=repr)
def test_only_plain_integers_are_taken(function: Callable[..., Any], arguments: dict[str, int], name: str, value: object) -> None:
    with pytest.raises(TypeError, match="must be a plain int"):
        function(**{**arguments, name: value})


@pytest.mark.parametrize(
    ("function", "arguments", "name"), [p for p in ARGUMENTS if p.values[2] not in ("energy_wh", "power_w", "paise")]
)
def test_a_negative_quantity_is_refused_by_its_name(function: Callable[..., Any], arguments: dict[str, int], name: str) -> None:
    with pytest.raises(money.NegativeQuantityError, match="is -1; it can't be negative") as refused:
        function(**{**arguments, name: -1})
    assert (refused.value.name, refused.value.value) == (name, -1)


@pytest.mark.parametrize(("function", "arguments", "name"), [p for p in ARGUMENTS if str(p.values[2]).endswith("_bps")])
def test_a_rate_above_all_of_it_is_refused(function: Callable[..., Any], arguments: dict[str, int], name: str) -> None:
    function(**{**arguments, name: 10_000})
    with pytest.raises(money.RateOutOfRangeError, match="is 10001 basis points; at most 10000") as refused:
        function(**{**arguments, name: 10_001})
    assert (refused.value.name, refused.value.value) == (name, 10_001)


def test_a_meter_that_ran_backwards_is_not_billed() -> None:
    with pytest.raises(money.MeterRanBackwardsError, match="energy_wh is -1: the meter ran backwards") as refused:
        money.final_bill(**{**BILLING, "energy_wh": -1})
    assert refused.value.energy_wh == -1


def test_deductions_beyond_the_gross_are_refused_and_measured() -> None:
    money.calculate_settlement(**{**SETTLING, "refund_paise": 10000 - 236 - 1080})
    with pytest.raises(money.SplitExceedsGrossError, match="the gross of 10000 paise by 7 paise") as refused:
        money.calculate_settlement(**{**SETTLING, "refund_paise": 10000 - 236 - 1080 + 7})
    assert (refused.value.gross_paise, refused.value.excess_paise) == (10000, 7)


@pytest.mark.parametrize("tier", ["webhook_fee_paise", "api_fee_paise"])
def test_a_fee_that_was_told_is_checked_too(tier: str) -> None:
    told: dict[str, Any] = {"webhook_fee_paise": None, "api_fee_paise": None, "paid_paise": 10000}
    with pytest.raises(money.NegativeQuantityError):
        money.resolve_fee(**{**told, tier: -1})
    with pytest.raises(TypeError):
        money.resolve_fee(**{**told, tier: 236.0})


def test_an_unknown_tds_base_is_refused() -> None:
    with pytest.raises(ValueError, match="GROSS"):
        money.calculate_settlement(**SETTLING, tds_base="GROSS")  # type: ignore[arg-type]


def test_division_by_zero_is_refused() -> None:
    with pytest.raises(ZeroDivisionError):
        money.divide_half_up(1, 0)


def test_all_refusals_are_one_family() -> None:
    family = [error for _, error in inspect.getmembers(money, inspect.isclass) if issubclass(error, Exception)]
    assert len(family) == 6
    assert all(issubclass(error, money.MoneyError) and issubclass(error, ValueError) for error in family)


BILL = money.final_bill(**BILLING)
CAPPED = money.final_bill(**{**BILLING, "energy_wh": 20000})


@pytest.mark.parametrize(
    ("bill", "change"),
    [
        pytest.param(BILL, {"refund_paise": 2686}, id="a paisa from nowhere"),
        pytest.param(BILL, {"refund_paise": 2684}, id="a paisa lost"),
        pytest.param(BILL, {"refund_paise": 0, "residue_paise": 2685}, id="a refund called residue"),
        pytest.param(BILL, {"refund_paise": 0, "residue_paise": 100, "paid_paise": 7415}, id="residue of a rupee"),
        pytest.param(BILL, {"refund_paise": 2586, "residue_paise": 99}, id="refund and residue at once"),
        pytest.param(BILL, {"refund_paise": 99, "paid_paise": 7414}, id="a refund below the minimum"),
        pytest.param(BILL, {"shortfall_paise": 1}, id="money back and a shortfall"),
        pytest.param(BILL, {"energy_wh": 0}, id="a charge without energy"),
        pytest.param(CAPPED, {"energy_wh": 0}, id="a shortfall without energy"),
    ],
)
def test_a_bill_that_does_not_add_up_cannot_exist(bill: Bill, change: dict[str, int]) -> None:
    with pytest.raises(AssertionError):
        replace(bill, **change)


SPLIT = money.calculate_settlement(**SETTLING)


@pytest.mark.parametrize("name", ["commission_paise", "tds_paise", "payout_paise", "gross_paise", "refund_paise"])
@pytest.mark.parametrize("by", [-1, 1])
def test_a_split_that_does_not_add_up_cannot_exist(name: str, by: int) -> None:
    with pytest.raises(AssertionError):
        replace(SPLIT, **{name: getattr(SPLIT, name) + by})


@pytest.mark.parametrize("record", [BILL, SPLIT], ids=["bill", "split"])
def test_no_line_can_be_negative_or_a_float(record: Bill | Split) -> None:
    for name in record.__dataclass_fields__:
        with pytest.raises(money.NegativeQuantityError, match=name):
            replace(record, **{name: -1})
        with pytest.raises(TypeError, match=name):
            replace(record, **{name: float(getattr(record, name))})


@pytest.mark.parametrize("record", [BILL, SPLIT], ids=["bill", "split"])
def test_a_figure_once_made_is_never_changed(record: Bill | Split) -> None:
    with pytest.raises(FrozenInstanceError):
        record.refund_paise = 0  # type: ignore[misc]


def test_names_are_what_rows_and_events_hold() -> None:
    assert [base.value for base in money.TdsBase] == ["NET_EXCL_GST", "NET_LESS_COMMISSION"]
    assert [source.value for source in FeeSource] == ["WEBHOOK", "API", "ESTIMATE"]


def test_a_derived_amount_is_whole_paise() -> None:
    with pytest.raises(TypeError):
        Derivation(name="gst", paise=1.0, sentence="", formula="", inputs={})  # type: ignore[arg-type]
    assert Derivation(name="gst", paise=-1, sentence="", formula="", inputs={}).paise == -1
