"""Razorpay's own statement: its rows as they came, what they are here, what a person has to see, which days were read.

Revision ID: 2026_12_01_0030
Revises: 2026_12_01_0021
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "2026_12_01_0030"
down_revision = "2026_12_01_0021"
branch_labels = None
depends_on = None

SCHEMA = "settlement"


def time(name: str, comment: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, comment=comment)


def words(name: str, comment: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable, comment=comment)


def count(name: str, comment: str, **more: object) -> sa.Column:
    return sa.Column(name, sa.Integer(), nullable=False, comment=comment, **more)


def paise(name: str, comment: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), nullable=nullable, comment=comment)


def ours() -> sa.Column:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours")


def one_of(table: str, column: str, *allowed: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in allowed)
    return sa.CheckConstraint(f"{column} in ({listed})", name=op.f(f"{table}_{column}_check"))


def key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"{table}_pkey"))


FUNCTION = """
CREATE FUNCTION settlement.refuse_change_of_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of Razorpay''s statement are kept as they came' USING ERRCODE = 'restrict_violation';
END $$
"""

KNOWN_PAYMENTS = """
INSERT INTO settlement.moves (razorpay_id, kind, subject, amount_paise, outcome, version, occurred_at)
SELECT razorpay_payment_id, 'PAYMENT', 'qrp_' || qr_payment_id, gross_paise, 'DONE', 0, billed_at
FROM settlement.ledger_entries ON CONFLICT DO NOTHING
"""
KNOWN_TRANSFERS = """
INSERT INTO settlement.moves (razorpay_id, kind, subject, amount_paise, outcome, version, occurred_at)
SELECT razorpay_transfer_id, 'TRANSFER', 'xfr_' || id, amount_paise,
    CASE WHEN coalesce(paid_twice_status, status) IN ('PROCESSED', 'SETTLED') THEN 'DONE'
        WHEN status = 'FAILED' THEN 'FAILED' ELSE 'UNDER_WAY' END,
    0, created_at
FROM settlement.transfers WHERE razorpay_transfer_id IS NOT NULL ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    op.add_column(
        "settlements",
        paise(
            "own_share_paise",
            "how much of it is this environment's, by the statement's rows; null: they were not read yet",
            nullable=True,
        ),
        schema=SCHEMA,
    )
    op.create_table(
        "moves",
        words("razorpay_id", "pay_, rfnd_, trf_, rvrsl_: Razorpay's id of it"),
        words("kind", "PAYMENT, REFUND, TRANSFER, REVERSAL"),
        words("subject", "our record of it, by its prefixed id: qrp_17, rfd_5, xfr_7"),
        paise("amount_paise", "how much, as services told it"),
        words("outcome", "UNDER_WAY, DONE, FAILED"),
        sa.Column("version", sa.BigInteger(), nullable=False, comment="orders what is told of it: an older word changes nothing"),
        time("occurred_at", "when it happened, as first told"),
        time("seen_at", "when the statement first had it; null: not yet", nullable=True),
        one_of("moves", "kind", "PAYMENT", "REFUND", "TRANSFER", "REVERSAL"),
        one_of("moves", "outcome", "UNDER_WAY", "DONE", "FAILED"),
        key("moves", "razorpay_id"),
        comment="What moves our balance at Razorpay and has an id there, as services told it: the other side of the statement.",
        schema=SCHEMA,
    )
    op.create_index(op.f("moves_subject_idx"), "moves", ["subject"], schema=SCHEMA)
    op.create_index(
        "moves_unseen_idx",
        "moves",
        ["occurred_at", "razorpay_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("seen_at is null and outcome = 'DONE'"),
    )
    op.create_table(
        "statement_readings",
        ours(),
        words("key", "daily/2026-12-01, or of the request: asked for once"),
        sa.Column("from_day", sa.Date(), nullable=False, comment="the first day of India's that is read"),
        sa.Column("to_day", sa.Date(), nullable=False, comment="the last"),
        words("status", "READING, DONE, FAILED"),
        sa.Column("day", sa.Date(), nullable=False, comment="which day is being read"),
        count("skip", "how many of its rows were read", server_default=sa.text("0")),
        count("rows_read", "rows read so far", server_default=sa.text("0")),
        count("rows_new", "of them, rows that were not kept yet", server_default=sa.text("0")),
        count("rows_changed", "of them, repetitions with other contents", server_default=sa.text("0")),
        count("calls", "tries of the page in hand", server_default=sa.text("0")),
        words("last_error", "what Razorpay said last, where a page did not come", nullable=True),
        words("asked_by", "who: a person, or the clock"),
        time(
            "next_attempt_at", "when the next page is asked for; while claimed, when the claim lapses; null: done", nullable=True
        ),
        time("created_at", "when it was asked for"),
        time("finished_at", "when the last day was read", nullable=True),
        one_of("statement_readings", "status", "READING", "DONE", "FAILED"),
        sa.CheckConstraint("from_day <= day and day <= to_day", name=op.f("statement_readings_range_check")),
        sa.CheckConstraint("(next_attempt_at is not null) = (status = 'READING')", name=op.f("statement_readings_reading_check")),
        key("statement_readings", "id"),
        sa.UniqueConstraint("key", name=op.f("statement_readings_key_key")),
        comment="Readings of Razorpay's statement: once a day, and on demand.",
        schema=SCHEMA,
    )
    op.create_index(
        "statement_readings_due_idx",
        "statement_readings",
        ["next_attempt_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("next_attempt_at is not null"),
    )
    op.create_table(
        "statement_days",
        sa.Column("day", sa.Date(), nullable=False, comment="a day of India's"),
        count("rows", "how many rows Razorpay showed of it, at the last reading"),
        count("readings", "how often it was read whole"),
        time("read_at", "when it was last read whole"),
        key("statement_days", "day"),
        comment="Days whose statement was read to its last page.",
        schema=SCHEMA,
    )
    op.create_table(
        "statement_rows",
        ours(),
        words("entity_id", "what moved: pay_, rfnd_, trf_, rvrsl_, adj_"),
        words("type", "Razorpay's word: payment, refund, transfer, adjustment, ..."),
        time("moved_at", "when it moved, by Razorpay"),
        count("version", "from 1: one more for every repetition with other contents"),
        paise("debit_paise", "what left our balance"),
        paise("credit_paise", "what came into it"),
        paise("amount_paise", "the movement's own amount"),
        paise("fee_paise", "what Razorpay took for it, GST included"),
        paise("tax_paise", "the GST in it"),
        words("settlement_id", "setl_... that took it along to our bank", nullable=True),
        time("settled_at", "when", nullable=True),
        words("utr", "the bank's reference of that settlement", nullable=True),
        words("payment_id", "the payment that it is about", nullable=True),
        words("order_id", "the payment's order", nullable=True),
        words("order_receipt", "the order's receipt, ours", nullable=True),
        words("dispute_id", "the dispute that it belongs to", nullable=True),
        words("description", "Razorpay's words", nullable=True),
        words("environment", "whose it is by its notes; null: they don't say", nullable=True),
        sa.Column("body", JSONB(), nullable=False, comment="the row as Razorpay sent it"),
        words("digest", "of the body: tells a repetition from another version"),
        paise("reading_id", "which reading brought it"),
        time("read_at", "when it was read"),
        sa.ForeignKeyConstraint(["reading_id"], [f"{SCHEMA}.statement_readings.id"], name=op.f("statement_rows_reading_id_fkey")),
        key("statement_rows", "id"),
        sa.UniqueConstraint(
            "entity_id", "type", "moved_at", "version", name=op.f("statement_rows_entity_id_type_moved_at_version_key")
        ),
        comment="Razorpay's statement, each row once, never changed and never deleted: a trigger refuses it.",
        schema=SCHEMA,
    )
    op.create_index(
        "statement_rows_settlement_idx",
        "statement_rows",
        ["settlement_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("settlement_id is not null"),
    )
    op.create_index("statement_rows_settled_idx", "statement_rows", ["settled_at", "id"], schema=SCHEMA)
    op.execute(FUNCTION)
    op.execute(
        f"CREATE TRIGGER statement_rows_never_change BEFORE UPDATE OR DELETE ON {SCHEMA}.statement_rows "
        f"FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.refuse_change_of_statement()"
    )
    op.create_table(
        "statement_matches",
        words("razorpay_id", "what moved, or the settlement that took it along"),
        sa.Column("is_settlement", sa.Boolean(), nullable=False, comment="a settlement: looked at after what it took along"),
        words("payment_id", "the payment that it is about", nullable=True),
        words("state", "WAITING, MATCHED, FOREIGN, EXCEPTION"),
        words("subject", "our record of it", nullable=True),
        time("next_look_at", "when it is judged anew; null: nothing to do", nullable=True),
        count("calls", "how often Razorpay was asked for it in vain", server_default=sa.text("0")),
        time("judged_at", "when it was last judged", nullable=True),
        one_of("statement_matches", "state", "WAITING", "MATCHED", "FOREIGN", "EXCEPTION"),
        key("statement_matches", "razorpay_id"),
        comment="What each movement of the statement is here, as last judged by all that was known.",
        schema=SCHEMA,
    )
    op.create_index(
        "statement_matches_due_idx",
        "statement_matches",
        ["is_settlement", "next_look_at", "razorpay_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("next_look_at is not null"),
    )
    op.create_index(
        "statement_matches_open_idx",
        "statement_matches",
        ["razorpay_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("state in ('WAITING', 'EXCEPTION')"),
    )
    op.create_index(
        "statement_matches_payment_idx",
        "statement_matches",
        ["payment_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("payment_id is not null"),
    )
    op.create_table(
        "recon_exceptions",
        ours(),
        words("kind", "why it is listed"),
        words("razorpay_id", "the movement or settlement"),
        words("subject", "our record of it; null: there is none", nullable=True),
        paise("ours_paise", "what our records say", nullable=True),
        paise("theirs_paise", "what Razorpay's statement says", nullable=True),
        words("words", "what it is and what to do"),
        time("opened_at", "when it was found"),
        time("resolved_at", "when it was done with; null: open", nullable=True),
        words("resolved_by", "who: a person, or settlement where a later row or event explained it", nullable=True),
        words("reason", "why it is done with", nullable=True),
        one_of(
            "recon_exceptions",
            "kind",
            "UNKNOWN_HERE",
            "UNKNOWN_AT_RAZORPAY",
            "AMOUNT_DIFFERS",
            "FEE_DIFFERS",
            "ADJUSTMENT",
            "DISPUTE",
            "SETTLEMENT_DIFFERS",
            "SETTLEMENT_MIXED",
        ),
        sa.CheckConstraint(
            "(resolved_at is null) = (resolved_by is null) and (resolved_at is null) = (reason is null)",
            name=op.f("recon_exceptions_resolved_whole_check"),
        ),
        key("recon_exceptions", "id"),
        comment="What does not agree with Razorpay's statement: the queue that finance works off.",
        schema=SCHEMA,
    )
    op.create_index(
        "recon_exceptions_open_key",
        "recon_exceptions",
        ["razorpay_id", "kind"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("resolved_at is null"),
    )
    op.create_index(
        "recon_exceptions_open_idx", "recon_exceptions", ["id"], schema=SCHEMA, postgresql_where=sa.text("resolved_at is null")
    )
    op.create_index("recon_exceptions_kind_idx", "recon_exceptions", ["kind", "id"], schema=SCHEMA)
    op.create_index(
        op.f("recon_exceptions_razorpay_id_kind_id_idx"), "recon_exceptions", ["razorpay_id", "kind", "id"], schema=SCHEMA
    )
    # What was told before this table was there: payments given back whole are not among it, and will be asked for by a person.
    op.execute(KNOWN_PAYMENTS)
    op.execute(KNOWN_TRANSFERS)


def downgrade() -> None:
    for table in ("recon_exceptions", "statement_matches", "statement_rows", "statement_days", "statement_readings", "moves"):
        op.drop_table(table, schema=SCHEMA)
    op.execute(f"DROP FUNCTION {SCHEMA}.refuse_change_of_statement()")
    op.drop_column("settlements", "own_share_paise", schema=SCHEMA)
