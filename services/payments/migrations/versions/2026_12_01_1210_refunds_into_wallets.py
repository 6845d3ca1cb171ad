"""Operators give back what wallets paid, into the wallet.

Revision ID: 2026_12_01_1210
Revises: 2026_12_01_1200
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_01_1210"
down_revision = "2026_12_01_1200"
branch_labels = None
depends_on = None

SCHEMA = "payments"
REFUNDS, ENTRIES = "operator_refunds", "wallet_entries"
SOURCE_KEY = "coalesce('qr_payment_' || qr_payment_id::text, 'wallet_session_' || wallet_session_id::text)"
AMOUNT, AMOUNT_BEFORE = "amount_paise >= 100 or (amount_paise > 0 and wallet_session_id is not null)", "amount_paise >= 100"
KIND, KIND_BEFORE = "kind in ('RECHARGE', 'SESSION', 'REFUND')", "kind in ('RECHARGE', 'SESSION')"
OF_ITS_KIND = (
    "num_nonnulls(recharge_payment_id, wallet_bill_id, operator_refund_id) = 1 and case kind"
    " when 'RECHARGE' then amount_paise > 0 and recharge_payment_id is not null"
    " when 'SESSION' then amount_paise < 0 and wallet_bill_id is not null"
    " else amount_paise > 0 and operator_refund_id is not null end"
)
OF_ITS_KIND_BEFORE = (
    "case kind when 'RECHARGE' then amount_paise > 0 and recharge_payment_id is not null and wallet_bill_id is null"
    " else amount_paise < 0 and wallet_bill_id is not null and recharge_payment_id is null end"
)
COMMENT = "What operators gave back after the bill. Decided once, never changed; a refund or a wallet's entry carries it out."
COMMENT_BEFORE = "What operators gave back after the bill. Decided once, never changed; refunds carry it out."
COLUMN_COMMENTS = {
    (REFUNDS, "qr_payment_id"): ("of which payment; null: a wallet paid", "of which payment"),
    (REFUNDS, "number"): (
        "1, 2, ... of the bill: names its refunds, qr_payment_{id}_op{number}",
        "1, 2, ... of the payment: names its refunds, qr_payment_{id}_op{number}",
    ),
    (ENTRIES, "kind"): ("RECHARGE, SESSION, REFUND", "RECHARGE, SESSION"),
}


def _checks(table: str, **checks: str) -> None:
    for name, condition in checks.items():
        op.drop_constraint(op.f(f"{table}_{name}_check"), table, schema=SCHEMA)
        op.create_check_constraint(op.f(f"{table}_{name}_check"), table, condition, schema=SCHEMA)


def _comments(now: int) -> None:
    for (table, column), comments in COLUMN_COMMENTS.items():
        op.alter_column(table, column, comment=comments[now], existing_comment=comments[1 - now], schema=SCHEMA)


def upgrade() -> None:
    op.alter_column(REFUNDS, "qr_payment_id", nullable=True, schema=SCHEMA)
    op.add_column(
        REFUNDS,
        sa.Column(
            "wallet_session_id",
            sa.BigInteger(),
            sa.ForeignKey(f"{SCHEMA}.wallet_sessions.id", name=op.f(f"{REFUNDS}_wallet_session_id_fkey")),
            comment="or of which session of a wallet",
        ),
        schema=SCHEMA,
    )
    op.add_column(
        REFUNDS,
        sa.Column(
            "source_key", sa.Text(), sa.Computed(SOURCE_KEY, persisted=True), comment="whose bill it is of, as its invoice has it"
        ),
        schema=SCHEMA,
    )
    op.drop_constraint(op.f(f"{REFUNDS}_qr_payment_id_number_key"), REFUNDS, schema=SCHEMA)
    op.create_unique_constraint(op.f(f"{REFUNDS}_source_key_number_key"), REFUNDS, ["source_key", "number"], schema=SCHEMA)
    for payer in ("qr_payment", "wallet_session"):
        op.create_index(
            f"{REFUNDS}_{payer}_idx",
            REFUNDS,
            [f"{payer}_id"],
            postgresql_where=sa.text(f"{payer}_id is not null"),
            schema=SCHEMA,
        )
    _checks(REFUNDS, amount=AMOUNT)
    op.create_check_constraint(
        op.f(f"{REFUNDS}_one_payer_check"), REFUNDS, "num_nonnulls(qr_payment_id, wallet_session_id) = 1", schema=SCHEMA
    )
    op.create_table_comment(REFUNDS, COMMENT, existing_comment=COMMENT_BEFORE, schema=SCHEMA)
    op.add_column(
        ENTRIES,
        sa.Column(
            "operator_refund_id",
            sa.BigInteger(),
            sa.ForeignKey(f"{SCHEMA}.{REFUNDS}.id", name=op.f(f"{ENTRIES}_operator_refund_id_fkey")),
            comment="what an operator gave back of a bill",
        ),
        schema=SCHEMA,
    )
    op.create_unique_constraint(op.f(f"{ENTRIES}_operator_refund_id_key"), ENTRIES, ["operator_refund_id"], schema=SCHEMA)
    _checks(ENTRIES, kind=KIND, is_of_its_kind=OF_ITS_KIND)
    _comments(0)


def downgrade() -> None:
    """Refused by the checks where a wallet was given something back."""
    _comments(1)
    _checks(ENTRIES, kind=KIND_BEFORE, is_of_its_kind=OF_ITS_KIND_BEFORE)
    op.drop_column(ENTRIES, "operator_refund_id", schema=SCHEMA)
    op.create_table_comment(REFUNDS, COMMENT_BEFORE, existing_comment=COMMENT, schema=SCHEMA)
    op.drop_constraint(op.f(f"{REFUNDS}_one_payer_check"), REFUNDS, schema=SCHEMA)
    _checks(REFUNDS, amount=AMOUNT_BEFORE)
    for payer in ("qr_payment", "wallet_session"):
        op.drop_index(f"{REFUNDS}_{payer}_idx", REFUNDS, schema=SCHEMA)
    op.drop_constraint(op.f(f"{REFUNDS}_source_key_number_key"), REFUNDS, schema=SCHEMA)
    op.create_unique_constraint(op.f(f"{REFUNDS}_qr_payment_id_number_key"), REFUNDS, ["qr_payment_id", "number"], schema=SCHEMA)
    op.drop_column(REFUNDS, "source_key", schema=SCHEMA)
    op.drop_column(REFUNDS, "wallet_session_id", schema=SCHEMA)
    op.alter_column(REFUNDS, "qr_payment_id", nullable=False, schema=SCHEMA)
