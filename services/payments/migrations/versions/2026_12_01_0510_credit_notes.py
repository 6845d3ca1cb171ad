"""Credit notes for refunds after the bill that reduced the supply; decisions made before get theirs too.

Revision ID: 2026_12_01_0510
Revises: 2026_12_01_0500
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_01_0510"
down_revision = "2026_12_01_0500"
branch_labels = None
depends_on = None

SCHEMA = "payments"
Time = sa.DateTime(timezone=True)

REFUSE_GAP = """
CREATE FUNCTION payments.refuse_gap_in_credit_notes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.serial > 1 AND NOT EXISTS (SELECT FROM payments.credit_notes WHERE series = NEW.series AND serial = NEW.serial-1) THEN
        RAISE EXCEPTION '% has no number %: numbers have no gap', NEW.series, NEW.serial - 1 USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$
"""
NEVER_CHANGE = """
CREATE TRIGGER credit_notes_never_change BEFORE UPDATE OR DELETE ON payments.credit_notes
FOR EACH ROW EXECUTE FUNCTION payments.refuse_change_of_credit_note()
"""
REFUSE_CHANGE = """
CREATE FUNCTION payments.refuse_change_of_credit_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a credit note is never changed' USING ERRCODE = 'restrict_violation';
END $$
"""
HAVE_NO_GAP = """
CREATE TRIGGER credit_notes_have_no_gap BEFORE INSERT ON payments.credit_notes
FOR EACH ROW EXECUTE FUNCTION payments.refuse_gap_in_credit_notes()
"""
DECISIONS_OF_BEFORE = """
INSERT INTO payments.credit_notes_due (operator_refund_id, next_attempt_at, created_at)
SELECT id, decided_at, decided_at FROM payments.operator_refunds WHERE energy_charge_paise + gst_paise > 0
"""


def upgrade() -> None:
    op.create_table(
        "credit_notes_due",
        sa.Column(
            "operator_refund_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="the decision that reduced the supply; in this order they are numbered",
        ),
        sa.Column(
            "attempts", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="how often no note could be made"
        ),
        sa.Column("last_error", sa.Text(), nullable=True, comment="why not"),
        sa.Column("next_attempt_at", Time, nullable=False, comment="when it is taken up, once the session has its invoice"),
        sa.Column("created_at", Time, nullable=False, comment="when it was decided"),
        sa.PrimaryKeyConstraint("operator_refund_id", name=op.f("credit_notes_due_pkey")),
        sa.ForeignKeyConstraint(
            ["operator_refund_id"],
            [f"{SCHEMA}.operator_refunds.id"],
            name=op.f("credit_notes_due_operator_refund_id_fkey"),
        ),
        comment="Refunds without a credit note yet: a row comes with the decision, and goes in the transaction that makes one.",
        schema=SCHEMA,
    )
    op.create_index(
        op.f("credit_notes_due_next_attempt_at_operator_refund_id_idx"),
        "credit_notes_due",
        ["next_attempt_at", "operator_refund_id"],
        schema=SCHEMA,
    )

    def column(name: str, kind: object, comment: str) -> sa.Column[object]:
        return sa.Column(name, kind, nullable=False, comment=comment)

    op.create_table(
        "credit_notes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        column("number", sa.Text(), "as printed, at most 16 characters: VL/2627/C000042"),
        column("series", sa.Text(), "VL/2627/C"),
        column("serial", sa.BigInteger(), "its place in the series, from 1, without a gap"),
        column("financial_year", sa.Integer(), "2026: April 2026 to March 2027, in India"),
        column("note_date", sa.Date(), "the day in India on which it was issued"),
        column("operator_refund_id", sa.BigInteger(), "the decision; one has one note"),
        column("invoice_id", sa.BigInteger(), "what it reduces"),
        column("taxable_paise", sa.BigInteger(), "by how much the value of the supply is less"),
        column("cgst_paise", sa.BigInteger(), "and the centre's half of the tax, within a state"),
        column("sgst_paise", sa.BigInteger(), "the state's half, as large"),
        column("igst_paise", sa.BigInteger(), "the whole tax, between states"),
        column("round_off_paise", sa.BigInteger(), "-1 to 1: its part of the invoice's round-off"),
        column("total_paise", sa.BigInteger(), "what is given back: the sum of the five before"),
        column("issued_at", Time, "when it was issued"),
        sa.CheckConstraint("length(number) <= 16 and number ~ '^[A-Za-z0-9/-]+$'", name=op.f("credit_notes_number_check")),
        sa.CheckConstraint("serial >= 1", name=op.f("credit_notes_serial_check")),
        sa.CheckConstraint(
            "total_paise = taxable_paise + cgst_paise + sgst_paise + igst_paise + round_off_paise",
            name=op.f("credit_notes_adds_up_check"),
        ),
        sa.CheckConstraint(
            "cgst_paise = sgst_paise and (cgst_paise = 0 or igst_paise = 0) and round_off_paise between -1 and 1"
            " and least(taxable_paise, cgst_paise, igst_paise) >= 0 and total_paise > 0",
            name=op.f("credit_notes_lines_check"),
        ),
        sa.ForeignKeyConstraint(["series"], [f"{SCHEMA}.invoice_series.series"], name=op.f("credit_notes_series_fkey")),
        sa.ForeignKeyConstraint(
            ["operator_refund_id"], [f"{SCHEMA}.operator_refunds.id"], name=op.f("credit_notes_operator_refund_id_fkey")
        ),
        sa.ForeignKeyConstraint(["invoice_id"], [f"{SCHEMA}.invoices.id"], name=op.f("credit_notes_invoice_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("credit_notes_pkey")),
        sa.UniqueConstraint("number", name=op.f("credit_notes_number_key")),
        sa.UniqueConstraint("operator_refund_id", name=op.f("credit_notes_operator_refund_id_key")),
        sa.UniqueConstraint("series", "serial", name=op.f("credit_notes_series_serial_key")),
        comment="Credit notes (CGST Act s.34), one per refund that reduced a supply. Immutable and gapless, as invoices are.",
        schema=SCHEMA,
    )
    for first in ("financial_year", "note_date", "invoice_id"):
        op.create_index(op.f(f"credit_notes_{first}_id_idx"), "credit_notes", [first, "id"], schema=SCHEMA)
    for statement in (REFUSE_CHANGE, REFUSE_GAP, NEVER_CHANGE, HAVE_NO_GAP):
        op.execute(statement)
    op.execute(DECISIONS_OF_BEFORE)


def downgrade() -> None:
    op.drop_table("credit_notes", schema=SCHEMA)
    op.drop_table("credit_notes_due", schema=SCHEMA)
    op.execute("DROP FUNCTION payments.refuse_gap_in_credit_notes()")
    op.execute("DROP FUNCTION payments.refuse_change_of_credit_note()")
