"""Indexes of statements, summaries and the look-up of a UTR.

Revision ID: 2026_12_01_0051
Revises: 2026_12_01_0050
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_01_0051"
down_revision = "2026_12_01_0050"
branch_labels = None
depends_on = None

SCHEMA = "settlement"


def upgrade() -> None:
    op.create_index(
        "ledger_entries_statement_idx",
        "ledger_entries",
        ["franchisee_id", "created_at", "id"],
        postgresql_include=["payout_paise"],
        schema=SCHEMA,
    )
    op.create_index(
        "ledger_entries_open_idx",
        "ledger_entries",
        ["franchisee_id", "status"],
        postgresql_where=sa.text("status <> 'SETTLED'"),
        schema=SCHEMA,
    )
    op.create_index(
        "transfers_paid_idx",
        "transfers",
        ["franchisee_id", "settled_at"],
        postgresql_include=["amount_paise", "razorpay_settlement_id"],
        postgresql_where=sa.text("settled_at is not null"),
        schema=SCHEMA,
    )
    op.create_index(
        "transfers_utr_idx",
        "transfers",
        ["utr", "id"],
        postgresql_where=sa.text("utr is not null"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_index("transfers_utr_idx", "transfers", schema=SCHEMA)
    op.drop_index("transfers_paid_idx", "transfers", schema=SCHEMA)
    op.drop_index("ledger_entries_open_idx", "ledger_entries", schema=SCHEMA)
    op.drop_index("ledger_entries_statement_idx", "ledger_entries", schema=SCHEMA)
