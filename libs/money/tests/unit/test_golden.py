"""The golden cases: every figure with its arithmetic in words. A new case is a new row; no code is needed for it."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import money

GOLDEN = Path(__file__).parent / "golden"
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "billing": money.final_bill,
    "settlement": money.calculate_settlement,
    "energy_affordable": money.energy_affordable_wh,
    "time_until": money.milliseconds_until_wh,
    "forecast_stop": money.forecast_stop,
    "fee_estimate": money.estimated_fee,
    "fee_tiers": money.resolve_fee,
}
ROWS = [
    pytest.param(path.stem, row, id=f"{path.stem}/{row['id']}")
    for path in sorted(GOLDEN.glob("*.yaml"))
    for row in yaml.safe_load(path.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_golden(table: str, row: dict[str, Any]) -> None:
    given = row["given"]
    actual = FUNCTIONS[table](**given)
    expected = row["expect"]
    if is_dataclass(actual):
        # Lines are compared one by one, and none may be left out: a right total hides a wrong rate.
        names = {field.name for field in fields(actual)}
        assert names <= expected.keys() | given.keys()
        expected = {**{name: given[name] for name in names & given.keys()}, **expected}
        actual = {name: getattr(actual, name) for name in expected}
    assert actual == expected
    if not isinstance(expected, dict):
        assert type(actual) is type(expected)


def test_every_row_tells_its_arithmetic() -> None:
    assert {param.values[0] for param in ROWS} == FUNCTIONS.keys()
    ids = [param.id for param in ROWS]
    assert len(ids) == len(set(ids))
    for param in ROWS:
        row = param.values[1]
        assert isinstance(row, dict)
        assert row.keys() - {"wrong_if"} == {"id", "given", "expect", "math"}, param.id
        assert all(isinstance(row[key], str) and row[key].strip() for key in ("math", "wrong_if") if key in row), param.id
