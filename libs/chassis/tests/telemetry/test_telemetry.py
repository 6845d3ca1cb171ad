"""Traces and metrics of one service, kept apart from its neighbours in the same process."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Iterator

import aiohttp
import pytest
import structlog
from aiohttp import web
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from chassis.runtime import ServiceSettings
from chassis.telemetry import Telemetry, configure_process, current_trace_id, current_traceparent
from testkit.clock import SteppingClock
from testkit.servers import Servers

SETTINGS = ServiceSettings(amqp_url="amqp://nobody@nowhere/")


def test_a_trace_goes_from_service_to_service_by_its_traceparent() -> None:
    first, second = InMemorySpanExporter(), InMemorySpanExporter()
    payments = Telemetry(SETTINGS, service="payments", span_exporter=first)
    charging = Telemetry(SETTINGS, service="charging", span_exporter=second)
    with payments.span("webhook.accept", payment_id=17, reason=None):
        travelling = current_traceparent()
        trace_id = current_trace_id()
    assert current_traceparent() is None
    with charging.span("session.start", traceparent=travelling):
        assert current_trace_id() == trace_id
    (webhook,), (session,) = first.get_finished_spans(), second.get_finished_spans()
    assert session.parent is not None
    assert webhook.context is not None
    assert session.parent.span_id == webhook.context.span_id
    assert webhook.attributes == {"payment_id": 17}
    assert webhook.resource.attributes["service.name"] == "payments"


@pytest.mark.parametrize("malformed", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "00-zz-zz-01", "é" * 55])
def test_a_malformed_traceparent_starts_a_new_trace(malformed: str) -> None:
    exporter = InMemorySpanExporter()
    telemetry = Telemetry(SETTINGS, service="payments", span_exporter=exporter)
    with telemetry.span("outer"), telemetry.span("inner", traceparent=malformed):
        pass
    inner, outer = exporter.get_finished_spans()
    assert inner.parent is None
    assert inner.context is not None
    assert outer.context is not None
    assert inner.context.trace_id != outer.context.trace_id


def test_without_an_exporter_trace_ids_are_still_made() -> None:
    telemetry = Telemetry(SETTINGS, service="payments")
    with telemetry.span("webhook.accept") as span:
        assert not span.is_recording()
        assert current_trace_id() is not None


def test_a_failed_block_marks_its_span() -> None:
    exporter = InMemorySpanExporter()
    telemetry = Telemetry(SETTINGS, service="payments", span_exporter=exporter)
    with pytest.raises(ValueError), telemetry.span("refund.issue"):
        raise ValueError("no payment of rahul@okaxis")
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code.name == "ERROR"
    assert span.events[0].attributes == {"exception.type": "ValueError", "exception.message": "no payment of ra***@okaxis"}


def test_two_services_may_have_a_metric_of_the_same_name() -> None:
    for service in ("payments", "charging"):
        Counter("voltlync_failures_total", "d", registry=Telemetry(SETTINGS, service=service).registry).inc()


async def test_http_calls_carry_the_trace_and_leave_the_query_out_of_the_span() -> None:
    seen: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers.get("traceparent"))
        return web.Response()

    application = web.Application()
    application.router.add_get("/lookup", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    exporter = InMemorySpanExporter()
    telemetry = Telemetry(SETTINGS, service="payments", span_exporter=exporter)
    try:
        async with aiohttp.ClientSession(trace_configs=[telemetry.http_client_tracing()]) as session:
            with telemetry.span("refund.issue"):
                trace_id = current_trace_id()
                host, port = runner.addresses[0][:2]
                async with session.get(f"http://{host}:{port}/lookup?contact=9876543210") as response:
                    assert response.status == 200
    finally:
        await runner.cleanup()
    assert seen[0] is not None
    assert seen[0].split("-")[1] == trace_id
    assert "9876543210" not in str([span.attributes for span in exporter.get_finished_spans()])


@pytest.mark.servers
async def test_every_query_is_one_span(servers: Servers) -> None:
    exporter = InMemorySpanExporter()
    telemetry = Telemetry(SETTINGS, service="payments", span_exporter=exporter)
    engine = create_async_engine(servers.postgres.dsn.replace("postgresql://", "postgresql+asyncpg://"))
    telemetry.trace_queries(engine)
    try:
        with telemetry.span("refund.issue"):
            async with engine.connect() as connection:
                await connection.execute(text("select 1"))
                await connection.execute(text("select :vpa"), {"vpa": "rahul@okaxis"})
                with pytest.raises(DBAPIError):
                    await connection.execute(text("select 1 / 0"))
    finally:
        await engine.dispose()
    finished = exporter.get_finished_spans()
    (refund,) = [span for span in finished if span.name == "refund.issue"]
    assert refund.context is not None
    # The dialect's own questions at the first connect are spans too; the last three are ours.
    ours = [span for span in finished if span.name == "SELECT"][-3:]
    assert [(span.attributes or {})["db.query.text"] for span in ours] == ["select 1", "select $1", "select 1 / 0"]
    assert [span.parent and span.parent.span_id for span in ours] == [refund.context.span_id] * 3
    assert [span.status.status_code.name for span in ours] == ["UNSET", "UNSET", "ERROR"]
    assert "rahul" not in str([span.attributes for span in finished])


@pytest.fixture
def own_logging() -> Iterator[None]:
    """The logging of the test session, restored after a test has configured the process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("own_logging")
def test_log_lines_are_json_masked_and_stamped_by_the_clock(capsys: pytest.CaptureFixture[str], clock: SteppingClock) -> None:
    configure_process(SETTINGS, service="payments", clock=clock)
    log = structlog.get_logger("payments.test")
    telemetry = Telemetry(SETTINGS, service="payments")
    with telemetry.span("refund.issue"):
        trace_id = current_trace_id()
        log.info("refund.processed", refund_id=17, amount_paise=2685, vpa="rahul@okaxis", huge=2**70)
    logging.getLogger("third.party").warning("cannot reach %s", "amqp://u:p@broker/")
    try:
        raise ValueError("rahul@okaxis")
    except ValueError:
        log.exception("refund.failed")
    log.debug("refund.hidden")
    first, second, third = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == {
        "event": "refund.processed",
        "refund_id": 17,
        "amount_paise": 2685,
        "vpa": "ra***@okaxis",
        "huge": 2**70,
        "level": "info",
        "service": "payments",
        "timestamp": "2026-01-05T04:30:00.000Z",
        "trace_id": trace_id,
    }
    assert second["event"] == "cannot reach amqp://***@broker/"
    assert second["service"] == "payments"
    assert second["timestamp"] == "2026-01-05T04:30:00.000Z"
    assert second["level"] == "warning"
    assert "Traceback" in third["exception"]
    assert "rahul" not in third["exception"]


@pytest.mark.usefixtures("own_logging")
def test_console_lines_are_masked_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_process(SETTINGS.model_copy(update={"log_format": "console"}), service="payments")
    structlog.get_logger("payments.test").info("refund.processed", vpa="rahul@okaxis")
    line = capsys.readouterr().out
    assert "refund.processed" in line
    assert "ra***@okaxis" in line


async def test_what_is_logged_as_an_error_reaches_sentry_masked() -> None:
    reports: asyncio.Queue[bytes] = asyncio.Queue()

    async def receive(request: web.Request) -> web.Response:
        reports.put_nowait(await request.read())
        return web.json_response({})

    application = web.Application()
    application.router.add_post("/api/1/envelope/", receive)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    # A process of its own: Sentry's client is global.
    program = """
import logging, structlog, sentry_sdk
from chassis.runtime import ServiceSettings
from chassis.telemetry import configure_process
configure_process(ServiceSettings(), service="payments")
try:
    raise ValueError("no payment of rahul@okaxis")
except ValueError:
    structlog.get_logger().exception("refund.failed", refund_id=17, contact="9876543210")
logging.getLogger("third.party").error("unreachable amqp://u:hunter2@broker/")
structlog.get_logger().info("refund.processed")
sentry_sdk.flush(60)
"""
    port = runner.addresses[0][1]
    environment = {"VOLTLYNC_AMQP_URL": "amqp://x/", "VOLTLYNC_SENTRY_DSN": f"http://key@127.0.0.1:{port}/1"}
    try:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env=os.environ | environment)
        assert await asyncio.wait_for(process.wait(), 120) == 0
    finally:
        await runner.cleanup()
    sent = [reports.get_nowait().decode() for _ in range(reports.qsize())]
    events = [json.loads(line) for envelope in sent for line in envelope.splitlines() if '"contexts"' in line]
    assert sorted(event["tags"]["event"] for event in events) == ["refund.failed", "unreachable amqp://***@broker/"]
    (failed,) = [event for event in events if event["tags"]["event"] == "refund.failed"]
    assert failed["exception"]["values"][0]["type"] == "ValueError"
    assert failed["contexts"]["log"]["refund_id"] == 17
    assert failed["tags"]["service"] == "payments"
    for secret in ("rahul", "9876543210", "hunter2"):
        assert secret not in str(events)


async def test_stopping_flushes_in_a_thread() -> None:
    telemetry = Telemetry(SETTINGS, service="payments")
    await telemetry.start()
    await asyncio.wait_for(telemetry.stop(), 60)
