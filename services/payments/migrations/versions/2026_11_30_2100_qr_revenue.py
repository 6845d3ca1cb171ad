"""QR codes that replace others; whose station and site a payment ran on, for revenue by station and franchisee.

Revision ID: 2026_11_30_2100
Revises: 2026_11_22_1800
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_2100"
down_revision = "2026_11_22_1800"
branch_labels = None
depends_on = None

SCHEMA = "payments"


def upgrade() -> None:
    op.add_column(
        "qr_codes",
        sa.Column("replaces_id", sa.BigInteger(), nullable=True, comment="the code it was made in place of; null: the first"),
        schema=SCHEMA,
    )
    op.create_foreign_key(
        op.f("qr_codes_replaces_id_fkey"),
        "qr_codes",
        "qr_codes",
        ["replaces_id"],
        ["id"],
        source_schema=SCHEMA,
        referent_schema=SCHEMA,
    )
    op.create_index(
        "qr_codes_one_replacement_idx",
        "qr_codes",
        ["replaces_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("status <> 'FAILED'"),
    )
    op.create_index(op.f("webhook_events_account_id_id_idx"), "webhook_events", ["account_id", "id"], schema=SCHEMA)
    op.add_column(
        "qr_payments",
        sa.Column(
            "station_id",
            sa.BigInteger(),
            nullable=True,
            comment="the transaction's station, snapshotted by charging; null: nothing ran on it",
        ),
        schema=SCHEMA,
    )
    op.add_column(
        "qr_payments",
        sa.Column(
            "franchisee_id",
            sa.BigInteger(),
            nullable=True,
            comment="owner at the start; null: the platform's own site, or nothing ran on it",
        ),
        schema=SCHEMA,
    )
    # Bills know it already; of sessions that run now charging's stop will tell it.
    op.execute(
        "UPDATE payments.qr_payments AS paid SET station_id = bills.station_id, franchisee_id = bills.franchisee_id"
        " FROM payments.bills WHERE bills.qr_payment_id = paid.id"
    )
    op.create_index(op.f("qr_payments_paid_at_idx"), "qr_payments", ["paid_at"], schema=SCHEMA)
    op.create_index(op.f("qr_payments_franchisee_id_paid_at_idx"), "qr_payments", ["franchisee_id", "paid_at"], schema=SCHEMA)


def downgrade() -> None:
    op.drop_index(op.f("qr_payments_franchisee_id_paid_at_idx"), "qr_payments", schema=SCHEMA)
    op.drop_index(op.f("qr_payments_paid_at_idx"), "qr_payments", schema=SCHEMA)
    op.drop_column("qr_payments", "franchisee_id", schema=SCHEMA)
    op.drop_column("qr_payments", "station_id", schema=SCHEMA)
    op.drop_index(op.f("webhook_events_account_id_id_idx"), "webhook_events", schema=SCHEMA)
    op.drop_index("qr_codes_one_replacement_idx", "qr_codes", schema=SCHEMA)
    op.drop_constraint(op.f("qr_codes_replaces_id_fkey"), "qr_codes", schema=SCHEMA)
    op.drop_column("qr_codes", "replaces_id", schema=SCHEMA)
