"""Every secret of a private installation: made up once, kept in one file that only its owner reads."""

import json
import secrets
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field

from chassis.sealing import SealingBox
from chassis.web.principal import PrincipalSigner
from contracts.topology import SERVICES


class Credentials(BaseModel):
    """Secrets shared between the parts of one installation."""

    broker_passwords: dict[str, str]
    """RabbitMQ, by service."""
    database_passwords: dict[str, str]
    """PostgreSQL role `voltlync_<service>`, by service."""
    principal_private_key: str
    """The door's Ed25519 key: it alone vouches for callers."""
    razorpay_key_id: str
    razorpay_key_secret: str
    razorpay_webhook_secret: str
    postgres_password: str
    """Superuser of docker compose's PostgreSQL; servers of `make run` keep their own."""
    rabbitmq_password: str
    """Administrator of docker compose's RabbitMQ."""
    guest_private_key: str = Field(default_factory=lambda: PrincipalSigner.generate().private_key)
    """Payments' Ed25519 key: it alone says that somebody proved a payment."""
    command_secrets_key: str = Field(default_factory=SealingBox.new_key)
    """Seals passwords on their way to chargers: charging's and the gateways' alone."""

    @classmethod
    def make(cls) -> Self:
        """Fresh ones."""
        return cls(
            broker_passwords={service: secrets.token_urlsafe(18) for service in SERVICES},
            database_passwords={service: secrets.token_urlsafe(18) for service in SERVICES},
            principal_private_key=PrincipalSigner.generate().private_key,
            razorpay_key_id="rzp_test_" + secrets.token_hex(7),
            razorpay_key_secret=secrets.token_urlsafe(18),
            razorpay_webhook_secret=secrets.token_urlsafe(18),
            postgres_password=secrets.token_urlsafe(18),
            rabbitmq_password=secrets.token_urlsafe(18),
        )

    @classmethod
    def kept_in(cls, path: Path) -> Self:
        """Those of the last run, or fresh ones that the next run will find."""
        if path.exists():
            return cls.model_validate(json.loads(path.read_text()))
        made = cls.make()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(made.model_dump_json(indent=1))
        return made
