"""QR codes that are a franchisee's own, who took a payment, and what settlement says of franchisees.

Revision ID: 2026_12_01_0100
Revises: 2026_12_01_0041
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_01_0100"
down_revision = "2026_12_01_0041"
branch_labels = None
depends_on = None

SCHEMA = "payments"


def upgrade() -> None:
    op.create_table(
        "franchisees",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False, comment="settlement's"),
        sa.Column(
            "razorpay_account_id",
            sa.Text(),
            nullable=True,
            comment="the linked account, acc_...; null: not made yet",
        ),
        sa.Column(
            "direct_collection",
            sa.Text(),
            nullable=False,
            comment="ALLOWED, PAUSED, ENDED: whether its own QR codes take money",
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="why not, in settlement's words"),
        sa.Column("subject_version", sa.Integer(), nullable=False, comment="of settlement's last word that was heard"),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), nullable=False, comment="when it was heard"),
        sa.CheckConstraint(
            "direct_collection in ('ALLOWED', 'PAUSED', 'ENDED')", name=op.f("franchisees_direct_collection_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("franchisees_pkey")),
        sa.UniqueConstraint("razorpay_account_id", name=op.f("franchisees_razorpay_account_id_key")),
        schema=SCHEMA,
        comment="What payments knows of franchisees, by settlement's events: who may take riders' money on QR codes of its own.",
    )
    op.add_column(
        "qr_codes",
        sa.Column("owner_franchisee_id", sa.BigInteger(), nullable=True, comment="whose own code it is; null: the platform's"),
        schema=SCHEMA,
    )
    op.add_column(
        "qr_codes",
        sa.Column(
            "owner_account_id", sa.Text(), nullable=True, comment="the linked account that it was made on, acc_...; null: our own"
        ),
        schema=SCHEMA,
    )
    op.create_check_constraint(
        op.f("qr_codes_owner_check"), "qr_codes", "(owner_franchisee_id is null) = (owner_account_id is null)", schema=SCHEMA
    )
    op.create_index(
        "qr_codes_owner_idx",
        "qr_codes",
        ["owner_franchisee_id", "id"],
        schema=SCHEMA,
        postgresql_where=sa.text("owner_franchisee_id is not null"),
    )
    op.add_column(
        "qr_payments",
        sa.Column(
            "collected_by_franchisee_id",
            sa.BigInteger(),
            nullable=True,
            comment="whose linked account took it; null: our own balance",
        ),
        schema=SCHEMA,
    )
    op.add_column(
        "qr_payments",
        sa.Column("collected_by_account_id", sa.Text(), nullable=True, comment="that linked account, acc_..."),
        schema=SCHEMA,
    )
    op.create_check_constraint(
        op.f("qr_payments_collected_by_check"),
        "qr_payments",
        "(collected_by_franchisee_id is null) = (collected_by_account_id is null)",
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_constraint(op.f("qr_payments_collected_by_check"), "qr_payments", schema=SCHEMA)
    op.drop_column("qr_payments", "collected_by_account_id", schema=SCHEMA)
    op.drop_column("qr_payments", "collected_by_franchisee_id", schema=SCHEMA)
    op.drop_index("qr_codes_owner_idx", table_name="qr_codes", schema=SCHEMA)
    op.drop_constraint(op.f("qr_codes_owner_check"), "qr_codes", schema=SCHEMA)
    op.drop_column("qr_codes", "owner_account_id", schema=SCHEMA)
    op.drop_column("qr_codes", "owner_franchisee_id", schema=SCHEMA)
    op.drop_table("franchisees", schema=SCHEMA)
