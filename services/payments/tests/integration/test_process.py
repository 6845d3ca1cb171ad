"""The real process: `python -m payments` comes up from its environment alone, is healthy, and leaves on SIGTERM."""

import asyncio
import os
import signal
import sys

import aiohttp

from testkit.broker import Broker
from testkit.servers.processes import free_port

START_SECONDS_MAX = 120
"""On a busy machine; mostly it takes two."""


async def test_the_process_starts_answers_and_stops(database: tuple[str, str], broker: Broker) -> None:
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "VOLTLYNC_AMQP_URL": broker.url_for("payments"),
        "VOLTLYNC_DATABASE_URL": database[1],
        "VOLTLYNC_INTERNAL_PORT": str(port),
        "RAZORPAY_KEY_ID": "rzp_test_x",
        "RAZORPAY_KEY_SECRET": "y",
        "RAZORPAY_WEBHOOK_SECRET": "z",
        "RAZORPAY_API_URL": "http://127.0.0.1:1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "payments", env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with aiohttp.ClientSession() as http, asyncio.timeout(START_SECONDS_MAX):
            while True:
                assert process.returncode is None, "it ended"
                try:
                    async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
                        if answer.status == 200:
                            break
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(0.1)
            async with http.post(f"http://127.0.0.1:{port}/webhooks/razorpay", data=b"{}") as answer:
                assert answer.status == 401
                assert answer.content_type == "application/problem+json"
            async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
                assert "voltlync_payments_webhook_rejected_total 1.0" in await answer.text()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(START_SECONDS_MAX):
            logged, _ = await process.communicate()
        assert process.returncode == 0
        assert b"service.stopped" in logged
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
