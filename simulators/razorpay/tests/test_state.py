"""What survives a restart, and the command line that people start it with."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from razorpay_simulator import RazorpaySimulator, SandboxSettings
from testkit.clock import SteppingClock


async def test_everything_goes_on_after_a_restart(
    build: Any, connect: Any, receiver: Any, clock: SteppingClock, qr_body: Any, tmp_path: Path
) -> None:
    file = tmp_path / "razorpay.json"
    first = await build(state_file=file)
    api = connect(first)
    _, qr = await api("POST", "/v1/payments/qr_codes", qr_body)
    await first.wait_idle()
    receiver.answers = [500, 500]
    _, answer = await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": 20_000})
    payment = answer["payment"]
    path, keyed = f"/v1/payments/{payment['id']}/refund", {"headers": {"X-Refund-Idempotency": "qr_payment_1"}}
    await first.wait_idle()
    _, refund = await api("POST", path, {"amount": 500, "speed": "optimum"}, **keyed)
    await first.wait_idle()
    await first.stop()
    delivered = len(receiver.posts)
    await clock.advance(120)
    assert len(receiver.posts) == delivered, "a stopped sandbox is silent"

    second = await build(state_file=file)
    api = connect(second)
    await clock.advance(1)
    assert (await api("GET", f"/v1/payments/{payment['id']}"))[1]["id"] == payment["id"]
    assert (await api("POST", path, {"amount": 500, "speed": "optimum"}, **keyed))[1] == refund
    assert (await api("GET", f"/v1/refunds/{refund['id']}"))[1]["status"] == "processed"
    assert len(receiver.of("refund.processed")) == 1
    assert second.balances() == first.balances()
    assert {"qr_code.credited", "payment.captured"} <= set(receiver.events[delivered:]), "refused before, taken up again"
    assert second.state.events == {}, "all were acknowledged in the end"


async def test_a_state_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "razorpay.json"
    file.write_text('{"qr_codes": 5}')
    with pytest.raises(ValueError, match="qr_codes"):
        RazorpaySimulator(SandboxSettings(state_file=file))


async def start_command(file: Path) -> tuple[asyncio.subprocess.Process, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "razorpay_simulator", "serve", "--port", "0", "--state", str(file),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    return process, line.split()[3]


async def test_the_command_keeps_its_data_over_a_kill(tmp_path: Path) -> None:
    file = tmp_path / "razorpay.json"
    settings = SandboxSettings()
    headers = {"Authorization": aiohttp.encode_basic_auth(settings.key_id, settings.key_secret)}
    process, url = await start_command(file)
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(url + "/v1/payments/qr_codes", json={"type": "upi_qr", "usage": "multiple_use"}) as answer:
            qr = await answer.json()
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        process, url = await start_command(file)
        async with session.get(f"{url}/v1/payments/qr_codes/{qr['id']}") as answer:
            assert await answer.json() == qr
    process.terminate()
    assert await process.wait() == 0
