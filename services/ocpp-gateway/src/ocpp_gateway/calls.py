"""Our CALLs on one charger's socket: one at a time (OCPP-J §4.1.1), stop before start before the rest, each with one outcome.

push → waiting → on the wire → ANSWERED | CALL_ERROR | TIMED_OUT (→ perhaps a late answer)
          │            └ socket gone → CONNECTION_LOST
          └ deadline, socket gone, too many → NOT_SENT
"""

from bisect import insort
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

import structlog
from aiormq.abc import DeliveredMessage

from chassis.runtime import Clock
from contracts.ocpp_gateway import CommandOutcome, CommandSendRequested
from ocpp_gateway import frames
from ocpp_gateway.turns import URGENT_PRIORITY_MAX, Turns

log = structlog.get_logger(__name__)

UNSETTLED_ACTIONS = frozenset({"RemoteStopTransaction"})
"""Sent as soon as the charger has spoken; all others wait until it has settled (ocpp.md Part 0, rows 13 and 14)."""

LATE_MAX = 16
"""Timed-out CALLs per socket whose late answer we would still recognise."""

MESSAGE_ID_MAX = 36
"""OCPP-J §4.1.4."""

ERROR_CODE_MAX, ERROR_DESCRIPTION_MAX = 50, 255
"""What we keep of a charger's CALLERROR."""

Json = dict[str, Any]


def _said(value: Any) -> str:
    """A charger's word as text, whatever it is. Python can't show what nests very deep."""
    return "" if frames.too_deep(value) else str(value)


class Command:
    """One command in this gateway's hands."""

    __slots__ = ("delivery", "model", "on_wire_until", "order", "reported", "traceparent")

    def __init__(
        self, model: CommandSendRequested, delivery: DeliveredMessage | None, traceparent: str | None, number: int
    ) -> None:
        self.model = model
        self.delivery = delivery
        """The newest delivery of it, to acknowledge."""
        self.traceparent = traceparent
        self.order = (model.priority, number)
        self.on_wire_until = 0.0
        self.reported = False
        """Whether its outcome was given out; there is only one."""


class Outcome:
    """What became of a command, for `CommandCompleted`."""

    __slots__ = ("code", "description", "late", "outcome", "response")

    def __init__(
        self,
        outcome: CommandOutcome,
        *,
        response: Json | None = None,
        code: str | None = None,
        description: str | None = None,
        late: bool = False,
    ) -> None:
        self.outcome = outcome
        self.response = response
        self.code = code
        self.description = description
        self.late = late


class Wire(Protocol):
    """The connection, as far as our CALLs need it."""

    charge_point_id: str
    spoken: bool
    """Whether the charger has sent a CALL on this connection."""

    def settled(self, now: float) -> bool:
        """Whether it booted, or showed that it will not."""
        ...

    def send(self, data: bytes) -> bool:
        """Put a frame on the wire; False if the socket is no more."""
        ...

    def unresponsive(self) -> None:
        """It hears nothing: end the connection."""
        ...


Complete = Callable[[Command, Outcome], None]


class Calls:
    """The CALLs of one connection. Everything happens on the event loop, nothing waits."""

    __slots__ = (
        "_clock",
        "_closed",
        "_complete",
        "_late",
        "_new_id",
        "_on_wire",
        "_timeouts",
        "_timeouts_max",
        "_turns",
        "_waiting",
        "_waiting_max",
        "_wire",
        "_wire_id",
    )

    def __init__(
        self,
        wire: Wire,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        complete: Complete,
        turns: Turns,
        waiting_max: int,
        timeouts_max: int,
    ) -> None:
        self._wire = wire
        self._clock = clock
        self._new_id = new_id
        self._complete = complete
        self._turns = turns
        self._waiting_max = waiting_max
        self._timeouts_max = timeouts_max
        self._waiting: list[Command] = []
        self._on_wire: Command | None = None
        self._wire_id = ""
        self._late: OrderedDict[str, Command] | None = None
        self._timeouts = 0
        self._closed = False

    @property
    def active(self) -> bool:
        """Whether time matters here."""
        return self._on_wire is not None or bool(self._waiting)

    def push(self, command: Command) -> None:
        """Take a command in hand."""
        if self._closed or len(self._waiting) >= self._waiting_max:
            self._complete(command, Outcome(CommandOutcome.NOT_SENT))
            return
        insort(self._waiting, command, key=lambda each: each.order)
        self.pump()

    def pump(self) -> None:
        """Send the first that may go, if the wire is free and it has its turn."""
        while self._on_wire is None and not self._closed:
            now = self._clock.monotonic()
            command = self._first_allowed(now)
            if command is None:
                break
            if command.model.priority > URGENT_PRIORITY_MAX and not self._turns.take(self, now):
                return
            self._waiting.remove(command)
            if self._past(command, self._clock.now()):
                self._complete(command, Outcome(CommandOutcome.NOT_SENT))
            else:
                self._send(command)
        if self._on_wire is None:
            self._turns.give_back(self)

    def _first_allowed(self, now: float) -> Command | None:
        if not self._waiting:
            return None
        if self._wire.settled(now):
            return self._waiting[0]
        if not self._wire.spoken:
            return None
        return next((command for command in self._waiting if command.model.action in UNSETTLED_ACTIONS), None)

    @staticmethod
    def _past(command: Command, now: datetime) -> bool:
        return now > command.model.deadline

    def _send(self, command: Command) -> None:
        model = command.model
        wire_id = model.command_id if len(model.command_id) <= MESSAGE_ID_MAX else self._new_id()
        if not self._wire.send(frames.call(wire_id, model.action, model.payload)):
            self._complete(command, Outcome(CommandOutcome.NOT_SENT))
            return
        command.on_wire_until = self._clock.monotonic() + model.timeout_seconds
        self._on_wire, self._wire_id = command, wire_id

    def result(self, message_id: str, payload: Any) -> bool:
        """A CALLRESULT came; False if nobody waits for it. What can't be used fails this CALL and nothing else."""
        if payload is None:
            payload = {}
        if type(payload) is dict and not frames.too_deep(payload):
            return self._answered(message_id, CommandOutcome.ANSWERED, response=payload)
        return self.error(message_id, frames.ErrorCode.FORMATION_VIOLATION, "the answer's payload is no object that we can read")

    def error(self, message_id: str, code: Any, description: Any) -> bool:
        """A CALLERROR came; False if nobody waits for it."""
        return self._answered(
            message_id,
            CommandOutcome.CALL_ERROR,
            code=_said(code)[:ERROR_CODE_MAX],
            description=_said(description)[:ERROR_DESCRIPTION_MAX],
        )

    def _answered(self, message_id: str, outcome: CommandOutcome, **detail: Any) -> bool:
        command = self._on_wire
        # Some boxes answer with an empty id (row 31): with one CALL open it can mean nothing else.
        if command is not None and message_id in {self._wire_id, ""}:
            self._off_wire()
            self._timeouts = 0
            self._complete(command, Outcome(outcome, **detail))
            self.pump()
            return True
        late = self._late.pop(message_id, None) if self._late else None
        if late is None:
            return False
        self._timeouts = 0
        self._complete(late, Outcome(outcome, late=True, **detail))
        return True

    def sweep(self, now: float) -> None:
        """Once a second: time out what is on the wire, end what waited past its deadline, send what has become allowed."""
        if self._on_wire is not None and now >= self._on_wire.on_wire_until:
            self._timed_out(self._on_wire)
        if self._waiting:
            moment = self._clock.now()
            for command in [command for command in self._waiting if self._past(command, moment)]:
                self._waiting.remove(command)
                self._complete(command, Outcome(CommandOutcome.NOT_SENT))
            self.pump()

    def _timed_out(self, command: Command) -> None:
        log.warning("command.timed_out", charge_point_id=self._wire.charge_point_id, command_id=command.model.command_id)
        if self._late is None:
            self._late = OrderedDict()
        self._late[self._wire_id] = command
        if len(self._late) > LATE_MAX:
            self._late.popitem(last=False)
        self._off_wire()
        self._timeouts += 1
        self._complete(command, Outcome(CommandOutcome.TIMED_OUT))
        if self._timeouts >= self._timeouts_max:
            # It sends heartbeats and hears nothing (row 12): only a new connection helps.
            self._wire.unresponsive()

    def _off_wire(self) -> None:
        """The CALL on the wire is over. Its turn goes to whoever waits longest, before this charger's next CALL."""
        self._on_wire = None
        self._turns.give_back(self)

    def close(self) -> None:
        """The socket is gone: every command in hand gets its outcome now, not at its timeout."""
        if self._closed:
            return
        self._closed = True
        if self._on_wire is not None:
            command, self._on_wire = self._on_wire, None
            self._complete(command, Outcome(CommandOutcome.CONNECTION_LOST))
        waiting, self._waiting = self._waiting, []
        for command in waiting:
            self._complete(command, Outcome(CommandOutcome.NOT_SENT))
        self._turns.give_back(self)
