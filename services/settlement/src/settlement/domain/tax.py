"""Income tax withheld from franchisees (TDS): which rule holds for whom on which day, and what it takes of a session.

    rules in force on the day the session began ──who is paid──> Withholding ──figures of the session──> Split

Section, rate, base and threshold are data with dates (ADR 0018). A rule without a threshold looks at one session alone. One with
a threshold looks at the financial year so far, and what the year comes to is the same in whatever order its sessions are booked.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone

from money import BASIS_POINTS, Split, TdsBase, calculate_settlement, divide_half_up
from settlement.domain.franchisee import Terms

INDIA = timezone(timedelta(hours=5, minutes=30), "IST")
"""India's time: one zone, no daylight saving. The state counts its days and years by it."""

PERSONS = frozenset({"individual", "proprietorship", "huf"})
"""Business types behind which stands a person (or a family), whose own PAN is the business's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxRule:
    """A row of `tax_rules`: never changed, followed by another."""

    id: int
    section: str
    rate_bps: int
    base: TdsBase
    with_pan: bool
    business_types: frozenset[str] | None
    """None: whoever has no rule of his own."""
    annual_threshold_paise: int | None
    effective_from: date


@dataclass(frozen=True, slots=True)
class Payee:
    """What the rules ask about a franchisee."""

    business_type: str
    has_pan: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Withholding:
    """What a session's TDS is worked out by: kept in its entry."""

    section: str
    tds_bps: int
    tds_base: TdsBase
    tax_rule_id: int | None
    """None: the franchisee's terms say it."""
    annual_threshold_paise: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class YearSoFar:
    """A franchisee's financial year in the entries booked so far."""

    year: int
    sales_paise: int
    """What riders were billed: energy, GST and fee."""
    due_paise_bps: int
    """The sum of base times rate, in paise times basis points: not rounded before the end."""
    withheld_paise: int


def india_day(at: datetime) -> date:
    """The calendar day in India."""
    return at.astimezone(INDIA).date()


def financial_year(at: datetime) -> int:
    """The year in which the financial year (April to March, IST) of this time began."""
    day = india_day(at)
    return day.year if day.month >= 4 else day.year - 1


def start_of_financial_year(year: int) -> datetime:
    """The first moment of 1 April, IST."""
    return datetime(year, 4, 1, tzinfo=INDIA)


def payee(*, business_type: str, pan: str | None, stakeholder_pan: str | None) -> Payee:
    """Whom the rules see. The PAN of a person who is the business serves for it."""
    return Payee(business_type, bool(pan or (business_type in PERSONS and stakeholder_pan)))


def rule_in_force(rules: Iterable[TaxRule], who: Payee, day: date) -> TaxRule:
    """The newest rule that was effective that day: of those that name the business type, else of those that name none.

    A day before the first of them has the first. Raises ValueError where no rule is for such a franchisee.
    """
    for_pan = [rule for rule in rules if rule.with_pan is who.has_pan]
    special = [rule for rule in for_pan if rule.business_types is not None and who.business_type in rule.business_types]
    general = [rule for rule in for_pan if rule.business_types is None]
    for candidates in (special, general):
        in_force = [rule for rule in candidates if rule.effective_from <= day]
        if in_force:
            return max(in_force, key=lambda rule: (rule.effective_from, rule.id))
    if not general:
        raise ValueError(f"no tax rule for a {who.business_type} {'with' if who.has_pan else 'without'} PAN")
    return min(general, key=lambda rule: (rule.effective_from, rule.id))


def clashes(known: Iterable[TaxRule], *, with_pan: bool, business_types: frozenset[str] | None, effective_from: date) -> bool:
    """Whether one of the known rules holds for the same franchisee from the same day on."""

    def meets(rule: TaxRule) -> bool:
        if rule.business_types is None or business_types is None:
            return rule.business_types is business_types
        return bool(rule.business_types & business_types)

    return any(rule.with_pan is with_pan and rule.effective_from == effective_from and meets(rule) for rule in known)


def withholding(terms: Terms, rule: TaxRule) -> Withholding:
    """What holds for a session: the rate and base that its terms name, else the rule's. The section is the law's either way."""
    if terms.tds_bps is not None:
        return Withholding(
            section=rule.section,
            tds_bps=terms.tds_bps,
            tds_base=TdsBase(terms.tds_base or TdsBase.NET_EXCL_GST),
            tax_rule_id=None,
            annual_threshold_paise=None,
        )
    return Withholding(
        section=rule.section,
        tds_bps=rule.rate_bps,
        tds_base=rule.base,
        tax_rule_id=rule.id,
        annual_threshold_paise=rule.annual_threshold_paise,
    )


def withholding_kept(
    terms: Terms,
    rules: Iterable[TaxRule],
    *,
    tax_rule_id: int | None,
    section: str | None,
    business_type: str,
    started_at: datetime,
) -> Withholding:
    """What a booked entry should have been divided by, from its terms and the rule that it names.

    Whether we had the PAN when it was booked is the rule's to say: it may have come since. Raises ValueError, in words.
    """
    if terms.tds_bps is not None:
        return Withholding(
            section=section or "",
            tds_bps=terms.tds_bps,
            tds_base=TdsBase(terms.tds_base or TdsBase.NET_EXCL_GST),
            tax_rule_id=None,
            annual_threshold_paise=None,
        )
    known = {rule.id: rule for rule in rules}
    rule = known.get(tax_rule_id) if tax_rule_id is not None else None
    if rule is None:
        raise ValueError("its terms leave TDS to the tax rules, and it names none")
    in_force = rule_in_force(known.values(), Payee(business_type, rule.with_pan), india_day(started_at))
    if in_force.id != rule.id:
        raise ValueError(f"it names tax rule txr_{rule.id}, txr_{in_force.id} was in force")
    return withholding(terms, rule)


def year_kept(
    year: int | None, sales_paise: int | None, due_paise_bps: int | None, withheld_paise: int | None
) -> YearSoFar | None:
    """The year before an entry, of its columns; None where it is under no threshold."""
    if year is None or sales_paise is None or due_paise_bps is None or withheld_paise is None:
        return None
    return YearSoFar(year=year, sales_paise=sales_paise, due_paise_bps=due_paise_bps, withheld_paise=withheld_paise)


def divide(
    *,
    gross_paise: int,
    refund_paise: int,
    residue_paise: int,
    pg_fee_paise: int,
    gst_collected_paise: int,
    commission_bps: int,
    by: Withholding,
    year: YearSoFar | None = None,
) -> Split:
    """The split of a session. `year` is its financial year before it, and needed where the rule has a threshold.

    Up to the threshold nothing is withheld. The session that passes it makes up for the year: what is due on all of it, less what
    was withheld, as far as its payout goes; the next ones the rest. Raises as `money.calculate_settlement`.
    """

    def split(*, tds_bps: int) -> Split:
        return calculate_settlement(
            gross_paise=gross_paise,
            refund_paise=refund_paise,
            residue_paise=residue_paise,
            pg_fee_paise=pg_fee_paise,
            gst_collected_paise=gst_collected_paise,
            commission_bps=commission_bps,
            tds_bps=tds_bps,
            tds_base=by.tds_base,
        )

    if by.annual_threshold_paise is None:
        return split(tds_bps=by.tds_bps)
    if year is None:
        raise ValueError("a threshold needs the year so far")
    untaxed = split(tds_bps=0)
    following = year_after(year, untaxed, by)
    if following.sales_paise <= by.annual_threshold_paise:
        return untaxed
    missing_paise = divide_half_up(following.due_paise_bps, BASIS_POINTS) - year.withheld_paise
    tds_paise = min(max(missing_paise, 0), untaxed.payout_paise)
    return replace(untaxed, tds_paise=tds_paise, payout_paise=untaxed.payout_paise - tds_paise)


def tds_base_paise(split: Split, base: TdsBase) -> int:
    """What the rate is taken of."""
    return split.net_excl_gst_paise - (split.commission_paise if base is TdsBase.NET_LESS_COMMISSION else 0)


def year_after(year: YearSoFar, split: Split, by: Withholding) -> YearSoFar:
    """The year with one session more, whatever it was taxed by."""
    return YearSoFar(
        year=year.year,
        sales_paise=year.sales_paise + split.gross_paise - split.refund_paise - split.residue_paise,
        due_paise_bps=year.due_paise_bps + tds_base_paise(split, by.tds_base) * by.tds_bps,
        withheld_paise=year.withheld_paise + split.tds_paise,
    )
