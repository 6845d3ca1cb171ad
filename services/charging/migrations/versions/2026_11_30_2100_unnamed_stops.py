"""Which StopTransaction ended a session that it did not name by our id: delivered again it is no other's end, and no orphan.

Revision ID: 2026_11_30_2100
Revises: 2026_11_22_2105
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_2100"
down_revision = "2026_11_22_2105"
branch_labels = None
depends_on = None

SCHEMA = "charging"


def upgrade() -> None:
    op.add_column(
        "transactions",
        sa.Column(
            "unnamed_stop_epoch",
            sa.BigInteger(),
            nullable=True,
            comment="the StopTransaction that ended it without naming it by our id; null: it was named, or none came",
        ),
        schema=SCHEMA,
    )
    op.add_column(
        "transactions", sa.Column("unnamed_stop_seq", sa.BigInteger(), nullable=True, comment="the same"), schema=SCHEMA
    )
    op.create_index(
        "transactions_unnamed_stop",
        "transactions",
        ["charger_id", "unnamed_stop_epoch", "unnamed_stop_seq"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("unnamed_stop_epoch IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("transactions_unnamed_stop", table_name="transactions", schema=SCHEMA)
    op.drop_column("transactions", "unnamed_stop_seq", schema=SCHEMA)
    op.drop_column("transactions", "unnamed_stop_epoch", schema=SCHEMA)
