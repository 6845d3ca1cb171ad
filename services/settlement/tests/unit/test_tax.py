"""Which rule withholds how much from whom: dated data, and a year that comes to the same in any order."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from money import BASIS_POINTS, TdsBase, calculate_settlement, divide_half_up
from settlement.domain.franchisee import Terms
from settlement.domain.tax import (
    Payee,
    TaxRule,
    Withholding,
    YearSoFar,
    clashes,
    divide,
    financial_year,
    india_day,
    payee,
    rule_in_force,
    start_of_financial_year,
    withholding,
    withholding_kept,
    year_after,
    year_kept,
)

PERSONS = frozenset({"individual", "huf"})
NET, LESS_COMMISSION = TdsBase.NET_EXCL_GST, TdsBase.NET_LESS_COMMISSION
LAKHS_5 = 50_000_000
_IDS = count(1)


def rule(
    day: date, bps: int, *, with_pan: bool = True, types: frozenset[str] | None = None, threshold: int | None = None
) -> TaxRule:
    return TaxRule(
        id=next(_IDS),
        section=f"section of {bps}",
        rate_bps=bps,
        base=TdsBase.NET_EXCL_GST,
        with_pan=with_pan,
        business_types=types,
        annual_threshold_paise=threshold,
        effective_from=day,
    )


RULES = (
    rule(date(2020, 10, 1), 100),
    rule(date(2020, 10, 1), 100, types=PERSONS, threshold=LAKHS_5),
    rule(date(2020, 10, 1), 500, with_pan=False),
    rule(date(2024, 10, 1), 10),
    rule(date(2024, 10, 1), 10, types=PERSONS, threshold=LAKHS_5),
)


@pytest.mark.parametrize(
    ("who", "day", "bps", "threshold"),
    [
        (Payee("llp", True), date(2024, 9, 30), 100, None),
        (Payee("llp", True), date(2024, 10, 1), 10, None),
        (Payee("llp", True), date(2019, 1, 1), 100, None),
        (Payee("individual", True), date(2024, 9, 30), 100, LAKHS_5),
        (Payee("individual", True), date(2026, 11, 1), 10, LAKHS_5),
        (Payee("llp", False), date(2026, 11, 1), 500, None),
        (Payee("individual", False), date(2026, 11, 1), 500, None),
    ],
)
def test_the_rule_of_the_day_for_the_one_who_is_paid(who: Payee, day: date, bps: int, threshold: int | None) -> None:
    found = rule_in_force(reversed(RULES), who, day)
    assert (found.rate_bps, found.annual_threshold_paise) == (bps, threshold)


def test_no_rule_at_all_is_said() -> None:
    with pytest.raises(ValueError, match="without PAN"):
        rule_in_force([rule(date(2020, 1, 1), 1)], Payee("llp", False), date(2026, 1, 1))


def test_a_day_and_a_financial_year_are_indias() -> None:
    last = datetime(2026, 3, 31, 18, 29, 59, tzinfo=UTC)
    assert (india_day(last), financial_year(last)) == (date(2026, 3, 31), 2025)
    first = last + timedelta(seconds=1)
    assert (india_day(first), financial_year(first)) == (date(2026, 4, 1), 2026)
    assert start_of_financial_year(2026) == first


def test_a_persons_own_pan_serves_for_the_business_and_a_partners_does_not() -> None:
    assert payee(business_type="proprietorship", pan=None, stakeholder_pan="ABCPA1234F").has_pan
    assert not payee(business_type="partnership", pan=None, stakeholder_pan="ABCPA1234F").has_pan
    assert payee(business_type="partnership", pan="AAACL1234C", stakeholder_pan=None).has_pan


def test_what_the_terms_say_wins_and_the_section_is_the_laws() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    special = RULES[-1]
    own = withholding(Terms(1000, 250, "NET_LESS_COMMISSION", at), special)
    assert (own.tds_bps, own.tds_base, own.tax_rule_id, own.annual_threshold_paise) == (250, "NET_LESS_COMMISSION", None, None)
    assert own.section == special.section
    ruled = withholding(Terms(1000, None, None, at), special)
    assert (ruled.tds_bps, ruled.tax_rule_id, ruled.annual_threshold_paise) == (10, special.id, LAKHS_5)


def test_an_entry_that_names_another_rule_than_was_in_force_is_found() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    terms = Terms(1000, None, None, at)

    def kept(tax_rule_id: int | None) -> Withholding:
        return withholding_kept(terms, RULES, tax_rule_id=tax_rule_id, section="", business_type="llp", started_at=at)

    assert kept(RULES[3].id) == withholding(terms, RULES[3])
    for wrong, words in ((RULES[0].id, "was in force"), (RULES[4].id, "was in force"), (None, "names none")):
        with pytest.raises(ValueError, match=words):
            kept(wrong)


def test_two_rules_for_the_same_from_the_same_day_clash() -> None:
    day = date(2024, 10, 1)
    assert clashes(RULES, with_pan=True, business_types=None, effective_from=day)
    assert clashes(RULES, with_pan=True, business_types=frozenset({"huf", "trust"}), effective_from=day)
    assert not clashes(RULES, with_pan=True, business_types=frozenset({"trust"}), effective_from=day)
    assert not clashes(RULES, with_pan=False, business_types=None, effective_from=day)
    assert not clashes(RULES, with_pan=True, business_types=None, effective_from=date(2024, 10, 2))


def session(net: int, gst: int, fee: int, back: int) -> dict[str, int]:
    return {
        "gross_paise": net + gst + fee + back,
        "refund_paise": back if back >= 100 else 0,
        "residue_paise": back if back < 100 else 0,
        "pg_fee_paise": fee,
        "gst_collected_paise": gst,
    }


SESSIONS = st.builds(session, st.integers(0, 60_000), st.integers(0, 9_000), st.integers(0, 1_500), st.integers(0, 20_000))


@given(SESSIONS, st.integers(0, 10_000), st.integers(0, 10_000), st.sampled_from(TdsBase))
def test_without_a_threshold_it_is_the_split_of_money(figures: dict[str, int], commission: int, bps: int, base: TdsBase) -> None:
    by = Withholding(section="s", tds_bps=bps, tds_base=base, tax_rule_id=1, annual_threshold_paise=None)
    expected = calculate_settlement(**figures, commission_bps=commission, tds_bps=bps, tds_base=base)
    assert divide(**figures, commission_bps=commission, by=by) == expected


@given(
    st.lists(SESSIONS, min_size=1, max_size=25).flatmap(lambda made: st.tuples(st.just(made), st.permutations(made))),
    st.integers(1, 800_000),
    st.sampled_from(((100, 10), (10, 10), (500, 0), (0, 100))),
    st.integers(0, 9_000),
    st.sampled_from(TdsBase),
)
def test_a_year_under_a_threshold_comes_to_the_same_in_any_order(
    orders: tuple[list[dict[str, int]], list[dict[str, int]]],
    threshold: int,
    rates: tuple[int, int],
    commission: int,
    base: TdsBase,
) -> None:
    """Nothing up to the threshold; beyond it exactly what is due on all of the year, as soon as payouts have sufficed for it."""

    def book(order: list[dict[str, int]]) -> YearSoFar:
        year = YearSoFar(year=2026, sales_paise=0, due_paise_bps=0, withheld_paise=0)
        # A large session at the end: a payout that suffices for whatever is still missing.
        for figures in [*order, session(2_000_000, 0, 0, 0)]:
            # The rate changes in the year: each session has its own, whatever its place in the order.
            bps = rates[figures["gross_paise"] % 2]
            by = Withholding(section="s", tds_bps=bps, tds_base=base, tax_rule_id=1, annual_threshold_paise=threshold)
            split = divide(**figures, commission_bps=commission, by=by, year=year)
            following = year_after(year, split, by)
            assert split.tds_paise <= split.net_excl_gst_paise - split.commission_paise
            if following.sales_paise <= threshold:
                assert following.withheld_paise == 0
            assert following.withheld_paise <= divide_half_up(following.due_paise_bps, BASIS_POINTS)
            year = following
        return year

    first, second = book(list(orders[0])), book(list(orders[1]))
    assert first == second
    assert first.withheld_paise == divide_half_up(first.due_paise_bps, BASIS_POINTS)


def terms(bps: int | None, base: TdsBase | None = None) -> Terms:
    return Terms(commission_bps=1_000, tds_bps=bps, tds_base=base, effective_from=datetime(2020, 1, 1, tzinfo=UTC))


def test_what_holds_for_a_session_by_its_terms_or_by_the_rule() -> None:
    law = replace(rule(date(2024, 10, 1), 10, threshold=LAKHS_5), base=LESS_COMMISSION)
    kept = {"section": law.section, "tax_rule_id": law.id, "annual_threshold_paise": LAKHS_5}
    assert withholding(terms(None), law) == Withholding(**kept, tds_bps=10, tds_base=LESS_COMMISSION)
    own = {"section": law.section, "tax_rule_id": None, "annual_threshold_paise": None}
    assert withholding(terms(50), law) == Withholding(**own, tds_bps=50, tds_base=NET)
    assert withholding(terms(50, LESS_COMMISSION), law) == Withholding(**own, tds_bps=50, tds_base=LESS_COMMISSION)


def test_what_a_booked_entry_should_have_been_divided_by() -> None:
    of = {"business_type": "llp", "started_at": datetime(2026, 12, 1, tzinfo=UTC)}
    own = withholding_kept(terms(50, LESS_COMMISSION), RULES, tax_rule_id=None, section="s.1", **of)
    assert own == Withholding(section="s.1", tds_bps=50, tds_base=LESS_COMMISSION, tax_rule_id=None, annual_threshold_paise=None)
    bare = withholding_kept(terms(50), RULES, tax_rule_id=None, section=None, **of)
    assert (bare.section, bare.tds_base) == ("", NET)
    newest = RULES[3]
    assert withholding_kept(terms(None), RULES, tax_rule_id=newest.id, section="whatever", **of) == withholding(
        terms(None), newest
    )
    for unknown in (None, 10**9):
        with pytest.raises(ValueError, match=r"^its terms leave TDS to the tax rules, and it names none$"):
            withholding_kept(terms(None), RULES, tax_rule_id=unknown, section=None, **of)
    with pytest.raises(ValueError, match=f"^it names tax rule txr_{RULES[0].id}, txr_{newest.id} was in force$"):
        withholding_kept(terms(None), RULES, tax_rule_id=RULES[0].id, section=None, **of)
    # A person's own rule holds for a person only.
    person = withholding_kept(terms(None), RULES, tax_rule_id=RULES[4].id, section=None, **{**of, "business_type": "huf"})
    assert person.annual_threshold_paise == LAKHS_5


def test_the_year_before_an_entry_is_all_of_it_or_none() -> None:
    assert year_kept(2026, 1, 2, 3) == YearSoFar(year=2026, sales_paise=1, due_paise_bps=2, withheld_paise=3)
    assert year_kept(2026, 0, 0, 0) is not None
    for missing in range(4):
        assert year_kept(*(None if place == missing else 7 for place in range(4))) is None


def test_the_pan_of_a_person_serves_for_the_business() -> None:
    assert payee(business_type="huf", pan=None, stakeholder_pan="AAAPS1234D") == Payee("huf", has_pan=True)
    assert payee(business_type="llp", pan=None, stakeholder_pan="AAAPS1234D") == Payee("llp", has_pan=False)
    assert payee(business_type="llp", pan="AAACS1234C", stakeholder_pan=None) == Payee("llp", has_pan=True)
    assert payee(business_type="huf", pan=None, stakeholder_pan=None) == Payee("huf", has_pan=False)


def test_who_has_no_rule_is_named() -> None:
    for has_pan, words in ((True, "with"), (False, "without")):
        with pytest.raises(ValueError, match=f"^no tax rule for a llp {words} PAN$"):
            rule_in_force([], Payee("llp", has_pan), date(2026, 12, 1))


def test_a_threshold_is_passed_by_a_paisa_and_not_by_reaching_it() -> None:
    by = Withholding(section="s.1", tds_bps=100, tds_base=NET, tax_rule_id=1, annual_threshold_paise=50_000)
    figures = {"refund_paise": 0, "residue_paise": 40, "pg_fee_paise": 0, "gst_collected_paise": 0, "commission_bps": 0}
    year = YearSoFar(year=2026, sales_paise=40_000, due_paise_bps=4_000_000, withheld_paise=0)
    reaches = divide(gross_paise=10_040, by=by, year=year, **figures)
    assert (reaches.tds_paise, year_after(year, reaches, by)) == (
        0,
        YearSoFar(year=2026, sales_paise=50_000, due_paise_bps=5_000_000, withheld_paise=0),
    )
    # 1 % of 500.01 is 5.00: due on all of the year.
    assert divide(gross_paise=10_041, by=by, year=year, **figures).tds_paise == 500
    with pytest.raises(ValueError, match=r"^a threshold needs the year so far$"):
        divide(gross_paise=10_041, by=by, **figures)
