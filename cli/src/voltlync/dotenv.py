"""`voltlync dotenv`: fresh secrets for docker compose, as the text of a .env file."""

from chassis.web.principal import PrincipalSigner
from contracts.topology import SERVICES
from voltlync.credentials import Credentials
from voltlync.plan import DATABASE_SERVICES, SELLER


def dotenv(credentials: Credentials) -> str:
    """Every variable that docker-compose.yml asks for. The simulators' profile is on: leave it out where Razorpay is real."""
    lines = [
        "# Written by `make dotenv`. Secret: keep it out of version control (.gitignore has it).",
        "COMPOSE_PROFILES=simulators",
        f"POSTGRES_PASSWORD={credentials.postgres_password}",
        f"RABBITMQ_ADMIN_PASSWORD={credentials.rabbitmq_password}",
        f"VOLTLYNC_PRINCIPAL_PRIVATE_KEY={credentials.principal_private_key}",
        f"VOLTLYNC_PRINCIPAL_PUBLIC_KEY={PrincipalSigner(credentials.principal_private_key).public_key}",
        f"VOLTLYNC_GUEST_PRIVATE_KEY={credentials.guest_private_key}",
        f"VOLTLYNC_GUEST_PUBLIC_KEY={PrincipalSigner(credentials.guest_private_key).public_key}",
        f"VOLTLYNC_COMMAND_SECRETS_KEY={credentials.command_secrets_key}",
        "RAZORPAY_API_URL=http://razorpay-simulator:8900",
        f"RAZORPAY_KEY_ID={credentials.razorpay_key_id}",
        f"RAZORPAY_KEY_SECRET={credentials.razorpay_key_secret}",
        f"RAZORPAY_WEBHOOK_SECRET={credentials.razorpay_webhook_secret}",
        "VOLTLYNC_OIDC_ISSUER=http://identity-simulator:8901",
        *(f"{name}={value}" for name, value in SELLER.items()),
    ]
    lines += [f"{service.upper()}_BROKER_PASSWORD={credentials.broker_passwords[service]}" for service in SERVICES]
    lines += [f"{service.upper()}_DATABASE_PASSWORD={credentials.database_passwords[service]}" for service in DATABASE_SERVICES]
    return "\n".join(lines) + "\n"


def credentials_from(environment: dict[str, str]) -> Credentials:
    """The same back from variables: what the `provision` container is told. Raises KeyError for one that is missing."""
    return Credentials(
        broker_passwords={service: environment[f"{service.upper()}_BROKER_PASSWORD"] for service in SERVICES},
        database_passwords={service: environment[f"{service.upper()}_DATABASE_PASSWORD"] for service in DATABASE_SERVICES},
        postgres_password=environment["POSTGRES_PASSWORD"],
        rabbitmq_password=environment["RABBITMQ_ADMIN_PASSWORD"],
        principal_private_key="",
        razorpay_key_id="",
        razorpay_key_secret="",
        razorpay_webhook_secret="",
    )
