"""Rows as dataclasses that bear the columns' names."""

from dataclasses import fields
from typing import Any


def columns_of(row: Any, kind: type[Any]) -> dict[str, Any]:
    """The values of a row for the fields of a dataclass."""
    return {field.name: getattr(row, field.name) for field in fields(kind)}
