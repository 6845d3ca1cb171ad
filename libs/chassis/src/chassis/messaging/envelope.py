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
from typing import Any, Protocol

import orjson
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic
from pydantic import BaseModel

PACK_CONTENT_TYPE = "application/vnd.voltlync.pack+json"
JSON_CONTENT_TYPE = "application/json"
PERSISTENT = 2


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
            content_type=JSON_CONTENT_TYPE,
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

    def answer(self, model: BaseModel) -> None:
        """Answer the asker after this batch has been committed. Without an asker it changes nothing."""
        self._answers = [model]

    def take_answer(self) -> BaseModel | None:
        """The answer given in the attempt that was committed; forgets it, so that a retried attempt starts clean."""
        return self._answers.pop() if self._answers else None

    def outgoing(self, **headers: Any) -> Outgoing:
        """This message again, alone, with more headers: for the retry ladder and the dead-letter queue."""
        return Outgoing(
            type=self.type,
            message_id=self.message_id,
            body=orjson.dumps(self.data),
            occurred_at=self.occurred_at,
            subject=self.subject,
            subject_version=self.subject_version,
            correlation_id=self.correlation_id,
            traceparent=self.traceparent,
            reply_to=self.reply_to,
            headers={**self.headers, **headers},
        )


OWN_HEADERS = frozenset({"subject", "subject_version", "traceparent", "occurred_at"})


class Unreadable(ValueError):
    """A body that is no JSON of ours."""


def unpack(delivered: DeliveredMessage, queue: str) -> list[Received]:
    """The messages in one delivery, in order. Raises Unreadable for a body that is not what it says."""
    properties = delivered.header.properties
    redelivered = bool(delivered.delivery.redelivered)  # type: ignore[union-attr]
    try:
        body = orjson.loads(delivered.body)
        if properties.content_type == PACK_CONTENT_TYPE:
            return [
                Received(
                    type=entry["type"],
                    message_id=entry["message_id"],
                    data=entry["data"],
                    occurred_at=datetime.fromisoformat(entry["occurred_at"]),
                    queue=queue,
                    redelivered=redelivered,
                    subject=entry.get("subject"),
                    subject_version=entry.get("subject_version"),
                    correlation_id=entry.get("correlation_id"),
                    traceparent=entry.get("traceparent"),
                )
                for entry in body
            ]
        headers: dict[str, Any] = dict(properties.headers or {})
        occurred_at = headers.get("occurred_at")
        return [
            Received(
                type=properties.message_type or "",
                message_id=properties.message_id or "",
                data=body,
                occurred_at=datetime.fromisoformat(str(occurred_at)) if occurred_at else _timestamp(properties),
                queue=queue,
                redelivered=redelivered,
                subject=headers.get("subject"),
                subject_version=headers.get("subject_version"),
                correlation_id=properties.correlation_id,
                traceparent=headers.get("traceparent"),
                reply_to=properties.reply_to,
                headers={name: value for name, value in headers.items() if name not in OWN_HEADERS},
            )
        ]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


def _timestamp(properties: Basic.Properties) -> datetime:
    stamp = properties.timestamp
    return stamp.replace(tzinfo=UTC) if stamp is not None and stamp.tzinfo is None else stamp or datetime.fromtimestamp(0, UTC)


def with_reply(message: Outgoing, reply_to: str, correlation_id: str) -> Outgoing:
    """The message as a question."""
    return replace(message, reply_to=reply_to, correlation_id=correlation_id)
