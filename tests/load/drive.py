"""Many charge points in one process, as light as they can be: what the servers cost is measured, not this.

    python -m tests.load.drive URL CHARGERS PASSWORD SECONDS [--idle]

Each connects, starts a transaction and sends MeterValues of 965 bytes one after the other, as a charger must: the next after the
answer. Prints `ready`, waits for a line on stdin, drives, prints one JSON object: sent, acknowledged, latencies in ms.
"""

import argparse
import asyncio
import base64
import sys
import time
from datetime import UTC, datetime

import aiohttp
import orjson
import uvloop

CONNECT_AT_ONCE = 50
"""Handshakes in flight: a storm is another benchmark."""


def meter_values(message_id: str, transaction_id: int, wh: int, at: str) -> str:
    """One MeterValues.req of ten sampled values, as a three-phase charger sends it: about 965 bytes."""
    samples = [
        f'{{"value":"{wh}","context":"Sample.Periodic","measurand":"Energy.Active.Import.Register","unit":"Wh"}}',
        '{"value":"7360","context":"Sample.Periodic","measurand":"Power.Active.Import","unit":"W"}',
    ]
    for phase in ("L1", "L2", "L3"):
        samples.append(f'{{"value":"230.1","measurand":"Voltage","phase":"{phase}","unit":"V"}}')
        samples.append(f'{{"value":"10.66","measurand":"Current.Import","phase":"{phase}","unit":"A"}}')
    samples.append('{"value":"41.5","context":"Sample.Periodic","measurand":"Temperature","location":"Body","unit":"Celsius"}')
    samples.append('{"value":"63","context":"Sample.Periodic","measurand":"SoC","location":"EV","unit":"Percent"}')
    return (
        f'[2,"{message_id}","MeterValues",{{"connectorId":1,"transactionId":{transaction_id},'
        f'"meterValue":[{{"timestamp":"{at}","sampledValue":[{",".join(samples)}]}}]}}]'
    )


class Driver:
    """All charge points of this process."""

    def __init__(self, url: str, password: str) -> None:
        self.url = url
        self.password = password
        self.go = asyncio.Event()
        self.until = 0.0
        self.sent = 0
        self.acknowledged = 0
        self.latencies: list[float] = []
        self.connected = 0
        self.gate = asyncio.Semaphore(CONNECT_AT_ONCE)

    async def run(self, http: aiohttp.ClientSession, name: str, *, idle: bool) -> None:
        """One charge point's life."""
        authorization = base64.b64encode(f"{name}:{self.password}".encode()).decode()
        async with self.gate:
            socket = await http.ws_connect(
                f"{self.url}/{name}",
                protocols=("ocpp1.6",),
                headers={"Authorization": f"Basic {authorization}"},
                compress=0,
                max_msg_size=0,
                autoping=True,
            )
            await self.call(socket, '[2,"b","BootNotification",{"chargePointVendor":"Bench","chargePointModel":"Bench"}]')
            transaction_id = 1
            if not idle:
                at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                start = f'{{"connectorId":1,"idTag":"BENCH","meterStart":0,"timestamp":"{at}"}}'
                answer = orjson.loads(await self.call(socket, f'[2,"s","StartTransaction",{start}]'))
                transaction_id = answer[2].get("transactionId", 1)
        self.connected += 1
        if idle:
            async for _ in socket:
                pass
            return
        await self.go.wait()
        wh = 0
        number = 0
        while (began := time.perf_counter()) < self.until:
            number += 1
            wh += 1
            at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            self.sent += 1
            await self.call(socket, meter_values(f"m{number}", transaction_id, wh, at))
            self.acknowledged += 1
            self.latencies.append(time.perf_counter() - began)
        await socket.close()

    @staticmethod
    async def call(socket: aiohttp.ClientWebSocketResponse, frame: str) -> str:
        """Send a CALL and wait for its answer; CALLs of the central system are answered NotImplemented on the way."""
        await socket.send_str(frame)
        while True:
            message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise ConnectionError(f"closed while an answer was due: {message}")
            if message.data.startswith("[3"):
                return str(message.data)
            if message.data.startswith("[2"):
                await socket.send_str(orjson.dumps([4, orjson.loads(message.data)[1], "NotImplemented", "", {}]).decode())
            else:
                raise ValueError(f"refused: {message.data}")


async def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("chargers", type=int)
    parser.add_argument("password")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--idle", action="store_true")
    options = parser.parse_args()
    driver = Driver(options.url, options.password)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        names = [f"BENCH-{options.first + number:05d}" for number in range(options.chargers)]
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(driver.run(http, name, idle=options.idle))
            while driver.connected < len(names):
                await asyncio.sleep(0.05)
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            if options.idle:
                raise SystemExit(0)
            driver.until = time.perf_counter() + options.seconds
            driver.go.set()
    latencies = sorted(driver.latencies)
    report = {
        "sent": driver.sent,
        "acknowledged": driver.acknowledged,
        "p50_ms": 1000 * latencies[len(latencies) // 2],
        "p99_ms": 1000 * latencies[int(len(latencies) * 0.99)],
    }
    print(orjson.dumps(report).decode(), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(main())
