"""`python -m ocpp_gateway`: settings from the environment, then the gateway until SIGTERM."""

import gc
import resource

import uvloop

from chassis.runtime import run
from chassis.telemetry import configure_process
from ocpp_gateway.app import create_app
from ocpp_gateway.settings import GatewaySettings

GC_THRESHOLDS = (50_000, 20, 100)
"""Events in flight live just long enough to be promoted, so the default thresholds walk the whole heap over and over for nothing:
what a frame makes is freed by its reference count. Rarer collections still find what is really cyclic."""


def raise_file_limit() -> None:
    """Every charger is a file descriptor: take what the system allows (its usual soft limit is 1024)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    """Run."""
    settings = GatewaySettings()
    configure_process(settings, service="ocpp_gateway")
    raise_file_limit()

    async def serve() -> None:
        service = create_app(settings)
        gc.collect()
        gc.freeze()  # modules, schemas and models are there for good
        gc.set_threshold(*GC_THRESHOLDS)
        await run(service)

    uvloop.run(serve())


if __name__ == "__main__":
    main()
