"""A wrong route stops the service at its start and says why."""

from typing import Any

import pytest
from aiohttp import web
from pydantic import BaseModel

from chassis.runtime import Environment, Service, ServiceSettings
from chassis.telemetry import Telemetry
from chassis.web import ADMIN, PUBLIC, Page, PageQuery, Principal, PrincipalSigner, Route, WebServer, WrongRoute
from testkit.clock import SteppingClock


class View(BaseModel):
    text: str


async def fine(app: str) -> View:
    return View(text=app)


async def unknown_parameter(stationid: int) -> View: ...
async def without_annotation(app) -> View: ...
async def without_return(app: str): ...
async def not_a_model(query: dict[str, Any]) -> View: ...
async def wrong_principal(principal: str) -> View: ...
async def needs_caller(principal: Principal) -> View: ...
async def with_body(body: View) -> View: ...
async def body_and_request(body: View, request: web.Request) -> View: ...
async def takes_anything(**anything: Any) -> View: ...
async def no_schema(app: str) -> Service: ...
async def takes_uow(uow: Any) -> View: ...
def not_async(app: str) -> View: ...


def server(*routes: Route, **changed: Any) -> WebServer:
    service = Service("toy", clock=SteppingClock())
    settings = ServiceSettings(amqp_url="amqp://nobody@nowhere/", **changed)
    return WebServer(service, settings, routes, telemetry=Telemetry(settings, service="toy"), app="toy")


@pytest.mark.parametrize(
    ("method", "path", "function", "roles", "reason"),
    [
        ("GET", "/a/{station_id}", unknown_parameter, ADMIN, "nobody provides parameter 'stationid'; there are: app"),
        ("GET", "/a/{station_id}", fine, ADMIN, "the path has ['station_id'], the function does not take it"),
        ("GET", "/a", without_annotation, ADMIN, "parameter 'app' has no annotation"),
        ("GET", "/a", without_return, ADMIN, "has no return annotation"),
        ("GET", "/a", not_a_model, ADMIN, "'query' must be a pydantic model"),
        ("GET", "/a", wrong_principal, ADMIN, "'principal' must be annotated Principal"),
        ("GET", "/a", needs_caller, PUBLIC, "a PUBLIC route may have no caller"),
        ("GET", "/a", with_body, ADMIN, "GET requests have no body"),
        ("POST", "/a", body_and_request, ADMIN, "the body can be read once"),
        ("GET", "/a", takes_anything, ADMIN, "must be an ordinary one"),
        ("GET", "/a", no_schema, ADMIN, "pydantic cannot make a schema of 'return'"),
        ("GET", "/a", takes_uow, ADMIN, "the web server was given no database"),
        ("GET", "/a", not_async, ADMIN, "must be async"),
        ("FETCH", "/a", fine, ADMIN, "the method must be one of"),
    ],
)
def test_a_wrong_signature_is_told_at_the_start(method: str, path: str, function: Any, roles: Any, reason: str) -> None:
    with pytest.raises(WrongRoute) as raised:
        server(Route(method, path, function, roles=roles))
    assert reason in str(raised.value)
    assert f"{method} {path} → {function.__qualname__}" in str(raised.value)


def test_production_does_not_start_without_the_doors_key() -> None:
    with pytest.raises(ValueError, match="VOLTLYNC_PRINCIPAL_PUBLIC_KEY"):
        server(Route("GET", "/a", fine, roles=ADMIN), environment=Environment.PRODUCTION)
    server(Route("GET", "/a", fine, roles=PUBLIC), environment=Environment.PRODUCTION)


@pytest.mark.parametrize("key", ["", "AAAA", "!" * 43, "é" * 43, "A" * 60])
def test_a_key_that_is_none_is_refused_at_the_start(key: str) -> None:
    with pytest.raises(ValueError):
        PrincipalSigner(key)


def test_operations_have_names_of_their_own() -> None:
    with pytest.raises(ValueError, match="operationIds must be unique"):
        server(Route("GET", "/a", fine, roles=ADMIN), Route("GET", "/b", fine, roles=ADMIN))


def test_a_page_says_where_the_next_one_begins() -> None:
    query = PageQuery(limit=2)
    page = Page[str].of([3, 2, 1], query, key=lambda row: [row], view=str)
    assert page.items == ["3", "2"]
    assert page.next_cursor is not None
    assert Page[str].of([3, 2], query, key=lambda row: [row], view=str).next_cursor is None
    assert Page[str].of([], query, key=lambda row: [row], view=str).next_cursor is None
