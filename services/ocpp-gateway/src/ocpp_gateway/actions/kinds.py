"""The four ways a charger's CALL is served. Every action's own file holds one of these, named ACTION."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from contracts.base import ChargerEvent, Contract, Query

Payload = dict[str, Any]
"""An OCPP payload that fits its schema."""

Fields = Callable[[Payload, Payload, datetime], dict[str, Any]]
"""(payload, original of what was changed in it, received at) → the event's own fields, in snake_case. May use up the payload."""


class Session(Enum):
    """What a message says about its sender's sessions: a hint for who comes in first when a fleet returns, and no more."""

    RUNS = "runs"
    """If it names a transaction at all."""
    ENDS = "ends"


@dataclass(frozen=True, slots=True)
class TellLane:
    """An event for the charger's lane; answered once it is durable: confirmed by the broker or in the spool."""

    event: type[ChargerEvent]
    fields: Fields
    answer: bytes = b"{}"
    session: Session | None = None
    informed: "AskCharging | None" = None
    """Asked once the event is durable, for a fuller answer; where nobody tells in time, it is `answer` all the same."""


@dataclass(frozen=True, slots=True)
class AnswerAtOnce:
    """Answered from what the gateway knows. The event, where there is one, follows; it is never lost after the answer."""

    answer: Callable[[datetime, int], bytes]
    """(now, heartbeat interval in seconds) → payload."""
    event: type[ChargerEvent] | None = None
    fields: Fields | None = None


@dataclass(frozen=True, slots=True)
class AskLane:
    """A question through the charger's lane: answered with charging's decision."""

    event: type[ChargerEvent]
    fields: Fields
    decision: type[Contract]
    answer: Callable[[Any], Payload]
    """The decision → payload."""
    without_decision: bytes | None
    """The payload when no decision comes in time; None: silence, and the charger tries again."""
    session: Session | None = None


@dataclass(frozen=True, slots=True)
class AskCharging:
    """A question that changes nothing, asked outside the lane; silence when no answer comes in time."""

    question: Callable[[str, Payload], Query | None]
    """(charge point id, payload) → the question; None (of an `informed` one only): there is nothing to ask."""
    answer: Callable[[Any], Payload]


Action = TellLane | AnswerAtOnce | AskLane | AskCharging
