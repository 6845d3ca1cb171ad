"""Tax rules."""

from datetime import date, datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field

from chassis.web import Body, PageQuery
from money import TdsBase
from settlement.domain.tax import TaxRule
from settlement.views.base import BasisPoints, TaxRuleId
from settlement.views.franchisees import BusinessType


class TaxRuleQuery(PageQuery):
    """No filters: there are a handful of rules a decade."""


class TaxRuleCreate(Body):
    """A rule for sessions to come. It follows the one that it resembles, which stays for the sessions before."""

    section: Annotated[str, Field(min_length=1, max_length=100, description="as statements and certificates name it")]
    rate_bps: BasisPoints
    base: TdsBase = Field(TdsBase.NET_EXCL_GST, strict=False, description="what the rate is taken of")
    with_pan: bool = Field(True, description="for franchisees whose PAN we have, or for those without")
    business_types: Annotated[
        list[BusinessType] | None, Field(min_length=1, description="for these alone; null: for whoever has no rule of his own")
    ] = None
    annual_threshold_paise: Annotated[
        int | None, Field(ge=1, description="nothing is withheld while a financial year's sales are at most this; paise")
    ] = None
    effective_from: date = Field(strict=False, description="a day in India, after today: for sessions started from then on")


class TaxRuleView(BaseModel):
    """What is withheld, from whom, from which day on."""

    id: TaxRuleId
    section: str
    rate_bps: int
    base: TdsBase
    with_pan: bool
    business_types: list[str] | None
    annual_threshold_paise: int | None
    effective_from: date
    created_by: str
    created_at: datetime

    def rule(self) -> TaxRule:
        """As the rules of the domain take it."""
        return TaxRule(
            id=self.id,
            section=self.section,
            rate_bps=self.rate_bps,
            base=self.base,
            with_pan=self.with_pan,
            business_types=frozenset(self.business_types) if self.business_types is not None else None,
            annual_threshold_paise=self.annual_threshold_paise,
            effective_from=self.effective_from,
        )

    @classmethod
    def of(cls, row: object) -> Self:
        """From its row."""
        return cls.model_validate(row, from_attributes=True)
