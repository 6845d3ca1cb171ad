"""Finance keeps the rules of TDS: a rate that changes is a new rule with a day, never a change of an old one."""

import sqlalchemy as sa

from chassis.database import UnitOfWork
from chassis.web import Page, Principal, fetch_page, invalid_field
from settlement.domain.errors import TaxRuleExists
from settlement.domain.tax import clashes, india_day
from settlement.repository import tax
from settlement.tables import tax_rules
from settlement.usecases.announce import audit
from settlement.views.tax import TaxRuleCreate, TaxRuleQuery, TaxRuleView


async def list_tax_rules(uow: UnitOfWork, query: TaxRuleQuery) -> Page[TaxRuleView]:
    """`GET /v1/tax-rules`, newest day first."""
    order = (sa.func.to_char(tax_rules.c.effective_from, "YYYY-MM-DD", type_=sa.Text).label("day"), tax_rules.c.id)
    statement = sa.select(tax_rules, order[0]).subquery("rules")
    selected = sa.select(statement)
    return await fetch_page(uow, selected, query, order=(statement.c.day, statement.c.id), view=TaxRuleView.of)


async def create_tax_rule(uow: UnitOfWork, body: TaxRuleCreate, principal: Principal) -> TaxRuleView:
    """`POST /v1/tax-rules`: sessions that have begun keep theirs. Raises TaxRuleExists."""
    if body.effective_from <= india_day(uow.now):
        raise invalid_field("#/body/effective_from", "Rules are for days to come: sessions of this day may be booked already")
    await tax.lock_rules(uow.connection)
    types = frozenset(body.business_types) if body.business_types is not None else None
    known = await tax.rules(uow.connection)
    if clashes(known, with_pan=body.with_pan, business_types=types, effective_from=body.effective_from):
        raise TaxRuleExists
    row = await tax.add_rule(
        uow.connection,
        section=body.section,
        rate_bps=body.rate_bps,
        base=body.base.value,
        with_pan=body.with_pan,
        business_types=sorted(types) if types is not None else None,
        annual_threshold_paise=body.annual_threshold_paise,
        effective_from=body.effective_from,
        created_by=principal.subject,
        created_at=uow.now,
    )
    audit(
        uow,
        entity="tax_rule",
        entity_id=f"txr_{row.id}",
        action="create",
        actor=principal.subject,
        trigger="api",
        after=body.model_dump(mode="json"),
    )
    return TaxRuleView.of(row)
