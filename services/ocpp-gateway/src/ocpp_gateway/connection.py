"""One charger's socket: frames in, answers out. Handling a frame is synchronous; answers follow when they are true.

    CALL       → sanitise, validate → actions.ROUTES → event or question through the charger's stream → answer
    CALLRESULT → the CALL of ours that is open
Nothing here waits, and no frame of one charger can end another's socket, or the process.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from struct import Struct
from typing import Any

import orjson
import structlog

from chassis.messaging import Bus, MessagingError
from chassis.runtime import Clock, Ids, Service
from contracts.base import Query
from contracts.ocpp_gateway import DisconnectReason
from contracts.topology import address_of
from ocpp_gateway import frames
from ocpp_gateway.actions import ROUTES, Action, AnswerAtOnce, AskCharging, AskLane, Session, TellLane
from ocpp_gateway.calls import Calls, Complete
from ocpp_gateway.frames import ErrorCode, Unreadable
from ocpp_gateway.metrics import Metrics
from ocpp_gateway.sanitize import TABLES, sanitize
from ocpp_gateway.settings import GatewaySettings
from ocpp_gateway.streams import SENDER, Outbound, Stream, Streams
from ocpp_gateway.turns import Turns
from ocpp_gateway.validation import CALLS_OF_OCPP_16, complaint, is_valid

log = structlog.get_logger(__name__)

# RFC 6455 §5.2: FIN and opcode, then the payload's length; a server never masks.
_TEXT, _PING, _PONG = 0x81, 0x89, 0x8A
_SHORT, _MEDIUM, _LONG = Struct("!BB"), Struct("!BBH"), Struct("!BBQ")
_SHORT_MAX, _MEDIUM_MAX = 125, 0xFFFF

INFORMED_SECONDS = 2.0
"""How long a fuller answer is waited for. What it tells is durable already, and the charger must not send it again."""

LOGGED_BYTES_MAX = 300
"""Of a frame that we can't read."""

COMPLAINTS_LOGGED_MAX = 5
"""Bad frames and refusals logged per connection; a box that is wrong is wrong every ten seconds. All are counted."""

_COMPLAINTS = {
    "required": ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
    "type": ErrorCode.TYPE_CONSTRAINT_VIOLATION,
}
"""By the schema's keyword; everything else is a value out of its set or bounds."""

_MESSAGE_TYPES: dict[Any, int] = {2: 2, 3: 3, 4: 4, "2": 2, "3": 3, "4": 4}

Payload = dict[str, Any]


@dataclass(frozen=True)
class Surroundings:
    """What every connection of a gateway works with."""

    service: Service
    settings: GatewaySettings
    bus: Bus
    streams: Streams
    metrics: Metrics
    clock: Clock
    ids: Ids
    turns: Turns
    complete: Callable[[Any, Any, Any], None]
    """Commands.complete."""
    end: Callable[["Connection", DisconnectReason], None]
    """Connections.end."""


class Connection:
    """See the module. `epoch` numbers the connection, `take_seq` the events in it."""

    __slots__ = (
        "_around",
        "_complaints",
        "_room",
        "_seq",
        "_transport",
        "booted",
        "calls",
        "charge_point_id",
        "ended",
        "epoch",
        "in_flight",
        "last_frame_at",
        "last_ping_at",
        "make",
        "opened_at",
        "spoken",
        "stream",
    )

    def __init__(self, around: Surroundings, stream: Stream, transport: asyncio.Transport, epoch: int) -> None:
        self._around = around
        self._transport = transport
        self._seq = 0
        self._complaints = 0
        self._room: asyncio.Future[None] | None = None
        self.stream = stream
        self.charge_point_id = stream.charge_point_id
        self.epoch = epoch
        self.in_flight = 0
        """CALLs taken and not finished."""
        self.opened_at = self.last_frame_at = self.last_ping_at = around.clock.monotonic()
        self.booted = False
        self.spoken = False
        self.ended: DisconnectReason | None = None
        """Why it is over; no frame goes out after that (the tombstone)."""
        self.make = ""
        """vendor/model in lower case, once it booted on this connection."""
        complete: Complete = partial(self._complete, around.complete)
        self.calls = Calls(
            self,
            clock=around.clock,
            new_id=around.ids.new,
            complete=complete,
            turns=around.turns,
            waiting_max=around.settings.commands_waiting_max,
            timeouts_max=around.settings.call_timeouts_max,
        )

    def _complete(self, report: Callable[[Any, Any, Any], None], command: Any, outcome: Any) -> None:
        report(command, outcome, self)

    def take_seq(self) -> int:
        """The next event's place in this connection."""
        seq = self._seq
        self._seq = seq + 1
        return seq

    # What `Calls` needs.

    def settled(self, now: float) -> bool:
        """It booted on this connection, or has been here long enough not to."""
        return self.booted or now - self.opened_at >= self._around.settings.settle_seconds

    def unresponsive(self) -> None:
        """It hears nothing of what we send."""
        self._around.end(self, DisconnectReason.UNRESPONSIVE)

    # Out.

    def send(self, data: bytes) -> bool:
        """Write one text frame now. False where the socket is over. A charger that does not read is cut off."""
        return self._write(_TEXT, data)

    def ping(self, now: float) -> None:
        """A WebSocket ping: keeps boxes and NATs from dropping an idle socket. Its pong counts as any frame does."""
        self.last_ping_at = now
        self._write(_PING, b"")

    def pong(self, data: bytes) -> None:
        """Answer a ping."""
        self.touch()
        self._write(_PONG, data)

    def touch(self) -> None:
        """Something came from the charger."""
        self.last_frame_at = self._around.clock.monotonic()

    def _write(self, opcode: int, data: bytes) -> bool:
        # Written to the transport ourselves: aiohttp's send is a coroutine, and answers come from callbacks.
        transport = self._transport
        if self.ended is not None or transport.is_closing():
            return False
        length = len(data)
        if length <= _SHORT_MAX:
            transport.write(_SHORT.pack(opcode, length) + data)
        elif length <= _MEDIUM_MAX:
            transport.write(_MEDIUM.pack(opcode, 126, length) + data)
        else:
            transport.write(_LONG.pack(opcode, 127, length) + data)
        if transport.get_write_buffer_size() > self._around.settings.unsent_bytes_max:
            log.warning("charger.does_not_read", charge_point_id=self.charge_point_id)
            self._around.end(self, DisconnectReason.PROTOCOL_ERROR)
            return False
        return True

    # In.

    async def room(self) -> None:
        """Return when another CALL may be taken: until then the socket is not read."""
        while self.in_flight >= self._around.settings.in_flight_max and self.ended is None:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    def release(self) -> None:
        """Let `room` look again."""
        room = self._room
        if room is not None and not room.done():
            room.set_result(None)

    def frame(self, data: bytes) -> None:
        """Take one text or binary frame. Never raises."""
        around = self._around
        self.last_frame_at = around.clock.monotonic()
        try:
            messages = frames.read(data)
        except Unreadable as error:
            self._unreadable(error, data)
            return
        for message in messages:
            try:
                self._message(message)
            except Exception:
                # Silence rather than a refusal: the charger tries again, and a refused billing record would be thrown away.
                around.metrics.handler_failures.inc()
                log.exception("frame.failed", charge_point_id=self.charge_point_id, frame=repr(data[:LOGGED_BYTES_MAX]))
        if not self.spoken:
            self.spoken = True
            self.calls.pump()

    def _unreadable(self, error: Unreadable, data: bytes) -> None:
        self._around.metrics.bad_frames.labels("unreadable" if data.strip() else "empty").inc()
        self._complain("frame.unreadable", reason=str(error), frame=repr(data[:LOGGED_BYTES_MAX]))
        if error.message_id is None:
            return
        if error.message_type == frames.CALL:
            self._refuse(orjson.dumps(error.message_id), ErrorCode.FORMATION_VIOLATION, "the message is no JSON")
        else:
            # A cut-off answer (row 19): that CALL fails now, not at its timeout.
            self.calls.error(error.message_id, ErrorCode.FORMATION_VIOLATION, "the answer is no JSON")

    def _complain(self, event: str, **what: Any) -> None:
        self._complaints += 1
        if self._complaints <= COMPLAINTS_LOGGED_MAX:
            log.warning(event, charge_point_id=self.charge_point_id, complaint=self._complaints, **what)

    def _message(self, message: Any) -> None:
        if type(message) is not list or len(message) < 2 or type(message[0]) not in (int, float, str):
            self._around.metrics.bad_frames.labels("shape").inc()
            return
        kind = _MESSAGE_TYPES.get(message[0])
        if kind == frames.CALL:
            self._call(message)
        elif kind is None:
            # OCPP-J §4.1.3: unknown message types are ignored.
            self._around.metrics.bad_frames.labels("message_type").inc()
        elif not self._answered(kind, message):
            self._around.metrics.unsolicited.inc()

    def _answered(self, kind: int, message: list[Any]) -> bool:
        if type(message[1]) in (list, dict):
            return False
        message_id = str(message[1])
        rest = [*message[2:5], None, None, None]
        if kind == frames.CALLRESULT:
            return self.calls.result(message_id, rest[0])
        return self.calls.error(message_id, rest[0] or ErrorCode.GENERIC_ERROR, rest[1] or "")

    def _call(self, message: list[Any]) -> None:
        metrics = self._around.metrics
        echoed = frames.echoed_id(message[1])
        if echoed is None:
            metrics.bad_frames.labels("message_id").inc()
            return
        action = message[2] if len(message) > 2 else None
        route = ROUTES.get(action) if type(action) is str else None
        if route is None or type(action) is not str:
            self._refuse_action(echoed, action)
            return
        metrics.calls_of[action].inc()
        # Absent and null mean the same (row 17), and so does every other nothing.
        payload = (message[3] if len(message) > 3 else None) or {}
        original: Payload = {}
        if not is_valid(action, payload):
            if type(payload) is not dict:
                self._refuse(echoed, ErrorCode.FORMATION_VIOLATION, "the payload is no object")
                return
            payload, original = sanitize(TABLES[action], payload)
            metrics.sanitized.labels(action).inc()
            if not is_valid(action, payload):
                keyword, sentence = complaint(action, payload)
                self._refuse(echoed, _COMPLAINTS.get(keyword, ErrorCode.PROPERTY_CONSTRAINT_VIOLATION), sentence)
                return
        self._serve(action, route, echoed, payload, original)

    def _serve(self, action: str, route: Action, echoed: bytes, payload: Payload, original: Payload) -> None:
        around = self._around
        now = around.clock.now()
        if type(route) is TellLane:
            asked = route.informed.question(self.charge_point_id, payload) if route.informed is not None else None
            fields = route.fields(payload, original, now)
            if route.session is not None:
                self._session(route.session, fields["transaction_id"], now)
            settled = partial(self._told, echoed, route.answer, around.clock.monotonic())
            if asked is not None:
                settled = partial(self._told_informed, action, route, asked, echoed, around.clock.monotonic())
            self.in_flight += 1
            around.streams.tell(Outbound(self.stream, self, route.event.TYPE, fields, now, settled))
        elif type(route) is AnswerAtOnce:
            self.send(frames.call_result(echoed, route.answer(now, around.settings.heartbeat_interval_seconds)))
            if route.event is not None and route.fields is not None:
                self._booted(payload)
                self.in_flight += 1
                fields = route.fields(payload, original, now)
                event = Outbound(self.stream, self, route.event.TYPE, fields, now, self._finished, must_keep=True)
                around.streams.tell(event)
        elif type(route) is AskLane:
            fields = route.fields(payload, original, now)
            self.in_flight += 1
            question = Outbound(self.stream, self, route.event.TYPE, fields, now, partial(self._decided, action, route, echoed))
            around.streams.ask(question, route.decision)
        elif type(route) is AskCharging:
            self.in_flight += 1
            around.service.tasks.start(f"ocpp.{action}", self._ask_charging(action, route, echoed, payload))

    def _session(self, session: Session, transaction_id: int | None, now: datetime) -> None:
        """Note what was said about a session. A hint: charging alone knows."""
        if session is Session.ENDS:
            self.stream.session_until = 0.0
        elif transaction_id is not None and transaction_id > 0:
            self.stream.session_until = now.timestamp() + self._around.settings.session_hint_seconds

    def _booted(self, payload: Payload) -> None:
        self.make = f"{payload['chargePointVendor']}/{payload['chargePointModel']}".lower()
        self.booted = True
        self.calls.pump()

    def _finished(self, _durable: object = None) -> None:
        self.in_flight -= 1
        if self._room is not None:
            self.release()

    def _told(self, echoed: bytes, answer: bytes, started: float, durable: bool) -> None:
        self._finished()
        around = self._around
        if durable:
            self.send(frames.call_result(echoed, answer))
            around.metrics.answer_seconds.observe(around.clock.monotonic() - started)
        else:
            around.metrics.silent.labels("not_durable").inc()

    def _told_informed(self, action: str, route: TellLane, question: Query, echoed: bytes, started: float, durable: bool) -> None:
        if not durable:
            self._told(echoed, route.answer, started, durable)
            return
        self._around.service.tasks.start(f"ocpp.{action}", self._answer_informed(route, question, echoed, started))

    async def _answer_informed(self, route: TellLane, question: Query, echoed: bytes, started: float) -> None:
        answer = route.answer
        told = await self._ask(question, INFORMED_SECONDS)
        if told is not None and route.informed is not None:
            answer = orjson.dumps(route.informed.answer(told))
        self._told(echoed, answer, started, durable=True)

    async def _ask(self, question: Query, timeout_seconds: float) -> Any:
        with suppress(MessagingError, ValueError):
            return await self._around.bus.ask(
                question, to=address_of(question, sender=SENDER), answer=question.ANSWER, timeout_seconds=timeout_seconds
            )
        return None

    def _decided(self, action: str, route: AskLane, echoed: bytes, decision: Any) -> None:
        self._finished()
        if decision is not None:
            if route.session is not None:
                self._session(route.session, decision.transaction_id, self._around.clock.now())
            self.send(frames.call_result(echoed, orjson.dumps(route.answer(decision))))
        elif route.without_decision is not None:
            self.send(frames.call_result(echoed, route.without_decision))
        else:
            self._around.metrics.silent.labels(f"no_decision:{action}").inc()

    async def _ask_charging(self, action: str, route: AskCharging, echoed: bytes, payload: Payload) -> None:
        around = self._around
        question = route.question(self.charge_point_id, payload)
        decision = await self._ask(question, around.settings.decision_seconds) if question is not None else None
        self._finished()
        if decision is not None:
            self.send(frames.call_result(echoed, orjson.dumps(route.answer(decision))))
        else:
            around.metrics.silent.labels(f"no_decision:{action}").inc()

    def _refuse_action(self, echoed: bytes, action: Any) -> None:
        if type(action) is not str:
            self._refuse(echoed, ErrorCode.FORMATION_VIOLATION, "the action is no text")
        elif action in CALLS_OF_OCPP_16:
            self._refuse(echoed, ErrorCode.NOT_SUPPORTED, "this action is not served here")
        else:
            self._refuse(echoed, ErrorCode.NOT_IMPLEMENTED, "this action is unknown")

    def _refuse(self, echoed: bytes, code: ErrorCode, description: str) -> None:
        self._around.metrics.refused.labels(code.value).inc()
        self._complain("call.refused", code=code.value, description=description)
        self.send(frames.call_error(echoed, code, description))
