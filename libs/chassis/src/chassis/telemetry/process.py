"""What belongs to the process and not to a service object: the log stream and Sentry. Called once, by `__main__`."""

import json
import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor

from chassis.runtime import Clock, ServiceSettings, SystemClock
from chassis.telemetry.masking import mask
from chassis.telemetry.telemetry import current_trace_id

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

# Third parties that say at INFO what our own lines already say better.
QUIET_LOGGERS = ("aiohttp.access", "aio_pika", "aiormq", "sqlalchemy.engine")


def configure_process(settings: ServiceSettings, *, service: str, clock: Clock | None = None) -> None:
    """Send structlog's and the standard library's records to stdout as one stream, masked; start Sentry where a DSN is set.

    Every line bears `timestamp` (of `clock`, UTC), `level`, `event`, `service`, `trace_id` and what was bound to the context.
    """
    time_source = clock if clock is not None else SystemClock()

    def stamp(_logger: Any, _method: str, event_dict: EventDict) -> EventDict:
        event_dict.setdefault("service", service)
        event_dict["timestamp"] = time_source.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        trace_id = current_trace_id()
        if trace_id is not None:
            event_dict["trace_id"] = trace_id
        return event_dict

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        stamp,
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: Processor = render_json
    if settings.log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    # Tracebacks become text before masking: an exception's message holds VPAs as easily as a field does.
    reporting: list[Processor] = [start_sentry(settings, service=service)] if settings.sentry_dsn is not None else []
    rendering: list[Processor] = [*reporting, structlog.processors.format_exc_info, mask_event, renderer]

    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def mask_event(_logger: Any, _method: str, event_dict: EventDict) -> MutableMapping[str, Any]:
    """A structlog processor: no secret and no personal data leaves with a line."""
    return cast("MutableMapping[str, Any]", mask(event_dict))


def render_json(_logger: Any, _method: str, event_dict: Mapping[str, Any]) -> str:
    """One line of JSON. Whatever cannot be written as JSON is written as its repr: a log line never fails its caller."""
    try:
        return orjson.dumps(event_dict, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
    except (TypeError, ValueError):  # integers beyond 64 bits, lone surrogates
        return json.dumps(event_dict, default=repr, skipkeys=True)


def start_sentry(settings: ServiceSettings, *, service: str) -> Processor:
    """Start Sentry and return the structlog processor that reports what is logged as an error: with its exception, if any, and
    its fields as context, masked as the logs are. Traces stay with OpenTelemetry."""
    # Imported here: it takes a quarter of a service's start, and most processes have no DSN.
    import sentry_sdk
    from sentry_sdk.integrations.logging import LoggingIntegration

    assert settings.sentry_dsn is not None  # noqa: S101  (the caller looked)

    def mask_report(report: "Event", _hint: "Hint") -> "Event":
        # The envelope's own depth is greater than a log field's, so its parts are masked one by one.
        return cast("Event", {key: mask(value, depth=-20) for key, value in report.items()})

    sentry_sdk.init(
        dsn=settings.sentry_dsn.get_secret_value(),
        environment=settings.environment.value,
        server_name=service,
        send_default_pii=False,
        include_local_variables=False,  # locals hold VPAs and keys under any name
        traces_sample_rate=0.0,
        auto_enabling_integrations=False,  # they patch libraries; what fails is logged, and so reported, by our own edges
        disabled_integrations=[LoggingIntegration()],  # both log streams pass the processor below
        before_send=mask_report,
    )
    sentry_sdk.set_tag("service", service)

    def report(_logger: Any, method: str, event_dict: EventDict) -> EventDict:
        if method not in ("error", "exception", "critical"):
            return event_dict
        error = event_dict.get("exc_info")
        if error is True:
            error = sys.exc_info()
        with sentry_sdk.new_scope() as scope:
            scope.set_context("log", {key: value for key, value in event_dict.items() if key != "exc_info"})
            scope.set_tag("event", str(event_dict.get("event")))
            if isinstance(error, BaseException) or (isinstance(error, tuple) and error[0] is not None):
                scope.capture_exception(error)
            else:
                scope.capture_message(str(event_dict.get("event")), level="error")
        return event_dict

    return report
