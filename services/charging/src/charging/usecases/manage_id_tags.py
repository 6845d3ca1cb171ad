"""Staff tags: what they charge is metered, neither billed nor settled."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from charging.domain.errors import ConflictError
from charging.domain.start import normalise_id_tag
from charging.tables import id_tags, reservations, transactions
from charging.usecases import announce
from charging.usecases.scope import missing
from charging.usecases.sync_local_list import staff_tags_changed
from charging.views import IdTagChange, IdTagCreate, IdTagId, IdTagQuery, IdTagView, given
from chassis.database import UnitOfWork
from chassis.web import Page, Principal, fetch_page, invalid_field
from contracts.ocpp_gateway import IdTagStatus


async def create_id_tag(uow: UnitOfWork, body: IdTagCreate, principal: Principal) -> IdTagView:
    """`POST /v1/id-tags`; compared without regard to case."""
    row = (
        await uow.connection.execute(
            insert(id_tags)
            .values(
                id_tag=normalise_id_tag(body.id_tag),
                holder=body.holder,
                expires_at=body.expires_at,
                parent_id_tag=_normalised(body.parent_id_tag),
                concurrent_sessions_max=body.concurrent_sessions_max,
                created_at=uow.now,
            )
            .on_conflict_do_nothing()
            .returning(*id_tags.c)
        )
    ).one_or_none()
    if row is None:
        raise ConflictError("This tag exists already.")
    await staff_tags_changed(uow)
    _audit(uow, row.id, "created", principal, body.model_dump(mode="json"))
    return IdTagView.of(row, uow.now)


async def list_id_tags(uow: UnitOfWork, query: IdTagQuery) -> Page[IdTagView]:
    """`GET /v1/id-tags`, newest first."""
    c = id_tags.c
    statement = sa.select(id_tags)
    if query.id_tag is not None:
        statement = statement.where(c.id_tag == normalise_id_tag(query.id_tag))
    if query.parent_id_tag is not None:
        statement = statement.where(c.parent_id_tag == normalise_id_tag(query.parent_id_tag))
    if query.holder is not None:
        statement = statement.where(c.holder.icontains(query.holder, autoescape=True))
    if query.status is not None:
        statement = statement.where(_has_status(query.status, uow))
    return await fetch_page(uow, statement, query, order=(c.id,), view=lambda row: IdTagView.of(row, uow.now))


def _has_status(status: IdTagStatus, uow: UnitOfWork) -> sa.ColumnElement[bool]:
    """`domain.id_tags.id_tag_status` as SQL. No tag of ours is Invalid, and ConcurrentTx is a start's."""
    c = id_tags.c
    expired = sa.and_(c.expires_at.is_not(None), c.expires_at <= uow.now)
    return {
        IdTagStatus.ACCEPTED: sa.and_(c.enabled, sa.not_(expired)),
        IdTagStatus.EXPIRED: sa.and_(c.enabled, expired),
        IdTagStatus.BLOCKED: sa.not_(c.enabled),
    }.get(status, sa.false())


async def show_id_tag(uow: UnitOfWork, id_tag_id: IdTagId) -> IdTagView:
    """`GET /v1/id-tags/{id}`."""
    return IdTagView.of(await _found(uow, id_tag_id), uow.now)


async def change_id_tag(uow: UnitOfWork, id_tag_id: IdTagId, body: IdTagChange, principal: Principal) -> IdTagView:
    """`PATCH /v1/id-tags/{id}`. A session that it started goes on."""
    changes = given(body)
    for name in ("holder", "enabled"):
        if name in changes and changes[name] is None:
            raise invalid_field(f"#/body/{name}", "It can't be null")
    if "parent_id_tag" in changes:
        changes["parent_id_tag"] = _normalised(changes["parent_id_tag"])
    if not changes:
        return IdTagView.of(await _found(uow, id_tag_id), uow.now)
    row = (
        await uow.connection.execute(sa.update(id_tags).where(id_tags.c.id == id_tag_id).values(**changes).returning(*id_tags.c))
    ).one_or_none()
    if row is None:
        raise missing("id tag", "tag", id_tag_id)
    await staff_tags_changed(uow)
    _audit(uow, id_tag_id, "changed", principal, body.model_dump(exclude_unset=True, mode="json"))
    return IdTagView.of(row, uow.now)


async def delete_id_tag(uow: UnitOfWork, id_tag_id: IdTagId, principal: Principal) -> None:
    """`DELETE /v1/id-tags/{id}`: one that was never used. One that has charged stays, for the record: it can be blocked."""
    row = await _found(uow, id_tag_id)
    for table in (transactions, reservations):
        if await uow.connection.scalar(sa.select(table.c.id).where(table.c.id_tag == row.id_tag).limit(1)) is not None:
            raise ConflictError("It has been used, so it stays for the record. Block it instead: PATCH enabled to false.")
    await uow.connection.execute(sa.delete(id_tags).where(id_tags.c.id == id_tag_id))
    await staff_tags_changed(uow)
    _audit(uow, id_tag_id, "deleted", principal, {"id_tag": row.id_tag, "holder": row.holder})


async def _found(uow: UnitOfWork, id_tag_id: int) -> "sa.Row[Any]":
    row = (await uow.connection.execute(sa.select(id_tags).where(id_tags.c.id == id_tag_id))).one_or_none()
    if row is None:
        raise missing("id tag", "tag", id_tag_id)
    return row


def _normalised(id_tag: str | None) -> str | None:
    return normalise_id_tag(id_tag) if id_tag is not None else None


def _audit(uow: UnitOfWork, id_tag_id: int, action: str, principal: Principal, after: dict[str, object]) -> None:
    announce.audit(
        uow,
        entity="id_tag",
        entity_id=id_tag_id,
        action=action,
        actor=principal.subject,
        trigger="api",
        at=uow.now,
        after=after,
    )
