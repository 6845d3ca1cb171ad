"""The relay: what was announced in a transaction leaves for the broker, at least once, in order per subject.

    commit → NOTIFY → relay (one per schema, by advisory lock) → publish, confirmed → published_at

It reads unpublished rows, never "after the last id": a transaction that commits late has a small id, and a cursor would skip it
for ever. No database transaction is held while publishing. Reading and marking go through the very connection that holds the
lock: a relay that lost the lock without knowing can neither read on nor mark.

A message that no queue takes blocks its subject alone: the subject is tried again later and later, and its rows stay out of the
rounds meanwhile, so that however many they are the others go on. One with a `deadline` of its own is given up once that has
passed: nobody may act on it any more, and its sender has a rule for silence. A fact has no deadline and waits for ever.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import orjson
import sqlalchemy as sa
import structlog
from prometheus_client import Counter, Gauge

from chassis.database.database import KEEPALIVE_SETTINGS, Database
from chassis.database.tables import INBOX_DAYS_KEPT, OUTBOX_DAYS_KEPT, idempotency_keys, outbox
from chassis.messaging.bus import Bus
from chassis.messaging.envelope import Outgoing
from chassis.messaging.errors import BrokerUnavailable
from chassis.runtime import Service

log = structlog.get_logger(__name__)

ROUND_ROWS_MAX = 500
"""Most rows in one round: bounds memory, and how much is published again after a crash."""

WAKE_SECONDS = 5.0
"""Longest wait without a NOTIFY (one can be lost with its connection). Real time: this is plumbing."""

FAILURE_SECONDS = 1.0
"""Pause after a round in which the broker or the database was away."""

LOCK_SECONDS = 2.0
"""How often a replica that does not relay asks for the lock. It asks, rather than waits in the server: a connection that died
unnoticed would wait for ever, and nobody would relay."""

BLOCKED_SECONDS = (1.0, 5.0, 15.0, 60.0)
"""Pauses before a subject is tried again whose message no queue takes."""

STATEMENT_SECONDS_MAX = 30.0
"""Longest wait for the database on the relay's own connection: past it the connection is given up."""

LAST_ROUND_SECONDS = 5.0
"""Longest that a stop waits for what was committed before it to leave."""

HOUSEKEEPING_SECONDS = 3600.0
"""How often partitions are made ahead and old rows dropped."""

HOUSEKEEPING_LOCK_TIMEOUT = "5s"
"""Longest that housekeeping waits for a table's lock: behind it every consumer would queue."""

_UNPUBLISHED = """
SELECT id, subject, message_id, type, exchange, routing_key, mandatory, body, subject_version, correlation_id, traceparent,
    created_at
FROM outbox WHERE published_at IS NULL AND NOT (subject = ANY($1::text[])) ORDER BY id LIMIT $2
"""
_MARK = "UPDATE outbox SET published_at = $1 WHERE id = ANY($2::bigint[])"
_DROP = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"


class _RelayedAddress:
    """An address read back from its row."""

    __slots__ = ("exchange", "mandatory", "routing_key")

    def __init__(self, exchange: str, routing_key: str, *, mandatory: bool) -> None:
        self.exchange = exchange
        self.routing_key = routing_key
        self.mandatory = mandatory


@dataclass
class _Blocked:
    """A subject whose first message can't be delivered."""

    until: float
    attempts: int


class OutboxRelay:
    """Publishes a schema's outbox. A Part; of several replicas one relays, the others wait for its lock."""

    def __init__(self, database: Database, bus: Bus, service: Service) -> None:
        self._database = database
        self._bus = bus
        self._service = service
        self._wake = asyncio.Event()
        self._ending = asyncio.Event()
        self._relaying = False
        self._hurry = False
        self._blocked: dict[str, _Blocked] = {}
        self._tasks: list[asyncio.Task[None]] = []
        registry = bus.telemetry.registry
        self._relayed = Counter("voltlync_outbox_relayed_total", "Outbox rows confirmed by the broker", registry=registry)
        self._failed = Counter("voltlync_outbox_failures_total", "Outbox rows that could not be published yet", registry=registry)
        self._given_up = Counter(
            "voltlync_outbox_given_up_total", "Outbox rows that no queue took before their deadline", ["type"], registry=registry
        )
        self._waiting = Gauge("voltlync_outbox_waiting", "Outbox rows seen unpublished in the last round", registry=registry)
        self._blocked_subjects = Gauge(
            "voltlync_outbox_blocked_subjects", "Subjects that wait because no queue takes their first message", registry=registry
        )

    async def start(self) -> None:
        """Compete for the lock and relay."""
        keep = self._service.tasks.keep
        self._tasks = [
            keep(f"{self._database.schema}.outbox", self._run),
            keep(f"{self._database.schema}.housekeeping", self._keep_house),
        ]

    async def stop(self) -> None:
        """Where we relay: let what was committed before the stop leave. Then let go of the lock."""
        self._ending.set()
        self._wake.set()
        if self._relaying and self._bus.connected.is_set():
            await asyncio.wait(self._tasks[:1], timeout=LAST_ROUND_SECONDS)
            self._hurry = True  # what was confirmed is to be marked, or all of this round would leave twice
            await asyncio.wait(self._tasks[:1], timeout=LAST_ROUND_SECONDS)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self) -> None:
        while not self._ending.is_set():
            try:
                await self._relay_while_locked()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                log.warning("outbox.relay_interrupted", schema=self._database.schema, error=repr(error))
                await self._rest(FAILURE_SECONDS)

    async def _relay_while_locked(self) -> None:
        schema = self._database.schema
        connection: asyncpg.Connection[Any] = await asyncpg.connect(
            self._database.url,
            timeout=10,
            command_timeout=STATEMENT_SECONDS_MAX,
            server_settings={
                "application_name": f"voltlync_{schema}_outbox",
                "search_path": schema,
                "timezone": "UTC",
                **KEEPALIVE_SETTINGS,
            },
        )
        try:
            # Held by the connection: when it dies another replica takes over.
            while not await connection.fetchval("SELECT pg_try_advisory_lock(hashtext($1))", f"{schema}.outbox"):
                await self._rest(LOCK_SECONDS)
                if self._ending.is_set():
                    return
            await connection.add_listener(self._database.outbox_channel, self._notified)
            connection.add_termination_listener(self._notified)
            log.info("outbox.relaying", schema=schema)
            self._relaying = True
            while not connection.is_closed() and await self._turn(connection):
                pass
        finally:
            self._relaying = False
            if not connection.is_closed():
                await connection.close(timeout=5)

    async def _turn(self, connection: "asyncpg.Connection[Any]") -> bool:
        """One round and the rest after it; returns whether to go on."""
        self._wake.clear()
        await self._bus.connected.wait()
        with self._service.work.on("outbox"):
            seen, broker_away = await self._round(connection)
        if self._hurry or (self._ending.is_set() and (broker_away or not seen)):
            return False
        if broker_away:
            await self._rest(FAILURE_SECONDS)
        elif not seen:
            await self._wait_for_wake()
        return True

    def _notified(self, *_: object) -> None:
        self._wake.set()

    async def _rest(self, seconds: float) -> None:
        """Real time, cut short by a stop."""
        try:
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        except TimeoutError:
            return

    async def _wait_for_wake(self) -> None:
        now = asyncio.get_running_loop().time()
        due = min((blocked.until - now for blocked in self._blocked.values()), default=WAKE_SECONDS)
        try:
            async with asyncio.timeout(max(0.0, min(WAKE_SECONDS, due))):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _round(self, connection: "asyncpg.Connection[Any]") -> tuple[int, bool]:
        """Publish what is unpublished and not blocked: (rows seen, whether the broker failed us)."""
        now = asyncio.get_running_loop().time()
        due = [subject for subject, blocked in self._blocked.items() if blocked.until <= now]
        waiting = [subject for subject, blocked in self._blocked.items() if blocked.until > now]
        rows = await connection.fetch(_UNPUBLISHED, waiting, ROUND_ROWS_MAX)
        self._waiting.set(len(rows))
        by_subject: dict[str, list[asyncpg.Record]] = {}
        for row in rows:
            by_subject.setdefault(row["subject"], []).append(row)
        if len(rows) < ROUND_ROWS_MAX:
            for subject in due:
                if subject not in by_subject:
                    del self._blocked[subject]  # its rows are gone: somebody removed them
        if not rows:
            return 0, False
        done: list[int] = []
        given_up: list[int] = []
        away = await asyncio.gather(*(self._chain(chain, done, given_up) for chain in by_subject.values()))
        if done:
            await connection.execute(_MARK, self._service.clock.now(), done)
            self._relayed.inc(len(done))
        if given_up:
            await connection.execute(_DROP, given_up)
        self._failed.inc(len(rows) - len(done) - len(given_up))
        self._blocked_subjects.set(len(self._blocked))
        failures = [error for error in away if error is not None]
        if failures:
            log.warning(
                "outbox.broker_away", schema=self._database.schema, rows=len(rows), subjects=len(failures), error=str(failures[0])
            )
        return len(rows), bool(failures)

    async def _chain(self, rows: "list[asyncpg.Record]", done: list[int], given_up: list[int]) -> BrokerUnavailable | None:
        """Publish one subject's rows one after the other; stop at the first that fails. Returns the broker's failure, if any."""
        for row in rows:
            if self._hurry:
                return None
            message = Outgoing(
                type=row["type"],
                message_id=row["message_id"],
                body=row["body"],
                occurred_at=row["created_at"],
                subject=row["subject"],
                subject_version=row["subject_version"],
                correlation_id=row["correlation_id"],
                traceparent=row["traceparent"],
            )
            try:
                await self._bus.send(message, to=_RelayedAddress(row["exchange"], row["routing_key"], mandatory=row["mandatory"]))
            except BrokerUnavailable as error:
                return error
            except Exception as error:  # noqa: BLE001  (no queue takes it, or AMQP can't carry it: not the others' fault)
                if self._too_late(row, error):
                    given_up.append(row["id"])
                    self._blocked.pop(row["subject"], None)
                    continue
                self._block(row, error)
                return None
            done.append(row["id"])
            self._blocked.pop(row["subject"], None)
        return None

    def _too_late(self, row: asyncpg.Record, error: Exception) -> bool:
        """Whether an undeliverable row is given up. Counted and told; not its body, which its sender has in its own rows."""
        deadline = _deadline_of(row["body"])
        if deadline is None or self._service.clock.now() <= deadline:
            return False
        self._given_up.labels(row["type"]).inc()
        log.error("outbox.given_up", schema=self._database.schema, **_told(row), deadline=deadline.isoformat(), error=repr(error))
        return True

    def _block(self, row: asyncpg.Record, error: Exception) -> None:
        known = self._blocked.get(row["subject"])
        attempts = known.attempts + 1 if known is not None else 1
        pause = BLOCKED_SECONDS[min(attempts, len(BLOCKED_SECONDS)) - 1]
        self._blocked[row["subject"]] = _Blocked(asyncio.get_running_loop().time() + pause, attempts)
        log.error(
            "outbox.subject_blocked",
            schema=self._database.schema,
            **_told(row),
            attempt=attempts,
            retry_seconds=pause,
            error=repr(error),
        )

    async def _keep_house(self) -> None:
        """Partitions ahead, old rows away: at start and every hour."""
        while True:
            try:
                now = self._service.clock.now()
                with self._service.work.on("housekeeping"):
                    async with self._database.engine.begin() as connection:
                        await connection.execute(sa.text(f"SET LOCAL lock_timeout = '{HOUSEKEEPING_LOCK_TIMEOUT}'"))
                        await connection.execute(
                            sa.text("SELECT keep_inbox_partitions(:today, :days)"), {"today": now.date(), "days": INBOX_DAYS_KEPT}
                        )
                    # Of its own, so that a lock not given above keeps nothing here from being done.
                    async with self._database.engine.begin() as connection:
                        age = sa.func.make_interval(0, 0, 0, OUTBOX_DAYS_KEPT)
                        await connection.execute(sa.delete(outbox).where(outbox.c.published_at < sa.literal(now) - age))
                        await connection.execute(
                            sa.delete(idempotency_keys).where(idempotency_keys.c.created_at < sa.literal(now) - age)
                        )
            except (OSError, sa.exc.SQLAlchemyError, TimeoutError) as error:
                log.warning("housekeeping.failed", schema=self._database.schema, error=repr(error))
            await self._service.clock.sleep(HOUSEKEEPING_SECONDS)


def _told(row: asyncpg.Record) -> dict[str, Any]:
    """What the log says of a row. Never its body: it may bear what nobody should read."""
    names = ("type", "subject", "message_id", "exchange", "routing_key")
    return {"outbox_id": row["id"], **{name: row[name] for name in names}}


def _deadline_of(body: bytes) -> datetime | None:
    """The `deadline` of a message, aware; None where it has none: then it is a fact, or a wish without an end."""
    try:
        deadline = datetime.fromisoformat(orjson.loads(body)["deadline"])
    except (ValueError, TypeError, KeyError):
        return None
    return deadline if deadline.tzinfo is not None else None
