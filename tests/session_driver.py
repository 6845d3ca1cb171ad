"""Charging's handlers over a real PostgreSQL, one transaction a step, without the broker between; and a clock that jumps."""

import asyncio
from typing import Any

import asyncpg
import orjson

from charging.app import create_app
from charging.settings import ChargingSettings
from charging.subscriptions import LANE_MODELS, handle_batch
from chassis.messaging import Received
from chassis.runtime import SystemIds
from chassis.web import PrincipalSigner
from testkit.clock import SteppingClock


class Driver:
    """Charging's handlers over a database, and a clock that jumps."""

    def __init__(self, dsn: str, admin_dsn: str, redis_url: str) -> None:
        self.runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.run = self.runner.run
        self.clock = SteppingClock()
        values: dict[str, Any] = {"amqp_url": "amqp://nowhere", "database_url": dsn, "redis_url": redis_url}
        keys = PrincipalSigner.generate()
        self.service = self.run(
            self._made(ChargingSettings(**values, principal_public_key=keys.public_key, database_pool_size=2))
        )
        self.app = self.service.app
        self.admin: asyncpg.Connection[Any] = self.run(asyncpg.connect(admin_dsn))

    async def _made(self, settings: ChargingSettings) -> Any:
        return create_app(settings, clock=self.clock, ids=SystemIds())

    def close(self) -> None:
        self.run(self._close())
        self.runner.close()

    async def _close(self) -> None:
        await self.admin.close()
        await self.app.redis.aclose()
        await self.app.database.stop()

    async def reset(self) -> None:
        rows = await self.admin.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'charging' AND tablename <> 'alembic_version'"
        )
        await self.admin.execute(f"TRUNCATE {', '.join('charging.' + row['tablename'] for row in rows)}")

    async def deliver(self, *events: Any) -> Any:
        """What the lane does with a batch; the last answer given."""
        batch = []
        for event in events:
            data = orjson.loads(event.model_dump_json())
            message_id = getattr(event, "message_id", None) or "m"
            received = Received(type=event.TYPE, message_id=message_id, data=data, occurred_at=self.clock.now(), queue="lane")
            received.model = LANE_MODELS[event.TYPE].model_validate(data)
            batch.append(received)
        async with self.app.database.transaction() as uow:
            await handle_batch(self.app, uow, batch)
        await self.service.work.idle()
        return batch[-1].take_answer() if batch else None

    async def rows(self, table: str) -> list[dict[str, Any]]:
        found = await self.admin.fetch(f"SELECT * FROM charging.{table} ORDER BY id")  # noqa: S608  (a table of ours)
        return [dict(row) for row in found]
