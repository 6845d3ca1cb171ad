"""`python -m ocpp_gateway`: settings from the environment, then the gateway until SIGTERM."""

import uvloop

from chassis.runtime import run
from chassis.telemetry import configure_process
from ocpp_gateway.app import create_app
from ocpp_gateway.settings import GatewaySettings


def main() -> None:
    """Run."""
    settings = GatewaySettings()
    configure_process(settings, service="ocpp_gateway")

    async def serve() -> None:
        await run(create_app(settings))

    uvloop.run(serve())


if __name__ == "__main__":
    main()
