"""A service's Postgres: its own role, its own schema in the search path, a bounded pool."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from chassis.database.uow import UnitOfWork
from chassis.messaging.envelope import Address
from chassis.runtime import Ids, Service
from chassis.telemetry import Telemetry

log = structlog.get_logger(__name__)

STATEMENT_TIMEOUT_MS = 30_000
"""Longest statement: past it something is wrong, and a held lock would stop a lane."""

IDLE_IN_TRANSACTION_MS = 60_000
"""A transaction whose process froze lets go of its locks after this."""

KEEPALIVE_SETTINGS = {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}
"""The server notices within a minute that we are gone without a word, and lets go of our locks: its default is two hours."""


class Database:
    """Opens transactions. A Part: mount it before what uses it.

    `url`: postgresql://role:password@host:port/database. `address_of` says where a model is published (contracts.topology).
    `urgent_connections`: so many more, for `transaction(urgent=True)` alone: who takes one waits for none of the others.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str,
        service: Service,
        telemetry: Telemetry,
        ids: Ids,
        address_of: Callable[[Any], Address],
        pool_size: int = 10,
        urgent_connections: int = 0,
    ) -> None:
        self.schema = schema
        self.url = url
        self.outbox_channel = f"{schema}_outbox"
        self.service = service
        self.telemetry = telemetry
        self._ids = ids
        self._address_of = address_of
        self.engine = self._engine(pool_size)
        self._urgent = self._engine(urgent_connections) if urgent_connections else None
        self.announced = Counter(
            "voltlync_outbox_announced_total",
            "Outbox rows committed; less those relayed, what waits",
            registry=telemetry.registry,
        )
        service.ready_checks["database"] = self._ready

    def _engine(self, pool_size: int) -> AsyncEngine:
        engine = create_async_engine(
            self.url.replace("postgresql://", "postgresql+asyncpg://", 1),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=30,
            json_serializer=lambda value: orjson.dumps(value, default=_as_json).decode(),
            json_deserializer=orjson.loads,
            connect_args={
                "timeout": 10,
                "server_settings": {
                    "search_path": self.schema,
                    "timezone": "UTC",
                    "application_name": f"voltlync_{self.schema}",
                    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                    "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
                    **KEEPALIVE_SETTINGS,
                },
            },
        )
        self.telemetry.trace_queries(engine)
        return engine

    async def start(self) -> None:
        """Nothing to wait for: the pool opens connections as they are needed, /readyz says whether it can."""

    async def stop(self) -> None:
        """Close all connections."""
        await self.engine.dispose()
        if self._urgent is not None:
            await self._urgent.dispose()

    async def _ready(self) -> str | None:
        try:
            async with self.engine.connect() as connection:
                await connection.execute(sa.text("SELECT 1"))
        except (OSError, sa.exc.SQLAlchemyError, TimeoutError) as error:
            return f"PostgreSQL does not answer: {type(error).__name__}"
        return None

    @asynccontextmanager
    async def transaction(self, *, urgent: bool = False) -> AsyncIterator[UnitOfWork]:
        """A transaction that commits when the block ends and rolls back when it raises.

        `urgent`: on a connection that only such transactions use. Raises RuntimeError where there is none.
        """
        engine = self._urgent if urgent else self.engine
        if engine is None:
            raise RuntimeError("an urgent transaction, and the database was given no urgent connections")
        async with engine.connect() as connection, connection.begin():
            uow = UnitOfWork(connection, now=self.service.clock.now(), ids=self._ids, address_of=self._address_of)
            yield uow
            announced = await uow.flush(self.outbox_channel)
        self.announced.inc(announced)
        uow.committed()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[UnitOfWork]:
        """A read-only transaction with one snapshot for all its statements."""
        async with self.engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            async with connection.begin():
                yield UnitOfWork(
                    connection, now=self.service.clock.now(), ids=self._ids, address_of=self._address_of, read_only=True
                )


def _as_json(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} does not go into a JSON column")
