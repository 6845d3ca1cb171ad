"""How a message looks on the broker: AMQP properties by their meaning, one JSON body; or several framed together as a pack.

| AMQP property | what it holds |
| --- | --- |
| message_id | the dedupe key |
| type | the contract's name, `charging.transaction_stopped.v1` |
| app_id | the service that sent it |
| correlation_id | of an RPC, or of the chain it belongs to |
| timestamp | when it was published, in seconds |
| content_type | `application/json`, or PACK_CONTENT_TYPE |
| delivery_mode | 2, always |
| headers | `subject`, `subject_version`, `occurred_at` (ISO 8601, microseconds), `traceparent` |

A pack is framing and nothing else: a JSON array of objects with the same fields. Identity, dedupe, failure stay with the event.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import orjson
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic
from pydantic import BaseModel

PACK_CONTENT_TYPE = "application/vnd.voltlync.pack+json"
JSON_CONTENT_TYPE = "application/json"
PERSISTENT = 2

T = TypeVar("T")


class Address(Protocol):
    """Where a message goes (contracts.topology.Address is one)."""

    @property
    def exchange(self) -> str:
        """Exchange name."""
        ...

    @property
    def routing_key(self) -> str:
        """Routing key."""
        ...

    @property
    def mandatory(self) -> bool:
        """Whether reaching no queue is an error."""
        ...


def type_of(model: BaseModel) -> str:
    """A contract's name on the wire. Chassis knows contracts only by this: a pydantic model with TYPE."""
    name: str = getattr(model, "TYPE", "")
    if not name:
        raise TypeError(f"{type(model).__name__} has no TYPE: it can't be published")
    return name


def body_of(model: BaseModel) -> bytes:
    """A model's JSON body."""
    return model.__pydantic_serializer__.to_json(model)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message about to be published."""

    type: str
    message_id: str
    body: bytes
    occurred_at: datetime
    subject: str | None = None
    subject_version: int | None = None
    correlation_id: str | None = None
    traceparent: str | None = None
    reply_to: str | None = None
    headers: dict[str, Any] = field(default_factory=dict)
    """More headers: attempts and reasons of retries and dead letters."""
    content_type: str = JSON_CONTENT_TYPE

    def properties(self, app_id: str) -> Basic.Properties:
        """The AMQP properties of this message alone."""
        headers: dict[str, Any] = {"occurred_at": self.occurred_at.isoformat(), **self.headers}
        if self.subject is not None:
            headers["subject"] = self.subject
        if self.subject_version is not None:
            headers["subject_version"] = self.subject_version
        if self.traceparent is not None:
            headers["traceparent"] = self.traceparent
        return Basic.Properties(
            content_type=self.content_type,
            delivery_mode=PERSISTENT,
            message_id=self.message_id,
            message_type=self.type,
            app_id=app_id,
            correlation_id=self.correlation_id,
            reply_to=self.reply_to,
            timestamp=self.occurred_at,
            headers=headers,
        )

    def _framed(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "message_id": self.message_id,
            "occurred_at": self.occurred_at,
            "subject": self.subject,
            "subject_version": self.subject_version,
            "correlation_id": self.correlation_id,
            "traceparent": self.traceparent,
            "data": orjson.Fragment(self.body),
        }


def pack(messages: Sequence[Outgoing], app_id: str) -> tuple[bytes, Basic.Properties]:
    """Several messages for one address framed as one; the pack's id is its first and last member's."""
    # A pack is never asked for an answer, so nothing of it needs reply_to.
    body = orjson.dumps([message._framed() for message in messages])  # noqa: SLF001  (same module)
    return body, Basic.Properties(
        content_type=PACK_CONTENT_TYPE,
        delivery_mode=PERSISTENT,
        message_id=f"{messages[0].message_id}..{len(messages)}..{messages[-1].message_id}"[:255],
        message_type="pack",
        app_id=app_id,
        timestamp=messages[0].occurred_at,
    )


class Received:
    """One message as a handler sees it. `data` is the JSON body; `model` is set by the consumer that knows the type."""

    __slots__ = (
        "_answers",
        "_raw",
        "correlation_id",
        "data",
        "headers",
        "message_id",
        "model",
        "occurred_at",
        "queue",
        "redelivered",
        "reply_to",
        "subject",
        "subject_version",
        "traceparent",
        "type",
    )

    def __init__(
        self,
        *,
        type: str,  # noqa: A002  (AMQP's name)
        message_id: str,
        data: Any,
        occurred_at: datetime,
        queue: str,
        redelivered: bool = False,
        subject: str | None = None,
        subject_version: int | None = None,
        correlation_id: str | None = None,
        traceparent: str | None = None,
        reply_to: str | None = None,
        headers: dict[str, Any] | None = None,
    ) -> None:
        self.type = type
        self.message_id = message_id
        self.data = data
        self.occurred_at = occurred_at
        self.queue = queue
        self.redelivered = redelivered
        self.subject = subject
        self.subject_version = subject_version
        self.correlation_id = correlation_id
        self.traceparent = traceparent
        self.reply_to = reply_to
        self.headers = headers or {}
        self.model: Any = None
        self._answers: list[BaseModel] = []
        self._raw: tuple[bytes, str] | None = None

    @classmethod
    def unreadable(
        cls,
        error: "Unreadable",
        *,
        queue: str,
        now: datetime,
        type: object,  # noqa: A002
        message_id: object,
        body: bytes,
        content_type: str | None,
    ) -> "Received":
        """What could not be read, as something that can be parked: body and content type just as they came."""
        received = cls(
            type=str(type or "?")[:LABEL_LENGTH_MAX],
            message_id=str(message_id or "?")[:LABEL_LENGTH_MAX],
            data=None,
            occurred_at=now,
            queue=queue,
        )
        received.model = error
        received._raw = (body, content_type or JSON_CONTENT_TYPE)
        return received

    def answer(self, model: BaseModel) -> None:
        """Answer the asker after this batch has been committed. Without an asker it changes nothing."""
        self._answers = [model]

    def take_answer(self) -> BaseModel | None:
        """The answer given in the attempt that was committed; forgets it, so that a retried attempt starts clean."""
        return self._answers.pop() if self._answers else None

    def outgoing(self, **headers: Any) -> Outgoing:
        """This message again, alone, with more headers: for the retry ladder and the dead-letter queue."""
        body, content_type = self._raw if self._raw is not None else (orjson.dumps(self.data), JSON_CONTENT_TYPE)
        return Outgoing(
            type=self.type,
            message_id=self.message_id,
            body=body,
            content_type=content_type,
            occurred_at=self.occurred_at,
            subject=self.subject,
            subject_version=self.subject_version,
            correlation_id=self.correlation_id,
            traceparent=self.traceparent,
            reply_to=self.reply_to,
            headers={**self.headers, **headers},
        )


OWN_HEADERS = frozenset({"subject", "subject_version", "traceparent", "occurred_at"})

# What the broker writes when a message comes back from the ladder: published again it would grow with every rung.
BROKERS_HEADERS = ("x-death", "x-first-death-", "x-last-death-")

TEXT_LENGTH_MAX = 255
"""AMQP's short strings, in bytes: an id or type beyond it could never be published again, not even to the dead letters."""

LABEL_LENGTH_MAX = 60
"""Characters kept of an id or type that is not what it should be: within TEXT_LENGTH_MAX whatever they are."""

OLDEST = datetime(1970, 1, 1, tzinfo=UTC)
NEWEST = datetime(9999, 1, 1, tzinfo=UTC)
"""AMQP counts seconds from 1970, PostgreSQL's and Python's calendars end somewhere: what lies outside is a broken clock's."""


class Unreadable(ValueError):
    """A body that is no JSON of ours, or a message without the properties that every message has."""


def unpack(delivered: DeliveredMessage, queue: str) -> list[Received]:
    """The messages in one delivery, in order. Raises Unreadable for a delivery that is not what it says.

    What is returned can be handled, noted in the inbox and published again: types, lengths and ranges are looked at here. An
    entry of a pack that can't be read stands alone for itself, with `model` the reason.
    """
    properties = delivered.header.properties
    redelivered = bool(delivered.delivery.redelivered)  # type: ignore[union-attr]
    try:
        body = orjson.loads(delivered.body)
        if properties.content_type == PACK_CONTENT_TYPE:
            if not isinstance(body, list):
                raise Unreadable("a pack is to be an array")
            return [_entry(entry, properties, queue, redelivered=redelivered) for entry in body]
        headers: dict[str, Any] = dict(properties.headers or {})
        occurred_at = headers.get("occurred_at")
        return [
            Received(
                type=_text(properties.message_type, "type"),
                message_id=_text(properties.message_id, "message_id"),
                data=body,
                occurred_at=_moment(datetime.fromisoformat(str(occurred_at)) if occurred_at else properties.timestamp),
                queue=queue,
                redelivered=redelivered,
                subject=_optional(headers.get("subject"), str),
                subject_version=_optional(headers.get("subject_version"), int),
                correlation_id=properties.correlation_id,
                traceparent=_optional(headers.get("traceparent"), str),
                reply_to=properties.reply_to,
                headers={
                    name: value
                    for name, value in headers.items()
                    if name not in OWN_HEADERS and not name.startswith(BROKERS_HEADERS)
                },
            )
        ]
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


def _entry(entry: Any, properties: Basic.Properties, queue: str, *, redelivered: bool) -> Received:
    try:
        return Received(
            type=_text(entry["type"], "type"),
            message_id=_text(entry["message_id"], "message_id"),
            data=entry["data"],
            occurred_at=_moment(datetime.fromisoformat(entry["occurred_at"])),
            queue=queue,
            redelivered=redelivered,
            subject=_optional(entry.get("subject"), str),
            subject_version=_optional(entry.get("subject_version"), int),
            correlation_id=_optional(entry.get("correlation_id"), str),
            traceparent=_optional(entry.get("traceparent"), str),
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        known = entry if isinstance(entry, dict) else {}
        return Received.unreadable(
            error if isinstance(error, Unreadable) else Unreadable(f"{type(error).__name__}: {error}"),
            queue=queue,
            now=properties.timestamp or OLDEST,
            type=known.get("type"),
            message_id=known.get("message_id") or properties.message_id,
            body=orjson.dumps([entry]),
            content_type=PACK_CONTENT_TYPE,
        )


def _text(value: Any, name: str) -> str:
    # An empty id would make all its bearers repeats of the first.
    if not isinstance(value, str) or not value or len(value.encode()) > TEXT_LENGTH_MAX:
        raise Unreadable(f"{name} is to be 1 to {TEXT_LENGTH_MAX} bytes of text")
    return value


def _optional(value: Any, kind: type[T]) -> T | None:
    if value is None or type(value) is kind:
        return value
    raise Unreadable(f"{value!r:.80} is to be {kind.__name__}")


def _moment(value: datetime | None) -> datetime:
    """When it happened, aware, within bounds. Messages of others may say nothing: they count as of 1970, the same each time."""
    if value is None:
        return OLDEST
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    if not OLDEST <= aware <= NEWEST:
        raise Unreadable(f"occurred_at {aware.isoformat()} is out of range")
    return aware


def with_reply(message: Outgoing, reply_to: str, correlation_id: str) -> Outgoing:
    """The message as a question."""
    return replace(message, reply_to=reply_to, correlation_id=correlation_id)
