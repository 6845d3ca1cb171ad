"""kill -9 of a real gateway process: what it had acknowledged comes, and every command gets an outcome."""

import asyncio
import base64
import itertools
import os
import sys
from datetime import UTC, datetime, timedelta

import aio_pika
import aiohttp
import pytest

from contracts.topology import gateway_queue
from testkit.servers.processes import free_port

pytestmark = pytest.mark.servers

GUARD_SECONDS = 120.0


class Process:
    """`python -m ocpp_gateway` on its own port."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.port = free_port()
        self.environment = {**os.environ, **environment, "VOLTLYNC_OCPP_PORT": str(self.port)}

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(sys.executable, "-m", "ocpp_gateway", env=self.environment)
        async with asyncio.timeout(GUARD_SECONDS):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    return

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@pytest.fixture
async def process(servers, broker, proxy, tmp_path):
    """A gateway process whose broker connection goes through the proxy."""
    process = Process(
        {
            "VOLTLYNC_AMQP_URL": broker.replace(f":{servers.rabbitmq.port}", f":{proxy.port}"),
            "VOLTLYNC_REDIS_URL": servers.redis.url,
            "VOLTLYNC_GATEWAY_NAME": "gw-killed",
            "VOLTLYNC_GATEWAY_DATA_DIR": str(tmp_path),
            "VOLTLYNC_OCPP_HOST": "127.0.0.1",
            "VOLTLYNC_LOG_LEVEL": "WARNING",
        }
    )
    await process.start()
    yield process
    await process.kill()


async def connect(session, process, charger_id):
    password = base64.b64encode(f"{charger_id}:0123456789abcdef0123456789abcdef01234567".encode()).decode()
    return await session.ws_connect(
        f"ws://127.0.0.1:{process.port}/ocpp/{charger_id}", protocols=("ocpp1.6",), headers={"Authorization": f"Basic {password}"}
    )


async def consumers_gone(broker: str, name: str) -> None:
    """Wait until nobody consumes a queue."""
    connection = await aio_pika.connect(broker)
    async with connection, asyncio.timeout(GUARD_SECONDS):
        channel = await connection.channel()
        while (await (await channel.get_underlay_channel()).queue_declare(name, passive=True)).consumer_count:
            await asyncio.sleep(0.01)


async def call(ws: aiohttp.ClientWebSocketResponse, number: str, action: str, payload: dict) -> list:
    await ws.send_json([2, number, action, payload])
    while (answer := await ws.receive_json(timeout=GUARD_SECONDS))[1] != number:
        pass
    return answer


async def test_what_was_answered_from_the_spool_survives_the_kill(process, charging, new_id, session, proxy):
    charger_id = new_id()
    charging.add(charger_id)
    ws = await connect(session, process, charger_id)
    await charging.wait(charger_id, "charge_point_connected")
    proxy.cut()
    answered = []
    for number in range(30):
        await call(ws, f"m{number}", "MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": []})
        answered.append(number)
    await process.kill()
    assert not charging.of(charger_id, "meter_values")
    await proxy.restore()
    await process.start()
    await charging.wait(charger_id, "meter_values", len(answered))
    values = [event.data["transaction_id"] for event in charging.of(charger_id, "meter_values")]
    assert list(dict.fromkeys(values)) == answered


async def test_commands_are_unknown_if_the_dead_had_them_and_not_sent_otherwise(process, broker, charging, new_id, session):
    charger_id = new_id()
    charging.add(charger_id)
    ws = await connect(session, process, charger_id)
    await call(ws, "b", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    epoch = (await charging.wait(charger_id, "charge_point_connected")).data["epoch"]
    fields = {"charge_point_id": charger_id, "epoch": epoch, "deadline": datetime.now(UTC) + timedelta(minutes=5)}
    done = await charging.command("gw-killed", action="GetConfiguration", **fields)
    assert (await ws.receive_json(timeout=GUARD_SECONDS))[1] == done
    await ws.send_json([3, done, {}])
    await charging.wait(charger_id, "command_completed")
    on_wire = await charging.command("gw-killed", action="GetConfiguration", **fields)
    assert (await ws.receive_json(timeout=GUARD_SECONDS))[1] == on_wire
    await process.kill()
    # Until the broker has noticed, it may hand a command to the dead: that one would be UNKNOWN too.
    await consumers_gone(broker, gateway_queue("gw-killed"))
    never_delivered = await charging.command("gw-killed", action="ClearCache", **fields)
    await process.start()
    outcomes: dict[str, str] = {}
    # The dead may not have acknowledged `done` any more: it then comes again, as UNKNOWN. The first counts, as charging has it.
    for heard in itertools.count(3):
        await charging.wait(charger_id, "command_completed", heard)
        for event in charging.of(charger_id, "command_completed"):
            outcomes.setdefault(event.data["command_id"], event.data["outcome"])
        if len(outcomes) == 3:
            break
    assert outcomes == {done: "ANSWERED", on_wire: "UNKNOWN", never_delivered: "NOT_SENT"}
    ids = [event.message_id for event in charging.of(charger_id)]
    assert len(set(ids)) == len(ids)
