"""The relay: what was announced in a transaction leaves for the broker, at least once, in order per subject.

    commit → NOTIFY → relay (one per schema, by advisory lock) → publish, confirmed → published_at

It reads unpublished rows, never "after the last id": a transaction that commits late has a small id, and a cursor would skip it
for ever. No database transaction is held while publishing. A subject whose first message fails waits; the others go on.
"""

import asyncio
from typing import Any

import asyncpg
import sqlalchemy as sa
import structlog
from prometheus_client import Counter, Gauge

from chassis.database.database import Database
from chassis.database.tables import INBOX_DAYS_KEPT, OUTBOX_DAYS_KEPT, idempotency_keys, outbox
from chassis.messaging.bus import Bus
from chassis.messaging.envelope import Outgoing
from chassis.messaging.errors import MessagingError
from chassis.runtime import Service

log = structlog.get_logger(__name__)

ROUND_ROWS_MAX = 500
"""Most rows in one round: bounds memory, and how much is published again after a crash."""

WAKE_SECONDS = 5.0
"""Longest wait without a NOTIFY (one can be lost with its connection). Real time: this is plumbing."""

FAILURE_SECONDS = 1.0
"""Pause after a round in which something failed."""

HOUSEKEEPING_SECONDS = 3600.0
"""How often partitions are made ahead and old rows dropped."""


class _RelayedAddress:
    """An address read back from its row."""

    __slots__ = ("exchange", "mandatory", "routing_key")

    def __init__(self, exchange: str, routing_key: str, *, mandatory: bool) -> None:
        self.exchange = exchange
        self.routing_key = routing_key
        self.mandatory = mandatory


class OutboxRelay:
    """Publishes a schema's outbox. A Part; of several replicas one relays, the others wait for its lock."""

    def __init__(self, database: Database, bus: Bus, service: Service) -> None:
        self._database = database
        self._bus = bus
        self._service = service
        self._wake = asyncio.Event()
        registry = bus.telemetry.registry
        self._relayed = Counter("voltlync_outbox_relayed_total", "Outbox rows confirmed by the broker", registry=registry)
        self._failed = Counter("voltlync_outbox_failures_total", "Outbox rows that could not be published yet", registry=registry)
        self._waiting = Gauge("voltlync_outbox_waiting", "Outbox rows seen unpublished in the last round", registry=registry)

    async def start(self) -> None:
        """Compete for the lock and relay."""
        self._service.tasks.start(f"{self._database.schema}.outbox", self._run())
        self._service.tasks.start(f"{self._database.schema}.housekeeping", self._keep_house())

    async def stop(self) -> None:
        """One last round, so that what was committed before the stop has left; then the task ends with the service."""
        try:
            async with asyncio.timeout(5):
                while await self._round():
                    pass
        except (OSError, sa.exc.SQLAlchemyError, MessagingError, TimeoutError) as error:
            log.warning("outbox.last_round_failed", schema=self._database.schema, error=repr(error))

    async def _run(self) -> None:
        while True:
            try:
                await self._relay_while_locked()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, sa.exc.SQLAlchemyError, TimeoutError) as error:
                log.warning("outbox.relay_interrupted", schema=self._database.schema, error=repr(error))
                await asyncio.sleep(FAILURE_SECONDS)  # noqa: TID251  (plumbing runs on real time)

    async def _relay_while_locked(self) -> None:
        connection: asyncpg.Connection[Any] = await asyncpg.connect(
            self._database.url, timeout=10, server_settings={"application_name": f"voltlync_{self._database.schema}_outbox"}
        )
        try:
            # Waits here while another replica relays; the lock goes with its connection.
            await connection.execute("SELECT pg_advisory_lock(hashtext($1))", f"{self._database.schema}.outbox", timeout=None)
            await connection.add_listener(self._database.outbox_channel, self._notified)
            log.info("outbox.relaying", schema=self._database.schema)
            while not connection.is_closed():
                self._wake.clear()
                await self._bus.connected.wait()
                with self._service.work.on("outbox"):
                    sent, failed = await self._round_counted()
                if failed:
                    await asyncio.sleep(FAILURE_SECONDS)  # noqa: TID251
                elif not sent:
                    await self._wait_for_wake()
        finally:
            if not connection.is_closed():
                await connection.close(timeout=5)

    def _notified(self, *_: object) -> None:
        self._wake.set()

    async def _wait_for_wake(self) -> None:
        try:
            async with asyncio.timeout(WAKE_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _round(self) -> int:
        sent, failed = await self._round_counted()
        return 0 if failed else sent

    async def _round_counted(self) -> tuple[int, int]:
        """Publish what is unpublished: (confirmed, failed)."""
        async with self._database.engine.connect() as connection:
            rows = (
                await connection.execute(
                    sa.select(outbox).where(outbox.c.published_at.is_(None)).order_by(outbox.c.id).limit(ROUND_ROWS_MAX)
                )
            ).all()
        self._waiting.set(len(rows))
        if not rows:
            return 0, 0
        by_subject: dict[str, list[sa.Row[Any]]] = {}
        for row in rows:
            by_subject.setdefault(row.subject, []).append(row)
        chains = await asyncio.gather(*(self._chain(chain) for chain in by_subject.values()))
        done = [row_id for chain in chains for row_id in chain]
        if done:
            async with self._database.engine.begin() as connection:
                await connection.execute(
                    sa.update(outbox).where(outbox.c.id.in_(done)).values(published_at=self._service.clock.now())
                )
            self._relayed.inc(len(done))
        failed = len(rows) - len(done)
        if failed:
            self._failed.inc(failed)
        return len(done), failed

    async def _chain(self, rows: list[sa.Row[Any]]) -> list[int]:
        """Publish one subject's rows one after the other; stop at the first that fails."""
        done: list[int] = []
        for row in rows:
            message = Outgoing(
                type=row.type,
                message_id=row.message_id,
                body=row.body,
                occurred_at=row.created_at,
                subject=row.subject,
                subject_version=row.subject_version,
                correlation_id=row.correlation_id,
                traceparent=row.traceparent,
            )
            try:
                await self._bus.send(message, to=_RelayedAddress(row.exchange, row.routing_key, mandatory=row.mandatory))
            except MessagingError as error:
                log.warning(
                    "outbox.publish_failed",
                    schema=self._database.schema,
                    outbox_id=row.id,
                    type=row.type,
                    subject=row.subject,
                    message_id=row.message_id,
                    error=str(error),
                )
                break
            done.append(row.id)
        return done

    async def _keep_house(self) -> None:
        """Partitions ahead, old rows away: at start and every hour."""
        while True:
            try:
                now = self._service.clock.now()
                with self._service.work.on("housekeeping"):
                    async with self._database.engine.begin() as connection:
                        await connection.execute(
                            sa.text("SELECT keep_inbox_partitions(:today, :days)"), {"today": now.date(), "days": INBOX_DAYS_KEPT}
                        )
                        age = sa.func.make_interval(0, 0, 0, OUTBOX_DAYS_KEPT)
                        await connection.execute(sa.delete(outbox).where(outbox.c.published_at < sa.literal(now) - age))
                        await connection.execute(
                            sa.delete(idempotency_keys).where(idempotency_keys.c.created_at < sa.literal(now) - age)
                        )
            except (OSError, sa.exc.SQLAlchemyError, TimeoutError) as error:
                log.warning("housekeeping.failed", schema=self._database.schema, error=repr(error))
            await self._service.clock.sleep(HOUSEKEEPING_SECONDS)
