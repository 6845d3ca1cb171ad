"""A stakeholder who is corrected after Razorpay has it is sent again.

Revision ID: 2026_12_01_1130
Revises: 2026_12_01_0520
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "2026_12_01_1130"
down_revision = "2026_12_01_0520"
branch_labels = None
depends_on = None

SCHEMA, TABLE = "settlement", "franchisees"
CHECK = "franchisees_link_step_check"
BEFORE = "what is to be done next at Razorpay: ACCOUNT, STAKEHOLDER, PRODUCT, BANK, DONE"
COMMENT = "what is to be done next at Razorpay: ACCOUNT, STAKEHOLDER, PRODUCT, BANK, CORRECTION, DONE"
SENT = "what Razorpay has of the stakeholder, as far as it can be corrected; null: from before this was kept"
NOT_CORRECTED = "UPDATE settlement.franchisees SET link_step = 'DONE', link_due_at = NULL WHERE link_step = 'CORRECTION'"


def _steps(*steps: str) -> None:
    op.drop_constraint(op.f(CHECK), TABLE, schema=SCHEMA)
    listed = ", ".join(f"'{step}'" for step in steps)
    op.create_check_constraint(op.f(CHECK), TABLE, f"link_step in ({listed})", schema=SCHEMA)


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("stakeholder_sent", JSONB(), comment=SENT), schema=SCHEMA)
    _steps("ACCOUNT", "STAKEHOLDER", "PRODUCT", "BANK", "CORRECTION", "DONE")
    op.alter_column(TABLE, "link_step", comment=COMMENT, existing_comment=BEFORE, schema=SCHEMA)


def downgrade() -> None:
    op.execute(NOT_CORRECTED)
    op.alter_column(TABLE, "link_step", comment=BEFORE, existing_comment=COMMENT, schema=SCHEMA)
    _steps("ACCOUNT", "STAKEHOLDER", "PRODUCT", "BANK", "DONE")
    op.drop_column(TABLE, "stakeholder_sent", schema=SCHEMA)
