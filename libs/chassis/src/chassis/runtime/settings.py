"""Settings come from the environment, are read once at start, and fail with every error at once."""

from enum import StrEnum

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Environment(StrEnum):
    """Where we run. Simulators and their defaults are refused in production."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


class ServiceSettings(BaseSettings):
    """What every service needs. Variables are prefixed VOLTLYNC_ (`VOLTLYNC_AMQP_URL`)."""

    model_config = SettingsConfigDict(env_prefix="VOLTLYNC_", extra="ignore", populate_by_name=True)

    environment: Environment = Field(Environment.DEVELOPMENT, description="development, staging or production")
    amqp_url: SecretStr = Field(description="amqp://user:password@host:port/vhost of this service's own broker user")
    internal_host: str = Field("127.0.0.1", description="where the internal port listens (REST for the door, health, metrics)")
    internal_port: int = Field(0, description="internal HTTP port; 0 takes a free one")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_format: str = Field("json", description="json, or console for people")
    otlp_endpoint: str | None = Field(None, description="OTLP/HTTP endpoint for traces; none: traces stay in the process")
    sentry_dsn: SecretStr | None = Field(None, description="Sentry DSN; none: Sentry is off")
    drain_seconds: float = Field(20.0, description="how long SIGTERM waits for work in progress before it is cut")
    principal_public_key: str | None = Field(
        None, description="the door's Ed25519 public key, base64url raw; callers are verified by it"
    )


class DatabaseSettings(BaseSettings):
    """For services that keep tables."""

    model_config = SettingsConfigDict(env_prefix="VOLTLYNC_", extra="ignore", populate_by_name=True)

    database_url: SecretStr = Field(description="postgresql://role:password@host:port/database of this service's own role")
    database_pool_size: int = Field(10, ge=1, le=100, description="most connections this process holds")


class RedisSettings(BaseSettings):
    """For services that use Redis."""

    model_config = SettingsConfigDict(env_prefix="VOLTLYNC_", extra="ignore", populate_by_name=True)

    redis_url: str = Field(description="redis://host:port/db")
