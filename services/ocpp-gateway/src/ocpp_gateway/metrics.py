"""The gateway's own figures. What counts a failure says in its help text where its runbook is (README.md)."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ocpp_gateway.actions import ROUTES

ANSWER_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: from a few loop turns to the decision limit."""


class Metrics:
    """One set per gateway, in its own registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connections = Gauge("voltlync_ocpp_gateway_connections", "Chargers connected", registry=registry)
        self.handshakes = Counter(
            "voltlync_ocpp_gateway_handshakes_total",
            "Handshakes by HTTP status; timeout, crowded: no whole request",
            ["status"],
            registry=registry,
        )
        self.handshakes_waiting = Gauge(
            "voltlync_ocpp_gateway_handshakes_waiting", "Handshakes in line for a place", registry=registry
        )
        self.handshake_wait_seconds = Histogram(
            "voltlync_ocpp_gateway_handshake_wait_seconds",
            "How long handshakes waited for their place",
            buckets=ANSWER_BUCKETS,
            registry=registry,
        )
        self.closed = Counter(
            "voltlync_ocpp_gateway_sockets_closed_total", "Sockets ended, by reason", ["reason"], registry=registry
        )
        self.calls = Counter("voltlync_ocpp_gateway_calls_total", "CALLs received, by action", ["action"], registry=registry)
        self.calls_of = {action: self.calls.labels(action) for action in ROUTES}
        """The same by action, looked up once: `labels` costs more than `inc`."""
        self.sanitized = Counter(
            "voltlync_ocpp_gateway_calls_sanitized_total", "CALLs that fitted only after repair", ["action"], registry=registry
        )
        self.refused = Counter(
            "voltlync_ocpp_gateway_calls_refused_total", "CALLs answered with a CALLERROR", ["code"], registry=registry
        )
        self.silent = Counter(
            "voltlync_ocpp_gateway_calls_unanswered_total",
            "CALLs left without an answer, so that the charger tries again, by why",
            ["reason"],
            registry=registry,
        )
        self.bad_frames = Counter(
            "voltlync_ocpp_gateway_bad_frames_total",
            "Frames of which nothing could be made, by why",
            ["reason"],
            registry=registry,
        )
        self.handler_failures = Counter(
            "voltlync_ocpp_gateway_frame_failures_total", "Frames whose handling raised: a defect of ours", registry=registry
        )
        self.answer_seconds = Histogram(
            "voltlync_ocpp_gateway_answer_seconds",
            "From a frame to its durable answer",
            buckets=ANSWER_BUCKETS,
            registry=registry,
        )
        self.commands = Counter(
            "voltlync_ocpp_gateway_commands_total", "Commands by outcome", ["action", "outcome"], registry=registry
        )
        self.late_answers = Counter(
            "voltlync_ocpp_gateway_late_answers_total", "Answers that came after their timeout was reported", registry=registry
        )
        self.unsolicited = Counter(
            "voltlync_ocpp_gateway_unsolicited_results_total",
            "CALLRESULTs and CALLERRORs that nobody waits for",
            registry=registry,
        )
        self.spool_events = Gauge("voltlync_ocpp_gateway_spool_events", "Events waiting in the spool", registry=registry)
        self.spool_bytes = Gauge("voltlync_ocpp_gateway_spool_bytes", "Bytes waiting in the spool", registry=registry)
        self.spooled = Counter("voltlync_ocpp_gateway_spooled_total", "Events that went through the spool", registry=registry)
        self.spool_failures = Counter(
            "voltlync_ocpp_gateway_spool_failures_total",
            "Events the spool could not take: chargers go unanswered",
            ["reason"],
            registry=registry,
        )
        self.spool_torn = Counter(
            "voltlync_ocpp_gateway_spool_torn_bytes_total", "Bytes at segment ends that were no whole record", registry=registry
        )
        self.registry_failures = Counter(
            "voltlync_ocpp_gateway_registry_failures_total",
            "Calls to Redis that failed; epochs come from our clock",
            registry=registry,
        )
        self.credentials_failures = Counter(
            "voltlync_ocpp_gateway_credentials_failures_total", "Credentials that could not be read", registry=registry
        )
