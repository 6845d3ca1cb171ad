"""The package is pure and integer: nothing but these standard modules, no float, no true division."""

import ast
from pathlib import Path

import pytest

import money

ALLOWED_IMPORTS = {"collections", "dataclasses", "datetime", "enum", "functools", "money", "re", "typing"}
SOURCES = sorted(Path(money.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_source_is_pure_and_integer(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= ALLOWED_IMPORTS
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert node.module.split(".")[0] in ALLOWED_IMPORTS
        elif isinstance(node, ast.Constant):
            assert not isinstance(node.value, float | complex), f"line {node.lineno}: a float"
        elif isinstance(node, ast.Div):
            pytest.fail(f"{source.name}: true division makes a float; use divide_half_up")
        elif isinstance(node, ast.Name):
            assert node.id not in {"float", "round", "open", "print"}, f"line {node.lineno}: {node.id}"


def test_there_is_source_to_check() -> None:
    assert {"bill.py", "settlement.py", "forecast.py", "fee.py", "rounding.py", "text.py"} <= {path.name for path in SOURCES}
