"""Calls and answers over the socket that is there: one CALL at a time in each direction, time-outs, retries, delays."""

from __future__ import annotations

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import aiohttp

from charger_simulator import frames
from charger_simulator.clock import Clock, Timer
from charger_simulator.connection import Connection, Pong
from charger_simulator.frames import CallTimeout, NotConnected, OcppError, SimulatorError
from charger_simulator.outbox import Outbox, Outgoing
from charger_simulator.quirks import Quirks
from charger_simulator.settings import Settings
from charger_simulator.watched import Watched

log = logging.getLogger("charger_simulator")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a CALL of the central system is answered, and what follows once the answer is out."""

    payload: dict[str, Any]
    then: Callable[[], None] | None = None


@dataclass(slots=True)
class _Open:
    """Our CALL that waits for its answer."""

    item: Outgoing
    id: str
    payload: dict[str, Any]
    timer: Timer


class Messaging(Watched, ABC):
    """All hooks of the subclass are synchronous: what they cause is queued, and sent in order."""

    def __init__(self, id: str, clock: Clock, settings: Settings, quirks: Quirks) -> None:  # noqa: A002
        super().__init__(id, clock, settings.log_size)
        self.settings = settings
        self.quirks = quirks
        self.frames_sent = 0
        self.frames_received = 0
        self.frames_unexpected = 0
        """Received frames that could not be read, or answered nothing that was open."""
        self.booted = False
        """BootNotification was accepted since power-on."""
        self.outbox = Outbox(settings.queue_size_max)
        self._random = random.Random(id)  # jitter and ids that are the same in every run
        self._connection: Connection | None = None
        self._work = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._processing = 0
        self._open: _Open | None = None
        self._unanswered = 0
        self._answers_held: list[str] = []
        self._pongs: dict[bytes, asyncio.Future[bool]] = {}
        self._pings = 0
        self._message_number = 0

    # -- what the subclass decides

    @abstractmethod
    def _answer(self, action: str, payload: dict[str, Any]) -> Answer:
        """Decides on a CALL of the central system. Raises OcppError for a CALLERROR."""

    @abstractmethod
    def _listens(self, action: str) -> bool:
        """False: the CALL is not answered at all."""

    @abstractmethod
    def _retry_rules(self) -> tuple[int, float]:
        """(TransactionMessageAttempts, TransactionMessageRetryInterval in seconds)."""

    # -- what can be seen

    @property
    def connected(self) -> bool:
        return self._connection is not None

    @property
    def subprotocol(self) -> str | None:
        return self._connection.subprotocol if self._connection else None

    @property
    def busy(self) -> int:
        """Frames being processed right now: received and not yet dealt with, or ready to be sent and not yet out; a connection
        being opened counts too. 0 is quiet.

        What waits for time to pass (retries, delayed answers) or for the peer's answer is not busy; see `calls_open`.
        """
        ready = self._connection is not None and self._open is None and self._next_item() is not None
        return self._processing + ready

    @property
    def calls_open(self) -> int:
        """1 while a CALL of ours waits for its answer, else 0."""
        return int(self._open is not None)

    # -- sending

    async def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Sends a CALL in its turn and returns the result's payload. Goes out even before BootNotification was accepted.

        Raises NotConnected, CallTimeout, or OcppError for a CALLERROR. It is not queued offline and not tried again.
        """
        if self._connection is None:
            raise NotConnected(f"{self.id} is not connected")
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        def done(response: dict[str, Any] | None, error: SimulatorError | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(response or {})

        self._queue(Outgoing(action, lambda: payload, done, before_boot=True))
        return await future

    async def send_raw(self, data: str | bytes, *, as_text: bool | None = None) -> None:
        """Sends one frame as it is, at once. Bytes go as a binary frame, or with `as_text` as a text frame that need not be
        UTF-8. Raises NotConnected."""
        if self._connection is None:
            raise NotConnected(f"{self.id} is not connected")
        await self._send(self._connection, data, as_text=as_text)

    async def ping_through(self) -> bool:
        """A WebSocket ping and its pong: all frames sent before were read by the peer. False if there is no socket (any more)."""
        if self._connection is None:
            return False
        self._pings += 1
        data = b"through-%d" % self._pings
        pong: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pongs[data] = pong
        try:
            await self._connection.ping(data)
        except (ConnectionError, aiohttp.ClientError):
            self._pongs.pop(data, None)
            return False
        return await pong

    def _ping(self) -> None:
        """A keep-alive ping (WebSocketPingInterval); its pong is not waited for."""
        connection = self._connection
        if connection is not None:
            self._spawn(self._guarded(connection.ping()))

    async def _guarded(self, sending: Coroutine[Any, Any, None]) -> None:
        try:
            await sending
        except (ConnectionError, aiohttp.ClientError) as error:
            log.debug("%s: not sent: %s", self.id, error)  # the reader sees the end of the socket

    def _queue(self, item: Outgoing) -> None:
        self.outbox.add(item)
        self._work.set()

    def _next_item(self) -> Outgoing | None:
        return self.outbox.next(self.clock.monotonic(), booted=self.booted, reorder=self.quirks.reorder)

    async def _pump(self, connection: Connection) -> None:
        """Sends what is queued, one CALL at a time (OCPP-J 4.1.1)."""
        wake_up: Timer | None = None
        try:
            while True:
                self._work.clear()
                item = None if self._open is not None else self._next_item()
                if item is None:
                    if wake_up is not None:
                        wake_up.cancel()
                        wake_up = None
                    if self._open is None:
                        seconds = self.outbox.seconds_to_next(
                            self.clock.monotonic(), booted=self.booted, reorder=self.quirks.reorder
                        )
                        if seconds is not None:
                            wake_up = Timer(self.clock, max(0.0, seconds), self._work.set)
                    await self._work.wait()
                    continue
                await self._send_call(connection, item)
        finally:
            if wake_up is not None:
                wake_up.cancel()

    async def _send_call(self, connection: Connection, item: Outgoing) -> None:
        payload = item.build()
        for name in self.quirks.payload_omissions.get(item.action, ()):
            payload.pop(name, None)
        payload |= self.quirks.payload_changes.get(item.action, {})
        message_id = self._message_id()
        text = frames.call(message_id, item.action, payload)
        timer = Timer(self.clock, self.settings.call_timeout_seconds, self._timed_out)
        self._open = _Open(item, message_id, payload, timer)
        for _ in range(2 if item.action in self.quirks.duplicate else 1):
            await self._send(connection, text, action=item.action, payload=payload, kind=frames.CALL, id_=message_id)
        while self._answers_held:
            await self._send(connection, self._answers_held.pop(0))

    def _message_id(self) -> str:
        if self.quirks.message_id is not None:
            return self.quirks.message_id
        self._message_number += 1
        if self.quirks.restart_message_ids:
            return str(1_000_000 + self._message_number)
        return f"{self._random.getrandbits(48):012x}-{self._message_number}"

    async def _send(
        self,
        connection: Connection,
        data: str | bytes,
        *,
        action: str | None = None,
        payload: Any = None,
        kind: int | None = None,
        id_: str | None = None,
        as_text: bool | None = None,
    ) -> None:
        self._processing += 1
        try:
            self._record("out", data, kind, id_, action, payload)
            await connection.send(data, as_text=as_text)
            self.frames_sent += 1
        finally:
            self._processing -= 1
            self._changed()

    # -- receiving

    async def _read(self, connection: Connection) -> None:
        async for frame in connection.frames(self.quirks):
            self._unanswered = 0
            if isinstance(frame, Pong):
                pong = self._pongs.pop(frame.data, None)
                if pong is not None and not pong.done():
                    pong.set_result(True)
                continue
            self.frames_received += 1
            self._processing += 1
            try:
                await self._received(connection, frame)
            finally:
                self._processing -= 1
                self._changed()

    async def _received(self, connection: Connection, raw: str | bytes) -> None:
        message = frames.read(raw)
        if message is None:
            self.frames_unexpected += 1
            self._record("in", raw, None, None, None, None)
            return
        waiting = self._open
        if message.kind == frames.CALL:
            assert message.action is not None
            self._record("in", raw, message.kind, message.id, message.action, message.payload)
            await self._called(connection, message.id, message.action, message.payload)
        elif waiting is None or waiting.id != message.id:
            self.frames_unexpected += 1
            self._record("in", raw, message.kind, message.id, None, message.payload)
        else:
            self._record("in", raw, message.kind, message.id, waiting.item.action, message.payload)
            error = message.error
            if error is None and not isinstance(message.payload, dict):
                error = OcppError("FormationViolation", "the result's payload is not an object")
            self._answered(waiting, message.payload, error)

    def _answered(self, waiting: _Open, payload: dict[str, Any], error: SimulatorError | None) -> None:
        self._open = None
        waiting.timer.cancel()
        item = waiting.item
        if error is None:
            self.outbox.remove(item)
            self._conclude(item, waiting.payload, payload, None)
        else:
            attempts_max, interval = self._retry_rules()
            given_up = self.outbox.failed(item, self.clock.monotonic(), attempts_max=attempts_max, interval_seconds=interval)
            if given_up:
                self._conclude(item, waiting.payload, None, error)
            else:
                self._exchanged("out", item.action, waiting.payload, None, error)
        self._work.set()

    def _conclude(
        self, item: Outgoing, request: dict[str, Any], response: dict[str, Any] | None, error: SimulatorError | None
    ) -> None:
        # First what the charge point makes of it, then those who watch.
        if item.done is not None:
            item.done(response, error)
        self._exchanged("out", item.action, request, response, error)

    def _timed_out(self) -> None:
        waiting = self._open
        if waiting is None:
            return
        self._unanswered += 1
        self._answered(waiting, {}, CallTimeout(f"{waiting.item.action} was not answered"))
        if self._unanswered >= self.settings.unanswered_calls_max and self._connection is not None:
            self._connection.drop()  # nothing at all arrives any more: the way back is dead
        self._changed()

    async def _called(self, connection: Connection, message_id: str, action: str, payload: Any) -> None:
        quirks = self.quirks
        if quirks.silent or action in quirks.silent_to or not self._listens(action):
            self._exchanged("in", action, payload if isinstance(payload, dict) else {}, None, None)
            return
        delay = quirks.answer_delays.get(action, quirks.answer_delay_seconds)
        if delay > 0:
            answering = self._answer_call
            Timer(self.clock, delay, lambda: self._spawn(self._guarded(answering(connection, message_id, action, payload))))
        else:
            await self._answer_call(connection, message_id, action, payload)

    async def _answer_call(self, connection: Connection, message_id: str, action: str, payload: Any) -> None:
        if connection is not self._connection:
            return  # the socket was lost while the answer was delayed: the CALL has no effect
        quirks = self.quirks
        answer: Answer | None = None
        error: OcppError | None = None
        kind = frames.CALLRESULT
        try:
            if not isinstance(payload, dict):
                raise OcppError("FormationViolation", "the payload is not an object")
            canned = quirks.answers.get(action)
            answer = self._answer(action, payload) if canned is None else Answer(canned)
            text = frames.call_result(message_id, answer.payload)
        except OcppError as refusal:
            error, kind = refusal, frames.CALLERROR
            text = frames.call_error(message_id, refusal)
        if action in quirks.raw_answers:
            text = quirks.raw_answers[action].replace("{id}", message_id)
        follow = answer.then if answer is not None else None
        if quirks.start_before_answer and action == "RemoteStartTransaction" and follow is not None:
            self._answers_held.append(text)
            follow()
        else:
            shown = answer.payload if answer is not None else None
            await self._send(connection, text, kind=kind, id_=message_id, action=action, payload=shown)
            if follow is not None:
                follow()
        request = payload if isinstance(payload, dict) else {}
        self._exchanged("in", action, request, answer.payload if answer is not None else None, error)
        self._changed()

    # -- the end of a socket

    def _forget_open_calls(self) -> None:
        gone = NotConnected(f"{self.id} lost its connection")
        waiting, self._open = self._open, None
        self._answers_held.clear()
        if waiting is not None:
            waiting.timer.cancel()
            if not waiting.item.transactional:
                self._conclude(waiting.item, waiting.payload, None, gone)
        for item in self.outbox.lose_volatile():
            if waiting is None or item is not waiting.item:
                self._conclude(item, {}, None, gone)
        for pong in self._pongs.values():
            if not pong.done():
                pong.set_result(False)
        self._pongs.clear()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s: failed in the background", self.id, exc_info=task.exception())
