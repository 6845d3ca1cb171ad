"""`voltlync up`, which is `make run`: servers, migrations, simulators, services, a small network, one paid session; stays up."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from testkit.servers import Servers
from voltlync.credentials import Credentials
from voltlync.plan import Installation, Ports
from voltlync.provision import broker_users, provision
from voltlync.supervisor import ChildFailed, Supervisor
from voltlync.workspace import CREDENTIALS, LOGS, RUN, SERVERS, STATE
from voltlync.world import Addresses


def say(line: str = "") -> None:
    """To the reader, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def to_its_end(blocking: Callable[[], None]) -> None:
    """Run it in a thread. A cancellation waits for its end first: half-started servers could not be stopped."""
    running = asyncio.ensure_future(asyncio.to_thread(blocking))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


@asynccontextmanager
async def installation_of_this_checkout() -> AsyncIterator[Installation]:
    """Servers with kept data, migrated and declared; stopped on leaving."""
    credentials = Credentials.kept_in(CREDENTIALS)
    servers = Servers(SERVERS, broker_users=broker_users(credentials))
    try:
        await to_its_end(servers.start)
        installation = Installation(servers=servers, credentials=credentials, ports=Ports.usual_or_free(), data=RUN / "data")
        installation.data.mkdir(parents=True, exist_ok=True)
        await provision(installation)
        yield installation
    finally:
        await asyncio.to_thread(servers.stop)


async def up(*, play: bool = True) -> int:
    """Run until Ctrl-C, SIGTERM or the end of a child; return the exit status. Whatever happens, everything is stopped."""
    this = asyncio.current_task()
    assert this is not None
    interruptions: list[signal.Signals] = []

    def interrupt(signum: signal.Signals) -> None:
        if not interruptions:  # a second Ctrl-C must not cut off the cleaning up
            say("\nStopping everything, in order ...")
            this.cancel()
        interruptions.append(signum)

    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, interrupt, signum)
    began = time.monotonic()
    try:
        say("Starting PostgreSQL, RabbitMQ and Redis ...")
        async with installation_of_this_checkout() as installation:
            say(f"Servers started, tables and queues in place after {time.monotonic() - began:.1f} s.")
            return await _serve(installation, began=began, play=play)
    except asyncio.CancelledError:
        if not interruptions:
            raise
        return 0
    finally:
        say("Nothing is left running.")


async def _serve(installation: Installation, *, began: float, play: bool) -> int:
    supervisor = Supervisor(LOGS, show=say)
    try:
        for stage in (installation.simulators(), installation.services(), installation.doors()):
            say(f"Starting {', '.join(child.name for child in stage)} ...")
            await supervisor.start_stage(stage)
        addresses_of(installation).keep()
        say(f"All services ready after {time.monotonic() - began:.1f} s.")
        name = await supervisor.watch()
        say(f"\n{name} ended by itself. The end of its log:\n{supervisor.end_of_log(name)}\nStopping everything, in order ...")
    except ChildFailed as failure:
        say(f"\n{failure}\nStopping everything, in order ...")
    finally:
        STATE.unlink(missing_ok=True)
        await supervisor.stop()
    return 1


def addresses_of(installation: Installation) -> Addresses:
    """What `voltlync demo` and `voltlync dead` need to know of a running installation."""
    return Addresses(
        door_url=installation.door_url,
        ocpp_url=installation.ocpp_url,
        razorpay_url=installation.razorpay_url,
        identity_url=installation.identity_url,
        chargers_url=installation.chargers_url,
        admin_amqp_url=installation.servers.rabbitmq.url,
    )
