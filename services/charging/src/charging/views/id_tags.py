"""Staff tags."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from charging.domain.start import ID_TAG_LENGTH_MAX
from charging.views.base import IdTagId, Name, View
from chassis.web import Body


class IdTagCreate(Body):
    """A staff tag: what it charges is metered, neither billed nor settled."""

    id_tag: Annotated[str, Field(min_length=1, max_length=ID_TAG_LENGTH_MAX, pattern=r"^[0-9A-Za-z_.:\-]+$")]
    holder: Name
    expires_at: AwareDatetime | None = Field(None, strict=False)


class IdTagChange(Body):
    """What of a tag changes."""

    holder: Name | None = None
    enabled: bool | None = None
    expires_at: AwareDatetime | None = Field(None, strict=False)


class IdTagView(View):
    """A staff tag."""

    id: IdTagId
    id_tag: str
    holder: str
    enabled: bool
    expires_at: datetime | None
    created_at: datetime
