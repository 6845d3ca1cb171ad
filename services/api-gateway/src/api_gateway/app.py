"""The public door, put together: read it from top to bottom as the table of contents."""

from functools import partial

from opentelemetry.sdk.trace.export import SpanExporter

from api_gateway.authenticate import Authenticator
from api_gateway.door import Door, ask_service
from api_gateway.jwks import Jwks
from api_gateway.limits import Limits
from api_gateway.openapi import OpenApi
from api_gateway.proxy import Proxy
from api_gateway.routing import SERVICES
from api_gateway.settings import ApiGatewaySettings
from chassis.runtime import Clock, Ids, Service
from chassis.telemetry import Telemetry
from chassis.web import PrincipalSigner, WebServer
from chassis.web.health import Check

NAME = "api_gateway"


def create_app(
    settings: ApiGatewaySettings,
    *,
    clock: Clock,
    ids: Ids,  # noqa: ARG001  (every service is made alike)
    span_exporter: SpanExporter | None = None,
) -> Service:
    """The door, not started. Raises ValueError for a private key that is none."""
    service = Service(NAME, clock=clock, drain_seconds=settings.drain_seconds)
    telemetry = service.add(Telemetry(settings, service=NAME, clock=clock, span_exporter=span_exporter))
    registry = telemetry.registry
    jwks = service.add(
        Jwks(
            service,
            issuer=settings.oidc_issuer,
            jwks_url=settings.oidc_jwks_url,
            refresh_seconds=settings.jwks_refresh_seconds,
            stale_seconds=settings.jwks_stale_seconds,
            registry=registry,
        )
    )
    limits = service.add(Limits(settings, clock=clock, registry=registry))
    proxy = service.add(Proxy(settings, telemetry=telemetry, registry=registry))
    details: dict[str, Check] = {
        "identity provider": jwks.ready,
        "rate limits": limits.ready,
        **{name: partial(ask_service, proxy, name) for name in SERVICES},
    }
    internal = service.add(WebServer(service, settings, (), telemetry=telemetry, details=details))
    service.add(
        Door(
            service,
            settings,
            observer=internal.observer,
            authenticator=Authenticator(settings, jwks, clock=clock, registry=registry),
            limits=limits,
            proxy=proxy,
            openapi=OpenApi(proxy, clock=clock),
            signer=PrincipalSigner(settings.principal_private_key.get_secret_value()),
        )
    )
    return service
