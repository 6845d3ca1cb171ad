"""What Razorpay answers about a payment whose event was lost is kept like the event.

Revision ID: 2026_12_01_0530
Revises: 2026_12_01_0510
"""

from alembic import op

revision = "2026_12_01_0530"
down_revision = "2026_12_01_0510"
branch_labels = None
depends_on = None

SCHEMA = "payments"
CHECK = "webhook_events_verified_by_check"
BEFORE = "which webhook secret verified it; unverified events are not stored"
COMMENT = "which webhook secret verified it, or ASKED: an answer to our own question"

# Orders that were open before are looked at once more.
LOOK_AT_OPEN_ORDERS = """
UPDATE payments.wallet_recharges SET next_attempt_at = now() WHERE status = 'OPEN' AND next_attempt_at IS NULL
"""


def upgrade() -> None:
    op.alter_column("webhook_events", "verified_by", comment=COMMENT, existing_comment=BEFORE, schema=SCHEMA)
    op.drop_constraint(op.f(CHECK), "webhook_events", schema=SCHEMA)
    op.create_check_constraint(op.f(CHECK), "webhook_events", "verified_by in ('CURRENT', 'PREVIOUS', 'ASKED')", schema=SCHEMA)
    op.execute(LOOK_AT_OPEN_ORDERS)


def downgrade() -> None:
    op.drop_constraint(op.f(CHECK), "webhook_events", schema=SCHEMA)
    op.create_check_constraint(op.f(CHECK), "webhook_events", "verified_by in ('CURRENT', 'PREVIOUS')", schema=SCHEMA)
    op.alter_column("webhook_events", "verified_by", comment=BEFORE, existing_comment=COMMENT, schema=SCHEMA)
