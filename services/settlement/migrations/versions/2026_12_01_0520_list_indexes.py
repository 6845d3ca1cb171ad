"""Indexes of two lists that had none: settlements by UTR, and what franchisees collected, of all of them.

Revision ID: 2026_12_01_0520
Revises: 2026_12_01_0051
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_01_0520"
down_revision = "2026_12_01_0051"
branch_labels = None
depends_on = None

SCHEMA = "settlement"


def upgrade() -> None:
    op.create_index(
        "settlements_utr_idx", "settlements", ["utr", "id"], postgresql_where=sa.text("utr is not null"), schema=SCHEMA
    )
    op.create_index(
        "ledger_entries_all_collected_idx",
        "ledger_entries",
        ["id"],
        postgresql_where=sa.text("collected_by_account_id is not null"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_index("ledger_entries_all_collected_idx", "ledger_entries", schema=SCHEMA)
    op.drop_index("settlements_utr_idx", "settlements", schema=SCHEMA)
