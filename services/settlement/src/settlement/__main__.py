"""`python -m settlement`: settings from the environment, the service, run until SIGTERM."""

import asyncio

import uvloop

from chassis.runtime import SystemClock, SystemIds, run
from chassis.telemetry import configure_process
from settlement.app import NAME, create_app
from settlement.settings import SettlementSettings


def main() -> None:
    """Run the settlement service."""
    settings = SettlementSettings()
    configure_process(settings, service=NAME)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(create_app(settings, clock=SystemClock(), ids=SystemIds())))


if __name__ == "__main__":
    main()
