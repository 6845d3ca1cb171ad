"""A delivery that is a repeat gets a row of its own: counting it in the event's row waited for whoever works the event.

Revision ID: 2026_11_30_2130
Revises: 2026_11_30_2100
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_2130"
down_revision = "2026_11_30_2100"
branch_labels = None
depends_on = None

SCHEMA = "payments"


def upgrade() -> None:
    op.create_table(
        "webhook_repeats",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        sa.Column("webhook_event_id", sa.BigInteger(), nullable=False, comment="what came again"),
        sa.Column("received_at", sa.TIMESTAMP(timezone=True), nullable=False, comment="when it did"),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_repeats_pkey")),
        sa.ForeignKeyConstraint(
            ["webhook_event_id"], [f"{SCHEMA}.webhook_events.id"], name=op.f("webhook_repeats_webhook_event_id_fkey")
        ),
        schema=SCHEMA,
        comment=(
            "Deliveries after the first. Rows of their own: who works an event holds its row, and an answer waits for nobody."
        ),
    )
    op.create_index(op.f("webhook_repeats_webhook_event_id_idx"), "webhook_repeats", ["webhook_event_id"], schema=SCHEMA)
    # When the repeats came was not kept; the event's own time is the nearest that is known.
    op.execute(
        "INSERT INTO payments.webhook_repeats (webhook_event_id, received_at)"
        " SELECT id, received_at FROM payments.webhook_events, generate_series(2, deliveries)"
    )
    op.drop_column("webhook_events", "deliveries", schema=SCHEMA)


def downgrade() -> None:
    op.add_column(
        "webhook_events",
        sa.Column("deliveries", sa.Integer(), server_default=sa.text("1"), nullable=False, comment="how often Razorpay sent it"),
        schema=SCHEMA,
    )
    op.execute(
        "UPDATE payments.webhook_events AS event SET deliveries = 1 + repeats.times"
        " FROM (SELECT webhook_event_id, count(*) AS times FROM payments.webhook_repeats GROUP BY 1) AS repeats"
        " WHERE repeats.webhook_event_id = event.id"
    )
    op.drop_table("webhook_repeats", schema=SCHEMA)
