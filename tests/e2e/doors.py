"""The API as its OpenAPI documents have it, for tests that try every route: who may, and what to put into the path."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiohttp

from chassis.web import Role, WebServer
from tests.e2e.world import World

T = TypeVar("T")

NOT_THERE = "999999999"
"""An id that nothing bears."""
MOMENT = "2026-01-05T00:00:00Z"
AT_ONCE = 24
_PREFIX = re.compile(r"\^([a-z]+)_\[1-9\]")


@dataclass(frozen=True)
class Parameter:
    """A parameter in a path or query string."""

    name: str
    place: str
    required: bool
    schema: Mapping[str, Any]

    @property
    def prefix(self) -> str | None:
        """`frn` of ids of franchisees; None where it is no id."""
        for schema in (self.schema, *self.schema.get("anyOf", ())):
            found = _PREFIX.match(schema.get("pattern", ""))
            if found is not None:
                return found[1]
        return None

    @property
    def anything(self) -> str:
        """A value of its form."""
        if self.prefix is not None:
            return f"{self.prefix}_{NOT_THERE}"
        if "examples" in self.schema:
            return str(self.schema["examples"][0])
        if "enum" in self.schema:
            return str(self.schema["enum"][0])
        known = {"integer": str(self.schema.get("minimum", 9)), "boolean": "true", "date-time": MOMENT, "date": MOMENT[:10]}
        return known.get(self.schema.get("format", self.schema.get("type", "")), "anything")


@dataclass(frozen=True)
class Operation:
    """A route."""

    service: str
    method: str
    path: str
    roles: frozenset[str]
    """`{"public"}` where nobody is asked who he is."""
    parameters: tuple[Parameter, ...]
    takes_body: bool
    ids_in_body: frozenset[str]
    """Names of whatever in the body says whose, or which: ids of ours, and names that end like one."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def in_path(self) -> list[Parameter]:
        """The parameters of the path."""
        return [parameter for parameter in self.parameters if parameter.place == "path"]

    @property
    def public(self) -> bool:
        """Whether nobody is asked who he is."""
        return "public" in self.roles

    @property
    def lists(self) -> bool:
        """Whether it needs no id to be asked."""
        return self.method == "GET" and not self.in_path

    def filled(self, values: Mapping[str, str] | None = None, **query: str) -> str:
        """Path and query string, with these values by prefix, and anything for what else is required."""
        path = self.path
        for parameter in self.in_path:
            value = (values or {}).get(parameter.prefix or "", parameter.anything)
            path = path.replace(f"{{{parameter.name}}}", value)
        asked = {each.name: each.anything for each in self.parameters if each.place == "query" and each.required} | query
        return f"{path}?{urlencode(asked)}" if asked else path


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    text: str

    @property
    def by_role(self) -> bool:
        """Whether it is the role check's refusal: it names the roles that would do."""
        if self.status != 403:
            return False
        problem = json.loads(self.text)
        return bool(problem["type"] == "urn:voltlync:problem:forbidden" and "roles" in problem)


def web_of(world: World, service: str) -> WebServer:
    """A service's internal port."""
    return next(part for part in world.services[service]._parts if isinstance(part, WebServer))


def operations(world: World) -> list[Operation]:
    """Every route of every service, as the service's own document has it."""
    found = []
    for service in world.services:
        document = web_of(world, service).openapi
        named = document["components"]["schemas"]
        for path, by_method in document["paths"].items():
            for method, shown in by_method.items():
                parameters = tuple(
                    Parameter(each["name"], each["in"], each["required"], _resolved(each["schema"], named))
                    for each in shown.get("parameters", ())
                )
                roles = frozenset(shown["x-roles"])
                body = shown.get("requestBody", {})
                ids = frozenset(_ids_in(body, named, ()))
                found.append(Operation(service, method.upper(), path, roles, parameters, "requestBody" in shown, ids))
    return found


def _ids_in(part: Any, named: Mapping[str, Any], seen: tuple[str, ...]) -> Iterator[str]:
    """Properties of a schema, and of those it refers to, that are ids."""
    if isinstance(part, list):
        for each in part:
            yield from _ids_in(each, named, seen)
    if not isinstance(part, Mapping):
        return
    reference = part.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        yield from _ids_in(_resolved(part, named), named, (*seen, reference))
    for name, schema in part.get("properties", {}).items():
        if name.endswith(("_id", "_ids")) or _PREFIX.search(json.dumps(schema)):
            yield name
    for each in part.values():
        yield from _ids_in(each, named, seen)


def _resolved(schema: Mapping[str, Any], named: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference refers to."""
    reference = schema.get("$ref")
    return named[reference.rpartition("/")[2]] if reference is not None else schema  # type: ignore[no-any-return]


async def token_of(world: World, role: str, **claims: Any) -> str:
    """A token of somebody with just this role. Guests come from payments, not from the identity provider."""
    if role == Role.GUEST:
        return world.guests.sign(int(str(claims.get("rider_id", "rdr_1")).removeprefix("rdr_")), now=world.clock.now())[0]
    return await world.token(role, **claims)


async def say(
    world: World, operation: Operation, path: str, *, token: str | None = None, url: str | None = None, **headers: str
) -> Said:
    """Ask; a route with a body gets an empty object."""
    assert world._http is not None
    given = dict(headers)
    if token is not None:
        given["Authorization"] = f"Bearer {token}"
    body = {} if operation.takes_body else None
    try:
        async with world._http.request(operation.method, (url or world.door) + path, json=body, headers=given) as answer:
            return Said(answer.status, await answer.text(errors="replace"))
    except aiohttp.ClientError as error:
        raise AssertionError(f"{operation}: {error!r}") from error


async def all_of(calls: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    """Answers in order, some at a time."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(call: Callable[[], Awaitable[T]]) -> T:
        async with turn:
            return await call()

    return await asyncio.gather(*(one(call) for call in calls))


async def rows(world: World, admin: Any) -> dict[str, int]:
    """How many rows every table has, and how often Razorpay was asked."""
    tables = await admin.fetch("SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY($1)", [*world.services])
    names = [f"{table['schemaname']}.{table['tablename']}" for table in tables]
    each = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in names)  # noqa: S608
    return {**dict(await admin.fetch(each)), "requests to Razorpay": len(world.razorpay.requests())}
