"""The split of a ledger entry anew: from its bill, the terms in force, and the tax rule that it names."""

from money import Split
from settlement.domain.franchisee import Terms
from settlement.domain.tax import divide, withholding_kept, year_kept
from voltlync.books.records import Json, Records, moment, number


def split_of(entry: Json, bill: Json, terms: Terms, records: Records) -> Split:
    """Raises ValueError, in words, where the entry names no rule that was in force."""
    return divide(
        gross_paise=bill["paid_paise"],
        refund_paise=bill["refund_paise"],
        residue_paise=bill["residue_paise"],
        pg_fee_paise=bill["platform_fee_paise"],
        gst_collected_paise=bill["gst_paise"],
        commission_bps=terms.commission_bps,
        by=withholding_kept(
            terms,
            records.tax_rules,
            tax_rule_id=number(entry["tax_rule_id"]) if entry["tax_rule_id"] is not None else None,
            section=entry["tds_section"],
            business_type=records.business_types[entry["franchisee_id"]],
            started_at=moment(bill["started_at"]),
        ),
        year=year_kept(
            entry["tds_year"],
            entry["tds_year_sales_paise"],
            entry["tds_year_due_paise_bps"],
            entry["tds_year_withheld_paise"],
        ),
    )
