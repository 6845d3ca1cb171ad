"""Staff tags: what they charge is metered, neither billed nor settled."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from charging.domain.errors import ConflictError
from charging.domain.start import normalise_id_tag
from charging.tables import id_tags
from charging.usecases import announce
from charging.usecases.scope import missing
from charging.views import IdTagChange, IdTagCreate, IdTagId, IdTagView, given
from chassis.database import UnitOfWork
from chassis.web import Page, PageQuery, Principal, fetch_page, invalid_field


async def create_id_tag(uow: UnitOfWork, body: IdTagCreate, principal: Principal) -> IdTagView:
    """`POST /v1/id-tags`; compared without regard to case."""
    row = (
        await uow.connection.execute(
            insert(id_tags)
            .values(id_tag=normalise_id_tag(body.id_tag), holder=body.holder, expires_at=body.expires_at, created_at=uow.now)
            .on_conflict_do_nothing()
            .returning(*id_tags.c)
        )
    ).one_or_none()
    if row is None:
        raise ConflictError("This tag exists already.")
    _audit(uow, row.id, "created", principal, {"holder": body.holder})
    return IdTagView.model_validate(row)


async def list_id_tags(uow: UnitOfWork, query: PageQuery) -> Page[IdTagView]:
    """`GET /v1/id-tags`, newest first."""
    return await fetch_page(uow, sa.select(id_tags), query, order=(id_tags.c.id,), view=IdTagView.model_validate)


async def change_id_tag(uow: UnitOfWork, id_tag_id: IdTagId, body: IdTagChange, principal: Principal) -> IdTagView:
    """`PATCH /v1/id-tags/{id}`. A session that it started goes on."""
    changes = given(body)
    for name in ("holder", "enabled"):
        if name in changes and changes[name] is None:
            raise invalid_field(f"#/body/{name}", "It can't be null")
    statement = sa.update(id_tags).where(id_tags.c.id == id_tag_id).values(**changes) if changes else None
    row = (
        await uow.connection.execute(
            statement.returning(*id_tags.c) if statement is not None else sa.select(id_tags).where(id_tags.c.id == id_tag_id)
        )
    ).one_or_none()
    if row is None:
        raise missing("id tag", "tag", id_tag_id)
    _audit(uow, id_tag_id, "changed", principal, body.model_dump(exclude_unset=True, mode="json"))
    return IdTagView.model_validate(row)


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
