"""Charger configuration as a person sees it: desired, reported, and what came of asking."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from charging.domain.configuration import VALUE_CHARACTERS_MAX, ConfigurationState, KeyAnswer
from charging.views.base import ChargerId, CommandId, View
from chassis.web import Body, PageQuery


class ConfigurationKeyView(View):
    """One key. Secrets are shown as ***."""

    key: str = Field(description="as the charger spells it")
    desired: str | None = Field(description="null: we don't mind")
    reported: str | None = Field(description="null: it never said")
    drift: bool = Field(description="reported, and not as desired")
    readonly: bool | None
    override: str | None = Field(description="desired for this charger alone, by a person")
    override_by: str | None
    fallback: bool = Field(description="desired is the lesser value: the charger declined the first")
    answer: KeyAnswer | None = Field(description="to the last ChangeConfiguration")
    sent: str | None
    sent_at: datetime | None
    seen_at: datetime | None


class ConfigurationView(View):
    """A charger's configuration and where the conversation about it stands."""

    charger_id: ChargerId
    charge_point_id: str
    state: ConfigurationState
    reason: str | None = Field(description="why it waits, or was given up")
    due_at: datetime | None = Field(description="when it goes on; null: not by itself")
    drift: int = Field(description="keys that are not as desired")
    reboot_required: bool = Field(description="a key takes effect with the next boot: send a Reset when it suits")
    listing_refused: bool = Field(description="GetConfiguration failed on this firmware and is not asked again")
    interruptions: int = Field(description="conversations on this firmware in which it hung or dropped")
    firmware_version: str | None
    command_id: CommandId | None = Field(description="in flight")
    started_at: datetime | None
    finished_at: datetime | None


class ConfigurationWithKeys(ConfigurationView):
    """The same with every key."""

    keys: list[ConfigurationKeyView]


class ConfigurationQuery(PageQuery):
    """Filters of the list."""

    drift: bool | None = Field(None, description="true: only chargers that are not as desired")
    state: ConfigurationState | None = None


class ConfigurationOverride(Body):
    """What one charger should have."""

    value: Annotated[str, Field(max_length=VALUE_CHARACTERS_MAX)]
