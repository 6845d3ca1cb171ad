"""Operators' partial refunds, and the history of every refund.

Revision ID: 2026_12_01_0020
Revises: 2026_11_30_2130
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_01_0020"
down_revision = "2026_11_30_2130"
branch_labels = None
depends_on = None

SCHEMA = "payments"
Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "operator_refunds",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        sa.Column("qr_payment_id", sa.BigInteger(), nullable=False, comment="of which payment"),
        sa.Column(
            "number",
            sa.Integer(),
            nullable=False,
            comment="1, 2, ... of the payment: names its refunds, qr_payment_{id}_op{number}",
        ),
        sa.Column(
            "amount_paise",
            sa.BigInteger(),
            nullable=False,
            comment="= energy charge + gst + goodwill; Razorpay refunds no less than 100",
        ),
        sa.Column("energy_charge_paise", sa.BigInteger(), nullable=False, comment="by how much the energy charge is reduced"),
        sa.Column("gst_paise", sa.BigInteger(), nullable=False, comment="and the GST on it"),
        sa.Column(
            "goodwill_paise", sa.BigInteger(), nullable=False, comment="granted at the platform's expense: the supply stands"
        ),
        sa.Column(
            "energy_charge_before_paise",
            sa.BigInteger(),
            nullable=False,
            comment="what earlier ones had taken off the energy charge",
        ),
        sa.Column("gst_before_paise", sa.BigInteger(), nullable=False, comment="and off the GST"),
        sa.Column("borne_by", sa.Text(), nullable=False, comment="FRANCHISEE, PLATFORM"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why, in the operator's words"),
        sa.Column("decided_by", sa.Text(), nullable=False, comment="who decided it"),
        sa.Column("decided_at", Time, nullable=False, comment="when; from then on it is owed"),
        sa.CheckConstraint("amount_paise >= 100", name=op.f("operator_refunds_amount_check")),
        sa.CheckConstraint("number >= 1", name=op.f("operator_refunds_number_check")),
        sa.CheckConstraint(
            "amount_paise = energy_charge_paise + gst_paise + goodwill_paise", name=op.f("operator_refunds_adds_up_check")
        ),
        sa.CheckConstraint(
            "least(energy_charge_paise, gst_paise, goodwill_paise, energy_charge_before_paise, gst_before_paise) >= 0",
            name=op.f("operator_refunds_not_negative_check"),
        ),
        sa.CheckConstraint("goodwill_paise in (0, amount_paise)", name=op.f("operator_refunds_one_or_the_other_check")),
        sa.CheckConstraint("borne_by in ('FRANCHISEE', 'PLATFORM')", name=op.f("operator_refunds_borne_by_check")),
        sa.ForeignKeyConstraint(
            ["qr_payment_id"], [f"{SCHEMA}.qr_payments.id"], name=op.f("operator_refunds_qr_payment_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("operator_refunds_pkey")),
        sa.UniqueConstraint("qr_payment_id", "number", name=op.f("operator_refunds_qr_payment_id_number_key")),
        comment="What operators gave back after the bill. Decided once, never changed; refunds carry it out.",
        schema=SCHEMA,
    )
    op.add_column(
        "refunds",
        sa.Column(
            "number",
            sa.Integer(),
            nullable=False,
            server_default=sa.text("0"),
            comment="0: what the payment gives back by itself; n: the operators' n-th of the payment",
        ),
        schema=SCHEMA,
    )
    op.add_column(
        "refunds",
        sa.Column("reference_kind", sa.Text(), nullable=True, comment="RRN, ARN or UTR: which of them it is; null: not known"),
        schema=SCHEMA,
    )
    op.drop_constraint(op.f("refunds_qr_payment_id_attempt_key"), "refunds", schema=SCHEMA)
    op.create_unique_constraint(
        op.f("refunds_qr_payment_id_number_attempt_key"), "refunds", ["qr_payment_id", "number", "attempt"], schema=SCHEMA
    )
    op.drop_index("refunds_one_live_per_payment_idx", "refunds", schema=SCHEMA)
    op.create_index(
        "refunds_one_live_per_number_idx",
        "refunds",
        ["qr_payment_id", "number"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("status <> 'FAILED'"),
    )
    op.create_index("refunds_by_operators_idx", "refunds", ["id"], schema=SCHEMA, postgresql_where=sa.text("number > 0"))
    op.execute(
        f"COMMENT ON TABLE {SCHEMA}.refunds IS 'Money on its way back. At most one live automatic refund per payment, "
        "and one of each that an operator decided.'"
    )
    op.create_table(
        "refund_steps",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours: the order in which we learnt"),
        sa.Column("refund_id", sa.BigInteger(), nullable=False, comment="whose step"),
        sa.Column(
            "step",
            sa.Text(),
            nullable=False,
            comment="REQUESTED, UNKNOWN, PENDING, PROCESSED, FAILED, SPEED_CHANGED, REFERENCE",
        ),
        sa.Column("told_by", sa.Text(), nullable=False, comment="US, ANSWER, WEBHOOK, FETCH: who said so"),
        sa.Column("webhook_event_id", sa.BigInteger(), nullable=True, comment="the event, where one said so"),
        sa.Column("detail", sa.Text(), nullable=True, comment="Razorpay's reason, the bank's reference, or the speed"),
        sa.Column("at", Time, nullable=False, comment="when we learnt it"),
        sa.CheckConstraint(
            "step in ('REQUESTED', 'UNKNOWN', 'PENDING', 'PROCESSED', 'FAILED', 'SPEED_CHANGED', 'REFERENCE')",
            name=op.f("refund_steps_step_check"),
        ),
        sa.CheckConstraint("told_by in ('US', 'ANSWER', 'WEBHOOK', 'FETCH')", name=op.f("refund_steps_told_by_check")),
        sa.ForeignKeyConstraint(["refund_id"], [f"{SCHEMA}.refunds.id"], name=op.f("refund_steps_refund_id_fkey")),
        sa.ForeignKeyConstraint(
            ["webhook_event_id"], [f"{SCHEMA}.webhook_events.id"], name=op.f("refund_steps_webhook_event_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("refund_steps_pkey")),
        comment="The history of each refund: what was learnt, when, and from whom. Added, never changed.",
        schema=SCHEMA,
    )
    op.create_index(op.f("refund_steps_refund_id_id_idx"), "refund_steps", ["refund_id", "id"], schema=SCHEMA)
    # Of what was before, the ends are known: when it was asked for, and how it stands.
    op.execute(
        "INSERT INTO payments.refund_steps (refund_id, step, told_by, at)"
        " SELECT id, 'REQUESTED', 'US', created_at FROM payments.refunds ORDER BY id"
    )
    op.execute(
        "INSERT INTO payments.refund_steps (refund_id, step, told_by, detail, at)"
        " SELECT id, CASE status WHEN 'PROCESSING' THEN 'PENDING' ELSE status END, 'FETCH', last_error,"
        " coalesce(processed_at, updated_at) FROM payments.refunds"
        " WHERE status IN ('UNKNOWN', 'PROCESSING', 'PROCESSED', 'FAILED') ORDER BY id"
    )


def downgrade() -> None:
    op.drop_table("refund_steps", schema=SCHEMA)
    op.drop_index("refunds_by_operators_idx", "refunds", schema=SCHEMA)
    op.drop_index("refunds_one_live_per_number_idx", "refunds", schema=SCHEMA)
    op.create_index(
        "refunds_one_live_per_payment_idx",
        "refunds",
        ["qr_payment_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("status <> 'FAILED'"),
    )
    op.drop_constraint(op.f("refunds_qr_payment_id_number_attempt_key"), "refunds", schema=SCHEMA)
    op.create_unique_constraint(op.f("refunds_qr_payment_id_attempt_key"), "refunds", ["qr_payment_id", "attempt"], schema=SCHEMA)
    op.drop_column("refunds", "reference_kind", schema=SCHEMA)
    op.drop_column("refunds", "number", schema=SCHEMA)
    op.drop_table("operator_refunds", schema=SCHEMA)
