"""Orders are not looked at one by one any more: what was paid is found in Razorpay's list of payments.

Revision ID: 2026_12_01_0900
Revises: 2026_12_01_0530
"""

from alembic import op

revision = "2026_12_01_0900"
down_revision = "2026_12_01_0530"
branch_labels = None
depends_on = None

NO_LOOK_IS_DUE = "UPDATE payments.wallet_recharges SET next_attempt_at = NULL WHERE status = 'OPEN'"
LOOK_AT_OPEN_ORDERS = (
    "UPDATE payments.wallet_recharges SET next_attempt_at = now() WHERE status = 'OPEN' AND next_attempt_at IS NULL"
)


def upgrade() -> None:
    op.execute(NO_LOOK_IS_DUE)


def downgrade() -> None:
    op.execute(LOOK_AT_OPEN_ORDERS)
