"""Quirks: what one may say of a charger or a model that differs from the book, and what holds for a charger from where."""

from typing import Annotated, Any, Literal

from pydantic import Field

from charging.domain.quirk_profiles import Applied, Evidence, Profile, QuirkProfile
from charging.views.base import ChargerId, View
from chassis.web import Body

CALL_TIMEOUT_MAX_SECONDS = 600
"""As the setting: a charger that takes longer is as good as silent."""

SETTLE_MAX_SECONDS = 900
"""The stale guard: a charger that must not be spoken to for longer can't be sold from."""

LISTED_MAX = 50
"""Entries of one list or table: more than OCPP 1.6 has operations or keys worth a rule."""

KEY_LENGTH_MAX = 50
"""OCPP 1.6 CiString50."""

VALUE_LENGTH_MAX = 500
"""OCPP 1.6 CiString500."""

Operation = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z]{1,39}(:[A-Z][A-Za-z]{1,39})?$")]
ConfigurationKey = Annotated[str, Field(min_length=1, max_length=KEY_LENGTH_MAX)]
ConfigurationValue = Annotated[str, Field(max_length=VALUE_LENGTH_MAX)]


class Quirks(Body):
    """Where a charger or model misbehaves: data, not code. What is left out is as the profiles, else the specification, say."""

    energy_unit: Literal["Wh", "kWh"] | None = Field(None, description="what its energy register is in, whatever it claims")
    session_relative_register: bool | None = Field(
        None, description="its samples count from the session's begin, while meterStart and meterStop are of the lifetime"
    )
    stop_escalation: list[Annotated[str, Field(pattern=r"^(PROFILE_ZERO|INOPERATIVE|RESET_HARD)$")]] | None = Field(
        None, description="stronger means after two ignored stops, in this order; [] for none", max_length=3
    )
    stop_by_reported_id: bool | None = Field(
        None, description="the first RemoteStop uses the transactionId that the charger reports, not the one it was given last"
    )
    denied_actions: list[Operation] | None = Field(
        None,
        description="operations never sent of our own accord: `Reset`, or one kind, `TriggerMessage:BootNotification`",
        max_length=LISTED_MAX,
    )
    denied_keys: list[ConfigurationKey] | None = Field(
        None, description="configuration keys that are left alone; case makes no difference", max_length=LISTED_MAX
    )
    configuration: dict[ConfigurationKey, ConfigurationValue | None] | None = Field(
        None, description="configuration keys with the value that this one needs; null: not set at all", max_length=LISTED_MAX
    )
    settle_seconds: int | None = Field(
        None, ge=0, le=SETTLE_MAX_SECONDS, description="quiet after a connect before it is configured"
    )
    call_timeout_seconds: int | None = Field(
        None, ge=1, le=CALL_TIMEOUT_MAX_SECONDS, description="how long it may take to answer a command"
    )
    offline_cap: bool | None = Field(
        None, description="prepaid sessions get a charging profile that falls to 0 A when their budget may be used up"
    )
    close_without_frame: bool | None = Field(
        None, description="it never comes back after a Close frame: our gateway drops its TCP connection instead when it stops"
    )

    def said(self) -> dict[str, Any]:
        """What this speaks of, as plain data."""
        return {name: getattr(self, name) for name in type(self).model_fields if getattr(self, name) is not None}


class EffectiveQuirks(View):
    """What holds."""

    energy_unit: str | None
    session_relative_register: bool
    stop_escalation: list[str]
    stop_by_reported_id: bool
    denied_actions: list[str]
    denied_keys: list[str] = Field(description="lower case")
    configuration: dict[str, str]
    settle_seconds: int | None = Field(description="null: the setting")
    call_timeout_seconds: int | None = Field(description="null: the setting")
    offline_cap: bool | None = Field(description="null: the setting")
    close_without_frame: bool

    @classmethod
    def of(cls, profile: QuirkProfile) -> "EffectiveQuirks":
        """For people: sorted."""
        return cls(
            energy_unit=profile.energy_unit,
            session_relative_register=profile.session_relative_register,
            stop_escalation=[means.value for means in profile.stop_escalation],
            stop_by_reported_id=profile.stop_by_reported_id,
            denied_actions=sorted(profile.denied_actions),
            denied_keys=sorted(profile.denied_keys),
            configuration=dict(sorted(profile.configuration.items())),
            settle_seconds=profile.settle_seconds,
            call_timeout_seconds=profile.call_timeout_seconds,
            offline_cap=profile.offline_cap,
            close_without_frame=profile.close_without_frame,
        )


class EvidenceView(View):
    """Why a profile says what it says."""

    row: int = Field(description="of the quirk table; 0 where the finding is not among them")
    source: str
    says: str

    @classmethod
    def of(cls, evidence: Evidence) -> "EvidenceView":
        """From the domain's."""
        return cls(row=evidence.row, source=evidence.source, says=evidence.says)


class QuirkProfileView(View):
    """A profile: whom it is for, what it says, and why."""

    name: str
    file: str
    local: bool = Field(description="from the operator's own directory")
    vendors: list[str] = Field(description="globs of chargePointVendor, without regard to case")
    models: list[str] = Field(description="globs of chargePointModel; [] for all")
    firmware: str | None = Field(description="glob, or comparisons with its number; null for all")
    quirks: dict[str, Any] = Field(description="{}: what is known of it is absorbed for every charger, nothing is to be set")
    evidence: list[EvidenceView]
    notes: str

    @classmethod
    def of(cls, profile: Profile) -> "QuirkProfileView":
        """From the domain's."""
        return cls(
            name=profile.name,
            file=profile.file,
            local=profile.local,
            vendors=list(profile.vendors),
            models=list(profile.models),
            firmware=profile.firmware,
            quirks=dict(profile.quirks),
            evidence=[EvidenceView.of(evidence) for evidence in profile.evidence],
            notes=profile.notes,
        )


class QuirkProfileList(View):
    """All profiles, by name."""

    items: list[QuirkProfileView]


class ChargerQuirksView(View):
    """What applies to a charger, and from where."""

    charger_id: ChargerId
    vendor: str | None = Field(description="as it said at boot; null: it has not booted yet, so no profile matches")
    model: str | None
    firmware_version: str | None
    effective: EffectiveQuirks
    origins: dict[str, list[str]] = Field(
        description="field → names of the profiles that say so, or `override`; what nobody speaks of is left out"
    )
    profiles: list[QuirkProfileView] = Field(description="those that match, from general to specific")
    override: dict[str, Any] = Field(description="what was set for this one charger; it wins")

    @classmethod
    def of(cls, row: Any, applied: Applied) -> "ChargerQuirksView":
        """From a charger's row."""
        return cls(
            charger_id=row.id,
            vendor=row.vendor,
            model=row.model,
            firmware_version=row.firmware_version,
            effective=EffectiveQuirks.of(applied.effective),
            origins={name: list(origins) for name, origins in sorted(applied.origins.items())},
            profiles=[QuirkProfileView.of(profile) for profile in applied.profiles],
            override=dict(row.quirks),
        )
