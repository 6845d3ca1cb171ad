"""Fees that were not told are asked for in turn, each after a pause that grows.

Revision ID: 2026_12_01_1200
Revises: 2026_12_01_0900
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_01_1200"
down_revision = "2026_12_01_0900"
branch_labels = None
depends_on = None

SCHEMA = "payments"
COMMENT = "when Razorpay is asked again for a fee that it did not tell; null: not asked yet"
UNTOLD = {
    "qr_payments": "fee_source = 'ESTIMATE' and state in ('START_REQUESTED', 'CHARGING')",
    "recharge_payments": "fee_paise is null",
}


def upgrade() -> None:
    for table, untold in UNTOLD.items():
        op.add_column(table, sa.Column("fee_due_at", sa.DateTime(timezone=True), comment=COMMENT), schema=SCHEMA)
        op.create_index(f"{table}_fee_due_idx", table, ["fee_due_at"], postgresql_where=sa.text(untold), schema=SCHEMA)
        op.drop_index(f"{table}_fee_unknown_idx", table, schema=SCHEMA)


def downgrade() -> None:
    for table, untold in UNTOLD.items():
        op.create_index(f"{table}_fee_unknown_idx", table, ["id"], postgresql_where=sa.text(untold), schema=SCHEMA)
        op.drop_index(f"{table}_fee_due_idx", table, schema=SCHEMA)
        op.drop_column(table, "fee_due_at", schema=SCHEMA)
