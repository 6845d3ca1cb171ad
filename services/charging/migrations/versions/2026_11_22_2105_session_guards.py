"""What the session guards need: a start that waits for a busy connector, and whose a StopTransaction without its start was.

Revision ID: 2026_11_22_2105
Revises: 2026_11_22_2104
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_22_2105"
down_revision = "2026_11_22_2104"
branch_labels = None
depends_on = None

SCHEMA = "charging"


def upgrade() -> None:
    op.add_column(
        "start_requests",
        sa.Column(
            "judge_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="its connector is busy: looked at again then; null: the charger was asked, or it's decided",
        ),
        schema=SCHEMA,
    )
    op.add_column(
        "orphans",
        sa.Column("start_request_id", sa.BigInteger(), nullable=True, comment="whose minted tag it bears; null: nobody's"),
        schema=SCHEMA,
    )
    op.create_foreign_key(
        op.f("orphans_start_request_id_fkey"),
        "orphans",
        "start_requests",
        ["start_request_id"],
        ["id"],
        source_schema=SCHEMA,
        referent_schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_constraint(op.f("orphans_start_request_id_fkey"), "orphans", schema=SCHEMA, type_="foreignkey")
    op.drop_column("orphans", "start_request_id", schema=SCHEMA)
    op.drop_column("start_requests", "judge_at", schema=SCHEMA)
