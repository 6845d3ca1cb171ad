"""What an operator's machinery asks of the internal port: alive, ready, measured."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import orjson
from aiohttp import web
from prometheus_client.exposition import choose_encoder

from chassis.runtime import Service
from chassis.telemetry import Telemetry

READY_CHECK_SECONDS = 5.0
"""A dependency that has not answered by then is as good as away; Kubernetes' own probe timeout lies above it."""


HEALTH_PATHS = frozenset({"/livez", "/readyz", "/metrics"})


Check = Callable[[], Awaitable[str | None]]
"""None when fine, or a sentence that says what is wrong."""


def add_health_routes(
    application: web.Application, service: Service, telemetry: Telemetry, details: Mapping[str, Check] | None = None
) -> None:
    """GET /livez (the event loop turns), /readyz (every ready check of the service passes), /metrics (Prometheus).

    `details` are asked and shown by /readyz, and do not decide: what a service can do without.
    """
    shown = details or {}

    async def live(_request: web.Request) -> web.Response:
        return web.json_response({"status": "alive", "service": service.name})

    async def ready(_request: web.Request) -> web.Response:
        reasons, notes = await asyncio.gather(_ask(service.ready_checks), _ask(shown))
        checks = {name: reason or "ok" for name, reason in reasons.items()}
        if service.stopping.is_set():
            checks["service"] = "stopping"
        fine = not any(reasons.values()) and not service.stopping.is_set()
        body: dict[str, object] = {"status": "ready" if fine else "not ready", "service": service.name, "checks": checks}
        if shown:
            body["details"] = {name: note or "ok" for name, note in notes.items()}
        return web.Response(status=200 if fine else 503, body=orjson.dumps(body), content_type="application/json")

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(telemetry.registry), headers={"Content-Type": content_type})

    application.router.add_get("/livez", live)
    application.router.add_get("/readyz", ready)
    application.router.add_get("/metrics", metrics)


async def _ask(checks: Mapping[str, Check]) -> dict[str, str | None]:
    names = list(checks)
    answers = await asyncio.gather(*(_check(checks[name]) for name in names))
    return dict(zip(names, answers, strict=True))


async def _check(check: Check) -> str | None:
    try:
        async with asyncio.timeout(READY_CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {READY_CHECK_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001  (whatever it is, it says "not ready", and the probe must be answered)
        return f"{type(error).__name__}: {error}"
