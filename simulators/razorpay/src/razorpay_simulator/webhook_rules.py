"""What may go wrong with webhooks on purpose."""

from fnmatch import fnmatchcase
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from razorpay_simulator.entities import JsonObject

Variant = Literal["genuine", "tampered", "wrong_secret", "other_body", "foreign_account"]
Hostile = Literal["tampered", "wrong_secret", "other_body", "foreign_account"]


class WebhookRule(BaseModel):
    """One deviation, applied to the next `times` events whose name matches `event`.

    - `duplicate`: once acknowledged, sent `count` more times, one after the other, with the same event id;
    - `concurrent`: every attempt is `count` posts at once;
    - `delay`: first sent `seconds` after it happened;
    - `shuffle`: first sent at some moment within `seconds`, so that events overtake each other at random;
    - `reorder`: held until `count` events are held, then sent newest first, one after the other;
    - `drop`: never sent; it can be replayed;
    - `before_answer`: sent, and answered by the receiver, before the API call that caused it is answered;
    - `tampered`: before the event, a copy with the same id whose body was changed after signing;
    - `wrong_secret`: before the event, a copy with the same id signed with another secret;
    - `other_body`: after the event, a properly signed copy with the same id and another amount;
    - `foreign_account`: before the event, a properly signed copy with another id and another `account_id`.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["duplicate", "concurrent", "delay", "shuffle", "reorder", "drop", "before_answer"] | Hostile
    event: str = Field(default="*", description="A shell pattern over the event's name, such as `refund.*`.")
    times: int | None = Field(default=1, ge=1, description="None: until cleared.")
    count: int = Field(default=2, ge=1)
    seconds: float = Field(default=0, ge=0)
    replaces: bool = Field(default=False, description="The hostile copy is sent instead of the event, not beside it.")


class Plan(BaseModel):
    """The deviations of one event."""

    duplicates: int = 0
    at_once: int = 1
    delay: float = 0
    spread: float = 0
    drop: bool = False
    before_answer: bool = False
    hostile: list[Hostile] = Field(default_factory=list)
    genuine: bool = True


class WebhookRules:
    """The rules in force. Every matching rule applies; `reorder` keeps what it holds back."""

    def __init__(self) -> None:
        self.rules: list[WebhookRule] = []

    def add(self, rule: WebhookRule) -> None:
        self.rules.append(rule.model_copy())

    def clear(self) -> None:
        self.rules.clear()

    def plan(self, event: str) -> tuple[Plan, WebhookRule | None]:
        """The event's plan, and the reordering rule that wants to hold it, if any. Uses the rules up."""
        plan, holder = Plan(), None
        for rule in list(self.rules):
            if not fnmatchcase(event, rule.event):
                continue
            match rule.kind:
                case "duplicate":
                    plan.duplicates += rule.count
                case "concurrent":
                    plan.at_once = max(plan.at_once, rule.count)
                case "delay":
                    plan.delay += rule.seconds
                case "shuffle":
                    plan.spread = max(plan.spread, rule.seconds)
                case "reorder":
                    if holder is not None:
                        continue
                    holder = rule
                case "drop":
                    plan.drop = True
                case "before_answer":
                    plan.before_answer = True
                case "tampered" | "wrong_secret" | "other_body" | "foreign_account":
                    plan.hostile.append(rule.kind)
                    plan.genuine = plan.genuine and not rule.replaces
            # A reordering is one deviation of `count` events: it is used up when it lets them go.
            if rule.kind != "reorder":
                self.spend(rule)
        return plan, holder

    def spend(self, rule: WebhookRule) -> None:
        if rule.times is not None:
            rule.times -= 1
            if not rule.times:
                self.rules.remove(rule)


def altered(body: JsonObject) -> JsonObject:
    """Changes what matters most in an event, in place: an amount where there is one, else its time."""
    for part in body["payload"].values():
        entity = part.get("entity") if isinstance(part, dict) else None
        if isinstance(entity, dict) and isinstance(entity.get("amount"), int):
            entity["amount"] *= 10
            return body
    body["created_at"] += 1
    return body
