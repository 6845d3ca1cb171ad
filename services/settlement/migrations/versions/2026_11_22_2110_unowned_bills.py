"""Bills whose owner is not ours: kept until a person says whose they are.

Revision ID: 2026_11_22_2110
Revises: 2026_11_22_1830
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "2026_11_22_2110"
down_revision = "2026_11_22_1830"
branch_labels = None
depends_on = None

SCHEMA = "settlement"
Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "unowned_bills",
        sa.Column("transaction_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="charging's id of the session"),
        sa.Column("named_franchisee_id", sa.BigInteger(), nullable=False, comment="whom the bill names: nobody of ours"),
        sa.Column("bill", JSONB, nullable=False, comment="payments.payment_billed.v1, word for word"),
        sa.Column("traceparent", sa.Text(), nullable=True, comment="the session's trace"),
        sa.Column("received_at", Time, nullable=False, comment="when the bill came"),
        sa.Column("ledger_entry_id", sa.BigInteger(), nullable=True, comment="its entry, once it was assigned"),
        sa.Column("assigned_by", sa.Text(), nullable=True, comment="who said whose it is"),
        sa.Column("assigned_at", Time, nullable=True, comment="when; null: it waits for a person"),
        sa.CheckConstraint(
            "(assigned_at is null) = (ledger_entry_id is null) and (assigned_at is null) = (assigned_by is null)",
            name=op.f("unowned_bills_assigned_whole_check"),
        ),
        sa.ForeignKeyConstraint(
            ["ledger_entry_id"], [f"{SCHEMA}.ledger_entries.id"], name=op.f("unowned_bills_ledger_entry_id_fkey")
        ),
        sa.PrimaryKeyConstraint("transaction_id", name=op.f("unowned_bills_pkey")),
        comment="Bills that name a franchisee whom settlement does not have.",
        schema=SCHEMA,
    )
    op.create_index(
        "unowned_bills_open_idx",
        "unowned_bills",
        ["transaction_id"],
        postgresql_where=sa.text("assigned_at is null"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("unowned_bills", schema=SCHEMA)
