"""Sessions that wallets pay have entries too; recharges' fees have an account; what payments counted in wallets is kept.

Revision ID: 2026_12_01_0011
Revises: 2026_12_01_0101
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_01_0011"
down_revision = "2026_12_01_0101"
branch_labels = None
depends_on = None

SCHEMA = "settlement"
Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute(
        "INSERT INTO settlement.accounts (code, name, kind, normal_side, holds) VALUES ('recharge_fees',"
        " 'Fees of wallet recharges', 'EXPENSE', 'DEBIT', 'fees on money put into wallets, without their GST: ours to bear')"
    )
    for column, kind, comment, before in (
        ("qr_payment_id", sa.BigInteger(), "payments' id of the payment; null: a wallet paid", "payments' id of the payment"),
        ("razorpay_payment_id", sa.Text(), "pay_...; null: a wallet paid", "pay_..."),
    ):
        op.alter_column(
            "ledger_entries",
            column,
            existing_type=kind,
            nullable=True,
            comment=comment,
            existing_comment=before,
            schema=SCHEMA,
        )
    op.alter_column(
        "ledger_entries",
        "gross_paise",
        existing_type=sa.BigInteger(),
        comment="what the rider paid; of a wallet: what was billed",
        existing_comment="what the rider paid",
        schema=SCHEMA,
    )
    op.add_column(
        "ledger_entries",
        sa.Column("wallet_session_id", sa.BigInteger(), comment="payments' id of the wallet's session; null: a payment paid"),
        schema=SCHEMA,
    )
    op.create_check_constraint(
        op.f("ledger_entries_one_payer_check"),
        "ledger_entries",
        "num_nonnulls(qr_payment_id, wallet_session_id) = 1",
        schema=SCHEMA,
    )
    op.alter_column(
        "unowned_bills",
        "bill",
        existing_type=sa.dialects.postgresql.JSONB(),
        comment="payments.payment_billed.v1 or wallet_session_billed.v1, word for word",
        existing_comment="payments.payment_billed.v1, word for word",
        schema=SCHEMA,
    )
    op.create_table(
        "wallet_counts",
        sa.Column("at", Time, nullable=False, comment="entries before it were counted"),
        sa.Column("wallets", sa.BigInteger(), nullable=False, comment="how many there were"),
        sa.Column("balance_paise", sa.BigInteger(), nullable=False, comment="what they came to"),
        sa.Column("received_at", Time, nullable=False, comment="when payments told"),
        sa.PrimaryKeyConstraint("at", name=op.f("wallet_counts_pkey")),
        schema=SCHEMA,
        comment="What payments counted in wallets: the control account is held against it.",
    )


def downgrade() -> None:
    op.drop_table("wallet_counts", schema=SCHEMA)
    op.drop_column("ledger_entries", "wallet_session_id", schema=SCHEMA)
    for column, kind in (("qr_payment_id", sa.BigInteger()), ("razorpay_payment_id", sa.Text())):
        op.alter_column("ledger_entries", column, existing_type=kind, nullable=False, schema=SCHEMA)
    op.execute("DELETE FROM settlement.accounts WHERE code = 'recharge_fees'")
