"""Which processes make one installation, in which order they start, and what each is told. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Self

from chassis.web.principal import PrincipalSigner
from testkit.servers import Servers, database_address
from testkit.servers.processes import LOOPBACK, accepts, free_port
from voltlync.credentials import Credentials
from voltlync.supervisor import Child, module

DATABASE = "voltlync"

# Services with a schema of their own; the two gateways keep no tables.
DATABASE_SERVICES = ("charging", "payments", "settlement", "firmware", "journal")


@dataclass(frozen=True)
class Ports:
    """Where everything listens. The defaults are those of docs/house.md."""

    door: int = 8080
    ocpp: int = 9000
    ocpp_gateway: int = 9001
    charging: int = 8101
    payments: int = 8102
    settlement: int = 8103
    firmware: int = 8104
    journal: int = 8105
    api_gateway: int = 8106
    razorpay: int = 8900
    identity: int = 8901
    charger_control: int = 8902

    @classmethod
    def free(cls) -> Self:
        """Any free ports: for tests, of which several may run at once."""
        return cls(**{port.name: free_port() for port in fields(cls)})

    @classmethod
    def usual_or_free(cls) -> Self:
        """The usual ones; a free one in place of each that is taken."""
        usual = cls()
        return cls(**{port.name: _or_free(getattr(usual, port.name)) for port in fields(cls)})


def _or_free(port: int) -> int:
    return free_port() if accepts(port) else port


@dataclass(frozen=True)
class Installation:
    """One installation on this machine: its servers, secrets, ports, and settings that differ from the defaults."""

    servers: Servers
    credentials: Credentials
    ports: Ports
    data: Path
    """Where simulators and the gateway's spool keep what must survive a restart."""
    overrides: Mapping[str, str] = field(default_factory=dict)
    """Environment variables for every service: chaos shortens limits with them."""

    @property
    def door_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.door}"

    @property
    def ocpp_url(self) -> str:
        return f"ws://{LOOPBACK}:{self.ports.ocpp}/ocpp"

    @property
    def razorpay_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.razorpay}"

    @property
    def identity_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.identity}"

    @property
    def chargers_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.charger_control}"

    def simulators(self) -> list[Child]:
        """Stage one: the outside world."""
        razorpay = (
            *module("razorpay_simulator"), "serve", "--port", str(self.ports.razorpay),
            "--webhook-url", f"{self.door_url}/webhooks/razorpay", "--state", str(self.data / "razorpay.json"),
            "--opening-balance", str(OPENING_BALANCE_PAISE), "--settle-after", str(SETTLE_SECONDS), "--activate-after", "0",
        )  # fmt: skip
        identity = (
            *module("identity_simulator"),
            "serve",
            "--port",
            str(self.ports.identity),
            "--state",
            str(self.data / "identity.json"),
        )
        return [
            Child("razorpay", razorpay, self._razorpay_environment(), f"{self.razorpay_url}/_sandbox/health"),
            Child("identity", identity, {}, f"{self.identity_url}/.well-known/openid-configuration"),
        ]

    def services(self) -> list[Child]:
        """Stage two: everything behind the doors."""
        return [self.service(name) for name in DATABASE_SERVICES]

    def doors(self) -> list[Child]:
        """Stage three: what the outside world reaches."""
        return [self.service("ocpp_gateway"), self.service("api_gateway")]

    def chargers(self) -> Child:
        """Stage four: the demo network's charge points; those of the last run connect at once."""
        argv = (
            *module("voltlync.chargers"), "--ocpp-url", self.ocpp_url, "--port", str(self.ports.charger_control),
            "--state", str(self.data / "chargers.json"),
        )  # fmt: skip
        return Child("chargers", argv, {}, f"{self.chargers_url}/chargers")

    def service(self, name: str) -> Child:
        """One service by its package's name."""
        port = getattr(self.ports, name)
        return Child(name, module(name), self.environment(name), f"http://{LOOPBACK}:{port}/readyz")

    def environment(self, name: str) -> dict[str, str]:
        """What a service is told. Each gets its own users' secrets and nobody else's."""
        environment = {
            "VOLTLYNC_ENVIRONMENT": "development",
            "VOLTLYNC_AMQP_URL": self.servers.rabbitmq.url_for(name),
            "VOLTLYNC_INTERNAL_HOST": LOOPBACK,
            "VOLTLYNC_INTERNAL_PORT": str(getattr(self.ports, name)),
            "VOLTLYNC_PRINCIPAL_PUBLIC_KEY": PrincipalSigner(self.credentials.principal_private_key).public_key,
        }
        if name in DATABASE_SERVICES:
            environment["VOLTLYNC_DATABASE_URL"] = database_address(
                self.servers.postgres.dsn, DATABASE, user=f"voltlync_{name}", password=self.credentials.database_passwords[name]
            )
        match name:
            case "charging":
                environment["VOLTLYNC_REDIS_URL"] = self.servers.redis.url
                environment["VOLTLYNC_COMMAND_SECRETS_KEY"] = self.credentials.command_secrets_key
            case "payments" | "settlement":
                environment |= self._razorpay_environment()
                environment["VOLTLYNC_REDIS_URL"] = self.servers.redis.url
                environment |= SELLER if name == "payments" else {}
                if name == "payments":
                    environment["VOLTLYNC_GUEST_PRIVATE_KEY"] = self.credentials.guest_private_key
            case "ocpp_gateway":
                environment |= {
                    "VOLTLYNC_REDIS_URL": self.servers.redis.url,
                    "VOLTLYNC_COMMAND_SECRETS_KEY": self.credentials.command_secrets_key,
                    "VOLTLYNC_GATEWAY_NAME": "gw-1",
                    "VOLTLYNC_OCPP_HOST": LOOPBACK,
                    "VOLTLYNC_OCPP_PORT": str(self.ports.ocpp),
                    "VOLTLYNC_GATEWAY_DATA_DIR": str(self.data / "ocpp-gateway"),
                }
            case "api_gateway":
                environment |= {
                    "VOLTLYNC_REDIS_URL": self.servers.redis.url,
                    "VOLTLYNC_DOOR_HOST": LOOPBACK,
                    "VOLTLYNC_DOOR_PORT": str(self.ports.door),
                    "VOLTLYNC_OIDC_ISSUER": self.identity_url,
                    "VOLTLYNC_PRINCIPAL_PRIVATE_KEY": self.credentials.principal_private_key,
                    "VOLTLYNC_GUEST_PUBLIC_KEY": PrincipalSigner(self.credentials.guest_private_key).public_key,
                    **{
                        f"VOLTLYNC_{service.upper()}_URL": f"http://{LOOPBACK}:{getattr(self.ports, service)}"
                        for service in DATABASE_SERVICES
                    },
                }
        return {**environment, **self.overrides}

    def _razorpay_environment(self) -> dict[str, str]:
        return {
            "RAZORPAY_KEY_ID": self.credentials.razorpay_key_id,
            "RAZORPAY_KEY_SECRET": self.credentials.razorpay_key_secret,
            "RAZORPAY_WEBHOOK_SECRET": self.credentials.razorpay_webhook_secret,
            "RAZORPAY_API_URL": self.razorpay_url,
        }


# The sandbox's merchant begins with ten thousand rupees, so that a refund is never short of balance.
OPENING_BALANCE_PAISE = 1_000_000

# Whose invoices the demo's are: a GSTIN of the right form, given to nobody.
SELLER = {
    "VOLTLYNC_SELLER_LEGAL_NAME": "VoltLync Energy Private Limited",
    "VOLTLYNC_SELLER_GSTIN": "29AAACV4321F1ZJ",
    "VOLTLYNC_SELLER_ADDRESS": "1, Residency Road, Bengaluru 560025",
}

# Razorpay settles on the next working day; whoever watches `make run` should see it happen.
SETTLE_SECONDS = 5
