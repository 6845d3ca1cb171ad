"""Many charge points in one process, as light as they can be: what the servers cost is measured, not this.

    python -m tests.load.drive URL CHARGERS PASSWORD SECONDS [--idle | --no-start]

Each connects, boots, starts a transaction and sends MeterValues of 965 bytes one after the other, as a charger must: the next
after the answer. Prints `ready`, waits for a line on stdin, drives, prints one JSON object: sent, acknowledged, latencies in ms.
`--idle`: they only stay. `--no-start`: without a transaction, for a gateway with nobody behind it.
"""

import argparse
import asyncio
import base64
import os
import struct
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import urlsplit

import orjson
import uvloop

CONNECT_AT_ONCE = 50
"""Handshakes in flight: a storm is another measurement."""

FINAL_TEXT, PING, PONG = 0x81, 0x89, 0x8A
MASKED = 0x80
SHORT_MAX, MEDIUM = 125, 126


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


def frame(text: bytes, opcode: int = FINAL_TEXT) -> bytes:
    """A WebSocket frame under a mask of zeros: allowed, and free."""
    length = len(text)
    if length <= SHORT_MAX:
        return struct.pack("!BBI", opcode, MASKED | length, 0) + text
    return struct.pack("!BBHI", opcode, MASKED | MEDIUM, length, 0) + text


class Charger(asyncio.Protocol):
    """One charge point on a bare transport. One CALL is open at a time; `on_answer` gets each answer's text."""

    def __init__(self, host: str, path: str, authorization: str) -> None:
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: ocpp1.6\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            f"Authorization: Basic {authorization}\r\n\r\n"
        ).encode()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.on_answer: Callable[[bytes], None] | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        """The server hung up, or the network did."""
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("closed in the handshake"))
        if not self.lost.done():
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Whole frames are handed on; the rest waits for more."""
        self._received += data
        if not self.opened.done():
            head, found, rest = self._received.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self.opened.set_exception(RuntimeError(f"refused: {head[:120]!r}"))
                return
            self._received = rest
            self.opened.set_result(None)
        while len(self._received) >= 2:  # RFC 6455 §5.2: the least header
            length, start = self._received[1] & 0x7F, 2
            if length == MEDIUM:
                if len(self._received) < 4:  # with its extended length
                    return
                length, start = int.from_bytes(self._received[2:4]), 4
            end = start + length
            if len(self._received) < end:
                return
            opcode, payload, self._received = self._received[0], self._received[start:end], self._received[end:]
            self._frame(opcode, payload)

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self._transport.write(frame(payload, PONG))
        elif opcode == FINAL_TEXT:
            if payload.startswith(b"[2"):  # the central system's own CALL
                refusal = orjson.dumps([4, orjson.loads(payload)[1], "NotImplemented", "", {}])
                self._transport.write(frame(refusal))
            elif self.on_answer is not None:
                self.on_answer(payload)

    def send(self, text: str) -> None:
        """A CALL."""
        self._transport.write(frame(text.encode()))

    async def call(self, text: str) -> bytes:
        """A CALL and its answer. Raises ValueError for a CALLERROR."""
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.on_answer = answered.set_result
        self.send(text)
        await asyncio.wait([answered, self.lost], return_when=asyncio.FIRST_COMPLETED)
        if not answered.done():
            raise ConnectionError("closed while an answer was due")
        if not answered.result().startswith(b"[3"):
            raise ValueError(f"refused: {answered.result()!r}")
        return bytes(answered.result())


class Driver:
    """All charge points of this process."""

    def __init__(self, url: str, password: str) -> None:
        self.address = urlsplit(url)
        self.password = password
        self.until = 0.0
        self.sent = 0
        self.acknowledged = 0
        self.latencies: list[float] = []
        self.gate = asyncio.Semaphore(CONNECT_AT_ONCE)

    async def connect(self, name: str, *, start: bool) -> tuple[Charger, int]:
        """A charge point that has booted, and its transaction's id."""
        authorization = base64.b64encode(f"{name}:{self.password}".encode()).decode()
        host, port = self.address.hostname or "", self.address.port or 80
        async with self.gate:
            _, charger = await asyncio.get_running_loop().create_connection(
                lambda: Charger(host, f"{self.address.path}/{name}", authorization), host, port
            )
            await charger.opened
            await charger.call('[2,"b","BootNotification",{"chargePointVendor":"Bench","chargePointModel":"Bench"}]')
            transaction_id = 1
            if start:
                at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                request = f'{{"connectorId":1,"idTag":"BENCH","meterStart":0,"timestamp":"{at}"}}'
                answer = orjson.loads(await charger.call(f'[2,"s","StartTransaction",{request}]'))
                transaction_id = answer[2].get("transactionId", 1)
        return charger, transaction_id

    async def drive(self, charger: Charger, transaction_id: int) -> None:
        """MeterValues until the time is over."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        number = 0
        began = 0.0

        def send_next() -> None:
            nonlocal number, began
            began = time.perf_counter()
            if began >= self.until:
                done.set_result(None)
                return
            number += 1
            self.sent += 1
            at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            charger.send(meter_values(f"m{number}", transaction_id, number, at))

        def answered(text: bytes) -> None:
            if not text.startswith(b"[3"):
                done.set_exception(ValueError(f"refused: {text!r}"))
                return
            self.acknowledged += 1
            self.latencies.append(time.perf_counter() - began)
            send_next()

        charger.on_answer = answered
        send_next()
        await asyncio.wait({done, charger.lost}, return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            raise ConnectionError("closed while an answer was due")
        done.result()


async def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("chargers", type=int)
    parser.add_argument("password")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--idle", action="store_true")
    parser.add_argument("--no-start", action="store_true")
    options = parser.parse_args()
    driver = Driver(options.url, options.password)
    start = not (options.idle or options.no_start)
    chargers = await asyncio.gather(*(driver.connect(f"BENCH-{number:05d}", start=start) for number in range(options.chargers)))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    if options.idle:
        return
    driver.until = time.perf_counter() + options.seconds
    await asyncio.gather(*(driver.drive(*charger) for charger in chargers))
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
