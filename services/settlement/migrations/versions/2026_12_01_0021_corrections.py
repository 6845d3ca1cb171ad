"""Corrections of ledger entries after refunds, reversals of transfers, and an account for goodwill.

Revision ID: 2026_12_01_0021
Revises: 2026_11_30_2110
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "2026_12_01_0021"
down_revision = "2026_11_30_2110"
branch_labels = None
depends_on = None

SCHEMA = "settlement"
Time = sa.DateTime(timezone=True)
NOT_NEGATIVE = "least(refund_paise, residue_paise, pg_fee_paise, gst_paise, commission_paise, tds_paise, payout_paise) >= 0"
CARRIED = "payouts under ₹1, carried until a transfer takes them along"
CARRIED_NOW = f"{CARRIED}, less what corrections take off the next ones: below nothing, franchisees owe us"


def upgrade() -> None:
    op.add_column(
        "ledger_entries",
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            server_default=sa.text("'SESSION'"),
            comment="SESSION: of a bill; CORRECTION: what a refund after the bill changes of it",
        ),
        schema=SCHEMA,
    )
    op.add_column(
        "ledger_entries",
        sa.Column("corrects_id", sa.BigInteger(), nullable=True, comment="the session's entry that a correction corrects"),
        schema=SCHEMA,
    )
    op.add_column(
        "ledger_entries",
        sa.Column(
            "refund_number", sa.Integer(), nullable=True, comment="of a correction: which of the payment's operators' refunds"
        ),
        schema=SCHEMA,
    )
    op.add_column(
        "ledger_entries",
        sa.Column("reason", sa.Text(), nullable=True, comment="of a correction: the operator's words"),
        schema=SCHEMA,
    )
    op.create_foreign_key(
        op.f("ledger_entries_corrects_id_fkey"),
        "ledger_entries",
        "ledger_entries",
        ["corrects_id"],
        ["id"],
        source_schema=SCHEMA,
        referent_schema=SCHEMA,
    )
    op.drop_constraint(op.f("ledger_entries_transaction_id_key"), "ledger_entries", schema=SCHEMA)
    op.create_index(
        "ledger_entries_one_per_session_idx",
        "ledger_entries",
        ["transaction_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("kind = 'SESSION'"),
    )
    op.create_index(op.f("ledger_entries_transaction_id_id_idx"), "ledger_entries", ["transaction_id", "id"], schema=SCHEMA)
    op.create_unique_constraint(
        op.f("ledger_entries_corrects_id_refund_number_key"), "ledger_entries", ["corrects_id", "refund_number"], schema=SCHEMA
    )
    op.drop_constraint(op.f("ledger_entries_not_negative_check"), "ledger_entries", schema=SCHEMA)
    op.create_check_constraint(
        op.f("ledger_entries_not_negative_check"), "ledger_entries", f"kind <> 'SESSION' or {NOT_NEGATIVE}", schema=SCHEMA
    )
    op.create_check_constraint(
        op.f("ledger_entries_correction_check"),
        "ledger_entries",
        "kind <> 'CORRECTION' or (gross_paise = 0 and residue_paise = 0 and pg_fee_paise = 0 and refund_paise > 0 "
        "and greatest(gst_paise, commission_paise, tds_paise) <= 0 and not implausible)",
        schema=SCHEMA,
    )
    op.create_check_constraint(
        op.f("ledger_entries_corrects_check"),
        "ledger_entries",
        "(kind = 'CORRECTION') = (corrects_id is not null) and (corrects_id is null) = (refund_number is null)",
        schema=SCHEMA,
    )
    op.create_check_constraint(
        op.f("ledger_entries_kind_check"), "ledger_entries", "kind in ('SESSION', 'CORRECTION')", schema=SCHEMA
    )
    op.drop_constraint(op.f("ledger_entries_hold_kind_check"), "ledger_entries", schema=SCHEMA)
    op.create_check_constraint(
        op.f("ledger_entries_hold_kind_check"),
        "ledger_entries",
        "hold_kind in ('GATED', 'IMPLAUSIBLE', 'BELOW_MINIMUM', 'RAZORPAY', 'NETTED')",
        schema=SCHEMA,
    )
    op.drop_index("ledger_entries_carried_idx", "ledger_entries", schema=SCHEMA)
    op.create_index(
        "ledger_entries_carried_idx",
        "ledger_entries",
        ["franchisee_id", "id"],
        schema=SCHEMA,
        postgresql_where=sa.text(
            "payout_paise <> 0 and (payout_paise < 100 or hold_kind = 'NETTED') and status in ('PENDING', 'ON_HOLD')"
        ),
    )
    op.drop_constraint(op.f("allocations_amount_check"), "allocations", schema=SCHEMA)
    op.create_check_constraint(op.f("allocations_amount_check"), "allocations", "amount_paise <> 0", schema=SCHEMA)
    op.execute(
        f"COMMENT ON TABLE {SCHEMA}.ledger_entries IS "
        "'The commission ledger: one entry per billed session of a franchisee''s site, and one per refund that corrects it.'"
    )
    op.execute(
        f"COMMENT ON COLUMN {SCHEMA}.ledger_entries.key IS "
        "'txn_{transaction_id}, txn_{transaction_id}_c{n} of a correction'"
    )
    op.execute(
        f"COMMENT ON COLUMN {SCHEMA}.ledger_entries.payout_paise IS "
        "'what the franchisee is due; below nothing: what is taken back'"
    )
    op.execute(
        f"COMMENT ON TABLE {SCHEMA}.allocations IS "
        "'Which transfer pays which entries: mostly one each, more where others go along.'"
    )
    op.execute(
        f"COMMENT ON COLUMN {SCHEMA}.allocations.amount_paise IS "
        "'with how much: the entry''s payout; a correction''s is below nothing'"
    )
    op.add_column(
        "transfers",
        sa.Column(
            "reversed_paise",
            sa.BigInteger(),
            nullable=False,
            server_default=sa.text("0"),
            comment="what was taken back out of the linked account: the sum of its reversals",
        ),
        schema=SCHEMA,
    )
    op.create_check_constraint(
        op.f("transfers_reversed_check"), "transfers", "reversed_paise between 0 and amount_paise", schema=SCHEMA
    )
    op.create_table(
        "refund_decisions",
        sa.Column("operator_refund_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="payments' id of it"),
        sa.Column("transaction_id", sa.BigInteger(), nullable=False, comment="charging's id of the session"),
        sa.Column("decision", JSONB, nullable=False, comment="payments.operator_refund_decided.v1, word for word"),
        sa.Column(
            "ledger_entry_id", sa.BigInteger(), nullable=True, comment="its correction; null: the session's entry is not here yet"
        ),
        sa.Column("traceparent", sa.Text(), nullable=True, comment="the trace in which it was decided"),
        sa.Column("received_at", Time, nullable=False, comment="when it came"),
        sa.ForeignKeyConstraint(
            ["ledger_entry_id"], [f"{SCHEMA}.ledger_entries.id"], name=op.f("refund_decisions_ledger_entry_id_fkey")
        ),
        sa.PrimaryKeyConstraint("operator_refund_id", name=op.f("refund_decisions_pkey")),
        sa.UniqueConstraint("ledger_entry_id", name=op.f("refund_decisions_ledger_entry_id_key")),
        comment="Refunds after the bill that reduce the supply of a franchisee's session.",
        schema=SCHEMA,
    )
    op.create_index(op.f("refund_decisions_transaction_id_idx"), "refund_decisions", ["transaction_id"], schema=SCHEMA)
    op.create_index(
        "refund_decisions_open_idx",
        "refund_decisions",
        ["operator_refund_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("ledger_entry_id is null"),
    )
    op.create_table(
        "reversals",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        sa.Column("transfer_id", sa.BigInteger(), nullable=False, comment="what is taken back out of which transfer"),
        sa.Column(
            "ledger_entry_id",
            sa.BigInteger(),
            nullable=True,
            comment="the correction that it recovers; null: none, it was made by hand",
        ),
        sa.Column("amount_paise", sa.BigInteger(), nullable=False, comment="frozen at the claim"),
        sa.Column("by_hand", sa.Boolean(), nullable=False, comment="made at Razorpay by somebody, not by us"),
        sa.Column("status", sa.Text(), nullable=False, comment="CLAIMED, UNKNOWN, WAITING, DONE, FAILED"),
        sa.Column("body", JSONB(none_as_null=True), nullable=True, comment="what is sent to Razorpay, word for word, every time"),
        sa.Column("razorpay_reversal_id", sa.Text(), nullable=True, comment="rvrsl_..., once we know it"),
        sa.Column("calls", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="how often Razorpay was asked"),
        sa.Column("last_error", sa.Text(), nullable=True, comment="what Razorpay said last, where it did not do what was asked"),
        sa.Column("traceparent", sa.Text(), nullable=True, comment="the trace of the refund"),
        sa.Column(
            "next_attempt_at",
            Time,
            nullable=True,
            comment="when the worker takes it up; while claimed, when the claim lapses; null: nothing to do",
        ),
        sa.Column("created_at", Time, nullable=False, comment="when it was claimed, or found"),
        sa.Column("done_at", Time, nullable=True, comment="when we learnt that the money is back"),
        sa.CheckConstraint("amount_paise > 0", name=op.f("reversals_amount_check")),
        sa.CheckConstraint("by_hand or (ledger_entry_id is not null and body is not null)", name=op.f("reversals_ours_check")),
        sa.CheckConstraint("(status = 'DONE') = (razorpay_reversal_id is not null)", name=op.f("reversals_done_check")),
        sa.CheckConstraint("status in ('CLAIMED', 'UNKNOWN', 'WAITING', 'DONE', 'FAILED')", name=op.f("reversals_status_check")),
        sa.ForeignKeyConstraint(["transfer_id"], [f"{SCHEMA}.transfers.id"], name=op.f("reversals_transfer_id_fkey")),
        sa.ForeignKeyConstraint(
            ["ledger_entry_id"], [f"{SCHEMA}.ledger_entries.id"], name=op.f("reversals_ledger_entry_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("reversals_pkey")),
        sa.UniqueConstraint("razorpay_reversal_id", name=op.f("reversals_razorpay_reversal_id_key")),
        comment="Money taken back from linked accounts. Razorpay knows no idempotency here: one under way per transfer.",
        schema=SCHEMA,
    )
    op.create_index(op.f("reversals_transfer_id_id_idx"), "reversals", ["transfer_id", "id"], schema=SCHEMA)
    op.create_index(
        "reversals_one_under_way_idx",
        "reversals",
        ["transfer_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("status in ('CLAIMED', 'UNKNOWN', 'WAITING')"),
    )
    op.create_index(
        "reversals_one_live_per_correction_idx",
        "reversals",
        ["ledger_entry_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("status <> 'FAILED'"),
    )
    op.create_index(
        "reversals_due_idx",
        "reversals",
        ["next_attempt_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("next_attempt_at is not null"),
    )
    op.create_index(
        "reversals_unmatched_idx",
        "reversals",
        ["id"],
        schema=SCHEMA,
        postgresql_where=sa.text("by_hand and ledger_entry_id is null"),
    )
    op.execute(
        "INSERT INTO settlement.accounts (code, name, kind, normal_side, holds) "
        "VALUES ('goodwill', 'Goodwill', 'EXPENSE', 'DEBIT', 'what operators gave back at our own expense: the supply stands')"
    )
    _hold_in_words(CARRIED_NOW)


def _hold_in_words(words: str) -> None:
    """The chart's words follow what an account holds; its figures nobody can change."""
    op.execute(f"ALTER TABLE {SCHEMA}.accounts DISABLE TRIGGER accounts_never_change")
    op.execute(sa.text("UPDATE settlement.accounts SET holds = :words WHERE code = 'franchisee_carried'").bindparams(words=words))
    op.execute(f"ALTER TABLE {SCHEMA}.accounts ENABLE TRIGGER accounts_never_change")


def downgrade() -> None:
    _hold_in_words(CARRIED)
    op.execute(f"ALTER TABLE {SCHEMA}.accounts DISABLE TRIGGER accounts_never_change")
    op.execute("DELETE FROM settlement.accounts WHERE code = 'goodwill'")
    op.execute(f"ALTER TABLE {SCHEMA}.accounts ENABLE TRIGGER accounts_never_change")
    op.drop_table("reversals", schema=SCHEMA)
    op.drop_table("refund_decisions", schema=SCHEMA)
    op.drop_constraint(op.f("transfers_reversed_check"), "transfers", schema=SCHEMA)
    op.drop_column("transfers", "reversed_paise", schema=SCHEMA)
    op.drop_constraint(op.f("allocations_amount_check"), "allocations", schema=SCHEMA)
    op.create_check_constraint(op.f("allocations_amount_check"), "allocations", "amount_paise > 0", schema=SCHEMA)
    op.drop_index("ledger_entries_carried_idx", "ledger_entries", schema=SCHEMA)
    op.create_index(
        "ledger_entries_carried_idx",
        "ledger_entries",
        ["franchisee_id", "id"],
        schema=SCHEMA,
        postgresql_where=sa.text("payout_paise between 1 and 99 and status in ('PENDING', 'ON_HOLD')"),
    )
    op.drop_constraint(op.f("ledger_entries_hold_kind_check"), "ledger_entries", schema=SCHEMA)
    op.create_check_constraint(
        op.f("ledger_entries_hold_kind_check"),
        "ledger_entries",
        "hold_kind in ('GATED', 'IMPLAUSIBLE', 'BELOW_MINIMUM', 'RAZORPAY')",
        schema=SCHEMA,
    )
    for name in ("kind", "corrects", "correction", "not_negative"):
        op.drop_constraint(op.f(f"ledger_entries_{name}_check"), "ledger_entries", schema=SCHEMA)
    op.create_check_constraint(op.f("ledger_entries_not_negative_check"), "ledger_entries", NOT_NEGATIVE, schema=SCHEMA)
    op.drop_constraint(op.f("ledger_entries_corrects_id_refund_number_key"), "ledger_entries", schema=SCHEMA)
    op.drop_index(op.f("ledger_entries_transaction_id_id_idx"), "ledger_entries", schema=SCHEMA)
    op.drop_index("ledger_entries_one_per_session_idx", "ledger_entries", schema=SCHEMA)
    op.create_unique_constraint(op.f("ledger_entries_transaction_id_key"), "ledger_entries", ["transaction_id"], schema=SCHEMA)
    op.drop_constraint(op.f("ledger_entries_corrects_id_fkey"), "ledger_entries", schema=SCHEMA)
    for name in ("reason", "refund_number", "corrects_id", "kind"):
        op.drop_column("ledger_entries", name, schema=SCHEMA)
