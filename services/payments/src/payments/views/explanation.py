"""How amounts came about."""

from collections.abc import Iterable
from typing import Any, Self

from pydantic import BaseModel, Field

from contracts.charging import EnergyConfidence, TransactionStopped
from money import Derivation
from payments.views.base import TransactionId
from payments.views.invoices import TariffId


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


class SessionReadings(BaseModel):
    """What charging said of the session when it ended. All of it: `GET /v1/transactions/{id}/explanation`."""

    transaction_id: TransactionId
    tariff_id: TariffId | None
    tariff_effective_from: str | None = Field(description="since when that version was in force; null: not told")
    energy_wh: int
    meter_start_wh: int
    meter_stop_wh: int | None
    first_reading: str | None = Field(description="the reading that the energy counts from: <epoch>/<seq>/<n>, or meterStart")
    last_reading: str | None = Field(description="the last that counted; null: no evidence was told")
    confidence: EnergyConfidence | None
    because: str | None = Field(description="why the energy is as sure as that")

    @classmethod
    def of(cls, event: TransactionStopped) -> Self:
        """From charging's own words."""
        proof = event.evidence
        counted = [segment for segment in proof.segments if segment.counted_wh] if proof is not None else []
        since = event.tariff_effective_from
        return cls(
            transaction_id=event.transaction_id,
            tariff_id=event.tariff_id or None,
            tariff_effective_from=since.isoformat() if since is not None else None,
            energy_wh=event.energy_wh,
            meter_start_wh=event.meter_start_wh,
            meter_stop_wh=event.meter_stop_wh,
            first_reading=counted[0].from_reading if counted else None,
            last_reading=counted[-1].to_reading if counted else None,
            confidence=proof.confidence if proof is not None else None,
            because=proof.because if proof is not None else None,
        )


class ExplanationView(BaseModel):
    """Amounts and how they came about."""

    subject: str = Field(description="what is explained: qrp_17, rfd_5, inv_9, wse_8")
    paragraph: str = Field(description="all of it in plain sentences")
    amounts: list[DerivationView]
    session: SessionReadings | None = Field(description="null: nothing ran, or it ended before its readings were kept here")

    @classmethod
    def made(cls, subject: str, amounts: Iterable[Derivation], *, session: SessionReadings | None, first: str = "") -> Self:
        """From derivations; `first`: a sentence before theirs."""
        listed = list(amounts)
        sentences = [first] if first else []
        sentences += [amount.sentence for amount in listed]
        return cls(
            subject=subject,
            paragraph=" ".join(sentences),
            amounts=[DerivationView.of(amount) for amount in listed],
            session=session,
        )
