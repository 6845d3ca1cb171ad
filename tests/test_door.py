"""The door knows the nouns of every service: a list that it does not know answers 404 to everybody."""

from importlib import import_module
from pathlib import Path

import pytest

from api_gateway.routing import WEBHOOKS, service_of
from chassis.web import Route

ROOT = Path(__file__).parents[1]
SERVICES = sorted(path.parent.name for path in ROOT.glob("services/*/src/*/routes.py"))


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_is_reached_through_the_door(service: str) -> None:
    routes: tuple[Route, ...] = import_module(f"{service}.routes").ROUTES
    owners = {f"{route.method} {route.path}": WEBHOOKS.get(route.path) or service_of(route.path) for route in routes}
    assert {route: owner for route, owner in owners.items() if owner != service} == {}, "add its noun to api_gateway/routing.py"
