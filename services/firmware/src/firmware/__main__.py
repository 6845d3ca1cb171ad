"""`python -m firmware`: settings from the environment, the service, run until SIGTERM."""

import asyncio

import uvloop

from chassis.runtime import SystemClock, SystemIds, run
from chassis.telemetry import configure_process
from firmware.app import NAME, create_app
from firmware.settings import FirmwareSettings


def main() -> None:
    """Run the firmware service."""
    settings = FirmwareSettings()
    configure_process(settings, service=NAME)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(create_app(settings, clock=SystemClock(), ids=SystemIds())))


if __name__ == "__main__":
    main()
