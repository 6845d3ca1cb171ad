"""From the spool to the lanes, in order, once the broker is back."""

import asyncio
from collections import defaultdict

import structlog

from chassis.messaging import Address, Bus, MessagingError, Outgoing
from chassis.messaging.envelope import pack
from chassis.runtime import Service
from ocpp_gateway.spool import Record, Spool
from ocpp_gateway.streams import Streams, lane_address, spooled_message

log = structlog.get_logger(__name__)

BATCH_RECORDS_MAX = 256
"""A batch becomes one pack per lane; the next begins when all of it is confirmed, so no charger's order can break."""

BATCH_BYTES_MAX = 512 * 1024
"""Of one batch; a single longer record goes alone."""

RETRY_SECONDS = 0.5
"""After a failure, in real time: the broker's absence is no matter of the business clock."""


class Relay:
    """The one reader of the spool. A Part."""

    def __init__(self, *, service: Service, bus: Bus, spool: Spool, streams: Streams, drain_seconds: float) -> None:
        self._service = service
        self._bus = bus
        self._spool = spool
        self._streams = streams
        self._drain_seconds = drain_seconds
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Relay from now on, beginning with what an earlier life left."""
        self._task = self._service.tasks.start("relay", self._run())

    async def stop(self) -> None:
        """Leave with an empty spool where the broker lets us; else the spool says what stays behind."""
        try:
            async with asyncio.timeout(self._drain_seconds):
                while not self._spool.empty and self._bus.connected.is_set():  # noqa: ASYNC110  (bounded by the timeout)
                    await asyncio.sleep(0.05)  # noqa: TID251  (real time: the broker's pace)
        except TimeoutError:
            log.warning("relay.not_drained", events=self._spool.events)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._spool.arrived.wait()
            await self._bus.connected.wait()
            try:
                with self._service.work.on("relay"):
                    await self._relay_batch()
            except (MessagingError, OSError) as error:
                log.warning("relay.failed", error=str(error), events=self._spool.events)
                await asyncio.sleep(RETRY_SECONDS)  # noqa: TID251  (see RETRY_SECONDS)

    async def _relay_batch(self) -> None:
        records = await self._spool.read(BATCH_RECORDS_MAX, BATCH_BYTES_MAX)
        if not records:
            return
        lanes: dict[tuple[str, str], tuple[Address, list[Outgoing]]] = {}
        for record in records:
            address = lane_address(record.key)
            lane = lanes.setdefault((address.exchange, address.routing_key), (address, []))
            lane[1].append(spooled_message(record.key, record.payload))
        outcomes = await asyncio.gather(
            *(self._publish(address, messages) for address, messages in lanes.values()), return_exceptions=True
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        await self._forget(records)

    async def _publish(self, address: Address, messages: list[Outgoing]) -> None:
        if len(messages) == 1:
            await self._bus.send(messages[0], to=address)
        else:
            body, properties = pack(messages, self._bus.app_id)
            await self._bus.send_body(
                body, properties, exchange=address.exchange, key=address.routing_key, mandatory=address.mandatory
            )

    async def _forget(self, records: list[Record]) -> None:
        relayed: dict[str, int] = defaultdict(int)
        for record in records:
            relayed[record.key] += 1
        await self._spool.forget(records)
        log.info("relay.relayed", events=len(records), chargers=len(relayed), left=self._spool.events)
        for charge_point_id in relayed:
            if charge_point_id not in self._spool.waiting:
                self._streams.relayed(charge_point_id)
