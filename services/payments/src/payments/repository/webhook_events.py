"""Razorpay's webhooks as they came."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from payments.domain.errors import NotFoundError
from payments.domain.webhook import Secret, WebhookState
from payments.repository.rows import columns_of
from payments.tables import webhook_events

_T = webhook_events.c


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A row of `webhook_events`."""

    id: int
    razorpay_event_id: str
    body_sha256: str
    event: str | None
    account_id: str | None
    body: bytes
    headers: Mapping[str, Any]
    verified_by: str
    state: str
    reason: str | None
    deliveries: int
    attempts: int
    traceparent: str | None
    next_attempt_at: datetime | None
    created_at: datetime
    received_at: datetime
    handled_at: datetime | None


def event_from(row: Any) -> WebhookEvent:
    """The event of a row of the table."""
    return WebhookEvent(**columns_of(row, WebhookEvent))


async def store(
    connection: AsyncConnection,
    *,
    razorpay_event_id: str,
    body_sha256: str,
    event: str | None,
    account_id: str | None,
    body: bytes,
    headers: Mapping[str, str],
    verified_by: Secret,
    traceparent: str | None,
    created_at: datetime,
    now: datetime,
) -> tuple[int, bool]:
    """(id, whether it is new). A repeat only counts one delivery more, however many come at once."""
    made = insert(webhook_events).values(
        razorpay_event_id=razorpay_event_id,
        body_sha256=body_sha256,
        event=event,
        account_id=account_id,
        body=body,
        headers=dict(headers),
        verified_by=verified_by.value,
        state=WebhookState.RECEIVED.value,
        traceparent=traceparent,
        next_attempt_at=now,
        created_at=created_at,
        received_at=now,
    )
    made = made.on_conflict_do_update(
        index_elements=[_T.razorpay_event_id, _T.body_sha256], set_={"deliveries": webhook_events.c.deliveries + 1}
    )
    row = (await connection.execute(made.returning(_T.id, _T.deliveries))).one()
    return row.id, row.deliveries == 1


async def take_due(connection: AsyncConnection, *, now: datetime, event_id: int | None = None) -> WebhookEvent | None:
    """The oldest event that is due, locked until the transaction ends; those that others work on are passed over."""
    query = select(webhook_events).where(_T.state == WebhookState.RECEIVED.value).limit(1).with_for_update(skip_locked=True)
    if event_id is not None:
        query = query.where(_T.id == event_id)
    else:
        query = query.where(_T.next_attempt_at <= now).order_by(_T.next_attempt_at, _T.id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else event_from(row)


async def finish(
    connection: AsyncConnection, event: WebhookEvent, *, state: WebhookState, reason: str | None, now: datetime
) -> bool:
    """It is HANDLED, IGNORED or FAILED; nothing more happens to it unless an operator replays it."""
    return await _change(connection, event, state=state.value, reason=reason, next_attempt_at=None, handled_at=now)


async def postpone(
    connection: AsyncConnection, event: WebhookEvent, *, reason: str | None, until: datetime, attempts: int
) -> bool:
    """It is not finished; worked again at `until`."""
    return await _change(connection, event, reason=reason, next_attempt_at=until, attempts=attempts)


async def _change(connection: AsyncConnection, event: WebhookEvent, **values: object) -> bool:
    """Change it, if nobody has since it was read. Returns whether."""
    unchanged = (_T.id == event.id, _T.state == WebhookState.RECEIVED.value, _T.attempts == event.attempts)
    return bool((await connection.execute(update(webhook_events).where(*unchanged).values(**values))).rowcount)


async def replay(connection: AsyncConnection, event_id: int, *, now: datetime) -> None:
    """Work it again, from the stored bytes."""
    await connection.execute(
        update(webhook_events)
        .where(_T.id == event_id)
        .values(state=WebhookState.RECEIVED.value, reason=None, attempts=0, next_attempt_at=now, handled_at=None)
    )


async def find(connection: AsyncConnection, event_id: int, *, lock: bool = False) -> WebhookEvent | None:
    """One event."""
    query = select(webhook_events).where(_T.id == event_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else event_from(row)


async def get(connection: AsyncConnection, event_id: int, *, lock: bool = False) -> WebhookEvent:
    """As `find`, of one that must be there. Raises NotFoundError."""
    event = await find(connection, event_id, lock=lock)
    if event is None:
        raise NotFoundError(f"There is no webhook event whe_{event_id}.")
    return event


def listing(*, state: str | None, event: str | None, razorpay_event_id: str | None, account_id: str | None) -> Select[Any]:
    """Events by what is given."""
    query = select(webhook_events)
    wanted = {_T.state: state, _T.event: event, _T.razorpay_event_id: razorpay_event_id, _T.account_id: account_id}
    for column, value in wanted.items():
        if value is not None:
            query = query.where(column == value)
    return query
