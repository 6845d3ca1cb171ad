"""`voltlync up`, which is `make run`: servers, migrations, simulators, services, a small network, one paid session; stays up."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from testkit.servers import DirectoryInUse, ServerFailedToStart, ServerMissing, Servers
from voltlync.credentials import Credentials
from voltlync.demo import SessionWentWrong, show_one_session
from voltlync.loglines import Palette
from voltlync.plan import Installation, Ports
from voltlync.provision import broker_users, provision
from voltlync.seed import seed
from voltlync.supervisor import ChildFailed, Supervisor
from voltlync.workspace import CREDENTIALS, LOGS, RUN, SERVERS, STATE
from voltlync.world import Addresses, Refused, World


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
async def installation_of_this_checkout(*, free_ports: bool = False) -> AsyncIterator[Installation]:
    """Servers with kept data, migrated and declared; stopped on leaving. `free_ports`: none of the usual ones."""
    credentials = Credentials.kept_in(CREDENTIALS)
    servers = Servers(SERVERS, broker_users=broker_users(credentials))
    try:
        await to_its_end(servers.start)
        ports = Ports.free() if free_ports else Ports.usual_or_free()
        installation = Installation(servers=servers, credentials=credentials, ports=ports, data=RUN / "data")
        installation.data.mkdir(parents=True, exist_ok=True)
        await provision(installation)
        yield installation
    finally:
        await asyncio.to_thread(servers.stop)


async def up(*, play: bool = True, free_ports: bool = False) -> int:
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
        async with installation_of_this_checkout(free_ports=free_ports) as installation:
            say(f"Servers started, tables and queues in place after {time.monotonic() - began:.1f} s.")
            return await _serve(installation, began=began, play=play)
    except (DirectoryInUse, ServerMissing, ServerFailedToStart) as failure:
        say(f"\n{failure}")
        return 1
    except asyncio.CancelledError:
        if not interruptions:
            raise
        return 0
    finally:
        say("Nothing is left running.")


async def _serve(installation: Installation, *, began: float, play: bool) -> int:
    palette = Palette()
    supervisor = Supervisor(LOGS, palette, show=say)
    palette.quiet = True  # the session is the story; afterwards every service tells its own
    try:
        for stage in (installation.simulators(), installation.services(), installation.doors()):
            say(f"Starting {', '.join(child.name for child in stage)} ...")
            await supervisor.start_stage(stage)
        await supervisor.start_stage([installation.chargers()])
        addresses = addresses_of(installation)
        addresses.keep()
        say(f"All services ready after {time.monotonic() - began:.1f} s.\n")
        if not await _show(addresses, play=play):
            return 1
        say(f"\n{front_page(addresses)}\nUp after {time.monotonic() - began:.1f} s. Ctrl-C stops everything.\n")
        palette.quiet = False
        name = await supervisor.watch()
        say(f"\n{name} ended by itself. The end of its log:\n{supervisor.end_of_log(name)}\nStopping everything, in order ...")
    except ChildFailed as failure:
        say(f"\n{failure}\nStopping everything, in order ...")
    finally:
        STATE.unlink(missing_ok=True)
        await supervisor.stop()
    return 1


async def _show(addresses: Addresses, *, play: bool) -> bool:
    """Seed, and play the session that a reader came to see. False where it did not come out, told why."""
    try:
        async with World.at(addresses) as world:
            network = await seed(world, say)
            if play:
                await show_one_session(world, network, say)
    except (Refused, TimeoutError, SessionWentWrong, RuntimeError) as failure:
        say(f"\nThe demo did not come out: {failure}\nAll logs are in {LOGS}. Stopping everything, in order ...")
        return False
    return True


def front_page(addresses: Addresses) -> str:
    """Where everything is and how to get in."""
    return "\n".join(
        (
            f"REST API       {addresses.door_url}/docs  (OpenAPI: {addresses.door_url}/v1/openapi.json)",
            f"a token        curl -s {addresses.identity_url}/token -d grant_type=client_credentials -d client_id=admin",
            "               personas: admin, operator, finance, franchisee, rider",
            f"chargers       {addresses.ocpp_url}/{{charge_point_id}}  (OCPP 1.6-J)",
            f"drivers        {addresses.chargers_url}/chargers  (the simulated charge points: plug, unplug, power)",
            f"Razorpay       {addresses.razorpay_url}  (sandbox; pay a QR code: /pay; other controls: /_sandbox)",
            "another        make demo",
        )
    )


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
