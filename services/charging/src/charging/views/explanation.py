"""How a session's energy and its worth came about."""

from typing import Any, Self

from pydantic import BaseModel, Field

from charging.views.base import TransactionId
from charging.views.tariffs import TariffView
from contracts.charging import EnergyEvidence
from money import Derivation


class DerivationView(BaseModel):
    """One amount with everything it was worked out from."""

    name: str
    paise: int
    sentence: str
    formula: str = Field(description="in the names of `inputs`; worked out exactly it gives `paise`")
    inputs: dict[str, int | str | None]
    sources: dict[str, str] = Field(description="where inputs come from")

    @classmethod
    def of(cls, derivation: Derivation) -> Self:
        """From the rule's own."""
        values: dict[str, Any] = {name: getattr(derivation, name) for name in ("name", "paise", "sentence", "formula")}
        return cls(**values, inputs=dict(derivation.inputs), sources=dict(derivation.sources))


class EnergyDerivationView(BaseModel):
    """The billed energy: the confirmed forward steps of the charger's register."""

    billed_wh: int
    meter_start_wh: int = Field(description="the first reading, as the charger said in StartTransaction")
    meter_stop_wh: int | None = Field(description="the last, as it said in StopTransaction")
    counted_wh: int = Field(description="what the stretches of the register add up to; billed is this, or less where in doubt")
    smaller_because: str | None = Field(description="why less was billed than the register shows; null: all of it was billed")
    late_wh: int = Field(description="reported after the end: never billed")
    readings: int = Field(description="meter values stored with the session, those not used included")
    formula: str
    evidence: EnergyEvidence | None = Field(description="every stretch and doubtful reading; null: none was kept")


class TransactionExplanation(BaseModel):
    """How what a session costs came about. What the rider was billed for it is payments' to explain."""

    transaction_id: TransactionId
    paragraph: str = Field(description="all of it in plain sentences")
    energy: EnergyDerivationView
    tariff: TariffView | None = Field(description="the version in force when it started; null: a staff tag where none was set")
    amounts: list[DerivationView] = Field(description="the energy's worth by that tariff, before any cap by what was paid")
