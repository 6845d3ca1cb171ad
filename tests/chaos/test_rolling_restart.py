"""Two gateways are restarted one after the other, as a rollout does it, while sessions run and commands flow.

No command reaches a charger twice, each has exactly one result (UNKNOWN is one), and no session ends by it.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import asyncpg
import pytest

from charger_simulator import ChargePoint, Settings
from charger_simulator.frames import CALL
from testkit.servers import Servers, database_address
from testkit.servers.processes import LOOPBACK, free_port
from tests.load.installed import register
from tests.load.processes import PASSWORD
from voltlync.credentials import Credentials
from voltlync.plan import DATABASE, Installation, Ports
from voltlync.provision import broker_users, provision
from voltlync.supervisor import Child, Supervisor
from voltlync.up import addresses_of
from voltlync.world import Json, World

pytestmark = [pytest.mark.chaos, pytest.mark.servers]

CHARGERS = 6
SESSIONS = 3
"""The first three of them charge."""
COMMANDS_PER_PHASE = 3
"""Each charger answers so many more before the rollout goes on: commands flow at every moment of it."""
WAIT_SECONDS = 5
"""How long an operator waits for a result before the next command."""
GUARD_SECONDS = 120.0
"""An I/O guard: what is waited for comes in seconds, or never."""

LIMITS = {
    # A charger that comes back without a Boot is told nothing for so long; the default of 20 s would be most of the test.
    "VOLTLYNC_SETTLE_SECONDS": "0.5",
    "VOLTLYNC_DRAIN_SPREAD_SECONDS": "0.5",
    "VOLTLYNC_COMMAND_DEADLINE_SECONDS": "30",
    "VOLTLYNC_COMMAND_TIMEOUT_SECONDS": "5",
    "VOLTLYNC_LIMIT_CALLER": "100000/minute",
}
HARDWARE = Settings(
    log_size=50_000,
    configuration={
        "MeterValueSampleInterval": "1",
        "TransactionMessageAttempts": "1000",
        "TransactionMessageRetryInterval": "1",
    },
    reconnect_seconds_min=0.1,
    reconnect_seconds_max=1,
)


class Balancer:
    """What stands before two gateways: each new connection goes to the next one that takes it."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = ports
        self._turn = itertools.count()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        turn = next(self._turn)
        for step in range(len(self._ports)):
            port = self._ports[(turn + step) % len(self._ports)]
            with suppress(OSError):
                up_reader, up_writer = await asyncio.open_connection(LOOPBACK, port)
                break
        else:
            writer.close()
            return
        await asyncio.gather(self._pump(reader, up_writer), self._pump(up_reader, writer))

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(65_536):
                writer.write(chunk)
                await writer.drain()
        writer.close()


@dataclass
class Rollout:
    """The installation: charging and the door once, the gateway twice."""

    supervisor: Supervisor
    world: World
    dsn: str
    points: list[ChargePoint] = field(default_factory=list)

    async def rows(self, sql: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.dsn)
        try:
            return list(await connection.fetch(sql))
        finally:
            await connection.close()

    async def gateways_in_use(self) -> dict[str, int]:
        """Chargers online by gateway, as charging has it."""
        rows = await self.rows("SELECT gateway, count(*) FROM charging.chargers WHERE online GROUP BY gateway")
        return {row["gateway"]: row["count"] for row in rows}

    async def until(self, what: str, condition: Callable[[], Any]) -> None:
        """Wait for a condition, or for an awaitable's truth."""
        seen: Any = None
        try:
            async with asyncio.timeout(GUARD_SECONDS):
                while True:
                    seen = condition()
                    if asyncio.iscoroutine(seen):
                        seen = await seen
                    if seen:
                        return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            commands = await self.rows("SELECT charge_point_id, status, count(*) FROM charging.commands GROUP BY 1, 2")
            raise AssertionError(
                f"did not happen: {what}; last seen: {seen}; online: {await self.gateways_in_use()}; connected:"
                f" {[point.id for point in self.points if point.connected]}; commands: {[tuple(row) for row in commands]}"
            ) from None

    async def commands_flow(self) -> None:
        """Every charger has answered a few more commands."""
        wanted = {point.id: len(answered(point)) + COMMANDS_PER_PHASE for point in self.points}
        await self.until(
            "every charger answers commands", lambda: all(len(answered(point)) >= wanted[point.id] for point in self.points)
        )


def answered(point: ChargePoint) -> list[str]:
    """Message ids of the operator's commands that the charger got, in order."""
    return [
        frame.id
        for frame in point.log
        if frame.direction == "in" and frame.kind == CALL and frame.action == "GetConfiguration" and frame.id is not None
    ]


def transaction_of(point: ChargePoint) -> int | None:
    transaction = point.connectors[1].transaction
    return transaction.id if transaction is not None else None


def gateway(installation: Installation, name: str, directory: Path, port: int) -> Child:
    """One of the two, with a name and a volume of its own."""
    internal = free_port()
    child = installation.service("ocpp_gateway")
    environment = {
        **child.env,
        "VOLTLYNC_GATEWAY_NAME": name,
        "VOLTLYNC_GATEWAY_DATA_DIR": str(directory / name),
        "VOLTLYNC_OCPP_PORT": str(port),
        "VOLTLYNC_INTERNAL_PORT": str(internal),
    }
    return replace(child, name=name, env=environment, ready_url=f"http://{LOOPBACK}:{internal}/readyz")


@asynccontextmanager
async def rollout(directory: Path) -> AsyncIterator[Rollout]:
    """Everything started, chargers connected over both gateways, sessions running."""
    credentials = Credentials.make()
    servers = Servers.throwaway(broker_users=broker_users(credentials))
    supervisor = Supervisor(directory / "logs")
    try:
        await asyncio.to_thread(servers.start)
        installation = Installation(servers, credentials, Ports.free(), directory / "data", overrides=LIMITS)
        installation.data.mkdir(parents=True)
        await provision(installation)
        dsn = database_address(servers.postgres.dsn, DATABASE)
        await register(dsn, CHARGERS)
        _, identity = installation.simulators()
        await supervisor.start_stage([identity, installation.service("charging"), installation.service("api_gateway")])
        ports = [free_port(), free_port()]
        await supervisor.start_stage(
            [gateway(installation, f"gw-{number}", directory / "data", port) for number, port in enumerate(ports, 1)]
        )
        async with World.at(addresses_of(installation)) as world, Balancer(ports) as balancer:
            system = Rollout(supervisor, world, dsn)
            system.points = [
                ChargePoint(f"BENCH-{number:05d}", f"ws://{LOOPBACK}:{balancer.port}/ocpp", password=PASSWORD, settings=HARDWARE)
                for number in range(CHARGERS)
            ]
            try:
                yield system
            finally:
                await asyncio.gather(*(point.stop() for point in system.points))
    finally:
        await supervisor.stop()
        await asyncio.to_thread(servers.stop)


async def ask_for_ever(system: Rollout, charger: Json, closing: asyncio.Event, ids: list[str]) -> None:
    """An operator who sends a charger one command after the other, the next after the result; `ids` are those that were taken."""
    wanted = {"action": "GetConfiguration", "payload": {"key": ["HeartbeatInterval"]}}
    while not closing.is_set():
        command = await system.world.api("POST", f"/v1/chargers/{charger['id']}/commands?wait={WAIT_SECONDS}", wanted)
        ids.append(command["id"])


@pytest.mark.long  # 45 s of two real gateways: `make chaos`
@pytest.mark.timeout(600)
async def test_a_rolling_restart_doubles_no_command_loses_no_result_and_ends_no_session(tmp_path: Path) -> None:
    async with rollout(tmp_path) as system:
        points = system.points
        charging = points[:SESSIONS]
        for point in points:
            await point.start()
        for point in charging:
            await point.plug()
            assert await point.start_transaction("BENCH", authorize=False)
        await system.until("sessions run", lambda: all(transaction_of(point) for point in charging))
        ids = {point.id: transaction_of(point) for point in charging}
        await system.until("both gateways hold chargers", partial(_both, system))

        closing = asyncio.Event()
        taken: list[str] = []
        chargers = await system.world.all_of("/v1/chargers")
        async with asyncio.TaskGroup() as operators:
            for charger in chargers:
                operators.create_task(ask_for_ever(system, charger, closing, taken))
            await system.commands_flow()
            for leaving, staying in (("gw-1", "gw-2"), ("gw-2", "gw-1")):
                await system.supervisor.stop_child(leaving)
                await system.until(f"all are at {staying}", partial(_all_at, system, staying))
                await system.commands_flow()
                await system.supervisor.start(leaving)
                await system.commands_flow()
            closing.set()

        # Each command has its one result.
        await system.until("every command has a result", partial(_none_open, system))
        rows = await system.rows("SELECT id, status, completed_at FROM charging.commands WHERE trigger = 'api'")
        assert len(rows) == len(taken) == len(set(taken))
        assert all(row["completed_at"] is not None for row in rows)
        # The charger saw none of them twice, and all that it is said to have answered.
        seen = Counter(int(wire_id.partition(".")[0]) for point in points for wire_id in answered(point))
        assert [command for command, times in seen.items() if times > 1] == []
        assert {row["id"] for row in rows if row["status"] == "ANSWERED"} <= seen.keys()

        # The sessions went on, and end by their chargers' word with every reading that was answered.
        assert {point.id: transaction_of(point) for point in charging} == ids
        states = await system.rows("SELECT state FROM charging.transactions")
        assert len(states) == SESSIONS
        assert "STOPPED" not in {row["state"] for row in states}
        for point in charging:
            await point.stop_transaction()
            await point.wait_for(partial(_told_everything, point), within=GUARD_SECONDS)
        await system.until("the stops arrive", partial(_stopped, system))
        acknowledged = sum(
            exchange.action == "MeterValues" and exchange.error is None for point in points for exchange in point.exchanges
        )
        stored = await system.rows(
            "SELECT count(*) FROM (SELECT DISTINCT charger_id, epoch, seq FROM charging.meter_values) each_message"
        )
        assert stored[0]["count"] >= acknowledged > 0


def _told_everything(point: ChargePoint) -> bool:
    return not point.outbox.transactional


async def _both(system: Rollout) -> bool:
    in_use = await system.gateways_in_use()
    return set(in_use) == {"gw-1", "gw-2"} and sum(in_use.values()) == CHARGERS


async def _all_at(system: Rollout, name: str) -> bool:
    return await system.gateways_in_use() == {name: CHARGERS}


async def _none_open(system: Rollout) -> bool:
    return not await system.rows("SELECT id FROM charging.commands WHERE status IN ('PENDING', 'DISPATCHED')")


async def _stopped(system: Rollout) -> bool:
    rows = await system.rows("SELECT state, stop_reason FROM charging.transactions")
    return {(row["state"], row["stop_reason"]) for row in rows} == {("STOPPED", "CHARGER")}
