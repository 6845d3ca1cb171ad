"""What shall become of refunds, transfers and bank accounts that are yet to come."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

OutcomeOf = Literal["refund", "transfer", "penny_test"]
Outcome = Literal["processed", "failed", "speed_changed"]
TransferFailure = Literal["insufficient_balance", "transfer_amount_higher_than_balance"]


class OutcomeRule(BaseModel):
    """The next `times` refunds, transfers or penny tests of a bank account end like this.

    `speed_changed` is for refunds asked at optimum speed.
    """

    model_config = ConfigDict(extra="forbid")

    of: OutcomeOf
    outcome: Outcome
    times: int = Field(default=1, ge=1)
    reason: TransferFailure | None = Field(default=None, description="Why a transfer fails; insufficient_balance unless given.")


class Outcomes:
    """Rules are used up in the order in which they were given."""

    def __init__(self) -> None:
        self.rules: list[OutcomeRule] = []

    def add(self, rule: OutcomeRule) -> None:
        self.rules.append(rule.model_copy())

    def take(self, of: OutcomeOf) -> Outcome:
        rule = self.take_rule(of)
        return rule.outcome if rule is not None else "processed"

    def take_rule(self, of: OutcomeOf) -> OutcomeRule | None:
        """The rule of the next one, used up by one; None: it goes through."""
        rule = next((rule for rule in self.rules if rule.of == of), None)
        if rule is not None:
            rule.times -= 1
            if not rule.times:
                self.rules.remove(rule)
        return rule

    def clear(self) -> None:
        self.rules.clear()
