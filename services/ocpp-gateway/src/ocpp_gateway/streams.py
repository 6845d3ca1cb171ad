"""Each charger's events, in their order, on their way to its lane: through the broker, or through the spool while it is away.

One event of a charger is on the wire at a time, so nothing that fails can be overtaken; a charger has one CALL open anyway
(OCPP-J §4.1.1). Chargers do not wait for each other: the packer frames what waits for the same lane.

    tell → (behind what the charger sent before) → packer → confirmed → settled(True)
                                                     └ not confirmed → spool → synced → settled(True)
                                                                                  └ full → settled(False): nobody is answered
While a charger has anything in the spool all its new events join it, and its questions wait until it is relayed.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from functools import partial
from typing import Any, Protocol

import orjson
import structlog
from pydantic import BaseModel

from chassis.messaging import Bus, MessagingError, Outgoing, Packer
from chassis.runtime import Service
from contracts.topology import Address, lane_of
from ocpp_gateway.metrics import Metrics
from ocpp_gateway.spool import Spool, SpoolFull

log = structlog.get_logger(__name__)

SENDER = "ocpp_gateway"

GATHER_SECONDS = 0.05
"""Real-time window in which a busy gateway gathers events before it publishes them: fewer and larger packs per lane."""

AT_ONCE_MAX = 32
"""Events in a window that leave at once, two per lane. Only beyond that (640 a second) anything waits for company."""

DRAIN_LOOK_SECONDS = 0.2
"""While stopping: how often what is stuck is tried again, in real time."""


def lane_address(charge_point_id: str) -> Address:
    """The charger's lane, as this service writes to it."""
    return Address(f"{SENDER}.lanes", f"{lane_of(charge_point_id):02d}", mandatory=True)


class Stream:
    """What one charger has under way."""

    __slots__ = ("address", "charge_point_id", "current", "pending", "session_until", "since")

    def __init__(self, charge_point_id: str) -> None:
        self.charge_point_id = charge_point_id
        self.address = lane_address(charge_point_id)
        self.current: Outbound | None = None
        """On the wire, not confirmed."""
        self.since = 0.0
        """When it went there, by the service's clock."""
        self.pending: deque[Outbound] = deque()
        """Behind it."""
        self.session_until: float | None = None
        """Unix time until which its charger is taken to bear a session, 0 once it ended; None: nothing was said of one here."""


class Numbered(Protocol):
    """A connection, as far as its events' identity goes."""

    epoch: int

    def take_seq(self) -> int:
        """The next place in the connection."""
        ...


class Outbound:
    """One event of a charger. It gets its place in the connection (`seq`) when its turn comes."""

    __slots__ = (
        "connection",
        "data",
        "decision",
        "event_type",
        "expires_at",
        "must_keep",
        "received_at",
        "seq",
        "settled",
        "stream",
        "traceparent",
    )

    def __init__(
        self,
        stream: Stream,
        connection: Numbered,
        event_type: str,
        data: dict[str, Any],
        received_at: datetime,
        settled: Callable[[Any], None],
        *,
        must_keep: bool = False,
        seq: int | None = None,
        traceparent: str | None = None,
    ) -> None:
        """`data`: the event's own fields, snake_case, ready for JSON. `settled(True)` once it is durable, `settled(False)` if it
        could not be made so; an event that `must_keep` is tried again instead. `seq`: only where the connection is not ours.
        """
        self.stream = stream
        self.connection = connection
        self.event_type = event_type
        self.data = data
        self.received_at = received_at
        self.settled = settled
        self.must_keep = must_keep
        self.seq = seq
        self.traceparent = traceparent
        self.decision: type[BaseModel] | None = None
        self.expires_at = 0.0

    def message(self, gateway: str) -> Outgoing:
        """The event as it goes out, numbered now if it was not."""
        epoch = self.connection.epoch
        if self.seq is None:
            self.seq = self.connection.take_seq()
        charge_point_id = self.stream.charge_point_id
        body = {
            "charge_point_id": charge_point_id,
            "epoch": epoch,
            "seq": self.seq,
            "received_at": self.received_at,
            "gateway": gateway,
            **self.data,
        }
        return Outgoing(
            type=self.event_type,
            message_id=f"{charge_point_id}/{epoch}/{self.seq}",
            body=orjson.dumps(body),
            occurred_at=self.received_at,
            subject=charge_point_id,
            traceparent=self.traceparent,
        )


class Streams:
    """All chargers' streams. A Part: its stop waits until everything is durable."""

    def __init__(
        self,
        *,
        service: Service,
        bus: Bus,
        packer: Packer,
        spool: Spool,
        metrics: Metrics,
        gateway: str,
        confirm_seconds: float,
        decision_seconds: float,
        drain_seconds: float,
    ) -> None:
        self._service = service
        self._clock = service.clock
        self._bus = bus
        self._packer = packer
        self._spool = spool
        self._metrics = metrics
        self._gateway = gateway
        self._confirm_seconds = confirm_seconds
        self._decision_seconds = decision_seconds
        self._drain_seconds = drain_seconds
        self._streams: dict[str, Stream] = {}
        self._moving: set[Stream] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._gathered: list[Outbound] = []
        self._window_ends = 0.0
        self._in_window = 0
        self._in_work = 0
        self._work: AbstractContextManager[None] | None = None

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Wait until what chargers and commands left is durable, or the drain limit has passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain_seconds):
                while self._moving:
                    self.sweep()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(DRAIN_LOOK_SECONDS):
                            await self._quiet.wait()
        if self._moving:
            log.error("streams.left_behind", chargers=[stream.charge_point_id for stream in self._moving][:20])

    def of(self, charge_point_id: str) -> Stream:
        """The charger's stream; made at its first socket and kept, for it is small."""
        stream = self._streams.get(charge_point_id)
        if stream is None:
            stream = self._streams[charge_point_id] = Stream(charge_point_id)
        return stream

    def tell(self, event: Outbound) -> None:
        """Send an event after everything that the charger sent before."""
        stream = event.stream
        if stream.current is not None or stream.pending:
            stream.pending.append(event)
        else:
            self._send(event)

    def ask(self, question: Outbound, decision: type[BaseModel]) -> None:
        """Send a question in its order; `settled` gets the decision, or None when none came in time."""
        question.decision = decision
        question.expires_at = self._clock.monotonic() + self._decision_seconds
        self.tell(question)

    def relayed(self, charge_point_id: str) -> None:
        """Nothing of this charger is left in the spool: its questions may go."""
        stream = self._streams.get(charge_point_id)
        if stream is not None:
            self._pump(stream)

    def sweep(self) -> None:
        """Move what the broker does not confirm to the spool, end questions whose time is over, retry what must be kept."""
        now = self._clock.monotonic()
        for stream in list(self._moving):
            current = stream.current
            if current is not None and current.decision is None and now - stream.since >= self._confirm_seconds:
                log.warning("event.unconfirmed", charge_point_id=stream.charge_point_id, seconds=now - stream.since)
                self._off_wire(stream)
                self._to_spool(current)
            self._pump(stream)

    def _send(self, event: Outbound) -> None:
        """Give an event whose turn it is to the broker, or to the spool. A question that must wait becomes pending again."""
        stream = event.stream
        if not self._moving:
            self._quiet.clear()
        self._moving.add(stream)
        spooled = stream.charge_point_id in self._spool.waiting
        if event.decision is not None:
            if spooled:
                stream.pending.appendleft(event)
            else:
                stream.current = event
                self._service.tasks.start("ask", self._ask(event, event.decision))
            return
        if spooled:
            self._to_spool(event)
            return
        stream.current = event
        stream.since = self._clock.monotonic()
        self._work_begins()
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now >= self._window_ends:
            self._window_ends = now + GATHER_SECONDS
            self._in_window = 0
        self._in_window += 1
        if self._in_window <= AT_ONCE_MAX:
            self._publish(event)
            return
        if not self._gathered:
            loop.call_at(self._window_ends, self._publish_gathered)
        self._gathered.append(event)

    def _publish_gathered(self) -> None:
        """The window is over: what gathered leaves together. If that was much, the next window gathers from its first event."""
        gathered, self._gathered = self._gathered, []
        self._window_ends = asyncio.get_running_loop().time() + GATHER_SECONDS
        self._in_window = len(gathered)
        for event in gathered:
            if event.stream.current is event:
                self._publish(event)

    def _publish(self, event: Outbound) -> None:
        """Hand an event to the packer, which takes it in its place now."""
        try:
            confirmed = self._packer.enqueue(event.message(self._gateway), to=event.stream.address)
        except MessagingError:
            self._off_wire(event.stream)
            self._to_spool(event)
            self._pump(event.stream)
        else:
            confirmed.add_done_callback(partial(self._published, event))

    def _published(self, event: Outbound, confirmed: asyncio.Future[None]) -> None:
        """The broker's word on an event."""
        failed = confirmed.cancelled() or confirmed.exception() is not None
        stream = event.stream
        if stream.current is not event:
            return  # it went to the spool meanwhile, which is where it is settled
        self._off_wire(stream)
        if not failed:
            event.settled(True)
        else:
            self._to_spool(event)
        self._pump(stream)

    def _off_wire(self, stream: Stream) -> None:
        stream.current = None
        self._work_ends()

    def _pump(self, stream: Stream) -> None:
        """Send what is pending until something is on the wire, or the first of it has to wait."""
        while stream.pending and stream.current is None:
            head = stream.pending.popleft()
            if head.decision is not None and self._clock.monotonic() >= head.expires_at:
                head.settled(None)
                continue
            self._send(head)
            if stream.pending and stream.pending[0] is head:
                return
        self._rest(stream)

    def _rest(self, stream: Stream) -> None:
        if stream.current is None and not stream.pending:
            self._moving.discard(stream)
            if not self._moving:
                self._quiet.set()

    async def _ask(self, question: Outbound, model: type[BaseModel]) -> None:
        stream = question.stream
        decision: BaseModel | None = None
        try:
            decision = await self._bus.ask_message(
                question.message(self._gateway),
                to=stream.address,
                answer=model,
                timeout_seconds=question.expires_at - self._clock.monotonic(),
            )
        except (MessagingError, ValueError) as error:
            log.warning(
                "charger.question_unanswered", charge_point_id=stream.charge_point_id, type=question.event_type, error=str(error)
            )
        finally:
            stream.current = None
            question.settled(decision)
            self._pump(stream)

    def _to_spool(self, event: Outbound) -> None:
        """Write it down. The charger's further events follow without waiting for the disk: the file keeps their order."""
        stream = event.stream
        message = event.message(self._gateway)
        meta = orjson.dumps(
            {"type": message.type, "id": message.message_id, "at": message.occurred_at, "traceparent": message.traceparent}
        )
        try:
            self._spool.append(stream.charge_point_id, meta + b"\n" + message.body, partial(self._spooled, event))
        except SpoolFull:
            self._refused(event)
        else:
            self._work_begins()
        self._rest(stream)

    def _spooled(self, event: Outbound, synced: bool) -> None:
        """The disk's word on an event."""
        self._work_ends()
        if synced:
            event.settled(True)
        else:
            self._refused(event)

    def _refused(self, event: Outbound) -> None:
        """Neither broker nor disk would have it."""
        if event.must_keep:
            event.stream.pending.appendleft(event)
            self._quiet.clear()
            self._moving.add(event.stream)
        else:
            event.settled(False)

    # What is on its way to broker or disk is work in progress; what waits for a decision or for time is not.

    def _work_begins(self) -> None:
        self._in_work += 1
        if self._in_work == 1:
            self._work = self._service.work.on("events")
            self._work.__enter__()

    def _work_ends(self) -> None:
        self._in_work -= 1
        if self._in_work == 0 and self._work is not None:
            self._work.__exit__(None, None, None)


def spooled_message(charge_point_id: str, payload: bytes) -> Outgoing:
    """What `Streams` wrote to the spool, as a message again."""
    meta, _, body = payload.partition(b"\n")
    fields = orjson.loads(meta)
    return Outgoing(
        type=fields["type"],
        message_id=fields["id"],
        body=body,
        occurred_at=datetime.fromisoformat(fields["at"]),
        subject=charge_point_id,
        traceparent=fields["traceparent"],
    )
