"""Local Authorization Lists."""

from datetime import datetime

from pydantic import Field

from charging.domain.local_list import LocalListState
from charging.views.base import ChargerId, View
from chassis.web import Body


class LocalListSync(Body):
    """How to bring a charger's list into step."""

    full: bool = Field(False, description="send it as a whole, whatever the charger confirmed")


class LocalListView(View):
    """What a charger's list should hold, and what it confirmed."""

    charger_id: ChargerId
    managed: bool = Field(description="false: never taught, and not by itself either, until somebody asks or it says it can")
    state: LocalListState
    reason: str | None = Field(description="why it failed, or stopped half way")
    confirmed_version: int | None = Field(description="listVersion that the charger last confirmed; null: not known")
    confirmed_entries: int | None = Field(description="tags on it; null: not known")
    desired_version: int = Field(description="listVersion that it will have; the confirmed one where nothing differs")
    desired_entries: int
    drift: bool
    missing: list[str] | None = Field(description="tags to be added or changed; null: not known")
    surplus: list[str] | None = Field(description="tags to be taken off; null: not known")
    sync_due_at: datetime | None
    confirmed_at: datetime | None = Field(description="when it was last in step")
