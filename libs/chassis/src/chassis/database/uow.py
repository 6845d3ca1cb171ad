"""A transaction and what goes with it: the effects, the messages announced, the messages noted as handled."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog
from pydantic import BaseModel
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.database.tables import outbox
from chassis.messaging.envelope import Address, Received, body_of, type_of
from chassis.runtime import Ids
from chassis.telemetry import current_traceparent

if TYPE_CHECKING:
    import asyncpg

log = structlog.get_logger(__name__)

# One statement for any number of rows: a VALUES list would be compiled anew for each length, at 100 µs a message.
_TAKE = sa.text(
    """
    INSERT INTO inbox (occurred_on, consumer, message_id, handled_at)
    SELECT day, :consumer, id, :now FROM unnest(:days, :ids) AS taken (day, id)
    ON CONFLICT DO NOTHING RETURNING occurred_on, message_id
    """
).bindparams(
    sa.bindparam("consumer", type_=sa.Text),
    sa.bindparam("now", type_=TIMESTAMP(timezone=True)),
    sa.bindparam("days", type_=ARRAY(sa.Date)),
    sa.bindparam("ids", type_=ARRAY(sa.Text)),
)


class UnitOfWork:
    """One database transaction. Whoever opened it commits; use cases never do.

    `now` is fixed when it opens: SQL takes it as a parameter, so that tests rule time.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        *,
        now: datetime,
        ids: Ids,
        address_of: Callable[[Any], Address],
        read_only: bool = False,
    ) -> None:
        self.connection = connection
        self.now = now
        self._ids = ids
        self._address_of = address_of
        self._announced: list[dict[str, Any]] = []
        self._callbacks: list[Callable[[], object]] = []
        self._read_only = read_only
        self._driver: asyncpg.Connection[Any] | None = None

    def publish(
        self,
        model: BaseModel,
        *,
        subject: str,
        to: Address | None = None,
        message_id: str | None = None,
        subject_version: int | None = None,
        correlation_id: str | None = None,
        traceparent: str | None = None,
    ) -> None:
        """Announce a fact or wish with this transaction: it leaves after the commit, at least once, in order per `subject`.

        `traceparent` joins it to an older trace (that of the payment whose session this is); default: the current span's.
        """
        if self._read_only:
            raise RuntimeError(f"{type_of(model)} announced in a read-only transaction: it would never leave")
        address = to if to is not None else self._address_of(model)
        self._announced.append(
            {
                "subject": subject,
                "message_id": message_id or self._ids.new(),
                "type": type_of(model),
                "exchange": address.exchange,
                "routing_key": address.routing_key,
                "mandatory": address.mandatory,
                "body": body_of(model),
                "subject_version": subject_version if subject_version is not None else getattr(model, "subject_version", None),
                "correlation_id": correlation_id,
                "traceparent": traceparent or current_traceparent(),
                "created_at": self.now,
            }
        )

    @property
    def announced(self) -> Sequence[Mapping[str, Any]]:
        """What was announced so far, as outbox rows. It leaves with the commit, or never."""
        return tuple(self._announced)

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Call this once the commit stands: a hint such as waking a worker; never something that must happen."""
        self._callbacks.append(callback)

    async def copy(self, table: sa.Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """COPY rows into a table within this transaction: a hundred times the speed of inserts."""
        connection = await self.asyncpg()
        await connection.copy_records_to_table(table.name, schema_name=table.schema, columns=list(columns), records=rows)

    async def asyncpg(self) -> "asyncpg.Connection[Any]":
        """The driver's own connection, inside this transaction: for COPY and for statements on the hot path."""
        if self._driver is None:
            # SQLAlchemy's adapter sends BEGIN with its first statement, and we go past it: without this one, what follows
            # would commit by itself. Once per transaction.
            await self.connection.exec_driver_sql("SELECT 1")
            self._driver = (await self.connection.get_raw_connection()).driver_connection
        assert self._driver is not None  # noqa: S101
        return self._driver

    @property
    def connection_lost(self) -> bool:
        """Whether the connection was found dead by a statement that went past SQLAlchemy, which would have said so."""
        return self._driver is not None and self._driver.is_closed()

    async def take_from_inbox(self, consumer: str, events: Sequence[Received]) -> list[Received]:
        """Note events as handled by `consumer`; returns those not handled before, in order, a repeat within the batch once."""
        first: dict[tuple[Any, str], Received] = {}
        for event in events:
            first.setdefault((event.occurred_at.astimezone(UTC).date(), event.message_id), event)
        if not first:
            return []
        keys = sorted(first)  # everybody in one order: two replicas with the same repeats wait for each other, never in a circle
        fresh = {
            (row.occurred_on, row.message_id)
            for row in await self.connection.execute(
                _TAKE, {"consumer": consumer, "now": self.now, "days": [day for day, _ in keys], "ids": [id_ for _, id_ in keys]}
            )
        }
        return [event for key, event in first.items() if key in fresh]

    async def flush(self, channel: str) -> int:
        """Write what was announced, and wake the relay with the commit; returns how many. Called by the edge."""
        if not self._announced:
            return 0
        await self.connection.execute(sa.insert(outbox), self._announced)
        await self.connection.execute(sa.select(sa.func.pg_notify(channel, "")))
        return len(self._announced)

    def committed(self) -> None:
        """Run the after-commit hints. Called by the edge. One that fails is logged: the commit stands all the same."""
        for callback in self._callbacks:
            try:
                callback()
            except Exception:
                log.exception("after_commit.failed")
