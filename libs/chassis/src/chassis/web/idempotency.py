"""Idempotency-Key on mutations: the first answer is stored as a row and given again; the same key never does two things.

A key belongs to one caller and one route. It is bound to the request by a hash: the same key with another request is a 409.
An answer that bears a secret (Route.shown_once) is never stored: its key remembers only that the thing was done.
Keys are kept as long as the relay's housekeeping keeps them (chassis.database.outbox); after that a key is new again.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
import sqlalchemy as sa
from aiohttp import web
from sqlalchemy.dialects.postgresql import insert

from chassis.database import UnitOfWork
from chassis.database.tables import idempotency_keys
from chassis.web.problems import Problem, invalid_field

KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"

_KEY = re.compile(r"[\x21-\x7e]{1,255}")

CLAIM_SECONDS = 300
"""A claim without an answer, of a process that died over it, is free again after this: longer than any request may take."""

RETRY_AFTER_SECONDS = 2
"""What a caller is told who repeats a request that is still being worked on."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request with a key."""

    scope: str
    key: str
    request_hash: str


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The first answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def keyed(request: web.Request, *, template: str, subject: str, raw: bytes) -> Keyed | None:
    """The request's key, if it bears one. Raises Problem 422 for one that is empty, too long, or not printable ASCII."""
    key = request.headers.get(KEY_HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise invalid_field(f"#/header/{KEY_HEADER}", "1 to 255 printable ASCII characters without spaces, such as a UUID")
    digest = hashlib.sha256()
    for part in (request.method.encode(), request.rel_url.raw_path_qs.encode(), raw):
        digest.update(len(part).to_bytes(8, "big") + part)
    return Keyed(f"{request.method} {template} {subject}", key, digest.hexdigest())


async def claim(uow: UnitOfWork, keyed_request: Keyed, *, shown_once: str = "") -> StoredAnswer | None:
    """None: the key is ours to use, in this transaction. Else the answer that was given. Raises Problem 409.

    `shown_once`: how to get a new secret, told to whoever repeats a key whose answer was not stored for the secret in it.
    Of two at once the second waits here for the first one's transaction to end.
    """
    statement = insert(idempotency_keys).values(
        scope=keyed_request.scope, key=keyed_request.key, request_hash=keyed_request.request_hash, created_at=uow.now
    )
    stale = uow.now - timedelta(seconds=CLAIM_SECONDS)
    ours = await uow.connection.execute(
        statement.on_conflict_do_update(
            index_elements=["scope", "key"],
            set_={"created_at": uow.now},
            where=sa.and_(
                idempotency_keys.c.status.is_(None),
                idempotency_keys.c.created_at < stale,
                idempotency_keys.c.request_hash == keyed_request.request_hash,
            ),
        ).returning(idempotency_keys.c.key)
    )
    if ours.one_or_none() is not None:
        return None
    columns = idempotency_keys.c
    found = await uow.connection.execute(
        sa.select(columns.request_hash, columns.status, columns.response).where(
            columns.scope == keyed_request.scope, columns.key == keyed_request.key
        )
    )
    row = found.one()
    if row.request_hash != keyed_request.request_hash:
        raise Problem(
            409,
            "This idempotency key was used for another request",
            "Send a new key with a new request, the same key only to repeat one.",
            type="idempotency-key-reused",
        )
    if row.status is None:
        raise Problem(
            409,
            "The first request with this key is still in progress",
            type="idempotency-key-in-progress",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    if row.response is None:
        raise Problem(
            409,
            "This was done, and its answer was shown once",
            f"The answer holds a secret and is not kept. {shown_once}".strip(),
            type="idempotency-answer-shown-once",
        )
    return StoredAnswer(row.status, row.response["headers"], orjson.dumps(row.response["body"]) if row.response["body"] else b"")


async def remember(uow: UnitOfWork, keyed_request: Keyed, *, status: int, headers: dict[str, str], body: bytes) -> None:
    """Store the answer beside the effects that it tells of."""
    response: dict[str, Any] = {"headers": headers, "body": orjson.loads(body) if body else None}
    await uow.connection.execute(
        sa.update(idempotency_keys)
        .where(idempotency_keys.c.scope == keyed_request.scope, idempotency_keys.c.key == keyed_request.key)
        .values(status=status, response=response)
    )


async def remember_done(uow: UnitOfWork, keyed_request: Keyed, *, status: int) -> None:
    """Store that there was an answer, and nothing of it: it bears a secret."""
    await uow.connection.execute(
        sa.update(idempotency_keys)
        .where(idempotency_keys.c.scope == keyed_request.scope, idempotency_keys.c.key == keyed_request.key)
        .values(status=status)
    )


async def release(uow: UnitOfWork, keyed_request: Keyed) -> None:
    """Give back a claim whose request came to no answer, so that its repetition is worked on."""
    await uow.connection.execute(
        sa.delete(idempotency_keys).where(
            idempotency_keys.c.scope == keyed_request.scope,
            idempotency_keys.c.key == keyed_request.key,
            idempotency_keys.c.status.is_(None),
        )
    )
