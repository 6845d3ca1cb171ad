"""Sessions that franchisees collect themselves: their entries, accounts, receipts of commission, and what others are told.

Revision ID: 2026_12_01_0101
Revises: 2026_12_01_0031
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_01_0101"
down_revision = "2026_12_01_0031"
branch_labels = None
depends_on = None

SCHEMA = "settlement"
Time = sa.DateTime(timezone=True)

ACCOUNTS = (
    (
        "commission_receivable",
        "Commission receivable",
        "ASSET",
        "DEBIT",
        "commission and TDS on what franchisees collected themselves",
    ),
    (
        "direct_collected",
        "Collected by franchisees",
        "MEMO",
        "DEBIT",
        "payments on their own QR codes, less Razorpay's fees and refunds",
    ),
    (
        "direct_riders",
        "Collected, due to riders",
        "MEMO",
        "CREDIT",
        "of those payments: neither billed nor given back yet, and residue",
    ),
    (
        "direct_earned",
        "Collected, franchisees' own",
        "MEMO",
        "CREDIT",
        "of those payments: energy, GST and fee billed, less Razorpay's fees",
    ),
)
OWN_BANK = "what Razorpay settled to our own bank, and what franchisees paid into it"
OWN_BANK_BEFORE = "what Razorpay settled to our own bank"


def upgrade() -> None:
    op.add_column(
        "franchisees",
        sa.Column(
            "subject_version",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="orders FranchiseeChanged; 0: nobody was told yet",
        ),
        schema=SCHEMA,
    )
    op.create_index(
        "franchisees_untold_idx",
        "franchisees",
        ["id"],
        schema=SCHEMA,
        postgresql_where=sa.text("subject_version = 0 and razorpay_account_id is not null"),
    )
    op.add_column(
        "ledger_entries",
        sa.Column(
            "collected_by_account_id",
            sa.Text(),
            nullable=True,
            comment="the franchisee's linked account that took the payment; null: we did",
        ),
        schema=SCHEMA,
    )
    op.create_index(
        "ledger_entries_collected_idx",
        "ledger_entries",
        ["franchisee_id", "id"],
        schema=SCHEMA,
        postgresql_where=sa.text("collected_by_account_id is not null"),
    )
    op.create_table(
        "commission_receipts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        sa.Column("franchisee_id", sa.BigInteger(), nullable=False, comment="who paid"),
        sa.Column("amount_paise", sa.BigInteger(), nullable=False, comment="what came into our bank"),
        sa.Column("bank_reference", sa.Text(), nullable=False, comment="the bank's reference: UTR or RRN"),
        sa.Column("received_on", sa.Date(), nullable=False, comment="when it came, by the bank's statement"),
        sa.Column("entered_by", sa.Text(), nullable=False, comment="who entered it"),
        sa.Column("created_at", Time, nullable=False, comment="when it was entered"),
        sa.Column("withdrawn_by", sa.Text(), nullable=True, comment="who took it back: it was entered by mistake"),
        sa.Column("withdrawn_reason", sa.Text(), nullable=True, comment="why"),
        sa.Column("withdrawn_at", Time, nullable=True, comment="when; null: it stands"),
        sa.CheckConstraint("amount_paise > 0", name=op.f("commission_receipts_amount_check")),
        sa.CheckConstraint(
            "(withdrawn_at is null) = (withdrawn_by is null) and (withdrawn_at is null) = (withdrawn_reason is null)",
            name=op.f("commission_receipts_withdrawn_whole_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("commission_receipts_pkey")),
        sa.ForeignKeyConstraint(
            ["franchisee_id"], [f"{SCHEMA}.franchisees.id"], name=op.f("commission_receipts_franchisee_id_fkey")
        ),
        schema=SCHEMA,
        comment="What franchisees paid us of the commission and TDS on sessions that they collected themselves.",
    )
    op.create_index(
        "commission_receipts_reference_key",
        "commission_receipts",
        ["franchisee_id", "bank_reference"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("withdrawn_at is null"),
    )
    op.create_index(
        op.f("commission_receipts_franchisee_id_id_idx"), "commission_receipts", ["franchisee_id", "id"], schema=SCHEMA
    )
    op.drop_constraint(op.f("settlements_status_check"), "settlements", schema=SCHEMA)
    op.create_check_constraint(
        op.f("settlements_status_check"),
        "settlements",
        "status in ('RECEIVED', 'MATCHED', 'OWN', 'COLLECTED')",
        schema=SCHEMA,
    )
    op.alter_column("settlements", "status", comment="RECEIVED, MATCHED, OWN, COLLECTED", schema=SCHEMA, existing_type=sa.Text())
    op.alter_column(
        "settlements",
        "franchisee_id",
        comment="whose it is; null: our own, or not known yet",
        schema=SCHEMA,
        existing_type=sa.BigInteger(),
    )
    # A franchisee's settlement without transfers of ours was called OWN before, and never booked as such.
    op.execute(
        "UPDATE settlement.settlements AS settled SET status = 'COLLECTED', franchisee_id = owner.id"
        " FROM settlement.franchisees AS owner"
        " WHERE settled.status = 'OWN' AND settled.razorpay_account_id = owner.razorpay_account_id"
    )
    accounts = sa.table(
        "accounts", *(sa.column(name) for name in ("code", "name", "kind", "normal_side", "holds")), schema=SCHEMA
    )
    op.bulk_insert(accounts, [dict(zip(("code", "name", "kind", "normal_side", "holds"), row, strict=True)) for row in ACCOUNTS])
    _describe_own_bank(OWN_BANK)


def downgrade() -> None:
    """Only while nothing is booked to the new accounts."""
    op.execute("ALTER TABLE settlement.accounts DISABLE TRIGGER accounts_never_change")
    op.execute("DELETE FROM settlement.accounts WHERE code = 'commission_receivable' OR code LIKE 'direct%'")
    op.execute("ALTER TABLE settlement.accounts ENABLE TRIGGER accounts_never_change")
    _describe_own_bank(OWN_BANK_BEFORE)
    op.execute("UPDATE settlement.settlements SET status = 'OWN', franchisee_id = NULL WHERE status = 'COLLECTED'")
    op.drop_constraint(op.f("settlements_status_check"), "settlements", schema=SCHEMA)
    op.create_check_constraint(
        op.f("settlements_status_check"), "settlements", "status in ('RECEIVED', 'MATCHED', 'OWN')", schema=SCHEMA
    )
    op.drop_table("commission_receipts", schema=SCHEMA)
    op.drop_index("ledger_entries_collected_idx", table_name="ledger_entries", schema=SCHEMA)
    op.drop_column("ledger_entries", "collected_by_account_id", schema=SCHEMA)
    op.drop_index("franchisees_untold_idx", table_name="franchisees", schema=SCHEMA)
    op.drop_column("franchisees", "subject_version", schema=SCHEMA)


def _describe_own_bank(holds: str) -> None:
    """The chart never changes by a service's hand; its words may by a migration's."""
    op.execute("ALTER TABLE settlement.accounts DISABLE TRIGGER accounts_never_change")
    op.execute(sa.text("UPDATE settlement.accounts SET holds = :holds WHERE code = 'own_bank'").bindparams(holds=holds))
    op.execute("ALTER TABLE settlement.accounts ENABLE TRIGGER accounts_never_change")
