"""An empty room that really starts, as a process, and leaves at SIGTERM."""

import asyncio
import os
import signal
import sys

import aiohttp

from testkit.servers.processes import free_port

ATTEMPTS = 600
"""Asked ten times a second: a minute, for a machine that is busy with eight other things."""


async def test_the_process_starts_says_that_it_is_well_and_stops() -> None:
    port = free_port()
    environment = {**os.environ, "VOLTLYNC_AMQP_URL": "amqp://nobody@nowhere/", "VOLTLYNC_INTERNAL_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "firmware", env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            for _ in range(ATTEMPTS):
                assert process.returncode is None
                try:
                    async with session.get("/readyz") as response:
                        assert response.status == 200
                        assert (await response.json())["service"] == "firmware"
                        break
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.1)
            else:
                raise AssertionError("it does not answer")
            async with session.get("/openapi.json") as response:
                assert (await response.json())["paths"] == {}
            async with session.get("/v1/anything") as response:
                assert (response.status, response.content_type) == (404, "application/problem+json")
        process.send_signal(signal.SIGTERM)
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, output
        assert b"service.stopped" in output
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
