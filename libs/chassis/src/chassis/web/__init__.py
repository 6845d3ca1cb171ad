"""A service's REST surface: a table of routes whose functions are the use cases themselves.

    ROUTES = (Route("POST", "/v1/stations", create_station, roles=ADMIN, status=201, summary="Create a station"),)
    service.add(WebServer(service, settings, ROUTES, app=charging, database=database, errors=ERRORS, telemetry=telemetry))

Failure metric: voltlync_<service>_unexpected_errors_total{route} counts what was answered 500.
"""

from chassis.web.binding import WrongRoute
from chassis.web.body import Body, read_body
from chassis.web.guest import GuestSigner, GuestVerifier
from chassis.web.ids import BIGINT_MAX, PrefixedId
from chassis.web.listener import Listener
from chassis.web.pages import PAGE_SIZE_MAX, Page, PageQuery, fetch_page
from chassis.web.principal import PRINCIPAL_HEADER, Principal, PrincipalSigner, PrincipalVerifier, Provider, forbidden
from chassis.web.problems import FieldError, Problem, invalid, invalid_field
from chassis.web.roles import (
    ADMIN,
    FINANCE,
    FRANCHISEE,
    GUEST,
    NOBODY,
    OPERATOR,
    PUBLIC,
    RIDER,
    SIGNED_IN,
    STAFF,
    Public,
    Role,
    Roles,
)
from chassis.web.route import MAX_BODY_BYTES, Answer, Errors, Route
from chassis.web.server import WebServer

__all__ = [
    "ADMIN",
    "BIGINT_MAX",
    "FINANCE",
    "FRANCHISEE",
    "GUEST",
    "MAX_BODY_BYTES",
    "NOBODY",
    "OPERATOR",
    "PAGE_SIZE_MAX",
    "PRINCIPAL_HEADER",
    "PUBLIC",
    "RIDER",
    "SIGNED_IN",
    "STAFF",
    "Answer",
    "Body",
    "Errors",
    "FieldError",
    "GuestSigner",
    "GuestVerifier",
    "Listener",
    "Page",
    "PageQuery",
    "PrefixedId",
    "Principal",
    "PrincipalSigner",
    "PrincipalVerifier",
    "Problem",
    "Provider",
    "Public",
    "Role",
    "Roles",
    "Route",
    "WebServer",
    "WrongRoute",
    "fetch_page",
    "forbidden",
    "invalid",
    "invalid_field",
    "read_body",
]
