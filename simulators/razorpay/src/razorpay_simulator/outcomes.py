"""What shall become of refunds and transfers that are yet to be asked for."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Outcome = Literal["processed", "failed", "speed_changed"]


class OutcomeRule(BaseModel):
    """The next `times` refunds or transfers end like this. `speed_changed` is for refunds asked at optimum speed."""

    model_config = ConfigDict(extra="forbid")

    of: Literal["refund", "transfer"]
    outcome: Outcome
    times: int = Field(default=1, ge=1)


class Outcomes:
    """Rules are used up in the order in which they were given."""

    def __init__(self) -> None:
        self._rules: list[OutcomeRule] = []

    def add(self, rule: OutcomeRule) -> None:
        self._rules.append(rule.model_copy())

    def take(self, of: Literal["refund", "transfer"]) -> Outcome:
        for rule in self._rules:
            if rule.of == of:
                rule.times -= 1
                if not rule.times:
                    self._rules.remove(rule)
                return rule.outcome
        return "processed"

    def clear(self) -> None:
        self._rules.clear()
