"""The bench's chargers: each sends a MeterValues CALL, waits for its answer, sends the next. Cheap, so as not to be the limit."""

import asyncio
import base64
import os
import struct
from typing import cast

PASSWORD = b"0123456789abcdef0123456789abcdef01234567"
MEASURANDS = (
    ("Energy.Active.Import.Register", "Wh"),
    ("Power.Active.Import", "W"),
    ("Voltage", "V"),
    ("Current.Import", "A"),
    ("SoC", "Percent"),
    ("Temperature", "Celsius"),
    ("Power.Offered", "W"),
    ("Current.Offered", "A"),
)


def meter_values(number: int) -> bytes:
    """A MeterValues CALL of about a kilobyte, as a masked WebSocket text frame (zero mask: the bytes are the text)."""
    value = f"{1000 + number}.5"
    samples = ",".join(
        f'{{"value":"{value}","context":"Sample.Periodic","measurand":"{measurand}","location":"Outlet","unit":"{unit}"}}'
        for measurand, unit in MEASURANDS
    )
    text = (
        f'[2,"{number}","MeterValues",{{"connectorId":1,"transactionId":17,"meterValue":'
        f'[{{"timestamp":"2026-11-22T18:00:00Z","sampledValue":[{samples}]}}]}}]'
    ).encode()
    return struct.pack("!BBHI", 0x81, 0x80 | 126, len(text), 0) + text


class Charger(asyncio.Protocol):
    """One charge point. Answers are short frames of one read each, since one CALL is open at a time."""

    def __init__(self, charge_point_id: str, latencies: list[float]) -> None:
        self.charge_point_id = charge_point_id
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answered = 0
        self.sending = False
        self._number = 0
        self._latencies = latencies
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands."""
        self.transport = cast("asyncio.Transport", transport)
        authorization = base64.b64encode(self.charge_point_id.encode() + b":" + PASSWORD).decode()
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            f"GET /ocpp/{self.charge_point_id} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\nSec-WebSocket-Key: {key}\r\n"
            f"Authorization: Basic {authorization}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Count the answer, send the next."""
        if not self.opened.done():
            if b" 101 " not in data.split(b"\r\n", 1)[0]:
                self.opened.set_exception(RuntimeError(data[:80].decode(errors="replace")))
                return
            self.opened.set_result(None)
            return
        if data[0] == 0x89:  # a ping: the gateway's keep-alive
            return
        self.answered += 1
        self._latencies.append(asyncio.get_running_loop().time() - self._sent_at)
        if self.sending:
            self.send()

    def send(self) -> None:
        """The next CALL."""
        self._number += 1
        self._sent_at = asyncio.get_running_loop().time()
        self.transport.write(meter_values(self._number))


async def connect(port: int, ids: list[str], latencies: list[float]) -> list[Charger]:
    """Open a socket per id, fifty at a time."""
    loop = asyncio.get_running_loop()
    chargers: list[Charger] = []
    for start in range(0, len(ids), 50):
        group = []
        for charge_point_id in ids[start : start + 50]:
            _, charger = await loop.create_connection(lambda name=charge_point_id: Charger(name, latencies), "127.0.0.1", port)
            group.append(charger)
        await asyncio.gather(*(charger.opened for charger in group))
        chargers += group
    return chargers


async def run(chargers: list[Charger], seconds: float) -> int:
    """All of them send for so long; returns how many answers came in that time."""
    before = sum(charger.answered for charger in chargers)
    for charger in chargers:
        charger.sending = True
        charger.send()
    await asyncio.sleep(seconds)
    answered = sum(charger.answered for charger in chargers) - before
    for charger in chargers:
        charger.sending = False
    return answered
