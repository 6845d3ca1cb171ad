"""Staff tags."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from charging.domain.id_tags import id_tag_status
from charging.domain.start import ID_TAG_LENGTH_MAX
from charging.views.base import IdTagId, Name, View
from chassis.web import Body, PageQuery
from contracts.ocpp_gateway import IdTagStatus

IdTagText = Annotated[str, Field(min_length=1, max_length=ID_TAG_LENGTH_MAX, pattern=r"^[0-9A-Za-z_.:\-]+$")]

CONCURRENT_SESSIONS_MAX = 1000
"""More at once is a typing error; null says that there is no bound."""


class IdTagCreate(Body):
    """A staff tag: what it charges is metered, neither billed nor settled."""

    id_tag: IdTagText
    holder: Name
    expires_at: AwareDatetime | None = Field(None, strict=False)
    parent_id_tag: IdTagText | None = Field(
        None, description="the group it belongs to: its tags may use each other's reservations"
    )
    concurrent_sessions_max: int | None = Field(
        1, ge=1, le=CONCURRENT_SESSIONS_MAX, description="more of its transactions at once are ConcurrentTx; null: no bound"
    )


class IdTagChange(Body):
    """What of a tag changes."""

    holder: Name | None = None
    enabled: bool | None = Field(None, description="false: Blocked")
    expires_at: AwareDatetime | None = Field(None, strict=False)
    parent_id_tag: IdTagText | None = None
    concurrent_sessions_max: int | None = Field(None, ge=1, le=CONCURRENT_SESSIONS_MAX, description="null: no bound")


class IdTagQuery(PageQuery):
    """Filters of the list."""

    id_tag: str | None = Field(None, max_length=40, description="whole, as a charger would send it")
    holder: str | None = Field(None, max_length=120, description="part of the name")
    parent_id_tag: str | None = Field(None, max_length=40, description="the group")
    status: IdTagStatus | None = None


class IdTagView(View):
    """A staff tag."""

    id: IdTagId
    id_tag: str
    holder: str
    enabled: bool
    status: IdTagStatus = Field(description="what a charger that asks is told now")
    expires_at: datetime | None
    parent_id_tag: str | None
    concurrent_sessions_max: int | None
    created_at: datetime

    @classmethod
    def of(cls, row: Any, at: datetime) -> "IdTagView":
        """From its row, at a moment."""
        return cls(
            id=row.id,
            id_tag=row.id_tag,
            holder=row.holder,
            enabled=row.enabled,
            status=id_tag_status(enabled=row.enabled, expires_at=row.expires_at, at=at),
            expires_at=row.expires_at,
            parent_id_tag=row.parent_id_tag,
            concurrent_sessions_max=row.concurrent_sessions_max,
            created_at=row.created_at,
        )
