"""Ids of the API: `txn_17`. The prefix shows when a wrong one is passed; inside they are bigints."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

BIGINT_MAX = 2**63 - 1
"""PostgreSQL's bigint."""


@dataclass(frozen=True, slots=True)
class PrefixedId:
    """An annotation: `StationId = Annotated[int, PrefixedId("stn")]`, for fields of views, bodies, queries, and path parameters.

    In Python it is an int, in JSON and URLs the prefixed text. Python code may pass either (rows hold ints).
    """

    prefix: str

    def text(self, value: int) -> str:
        """17 → `stn_17`."""
        return f"{self.prefix}_{value}"

    def parse(self, text: str) -> int:
        """`stn_17` → 17. Raises ValueError with what was expected."""
        # No leading zero and no sign: each thing has one name, so that texts can be compared.
        found = re.fullmatch(rf"{re.escape(self.prefix)}_([1-9][0-9]{{0,18}})", text, re.ASCII)
        if found is None or int(found[1]) > BIGINT_MAX:
            raise ValueError(f"expected an id such as {self.prefix}_17")
        return int(found[1])

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from_text = core_schema.no_info_plain_validator_function(self._from_text)
        return core_schema.json_or_python_schema(
            json_schema=from_text,
            python_schema=core_schema.no_info_plain_validator_function(self._from_text_or_number),
            serialization=core_schema.plain_serializer_function_ser_schema(self.text, return_schema=core_schema.str_schema()),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^{self.prefix}_[1-9][0-9]{{0,18}}$", "examples": [f"{self.prefix}_17"]}

    def _from_text(self, value: Any) -> int:
        if not isinstance(value, str):
            raise PydanticCustomError("prefixed_id", "Input should be an id such as {example}", {"example": self.text(17)})
        try:
            return self.parse(value)
        except ValueError:
            raise PydanticCustomError(
                "prefixed_id", "Input should be an id such as {example}", {"example": self.text(17)}
            ) from None

    def _from_text_or_number(self, value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        return self._from_text(value)
