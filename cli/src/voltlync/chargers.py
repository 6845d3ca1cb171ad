"""The demo network's charge points in one process, driven over loopback HTTP: what drivers do with cars and cables.

`python -m voltlync.chargers --ocpp-url ws://... --port 8902 --state chargers.json`

| call | what it does |
| --- | --- |
| GET  /chargers | every charge point: connected, booted, and per connector status, plugged, meter, power, transaction |
| PUT  /chargers/{id} | add one (or replace it) and switch it on: {password, connectors, rated_power_w, sample_seconds} |
| POST /chargers/{id}/plug, /unplug | {connector}: an EV comes, or leaves |
| POST /chargers/{id}/power | {connector, watts}: what the EV wants |
| POST /chargers/{id}/disconnect | {seconds}: TCP is dropped and comes back |

It has no authentication: it listens on loopback only. Points and their meters are kept over a restart, as a real meter's is.
"""

import asyncio
import contextlib
import json
import signal
from pathlib import Path
from typing import Annotated, Any

import typer
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from charger_simulator import ChargePoint, Settings
from testkit.servers.processes import LOOPBACK

# How often meters are written down: what a SIGKILL may lose of a simulated meter.
SAVE_SECONDS = 2.0


class Point(BaseModel):
    """A charge point as it is kept."""

    model_config = ConfigDict(extra="forbid")

    password: str
    connectors: int = Field(1, ge=1, le=4)
    rated_power_w: int = Field(7400, ge=0)
    sample_seconds: int = Field(2, ge=1, description="MeterValueSampleInterval until the central system sets another")
    meter_wh: int = Field(0, ge=0)


class Order(BaseModel):
    """What somebody does at a connector."""

    model_config = ConfigDict(extra="forbid")

    connector: int = 1
    watts: int | None = None
    seconds: float | None = None


class ChargerHost:
    """Holds the charge points and answers for them."""

    def __init__(self, ocpp_url: str, state: Path) -> None:
        self._ocpp_url = ocpp_url
        self._state = state
        self._kept: dict[str, Point] = {}
        self._points: dict[str, ChargePoint] = {}
        self.app = web.Application()
        self.app.add_routes(
            [
                web.get("/chargers", self._list),
                web.put("/chargers/{id}", self._put),
                web.post("/chargers/{id}/{verb:plug|unplug|power|disconnect}", self._order),
            ]
        )

    async def start(self) -> None:
        """Switch on the points of the last run."""
        if self._state.exists():
            for id_, point in json.loads(self._state.read_text()).items():
                await self._switch_on(id_, Point.model_validate(point))

    async def stop(self) -> None:
        """Switch off, meters written down."""
        self.save()
        await asyncio.gather(*(point.stop() for point in self._points.values()))

    def save(self) -> None:
        """Write down who is here and what the meters say, whole or not at all."""
        for id_, point in self._points.items():
            self._kept[id_].meter_wh = point.connector(1).meter_wh
        beside = self._state.with_suffix(".new")
        beside.touch(mode=0o600)  # passwords are in it
        beside.write_text(json.dumps({id_: kept.model_dump() for id_, kept in self._kept.items()}, indent=1))
        beside.replace(self._state)

    async def _switch_on(self, id_: str, kept: Point) -> None:
        if id_ in self._points:
            await self._points.pop(id_).stop()
        self._kept[id_] = kept
        point = ChargePoint(
            id_,
            self._ocpp_url,
            password=kept.password,
            connectors=kept.connectors,
            rated_power_w=kept.rated_power_w,
            meter_start_wh=kept.meter_wh,
            settings=Settings(configuration={"MeterValueSampleInterval": str(kept.sample_seconds)}),
        )
        self._points[id_] = point
        await point.start()

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response({id_: _seen(point) for id_, point in self._points.items()})

    async def _put(self, request: web.Request) -> web.Response:
        try:
            kept = Point.model_validate(await request.json())
        except (ValidationError, ValueError) as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        id_ = request.match_info["id"]
        await self._switch_on(id_, kept)
        self.save()
        return web.json_response(_seen(self._points[id_]))

    async def _order(self, request: web.Request) -> web.Response:
        point = self._points.get(request.match_info["id"])
        if point is None:
            raise web.HTTPNotFound(text=f"no charge point {request.match_info['id']} is here: PUT it first")
        try:
            order = Order.model_validate(await request.json() if request.can_read_body else {})
            match request.match_info["verb"]:
                case "plug":
                    await point.plug(order.connector)
                case "unplug":
                    await point.unplug(order.connector)
                case "power":
                    point.set_power(order.connector, order.watts or 0)
                case _:
                    await point.disconnect(order.seconds)
        except (ValidationError, ValueError, KeyError) as error:
            raise web.HTTPConflict(text=str(error)) from error
        return web.json_response(_seen(point))


def _seen(point: ChargePoint) -> dict[str, Any]:
    return {
        "connected": point.connected,
        "booted": point.booted,
        "connectors": {
            number: {
                "status": connector.status,
                "plugged": connector.plugged,
                "meter_wh": connector.meter_wh,
                "power_w": connector.power_w,
                "transaction_id": connector.transaction_id,
            }
            for number, connector in point.connectors.items()
        },
    }


async def serve(ocpp_url: str, port: int, state: Path) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    interrupted = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, interrupted.set)
    host = ChargerHost(ocpp_url, state)
    runner = web.AppRunner(host.app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    await host.start()
    while not interrupted.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(interrupted.wait(), SAVE_SECONDS)
        host.save()
    await host.stop()
    await runner.cleanup()


def main(
    ocpp_url: Annotated[str, typer.Option(help="The central system, e.g. ws://127.0.0.1:9000/ocpp")],
    port: Annotated[int, typer.Option(help="Where to be driven from.")],
    state: Annotated[Path, typer.Option(help="The file that keeps points and meters.")],
) -> None:
    """Run the demo network's charge points."""
    asyncio.run(serve(ocpp_url, port, state))


if __name__ == "__main__":
    typer.run(main)
