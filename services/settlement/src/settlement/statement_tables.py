"""The tables of Razorpay's statement: what was read of it, whose each movement is, and what a person has to see."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from chassis.database.columns import identity, moment, one_of
from settlement.domain.reconcile import ExceptionKind, MatchState, MoveKind, Outcome
from settlement.domain.statement import ReadStatus
from settlement.tables import metadata

moves = Table(
    "moves",
    metadata,
    Column("razorpay_id", Text, primary_key=True, comment="pay_, rfnd_, trf_, rvrsl_: Razorpay's id of it"),
    Column("kind", Text, nullable=False, comment="PAYMENT, REFUND, TRANSFER, REVERSAL"),
    Column("subject", Text, nullable=False, comment="our record of it, by its prefixed id: qrp_17, rfd_5, xfr_7"),
    Column("amount_paise", BigInteger, nullable=False, comment="how much, as services told it"),
    Column("outcome", Text, nullable=False, comment="UNDER_WAY, DONE, FAILED"),
    Column("version", BigInteger, nullable=False, comment="orders what is told of it: an older word changes nothing"),
    moment("occurred_at", "when it happened, as first told"),
    moment("seen_at", "when the statement first had it; null: not yet", nullable=True),
    one_of("kind", MoveKind),
    one_of("outcome", Outcome),
    Index(None, "subject"),
    Index("moves_unseen_idx", "occurred_at", "razorpay_id", postgresql_where=text("seen_at is null and outcome = 'DONE'")),
    comment="What moves our balance at Razorpay and has an id there, as services told it: the other side of the statement.",
)

statement_readings = Table(
    "statement_readings",
    metadata,
    identity("ours"),
    Column("key", Text, nullable=False, unique=True, comment="daily/2026-12-01, or of the request: asked for once"),
    Column("from_day", Date, nullable=False, comment="the first day of India's that is read"),
    Column("to_day", Date, nullable=False, comment="the last"),
    Column("status", Text, nullable=False, comment="READING, DONE, FAILED"),
    Column("day", Date, nullable=False, comment="which day is being read"),
    Column("skip", Integer, nullable=False, server_default=text("0"), comment="how many of its rows were read"),
    Column("rows_read", Integer, nullable=False, server_default=text("0"), comment="rows read so far"),
    Column("rows_new", Integer, nullable=False, server_default=text("0"), comment="of them, rows that were not kept yet"),
    Column("rows_changed", Integer, nullable=False, server_default=text("0"), comment="of them, repetitions with other contents"),
    Column("calls", Integer, nullable=False, server_default=text("0"), comment="tries of the page in hand"),
    Column("last_error", Text, comment="what Razorpay said last, where a page did not come"),
    Column("asked_by", Text, nullable=False, comment="who: a person, or the clock"),
    moment("next_attempt_at", "when the next page is asked for; while claimed, when the claim lapses; null: done", nullable=True),
    moment("created_at", "when it was asked for"),
    moment("finished_at", "when the last day was read", nullable=True),
    one_of("status", ReadStatus),
    CheckConstraint("from_day <= day and day <= to_day", name="range"),
    CheckConstraint("(next_attempt_at is not null) = (status = 'READING')", name="reading"),
    Index("statement_readings_due_idx", "next_attempt_at", postgresql_where=text("next_attempt_at is not null")),
    comment="Readings of Razorpay's statement: once a day, and on demand.",
)

statement_days = Table(
    "statement_days",
    metadata,
    Column("day", Date, primary_key=True, comment="a day of India's"),
    Column("rows", Integer, nullable=False, comment="how many rows Razorpay showed of it, at the last reading"),
    Column("readings", Integer, nullable=False, comment="how often it was read whole"),
    moment("read_at", "when it was last read whole"),
    comment="Days whose statement was read to its last page.",
)

statement_rows = Table(
    "statement_rows",
    metadata,
    identity("ours"),
    Column("entity_id", Text, nullable=False, comment="what moved: pay_, rfnd_, trf_, rvrsl_, adj_"),
    Column("type", Text, nullable=False, comment="Razorpay's word: payment, refund, transfer, adjustment, ..."),
    moment("moved_at", "when it moved, by Razorpay"),
    Column("version", Integer, nullable=False, comment="from 1: one more for every repetition with other contents"),
    Column("debit_paise", BigInteger, nullable=False, comment="what left our balance"),
    Column("credit_paise", BigInteger, nullable=False, comment="what came into it"),
    Column("amount_paise", BigInteger, nullable=False, comment="the movement's own amount"),
    Column("fee_paise", BigInteger, nullable=False, comment="what Razorpay took for it, GST included"),
    Column("tax_paise", BigInteger, nullable=False, comment="the GST in it"),
    Column("settlement_id", Text, comment="setl_... that took it along to our bank"),
    moment("settled_at", "when", nullable=True),
    Column("utr", Text, comment="the bank's reference of that settlement"),
    Column("payment_id", Text, comment="the payment that it is about"),
    Column("order_id", Text, comment="the payment's order"),
    Column("order_receipt", Text, comment="the order's receipt, ours"),
    Column("dispute_id", Text, comment="the dispute that it belongs to"),
    Column("description", Text, comment="Razorpay's words"),
    Column("environment", Text, comment="whose it is by its notes; null: they don't say"),
    Column("body", JSONB, nullable=False, comment="the row as Razorpay sent it"),
    Column("digest", Text, nullable=False, comment="of the body: tells a repetition from another version"),
    Column("reading_id", BigInteger, ForeignKey(statement_readings.c.id), nullable=False, comment="which reading brought it"),
    moment("read_at", "when it was read"),
    UniqueConstraint("entity_id", "type", "moved_at", "version"),
    Index("statement_rows_settlement_idx", "settlement_id", postgresql_where=text("settlement_id is not null")),
    Index("statement_rows_settled_idx", "settled_at", "id"),
    comment="Razorpay's statement, each row once, never changed and never deleted: a trigger refuses it.",
)

statement_matches = Table(
    "statement_matches",
    metadata,
    Column("razorpay_id", Text, primary_key=True, comment="what moved, or the settlement that took it along"),
    Column("is_settlement", Boolean, nullable=False, comment="a settlement: looked at after what it took along"),
    Column("payment_id", Text, comment="the payment that it is about"),
    Column("state", Text, nullable=False, comment="WAITING, MATCHED, FOREIGN, EXCEPTION"),
    Column("subject", Text, comment="our record of it"),
    moment("next_look_at", "when it is judged anew; null: nothing to do", nullable=True),
    Column("calls", Integer, nullable=False, server_default=text("0"), comment="how often Razorpay was asked for it in vain"),
    moment("judged_at", "when it was last judged", nullable=True),
    one_of("state", MatchState),
    Index(
        "statement_matches_due_idx",
        "is_settlement",
        "next_look_at",
        "razorpay_id",
        postgresql_where=text("next_look_at is not null"),
    ),
    Index("statement_matches_open_idx", "razorpay_id", postgresql_where=text("state in ('WAITING', 'EXCEPTION')")),
    Index("statement_matches_payment_idx", "payment_id", postgresql_where=text("payment_id is not null")),
    comment="What each movement of the statement is here, as last judged by all that was known.",
)

recon_exceptions = Table(
    "recon_exceptions",
    metadata,
    identity("ours"),
    Column("kind", Text, nullable=False, comment="why it is listed"),
    Column("razorpay_id", Text, nullable=False, comment="the movement or settlement"),
    Column("subject", Text, comment="our record of it; null: there is none"),
    Column("ours_paise", BigInteger, comment="what our records say"),
    Column("theirs_paise", BigInteger, comment="what Razorpay's statement says"),
    Column("words", Text, nullable=False, comment="what it is and what to do"),
    moment("opened_at", "when it was found"),
    moment("resolved_at", "when it was done with; null: open", nullable=True),
    Column("resolved_by", Text, comment="who: a person, or settlement where a later row or event explained it"),
    Column("reason", Text, comment="why it is done with"),
    one_of("kind", ExceptionKind),
    CheckConstraint(
        "(resolved_at is null) = (resolved_by is null) and (resolved_at is null) = (reason is null)", name="resolved_whole"
    ),
    Index("recon_exceptions_open_key", "razorpay_id", "kind", unique=True, postgresql_where=text("resolved_at is null")),
    Index("recon_exceptions_open_idx", "id", postgresql_where=text("resolved_at is null")),
    Index("recon_exceptions_kind_idx", "kind", "id"),
    Index(None, "razorpay_id", "kind", "id"),
    comment="What does not agree with Razorpay's statement: the queue that finance works off.",
)
