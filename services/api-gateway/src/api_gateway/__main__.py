"""`python -m api_gateway`: settings from the environment, the door, run until SIGTERM. With `keygen`: a key pair."""

import asyncio
import sys

import uvloop

from api_gateway.app import NAME, create_app
from api_gateway.settings import ApiGatewaySettings
from chassis.runtime import SystemClock, SystemIds, run
from chassis.telemetry import configure_process
from chassis.web import PrincipalSigner


def keygen() -> str:
    """A fresh key pair as two lines for .env: the private half for the door alone, the public half for every service."""
    signer = PrincipalSigner.generate()
    return f"VOLTLYNC_PRINCIPAL_PRIVATE_KEY={signer.private_key}\nVOLTLYNC_PRINCIPAL_PUBLIC_KEY={signer.public_key}\n"


def main() -> None:
    """Run the door, or make its keys."""
    if sys.argv[1:] == ["keygen"]:
        sys.stdout.write(keygen())
        return
    if sys.argv[1:]:
        sys.exit("usage: python -m api_gateway [keygen]")
    settings = ApiGatewaySettings()
    configure_process(settings, service=NAME)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(create_app(settings, clock=SystemClock(), ids=SystemIds())))


if __name__ == "__main__":
    main()
