"""What can be set, with defaults and a sentence each. Who signs people in is settings alone: nothing here says "Clerk"."""

import ipaddress
from typing import Self

from limits import parse_many
from pydantic import Field, SecretStr, model_validator

from chassis.runtime import ServiceSettings
from chassis.runtime.settings import RedisSettings


class ApiGatewaySettings(ServiceSettings, RedisSettings):
    """Variables are prefixed VOLTLYNC_ (`VOLTLYNC_OIDC_ISSUER`). Lists are separated by commas."""

    door_host: str = Field("127.0.0.1", description="where the public door listens")
    door_port: int = Field(8080, ge=0, le=65535, description="the public door's port; 0 takes a free one")

    oidc_issuer: str = Field(description="the exact `iss` of tokens; its discovery document lies below it")
    oidc_jwks_url: str | None = Field(None, description="where the issuer's keys are; none: its discovery document says")
    oidc_audience: str | None = Field("voltlync", description="the `aud` that tokens must bear; empty where the issuer sets none")
    oidc_authorized_parties: str = Field("", description="the `azp` that tokens may bear (origins of our web apps); empty: any")
    oidc_roles_claim: str = Field("roles", description="path of the claim with the roles, such as `public_metadata.roles`")
    oidc_franchisee_claim: str = Field("franchisee_id", description="path of the claim with a franchisee's id (`frn_7` or 7)")
    oidc_phone_claim: str = Field("phone_number", description="path of the claim with the person's phone")
    oidc_phone_verified_claim: str = Field(
        "phone_number_verified", description="path of the claim that is true where the issuer verified the phone; else it is none"
    )
    oidc_name_claim: str = Field("name", description="path of the claim with the person's name, for audit")
    oidc_leeway_seconds: float = Field(10.0, ge=0, le=120, description="how far the issuer's clock may differ from ours")
    jwks_refresh_seconds: float = Field(300.0, gt=0, description="keys older than this are fetched again, in the background")
    jwks_stale_seconds: float = Field(3600.0, gt=0, description="keys older than this are not trusted any more: all tokens 503")

    guest_public_key: str | None = Field(
        None, description="payments' Ed25519 key for guests who proved a payment, base64url raw; none: guests are not let in"
    )

    principal_private_key: SecretStr = Field(description="the door's Ed25519 key, from `python -m api_gateway keygen`")

    charging_url: str = Field("http://127.0.0.1:8101", description="internal address of charging")
    payments_url: str = Field("http://127.0.0.1:8102", description="internal address of payments")
    settlement_url: str = Field("http://127.0.0.1:8103", description="internal address of settlement")
    firmware_url: str = Field("http://127.0.0.1:8104", description="internal address of firmware")
    journal_url: str = Field("http://127.0.0.1:8105", description="internal address of journal")
    upstream_connect_seconds: float = Field(2.0, gt=0, description="a service that takes no connection by then is away (503)")
    upstream_seconds: float = Field(35.0, gt=0, description="longest wait for an answer's end: above the services' own 30 s")
    upstream_connections: int = Field(100, ge=1, description="most connections to one service; a stuck one cannot take all")

    max_body_bytes: int = Field(1024 * 1024, gt=0, description="longest request body; services set lower limits of their own")
    body_seconds: float = Field(20.0, gt=0, description="a body that has not arrived by then is cut (408)")

    limit_caller: str = Field("1200/minute", description="requests of one signed-in caller")
    limit_public: str = Field("60/minute", description="requests of one address to /v1/public")
    limit_unauthenticated: str = Field("60/minute", description="requests of one address without a valid token")
    limit_webhooks: str = Field("3000/minute", description="webhooks of one address; Razorpay sends from a few")
    limit_timeout_seconds: float = Field(
        0.25, gt=0, description="Redis that answers later counts as away: requests pass uncounted"
    )
    trusted_proxies: str = Field("", description="networks whose X-Forwarded-For tells the caller's address, such as 10.0.0.0/8")

    cors_origins: str = Field("", description="origins whose pages may call the API from a browser")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.oidc_audience and not self.authorized_parties:
            raise ValueError("set oidc_audience or oidc_authorized_parties: else any token of the issuer, for any app, would do")
        if self.jwks_stale_seconds < self.jwks_refresh_seconds:
            raise ValueError("jwks_stale_seconds must not be below jwks_refresh_seconds")
        for name in ("limit_caller", "limit_public", "limit_unauthenticated", "limit_webhooks"):
            parse_many(getattr(self, name))
        _ = self.trusted_networks
        return self

    @property
    def authorized_parties(self) -> frozenset[str]:
        """`oidc_authorized_parties` as a set."""
        return frozenset(_items(self.oidc_authorized_parties))

    @property
    def allowed_origins(self) -> frozenset[str]:
        """`cors_origins` as a set."""
        return frozenset(_items(self.cors_origins))

    @property
    def trusted_networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """`trusted_proxies` as networks. Raises ValueError for what is none."""
        return tuple(ipaddress.ip_network(item) for item in _items(self.trusted_proxies))


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
