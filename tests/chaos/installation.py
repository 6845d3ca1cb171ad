"""VoltLync as real processes on throw-away servers that keep their data over a kill, with its limits shortened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from testkit.servers import Servers, database_address
from voltlync.credentials import Credentials
from voltlync.plan import DATABASE, Installation, Ports
from voltlync.provision import broker_users, provision
from voltlync.supervisor import Supervisor
from voltlync.up import addresses_of
from voltlync.world import World

# Firmware and journal have nothing to lose yet; they join when they keep something.
SERVICES = ("charging", "payments", "settlement")
DOORS = ("ocpp_gateway", "api_gateway")

# A paid start that does not come by then is given back. Long enough for a service that is killed and back in between.
START_DEADLINE_SECONDS = 30
# How long a dropped charger's sessions wait for it.
DISCONNECT_SECONDS = 20

# Every wait of the real system that a test can't sit out. Their proportions are those of the defaults; two leases are at
# their least (60 s), for below it a call to Razorpay that is under way could be taken for lost.
LIMITS = {
    "VOLTLYNC_START_DEADLINE_SECONDS": str(START_DEADLINE_SECONDS),
    "VOLTLYNC_START_ANSWER_GRACE_SECONDS": "10",
    "VOLTLYNC_RETRY_SECONDS": "10",
    "VOLTLYNC_REFUND_LEASE_SECONDS": "60",
    "VOLTLYNC_REFUND_POLL_SECONDS": "10",
    "VOLTLYNC_TRANSFER_LEASE_SECONDS": "60",
    "VOLTLYNC_TRANSFER_POLL_SECONDS": "10",
    "VOLTLYNC_SETTLEMENT_POLL_SECONDS": "10",
    "VOLTLYNC_KYC_POLL_SECONDS": "10",
    "VOLTLYNC_SWEEP_SECONDS": "2",
    "VOLTLYNC_DISCONNECT_SUSPENSION_SECONDS": str(DISCONNECT_SECONDS),
    "VOLTLYNC_GATEWAY_SUSPENSION_SECONDS": "60",
    "VOLTLYNC_BOOT_SIGN_OF_LIFE_SECONDS": str(DISCONNECT_SECONDS),
    "VOLTLYNC_RESUME_GAP_MAX_SECONDS": "60",
    "VOLTLYNC_STOP_CONFIRM_SECONDS": "10",
    "VOLTLYNC_STALE_SWEEP_SECONDS": "5",
    "VOLTLYNC_COMMAND_DEADLINE_SECONDS": "30",
    "VOLTLYNC_COMMAND_TIMEOUT_SECONDS": "5",
    "VOLTLYNC_GATEWAY_LOST_SECONDS": "10",
    "VOLTLYNC_HEARTBEAT_INTERVAL_SECONDS": "10",
    "VOLTLYNC_SILENCE_SECONDS": "30",
    "VOLTLYNC_PING_SECONDS": "5",
    "VOLTLYNC_SETTLE_SECONDS": "1",
    "VOLTLYNC_REGISTRY_SECONDS": "2",
    "VOLTLYNC_LEASE_SECONDS": "6",
    "VOLTLYNC_DECISION_SECONDS": "5",
    "VOLTLYNC_CONFIRM_SECONDS": "2",
    "VOLTLYNC_DRAIN_SPREAD_SECONDS": "0",
    "VOLTLYNC_LIMIT_CALLER": "100000/minute",
    "VOLTLYNC_LIMIT_WEBHOOKS": "100000/minute",
}
WEBHOOK_RETRY_SECONDS = "1"

# Razorpay takes its time over an answer, after it has moved the money: a kill in between leaves a call whose outcome nobody
# knows, which is the moment at which money is doubled or lost.
SLOW_CALLS = ("/v1/payments/*/refund", "/v1/transfers")
SLOW_SECONDS = 1.5


@dataclass
class Running:
    """One running installation."""

    installation: Installation
    supervisor: Supervisor
    world: World

    @property
    def dsn(self) -> str:
        """The administrator's, of the database that all services share."""
        return database_address(self.installation.servers.postgres.dsn, DATABASE)

    @property
    def amqp_url(self) -> str:
        """The administrator's."""
        return self.installation.servers.rabbitmq.url

    @property
    def bank_file(self) -> Path:
        """The sandbox's books: written at every change, whole or not at all."""
        return self.installation.data / "razorpay.json"


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Running]:
    """Everything started, migrated and ready. On leaving, however that comes about, nothing is left running."""
    credentials = Credentials.make()
    servers = Servers.throwaway(broker_users=broker_users(credentials), durable=True)
    try:
        await asyncio.to_thread(servers.start)
        installation = Installation(servers, credentials, Ports.free(), directory / "data", overrides=LIMITS)
        installation.data.mkdir(parents=True)
        await provision(installation)
        supervisor = Supervisor(directory / "logs")
        try:
            razorpay, identity = installation.simulators()
            razorpay = replace(razorpay, argv=(*razorpay.argv, "--webhook-retry-after", WEBHOOK_RETRY_SECONDS))
            await supervisor.start_stage([razorpay, identity])
            await supervisor.start_stage([installation.service(name) for name in SERVICES])
            await supervisor.start_stage([installation.service(name) for name in DOORS])
            async with World.at(addresses_of(installation)) as world:
                for path in SLOW_CALLS:
                    slow = {"kind": "slow", "when": "after_effect", "method": "POST", "path": path, "seconds": SLOW_SECONDS}
                    await world.razorpay("POST", "/faults", {**slow, "times": None})
                yield Running(installation, supervisor, world)
        finally:
            await supervisor.stop()
    finally:
        await asyncio.to_thread(servers.stop)
