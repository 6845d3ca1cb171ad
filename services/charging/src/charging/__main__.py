"""`python -m charging`: settings from the environment, the service, run until SIGTERM."""

import asyncio

import uvloop

from charging.app import NAME, create_app
from charging.settings import ChargingSettings
from chassis.runtime import SystemClock, SystemIds, run
from chassis.telemetry import configure_process


def main() -> None:
    """Run the charging service."""
    settings = ChargingSettings()
    configure_process(settings, service=NAME)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(create_app(settings, clock=SystemClock(), ids=SystemIds())))


if __name__ == "__main__":
    main()
