"""The demo network's charge points: driven over HTTP, meters kept over a restart."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from voltlync.chargers import ChargerHost

ANSWERS: dict[str, dict[str, Any]] = {
    "BootNotification": {"status": "Accepted", "currentTime": "2026-01-05T04:30:00Z", "interval": 300},
    "StatusNotification": {},
    "Heartbeat": {"currentTime": "2026-01-05T04:30:00Z"},
}


@pytest.fixture
async def central_system() -> AsyncIterator[str]:
    """The least that a charge point needs to be content."""

    async def charger(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=["ocpp1.6"])
        await socket.prepare(request)
        async for message in socket:
            kind, call_id, action, *_ = json.loads(message.data)
            if kind == 2:
                await socket.send_json([3, call_id, ANSWERS[action]])
        return socket

    app = web.Application()
    app.add_routes([web.get("/ocpp/{id}", charger)])
    async with TestServer(app) as server:
        yield f"ws://127.0.0.1:{server.port}/ocpp"


async def test_a_point_is_added_plugged_and_unplugged(central_system: str, tmp_path: Path) -> None:
    host = ChargerHost(central_system, tmp_path / "chargers.json")
    await host.start()
    async with TestClient(TestServer(host.app)) as client:
        added = await client.put("/chargers/BLR-1", json={"password": "secret", "rated_power_w": 60_000})
        assert (await added.json())["booted"]
        assert (await (await client.post("/chargers/BLR-1/plug")).json())["connectors"]["1"]["plugged"]
        assert (await client.post("/chargers/BLR-1/plug")).status == 409  # there is a car already
        assert not (await (await client.post("/chargers/BLR-1/unplug")).json())["connectors"]["1"]["plugged"]
        assert (await client.post("/chargers/BLR-2/plug")).status == 404
        assert (await client.put("/chargers/BLR-2", json={"pasword": "typo"})).status == 400
    await host.stop()


async def test_points_and_meters_are_kept(central_system: str, tmp_path: Path) -> None:
    first = ChargerHost(central_system, tmp_path / "chargers.json")
    async with TestClient(TestServer(first.app)) as client:
        await client.put("/chargers/BLR-1", json={"password": "secret", "meter_wh": 12_345})
    await first.stop()
    assert (tmp_path / "chargers.json").stat().st_mode & 0o077 == 0
    second = ChargerHost(central_system, tmp_path / "chargers.json")
    await second.start()
    async with TestClient(TestServer(second.app)) as client:
        points = await (await client.get("/chargers")).json()
    assert points["BLR-1"]["booted"]
    assert points["BLR-1"]["connectors"]["1"]["meter_wh"] == 12_345
    await second.stop()
