"""One service's metrics and traces. Nothing is global: a test mounts seven services in one process and reads each one's own."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.aiohttp_client import create_trace_config
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags
from prometheus_client import CollectorRegistry, ProcessCollector
from sqlalchemy import event
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine
from yarl import URL

from chassis.runtime import Clock, ServiceSettings, SystemClock
from chassis.telemetry.masking import mask_text

# W3C Trace Context, version 00: version-traceid-parentid-flags.
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")

# A statement longer than this adds nothing to a span but bytes.
MAX_STATEMENT_CHARACTERS = 500


def current_traceparent() -> str | None:
    """The W3C traceparent of the span we are in, for an HTTP header, a message header or an outbox row; None outside any span."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def current_trace_id() -> str | None:
    """The trace we are in, 32 hex digits; None outside any span."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


def parse_traceparent(traceparent: str) -> SpanContext | None:
    """The remote span a traceparent names; None when it is malformed, which starts a new trace, as W3C asks."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    context = SpanContext(int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=TraceFlags(int(found[3], 16)))
    return context if context.is_valid else None


class Telemetry:
    """`registry` for Prometheus, `tracer` for OpenTelemetry, both this service's own.

    Spans go to `span_exporter` at once when one is given (tests), else to the OTLP endpoint of the settings in batches. With
    neither, spans are not recorded, yet trace ids are made and travel, so logs of several services can still be joined by them.
    """

    def __init__(
        self, settings: ServiceSettings, *, service: str, clock: Clock | None = None, span_exporter: SpanExporter | None = None
    ) -> None:
        self.service = service
        self.clock = clock if clock is not None else SystemClock()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        exports = span_exporter is not None or settings.otlp_endpoint is not None
        self.tracer_provider = TracerProvider(
            resource=Resource.create({"service.name": service, "deployment.environment.name": settings.environment.value}),
            sampler=ALWAYS_ON if exports else ALWAYS_OFF,
            shutdown_on_exit=False,
        )
        if span_exporter is not None:
            self.tracer_provider.add_span_processor(SimpleSpanProcessor(span_exporter))
        elif settings.otlp_endpoint is not None:
            # Imported here: it brings its own HTTP client, which a process without an endpoint need not carry.
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            self.tracer_provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otlp_endpoint)))
        self.tracer = self.tracer_provider.get_tracer("chassis")

    @contextmanager
    def span(
        self, name: str, *, traceparent: str | None = None, kind: SpanKind = SpanKind.INTERNAL, **attributes: Any
    ) -> Iterator[Span]:
        """A span around the block: a child of `traceparent` (what came with the message or request) or else of the current span.

        Attributes that are None are left out. An exception is recorded on the span, marks it failed, and goes on.
        """
        parent: Context | None = None
        if traceparent is not None:
            remote = parse_traceparent(traceparent)
            parent = trace.set_span_in_context(NonRecordingSpan(remote), Context()) if remote is not None else Context()
        present = {key: value for key, value in attributes.items() if value is not None}
        with self.tracer.start_as_current_span(
            name, context=parent, kind=kind, attributes=present, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except Exception as error:
                _mark_failed(span, error)
                raise

    def http_client_tracing(self) -> aiohttp.TraceConfig:
        """For `aiohttp.ClientSession(trace_configs=[...])`: a client span per request, its traceparent in the request's headers.

        Query strings are left out of the span: they carry signatures and lookups by phone.
        """
        return create_trace_config(tracer_provider=self.tracer_provider, url_filter=_without_query)

    def trace_queries(self, engine: AsyncEngine) -> None:
        """A client span per statement of this engine. The text is the statement with its placeholders, never its values."""
        spans: dict[int, Span] = {}
        sync_engine = engine.sync_engine

        def before(_connection: Connection, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
            span = self.tracer.start_span(
                statement.split(maxsplit=1)[0].upper() if statement.strip() else "SQL",
                kind=SpanKind.CLIENT,
                attributes={"db.system.name": "postgresql", "db.query.text": statement[:MAX_STATEMENT_CHARACTERS]},
            )
            spans[id(context)] = span

        def after(_connection: Connection, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:
            span = spans.pop(id(context), None)
            if span is not None:
                span.end()

        def failed(error: ExceptionContext) -> None:
            span = spans.pop(id(error.execution_context), None)
            if span is not None:
                _mark_failed(span, error.original_exception)
                span.end()

        event.listen(sync_engine, "before_cursor_execute", before)
        event.listen(sync_engine, "after_cursor_execute", after)
        event.listen(sync_engine, "handle_error", failed)

    async def start(self) -> None:
        """Telemetry is usable from its construction; it is a Part for the sake of its end."""

    async def stop(self) -> None:
        """Send what is still buffered and end the exporter's thread."""

        await asyncio.to_thread(self.tracer_provider.shutdown)


def _mark_failed(span: Span, error: BaseException) -> None:
    # By hand, since the SDK's record_exception would export the message as it is: PostgreSQL's name the values of unique keys.
    if span.is_recording():
        span.add_event("exception", {"exception.type": type(error).__qualname__, "exception.message": mask_text(str(error))})
        span.set_status(trace.StatusCode.ERROR, type(error).__qualname__)


def _without_query(url: URL) -> str:
    return str(url.with_query(None))
