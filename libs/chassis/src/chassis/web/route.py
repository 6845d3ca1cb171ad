"""A row of a service's table of routes."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from chassis.web.roles import NOBODY, Public, Roles

MAX_BODY_BYTES = 256 * 1024
"""Our largest JSON bodies (a tariff, a batch of id tags) stay far below; anything longer is answered 413."""

TIMEOUT_SECONDS = 30.0
"""A caller has given up by then; whatever hangs is cut and rolled back."""

T = TypeVar("T")

Errors = Mapping[type[Exception], tuple[int, str]]
"""Domain exceptions → (status, title). The exception's text is the detail, so it is written for the caller."""


@dataclass(frozen=True, slots=True)
class Route:
    """Method and path → use case. `roles` says who may call; without it, nobody.

    The path's placeholders are `{station_id}`. `status` is that of success. `timeout_seconds` cuts the call in real time.
    `waits` marks a use case that waits for a charger or a person (`?wait=`): it is not counted as work in progress.
    `hidden` leaves it out of the OpenAPI document.
    `shown_once` marks an answer that bears a secret: it is not stored for its Idempotency-Key. Whoever repeats the key is told
    409, and this sentence, which says how to get a new secret.
    """

    method: str
    path: str
    function: Callable[..., Awaitable[Any]]
    roles: Roles | Public = NOBODY
    status: int = 200
    summary: str = ""
    max_body_bytes: int = MAX_BODY_BYTES
    timeout_seconds: float = TIMEOUT_SECONDS
    waits: bool = False
    hidden: bool = False
    shown_once: str = ""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """For a use case that chooses status or headers itself: `Answer(view, status=202, headers={"Location": ...})`."""

    body: T
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
