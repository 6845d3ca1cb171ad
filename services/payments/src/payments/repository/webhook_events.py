"""Razorpay's webhooks as they came."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, LargeBinary, Select, Text, bindparam, func, insert, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from payments.domain.errors import NotFoundError
from payments.domain.webhook import Secret, WebhookState
from payments.repository.rows import columns_of
from payments.tables import webhook_events, webhook_repeats

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


@dataclass(frozen=True, slots=True)
class Incoming:
    """A verified delivery, to be stored."""

    razorpay_event_id: str
    body_sha256: str
    event: str | None
    account_id: str | None
    body: bytes
    headers: Mapping[str, str]
    verified_by: Secret
    traceparent: str | None
    created_at: datetime | None
    """None: it could not be read; the receipt's time."""

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same event: the same id with another body is another row."""
        return self.razorpay_event_id, self.body_sha256


# One statement for any number of rows. A repeat, also within the batch, is left out; so is what another replica stores now,
# whose commit this waits for. The row's lock, which whoever works the event holds, keeps nobody waiting.
_STORE = text(
    """
    INSERT INTO webhook_events (razorpay_event_id, body_sha256, event, account_id, body, headers, verified_by, state,
                                traceparent, next_attempt_at, created_at, received_at)
    SELECT razorpay_event_id, body_sha256, event, account_id, body, headers::jsonb, verified_by, :state,
           traceparent, :now, coalesce(created_at, :now), :now
    FROM unnest(:razorpay_event_id, :body_sha256, :event, :account_id, :body, :headers, :verified_by, :traceparent, :created_at)
         AS given (razorpay_event_id, body_sha256, event, account_id, body, headers, verified_by, traceparent, created_at)
    ON CONFLICT (razorpay_event_id, body_sha256) DO NOTHING
    RETURNING id, razorpay_event_id, body_sha256
    """
).bindparams(
    bindparam("state", WebhookState.RECEIVED.value, type_=Text),
    bindparam("now", type_=DateTime(timezone=True)),
    bindparam("body", type_=ARRAY(LargeBinary)),
    bindparam("created_at", type_=ARRAY(DateTime(timezone=True))),
    *(
        bindparam(name, type_=ARRAY(Text))
        for name in ("razorpay_event_id", "body_sha256", "event", "account_id", "headers", "verified_by", "traceparent")
    ),
)


async def store(connection: AsyncConnection, batch: Sequence[Incoming], *, now: datetime) -> list[tuple[int, bool]]:
    """(id, whether it is new) of each delivery. A repeat only counts one delivery more, however many come at once."""
    # Everybody in one order: two replicas that get the same events wait for each other, never in a circle.
    ordered = sorted(batch, key=lambda incoming: incoming.key)
    columns = {
        name: [getattr(incoming, name) for incoming in ordered]
        for name in ("razorpay_event_id", "body_sha256", "event", "account_id", "body", "traceparent", "created_at")
    }
    columns["headers"] = [json.dumps(dict(incoming.headers)) for incoming in ordered]
    columns["verified_by"] = [incoming.verified_by.value for incoming in ordered]
    made = await connection.execute(_STORE, {**columns, "now": now})
    ids = {(row.razorpay_event_id, row.body_sha256): int(row.id) for row in made}
    new = set(ids)
    known = [incoming.key for incoming in batch if incoming.key not in ids]
    if known:
        keys = tuple_(_T.razorpay_event_id, _T.body_sha256)
        found = await connection.execute(select(_T.id, _T.razorpay_event_id, _T.body_sha256).where(keys.in_(sorted(set(known)))))
        ids |= {(row.razorpay_event_id, row.body_sha256): int(row.id) for row in found}
    results = []
    repeats = []
    for incoming in batch:
        first = incoming.key in new
        new.discard(incoming.key)
        results.append((ids[incoming.key], first))
        if not first:
            repeats.append({"webhook_event_id": ids[incoming.key], "received_at": now})
    if repeats:
        await connection.execute(insert(webhook_repeats), repeats)
    return results


_SELECT = select(
    webhook_events,
    (1 + select(func.count()).where(webhook_repeats.c.webhook_event_id == _T.id).scalar_subquery()).label("deliveries"),
)


async def take_due(
    connection: AsyncConnection, *, now: datetime, limit: int, among: Sequence[int] | None = None
) -> list[WebhookEvent]:
    """The oldest events that are due, `among` these ids if given, locked until the transaction ends.

    Those that others work on are passed over. The lock leaves the key free (FOR NO KEY UPDATE): a repeat's row refers to it
    meanwhile.
    """
    query = _SELECT.where(_T.state == WebhookState.RECEIVED.value, _T.next_attempt_at <= now)
    if among is not None:
        query = query.where(_T.id.in_(among))
    query = query.order_by(_T.next_attempt_at, _T.id).limit(limit)
    query = query.with_for_update(of=webhook_events, skip_locked=True, key_share=True)
    return [event_from(row) for row in await connection.execute(query)]


async def take_leased(connection: AsyncConnection, event_id: int) -> list[WebhookEvent]:
    """The one that the caller leased, locked; none where it is finished.

    Waited for, not passed over: somebody who looked for due ones at the moment of the lease may hold its lock a while without
    working it.
    """
    query = _SELECT.where(_T.state == WebhookState.RECEIVED.value, _T.id == event_id)
    return [event_from(row) for row in await connection.execute(query.with_for_update(of=webhook_events, key_share=True))]


async def finish(
    connection: AsyncConnection, event: WebhookEvent, *, state: WebhookState, reason: str | None, now: datetime
) -> bool:
    """It is HANDLED, IGNORED or FAILED; nothing more happens to it unless an operator replays it."""
    return await _change(connection, event, state=state.value, reason=reason, next_attempt_at=None, handled_at=now)


async def finish_all(
    connection: AsyncConnection, ids: Sequence[int], *, state: WebhookState, reason: str | None, now: datetime
) -> None:
    """As `finish`, of events that the caller holds locked."""
    values = {"state": state.value, "reason": reason, "next_attempt_at": None, "handled_at": now}
    await connection.execute(update(webhook_events).where(_T.id.in_(ids)).values(values))


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
    query = _SELECT.where(_T.id == event_id)
    locked = query.with_for_update(of=webhook_events, key_share=True)
    row = (await connection.execute(locked if lock else query)).one_or_none()
    return None if row is None else event_from(row)


async def get(connection: AsyncConnection, event_id: int, *, lock: bool = False) -> WebhookEvent:
    """As `find`, of one that must be there. Raises NotFoundError."""
    event = await find(connection, event_id, lock=lock)
    if event is None:
        raise NotFoundError(f"There is no webhook event whe_{event_id}.")
    return event


async def among(connection: AsyncConnection, razorpay_event_ids: Collection[str]) -> set[str]:
    """Those of these ids that are stored, with whatever body."""
    return set(await connection.scalars(select(_T.razorpay_event_id).where(_T.razorpay_event_id.in_(razorpay_event_ids))))


async def are_overdue(connection: AsyncConnection, *, before: datetime) -> bool:
    """Whether an event waits that was due before then: we are behind."""
    waits = select(_T.id).where(_T.state == WebhookState.RECEIVED.value, _T.next_attempt_at < before)
    return bool(await connection.scalar(select(waits.exists())))


def listing(*, state: str | None, event: str | None, razorpay_event_id: str | None, account_id: str | None) -> Select[Any]:
    """Events by what is given."""
    query = _SELECT
    wanted = {_T.state: state, _T.event: event, _T.razorpay_event_id: razorpay_event_id, _T.account_id: account_id}
    for column, value in wanted.items():
        if value is not None:
            query = query.where(column == value)
    return query
