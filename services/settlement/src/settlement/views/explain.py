"""Amounts that explain themselves."""

from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import BaseModel, Field

from money import Derivation
from settlement.domain.explain import paragraph
from settlement.views.base import Paise


class DerivationView(BaseModel):
    """One amount with everything it was worked out from."""

    name: str
    paise: Paise
    sentence: str
    formula: str = Field(description="in the names of `inputs`; half_up(a ÷ b) rounds to the nearest paisa, a half going up")
    inputs: Mapping[str, int | str | None]
    sources: Mapping[str, str] = Field(description="where inputs come from")


class ExplanationView(BaseModel):
    """How a record's amounts came about."""

    subject: str = Field(description="what is explained: led_4, xfr_7, setl_...")
    paragraph: str = Field(description="all of it in plain sentences")
    amounts: list[DerivationView]

    @classmethod
    def of(cls, record: str, derivations: Sequence[Derivation], *more: str) -> Self:
        """From the derivations, with further sentences."""
        shown = [DerivationView.model_validate(derivation, from_attributes=True) for derivation in derivations]
        return cls(subject=record, paragraph=paragraph(derivations, *more), amounts=shown)
