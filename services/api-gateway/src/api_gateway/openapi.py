"""One OpenAPI document of all services: fetched from each, merged, and still whole when one of them is down for a while."""

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson
import structlog

from api_gateway.proxy import Proxy
from api_gateway.routing import SERVICES, service_of
from chassis.runtime import Clock
from chassis.web.openapi import API_VERSION, OPENAPI_VERSION

log = structlog.get_logger(__name__)

FRESH_SECONDS = 30.0
"""A service that was deployed anew shows within this time."""

FETCH_SECONDS = 2.0
"""A service that is slower is left at its last document."""

MAX_DOCUMENT_BYTES = 8 * 1024 * 1024

JsonObject = dict[str, Any]

SCHEMA_PREFIX = "#/components/schemas/"

DESCRIPTION = """The API of VoltLync: chargers, sessions, payments, and what the franchisee gets.

Money is integer paise, energy integer watt-hours, rates paise per kWh, percentages basis points; times are UTC.
Ids are prefixed text. Lists come in pages: pass `next_cursor` as `cursor`. Mutations honour `Idempotency-Key`.
Errors are RFC 9457 problems."""


class OpenApi:
    """`document()` for GET /v1/openapi.json."""

    def __init__(self, proxy: Proxy, *, clock: Clock) -> None:
        self._proxy = proxy
        self._clock = clock
        self._last: dict[str, JsonObject] = {}
        self._merged: bytes = b""
        self._fetched_at: float | None = None
        self._fetching = asyncio.Lock()

    async def document(self) -> bytes:
        """The merged document as JSON, at most FRESH_SECONDS old where the services answer."""
        async with self._fetching:
            now = self._clock.monotonic()
            if self._fetched_at is None or now - self._fetched_at >= FRESH_SECONDS:
                answers = await asyncio.gather(*(self._fetch(service) for service in SERVICES))
                self._last |= {service: answer for service, answer in zip(SERVICES, answers, strict=True) if answer is not None}
                self._merged = orjson.dumps(merge(self._last))
                # Something is missing altogether: look again at the next request.
                self._fetched_at = now if len(self._last) == len(SERVICES) else None
        return self._merged

    async def _fetch(self, service: str) -> JsonObject | None:
        try:
            timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
            async with self._proxy.session.get(f"{self._proxy.urls[service]}/openapi.json", timeout=timeout) as response:
                if response.status != 200 or (response.content_length or 0) > MAX_DOCUMENT_BYTES:
                    raise ValueError(f"status {response.status}")
                document = orjson.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            log.warning("openapi.fetch_failed", upstream=service, error=repr(error))
            return None
        return document if isinstance(document, dict) else None


def merge(documents: Mapping[str, JsonObject]) -> JsonObject:
    """One document from several, in the fixed order of services. Only what the door routes to that service is shown.

    Two services may each have a schema of one name: where they differ, the later one is renamed (`PaymentsEventView`).
    """
    paths: JsonObject = {}
    schemas: JsonObject = {}
    responses: JsonObject = {}
    operations: set[str] = set()
    for service in SERVICES:
        document = documents.get(service)
        if document is None:
            continue
        components = document.get("components", {})
        document = _with_refs(document, _renames(service, components.get("schemas", {}), schemas))
        components = document.get("components", {})
        schemas |= components.get("schemas", {})
        responses |= components.get("responses", {})
        for path, item in document.get("paths", {}).items():
            if service_of(path) != service:
                continue
            for operation in item.values():
                name = operation.get("operationId", "")
                if name in operations:
                    operation["operationId"] = f"{service}_{name}"
                operations.add(operation.get("operationId", ""))
            paths[path] = item
    return {
        "openapi": OPENAPI_VERSION,
        "info": {"title": "VoltLync", "version": API_VERSION, "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "responses": dict(sorted(responses.items())),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
        "x-missing-services": [service for service in SERVICES if service not in documents],
    }


def _renames(service: str, own: JsonObject, taken: JsonObject) -> dict[str, str]:
    """New names for a service's schemas that differ from others of the same name; also for those that only differ by what they
    refer to, so it is repeated until nothing changes."""
    prefix = "".join(word.capitalize() for word in service.split("_"))
    renames: dict[str, str] = {}
    while True:
        renamed = _with_refs({"schemas": own}, renames)["schemas"]
        more = {name: prefix + name for name in own if name in taken and name not in renames and renamed[name] != taken[name]}
        if not more:
            return renames
        renames |= more


def _with_refs(value: Any, renames: Mapping[str, str], *, names: bool = False) -> Any:
    """A copy with schemas renamed, where they are defined and wherever they are referred to."""
    if isinstance(value, dict):
        return {
            renames.get(key, key) if names else key: _with_refs(item, renames, names=key == "schemas" and not names)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_with_refs(item, renames) for item in value]
    if isinstance(value, str) and value.startswith(SCHEMA_PREFIX):
        name = value.removeprefix(SCHEMA_PREFIX)
        return SCHEMA_PREFIX + renames.get(name, name)
    return value
