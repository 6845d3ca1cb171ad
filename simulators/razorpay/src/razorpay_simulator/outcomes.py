"""What shall become of refunds, transfers and bank accounts that are yet to come."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

OutcomeOf = Literal["refund", "transfer", "penny_test"]
Outcome = Literal["processed", "failed", "speed_changed"]


class OutcomeRule(BaseModel):
    """The next `times` refunds, transfers or penny tests of a bank account end like this.

    `speed_changed` is for refunds asked at optimum speed.
    """

    model_config = ConfigDict(extra="forbid")

    of: OutcomeOf
    outcome: Outcome
    times: int = Field(default=1, ge=1)


class Outcomes:
    """Rules are used up in the order in which they were given."""

    def __init__(self) -> None:
        self.rules: list[OutcomeRule] = []

    def add(self, rule: OutcomeRule) -> None:
        self.rules.append(rule.model_copy())

    def take(self, of: OutcomeOf) -> Outcome:
        for rule in self.rules:
            if rule.of == of:
                rule.times -= 1
                if not rule.times:
                    self.rules.remove(rule)
                return rule.outcome
        return "processed"

    def clear(self) -> None:
        self.rules.clear()
