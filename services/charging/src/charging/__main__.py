"""`python -m charging`: settings from the environment, the service, run until SIGTERM."""

import asyncio
import gc

import uvloop

from charging.app import NAME, create_app
from charging.settings import ChargingSettings
from chassis.runtime import SystemClock, SystemIds, run
from chassis.telemetry import configure_process

GC_THRESHOLDS = (50_000, 20, 100)
"""A batch's events live until its commit, long enough for the default thresholds to walk all of them over and over: that was
three quarters of the cost of validating them. Reference counts free them; rarer collections find what is really cyclic."""


def main() -> None:
    """Run the charging service."""
    settings = ChargingSettings()
    configure_process(settings, service=NAME)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))


async def _serve(settings: ChargingSettings) -> None:
    service = create_app(settings, clock=SystemClock(), ids=SystemIds())
    gc.collect()
    gc.freeze()  # modules, schemas and models are there for good
    gc.set_threshold(*GC_THRESHOLDS)
    await run(service)


if __name__ == "__main__":
    main()
