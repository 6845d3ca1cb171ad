"""Tax rules as dated data, financial years under a threshold, and what an entry keeps of them.

Seeded with what is known of TDS on e-commerce (s.194-O) and of no PAN (s.206AA); the Act of 2025 renumbers from 1 April 2026, and
its section is left to finance to enter once their accountant names it.

Revision ID: 2026_12_01_0050
Revises: 2026_12_01_0011
"""

from datetime import UTC, date, datetime

import sqlalchemy as sa
from alembic import op

revision = "2026_12_01_0050"
down_revision = "2026_12_01_0011"
branch_labels = None
depends_on = None

SCHEMA = "settlement"
Time = sa.DateTime(timezone=True)

PERSONS = ["individual", "proprietorship", "huf"]
FIVE_LAKH_PAISE = 50_000_000
OLD, NEW = "Income-tax Act 1961, s.194-O", "Income-tax Act 2025 (was s.194-O)"
OLD_NO_PAN, NEW_NO_PAN = "Income-tax Act 1961, s.194-O with s.206AA", "Income-tax Act 2025 (was s.194-O with s.206AA)"
# (from, section, rate, with PAN, business types, threshold)
RULES = (
    (date(2020, 10, 1), OLD, 100, True, None, None),
    (date(2020, 10, 1), OLD, 100, True, PERSONS, FIVE_LAKH_PAISE),
    (date(2020, 10, 1), OLD_NO_PAN, 500, False, None, None),
    (date(2024, 10, 1), OLD, 10, True, None, None),
    (date(2024, 10, 1), OLD, 10, True, PERSONS, FIVE_LAKH_PAISE),
    (date(2026, 4, 1), NEW, 10, True, None, None),
    (date(2026, 4, 1), NEW, 10, True, PERSONS, FIVE_LAKH_PAISE),
    (date(2026, 4, 1), NEW_NO_PAN, 500, False, None, None),
)
ENTRY_COLUMNS = (
    ("tds_section", sa.Text(), "the law's section in force at the start; null: booked before sections were kept"),
    ("tax_rule_id", sa.BigInteger(), "whose rate and base they are; null: the terms'"),
    ("tds_year", sa.Integer(), "financial year, where the rule has a threshold: the three figures before this entry"),
    ("tds_year_sales_paise", sa.BigInteger(), "billed in the year before this entry"),
    (
        "tds_year_due_paise_bps",
        sa.BigInteger(),
        "base times rate, summed up in the year before this entry",
    ),
    ("tds_year_withheld_paise", sa.BigInteger(), "withheld in the year before this entry"),
    ("fee_source", sa.Text(), "who named the payment's fee: WEBHOOK, API, ESTIMATE; null: booked before it was kept"),
)


def upgrade() -> None:
    rules = op.create_table(
        "tax_rules",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        sa.Column("section", sa.Text(), nullable=False, comment="the law's section, as statements and certificates name it"),
        sa.Column("rate_bps", sa.Integer(), nullable=False, comment="withheld, in basis points"),
        sa.Column("base", sa.Text(), nullable=False, comment="what the rate is taken of"),
        sa.Column("with_pan", sa.Boolean(), nullable=False, comment="whether it is for franchisees whose PAN we have"),
        sa.Column("business_types", sa.ARRAY(sa.Text()), comment="for these alone; null: for whoever has no rule of his own"),
        sa.Column(
            "annual_threshold_paise",
            sa.BigInteger(),
            comment="nothing is withheld while a financial year's sales are at most this",
        ),
        sa.Column("effective_from", sa.Date(), nullable=False, comment="a day in India: for sessions started from then on"),
        sa.Column("created_by", sa.Text(), nullable=False, comment="who entered it"),
        sa.Column("created_at", Time, nullable=False, comment="when it was entered"),
        sa.CheckConstraint("rate_bps between 0 and 10000", name=op.f("tax_rules_rate_check")),
        sa.CheckConstraint("annual_threshold_paise > 0", name=op.f("tax_rules_threshold_check")),
        sa.CheckConstraint("cardinality(business_types) > 0", name=op.f("tax_rules_business_types_check")),
        sa.CheckConstraint("base in ('NET_EXCL_GST', 'NET_LESS_COMMISSION')", name=op.f("tax_rules_base_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("tax_rules_pkey")),
        comment="Income tax to withhold, over time. Added, never rewritten.",
        schema=SCHEMA,
    )
    op.bulk_insert(
        rules,
        [
            {
                "section": section,
                "rate_bps": rate_bps,
                "base": "NET_EXCL_GST",
                "with_pan": with_pan,
                "business_types": business_types,
                "annual_threshold_paise": threshold,
                "effective_from": effective_from,
                "created_by": "migration",
                "created_at": datetime(2026, 12, 1, tzinfo=UTC),
            }
            for effective_from, section, rate_bps, with_pan, business_types, threshold in RULES
        ],
    )
    op.create_table(
        "tds_years",
        sa.Column("franchisee_id", sa.BigInteger(), nullable=False, comment="whose"),
        sa.Column(
            "year", sa.Integer(), autoincrement=False, nullable=False, comment="the financial year that began in April of it, IST"
        ),
        sa.Column("sales_paise", sa.BigInteger(), nullable=False, comment="billed to riders: energy, GST and fee"),
        sa.Column(
            "due_paise_bps",
            sa.BigInteger(),
            nullable=False,
            comment="base times rate, summed up: rounded at the end only",
        ),
        sa.Column("withheld_paise", sa.BigInteger(), nullable=False, comment="TDS of its entries"),
        sa.ForeignKeyConstraint(["franchisee_id"], [f"{SCHEMA}.franchisees.id"], name=op.f("tds_years_franchisee_id_fkey")),
        sa.PrimaryKeyConstraint("franchisee_id", "year", name=op.f("tds_years_pkey")),
        comment=(
            "Financial years of franchisees whose tax rule has a threshold: sums of their entries, and the lock they queue for."
        ),
        schema=SCHEMA,
    )
    for name in ("tds_bps", "tds_base"):
        op.alter_column("franchisee_terms", name, nullable=True, schema=SCHEMA)
    op.alter_column(
        "franchisee_terms",
        "tds_bps",
        comment="income tax withheld, in basis points; null: by the tax rule in force",
        schema=SCHEMA,
    )
    op.alter_column(
        "franchisee_terms",
        "tds_base",
        comment="what the TDS rate is taken of; null: by the tax rule in force",
        schema=SCHEMA,
    )
    op.create_check_constraint(
        op.f("franchisee_terms_tds_whole_check"),
        "franchisee_terms",
        "(tds_bps is null) = (tds_base is null)",
        schema=SCHEMA,
    )
    for name, kind, comment in ENTRY_COLUMNS:
        op.add_column("ledger_entries", sa.Column(name, kind, nullable=True, comment=comment), schema=SCHEMA)
    op.create_foreign_key(
        op.f("ledger_entries_tax_rule_id_fkey"),
        "ledger_entries",
        "tax_rules",
        ["tax_rule_id"],
        ["id"],
        source_schema=SCHEMA,
        referent_schema=SCHEMA,
    )
    op.create_check_constraint(
        op.f("ledger_entries_tds_year_whole_check"),
        "ledger_entries",
        "num_nonnulls(tds_year, tds_year_sales_paise, tds_year_due_paise_bps, tds_year_withheld_paise) in (0, 4)",
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ledger_entries_tds_year_whole_check"), "ledger_entries", schema=SCHEMA)
    op.drop_constraint(op.f("ledger_entries_tax_rule_id_fkey"), "ledger_entries", schema=SCHEMA)
    for name, _, _ in reversed(ENTRY_COLUMNS):
        op.drop_column("ledger_entries", name, schema=SCHEMA)
    op.drop_constraint(op.f("franchisee_terms_tds_whole_check"), "franchisee_terms", schema=SCHEMA)
    op.execute(
        f"update {SCHEMA}.franchisee_terms set tds_bps = coalesce(tds_bps, 10), tds_base = coalesce(tds_base, 'NET_EXCL_GST')"  # noqa: S608  our own schema
    )
    for name in ("tds_bps", "tds_base"):
        op.alter_column("franchisee_terms", name, nullable=False, schema=SCHEMA)
    op.drop_table("tds_years", schema=SCHEMA)
    op.drop_table("tax_rules", schema=SCHEMA)
