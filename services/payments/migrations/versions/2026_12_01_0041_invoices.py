"""GST invoices with their number series; bills made before get theirs too. What charging said when a session ended is kept.

Revision ID: 2026_12_01_0041
Revises: 2026_12_01_0020
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "2026_12_01_0041"
down_revision = "2026_12_01_0020"
branch_labels = None
depends_on = None

SCHEMA = "payments"
Time = sa.DateTime(timezone=True)

STOPPED_BEFORE = "charging's transaction_stopped, kept while no bill could be made of it"
STOPPED = "charging's transaction_stopped: the bill's readings and terms; null: not ended, or before this was kept"

REFUSE_CHANGE = """
CREATE FUNCTION payments.refuse_change_of_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an invoice is never changed: what turns out otherwise is a credit note' USING ERRCODE = 'restrict_violation';
END $$
"""
REFUSE_GAP = """
CREATE FUNCTION payments.refuse_gap_in_series() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.serial > 1 AND NOT EXISTS (SELECT FROM payments.invoices WHERE series = NEW.series AND serial = NEW.serial - 1) THEN
        RAISE EXCEPTION '% has no number %: numbers have no gap', NEW.series, NEW.serial - 1 USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$
"""

NEVER_CHANGE = """
CREATE TRIGGER invoices_never_change BEFORE UPDATE OR DELETE ON payments.invoices
FOR EACH ROW EXECUTE FUNCTION payments.refuse_change_of_invoice()
"""
HAVE_NO_GAP = """
CREATE TRIGGER invoices_have_no_gap BEFORE INSERT ON payments.invoices
FOR EACH ROW EXECUTE FUNCTION payments.refuse_gap_in_series()
"""

# What the bills of before know; of the payer no more than the reference, of the place nothing.
BILLS_OF_BEFORE = """
INSERT INTO payments.invoices_due (source_key, supply, next_attempt_at, created_at)
SELECT paid.request_key,
       jsonb_build_object(
           'source_key', paid.request_key, 'qr_payment_id', paid.id, 'transaction_id', bills.transaction_id,
           'charge_point_id', paid.charge_point_id, 'connector_id', paid.connector_id, 'station_id', bills.station_id,
           'station_name', null, 'place_code', null, 'franchisee_id', bills.franchisee_id,
           'buyer_reference', 'rdr_' || paid.rider_id, 'buyer_masked', null, 'tariff_id', null,
           'tariff_paise_per_kwh', bills.tariff_paise_per_kwh, 'gst_bps', bills.gst_bps, 'energy_wh', bills.energy_wh,
           'paid_paise', bills.paid_paise, 'energy_charge_paise', bills.energy_charge_paise, 'gst_paise', bills.gst_paise,
           'platform_fee_paise', bills.platform_fee_paise, 'shortfall_paise', bills.shortfall_paise,
           'started_at', bills.started_at, 'stopped_at', bills.stopped_at, 'billed_at', bills.billed_at
       ),
       bills.billed_at, bills.billed_at
FROM payments.bills JOIN payments.qr_payments AS paid ON paid.id = bills.qr_payment_id
WHERE bills.energy_wh > 0 AND paid.charge_point_id IS NOT NULL AND paid.connector_id IS NOT NULL
ORDER BY bills.billed_at, bills.id
"""


def upgrade() -> None:
    op.alter_column("qr_payments", "stopped", comment=STOPPED, existing_comment=STOPPED_BEFORE, schema=SCHEMA)
    op.create_table(
        "invoices_due",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="in this order they are numbered"),
        sa.Column("source_key", sa.Text(), nullable=False, comment="whose bill it is, once: qr_payment_17"),
        sa.Column(
            "supply", JSONB, nullable=False, comment="what is to be invoiced (domain.invoice.Supply), frozen with the bill"
        ),
        sa.Column(
            "attempts",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="how often no invoice could be made",
        ),
        sa.Column("last_error", sa.Text(), nullable=True, comment="why not"),
        sa.Column("next_attempt_at", Time, nullable=False, comment="when it is taken up"),
        sa.Column("created_at", Time, nullable=False, comment="when it was billed"),
        sa.PrimaryKeyConstraint("id", name=op.f("invoices_due_pkey")),
        sa.UniqueConstraint("source_key", name=op.f("invoices_due_source_key_key")),
        comment="Bills without an invoice yet: a row comes with its bill, and goes in the transaction that makes the invoice.",
        schema=SCHEMA,
    )
    op.create_index(op.f("invoices_due_next_attempt_at_id_idx"), "invoices_due", ["next_attempt_at", "id"], schema=SCHEMA)
    op.create_table(
        "invoice_series",
        sa.Column("series", sa.Text(), nullable=False, comment="what its numbers begin with: VL/2627"),
        sa.Column("financial_year", sa.Integer(), nullable=False, comment="2026: April 2026 to March 2027, in India"),
        sa.Column("last_number", sa.BigInteger(), nullable=False, comment="the number given last; who numbers holds this row"),
        sa.Column("last_issued_at", Time, nullable=True, comment="when that was: dates ascend with numbers"),
        sa.CheckConstraint("last_number between 0 and 9999999", name=op.f("invoice_series_last_number_check")),
        sa.PrimaryKeyConstraint("series", name=op.f("invoice_series_pkey")),
        comment="One counter per series and financial year.",
        schema=SCHEMA,
    )

    def column(name: str, kind: object, comment: str, *, nullable: bool = False) -> sa.Column[object]:
        return sa.Column(name, kind, nullable=nullable, comment=comment)

    op.create_table(
        "invoices",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        column("number", sa.Text(), "as printed, at most 16 characters: VL/2627/0000042"),
        column("series", sa.Text(), "VL/2627"),
        column("serial", sa.BigInteger(), "its place in the series, from 1, without a gap"),
        column("financial_year", sa.Integer(), "2026: April 2026 to March 2027, in India"),
        column("invoice_date", sa.Date(), "the day in India on which it was issued"),
        column("source_key", sa.Text(), "whose bill it is, once: qr_payment_17"),
        column("qr_payment_id", sa.BigInteger(), "null: not paid by scanning", nullable=True),
        column("transaction_id", sa.BigInteger(), "the session; one has one invoice"),
        column("charge_point_id", sa.Text(), "where it was"),
        column("connector_id", sa.Integer(), "OCPP connector, from 1"),
        column("station_id", sa.BigInteger(), "snapshot at the start"),
        column("station_name", sa.Text(), "snapshot at the start; null: not told", nullable=True),
        column("franchisee_id", sa.BigInteger(), "owner at the start; null: the platform's own site", nullable=True),
        column("buyer_reference", sa.Text(), "rdr_..., an unregistered person"),
        column("buyer_masked", sa.Text(), "what of the payer may be shown, masked; null: nothing is known", nullable=True),
        column("seller_name", sa.Text(), "the seller's legal name, when it was issued"),
        column("seller_gstin", sa.Text(), "the seller's GSTIN"),
        column("seller_address", sa.Text(), "the seller's address"),
        column("place_of_supply", sa.Text(), "GST code of the state"),
        column("interstate", sa.Boolean(), "whether that is another state than the seller's: IGST"),
        column("sac", sa.Text(), "service accounting code"),
        column("energy_wh", sa.BigInteger(), "confirmed energy"),
        column("tariff_id", sa.BigInteger(), "the version of the tariff; null: not told", nullable=True),
        column("tariff_paise_per_kwh", sa.BigInteger(), "rate, without GST"),
        column("gst_bps", sa.Integer(), "GST rate in basis points"),
        column("paid_paise", sa.BigInteger(), "what was paid in advance; null: it was no payment of its own", nullable=True),
        column("taxable_paise", sa.BigInteger(), "the energy charge as billed"),
        column("cgst_paise", sa.BigInteger(), "the centre's half, within a state"),
        column("sgst_paise", sa.BigInteger(), "the state's half, as large"),
        column("igst_paise", sa.BigInteger(), "the whole GST, between states"),
        column("round_off_paise", sa.BigInteger(), "0, or -1 where two equal halves are a paisa too much"),
        column("platform_fee_paise", sa.BigInteger(), "the payment's fee as borne, outside the taxable value"),
        column("total_paise", sa.BigInteger(), "what was billed: the sum of the six before"),
        column("shortfall_paise", sa.BigInteger(), "energy and GST that no payment covered: not billed"),
        column("started_at", Time, "of the session"),
        column("stopped_at", Time, "of the session"),
        column("billed_at", Time, "when the bill was made"),
        column("issued_at", Time, "when it was issued"),
        sa.CheckConstraint("length(number) <= 16 and number ~ '^[A-Za-z0-9/-]+$'", name=op.f("invoices_number_check")),
        sa.CheckConstraint("serial >= 1", name=op.f("invoices_serial_check")),
        sa.CheckConstraint(
            "total_paise = taxable_paise + cgst_paise + sgst_paise + igst_paise + round_off_paise + platform_fee_paise",
            name=op.f("invoices_adds_up_check"),
        ),
        sa.CheckConstraint(
            "cgst_paise = sgst_paise and (cgst_paise = 0 or igst_paise = 0) and round_off_paise in (0, -1)"
            " and least(taxable_paise, cgst_paise, igst_paise, platform_fee_paise) >= 0",
            name=op.f("invoices_lines_check"),
        ),
        sa.CheckConstraint("place_of_supply ~ '^[0-9]{2}$'", name=op.f("invoices_place_of_supply_check")),
        sa.CheckConstraint("energy_wh > 0", name=op.f("invoices_energy_check")),
        sa.ForeignKeyConstraint(["series"], [f"{SCHEMA}.invoice_series.series"], name=op.f("invoices_series_fkey")),
        sa.ForeignKeyConstraint(["qr_payment_id"], [f"{SCHEMA}.qr_payments.id"], name=op.f("invoices_qr_payment_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("invoices_pkey")),
        sa.UniqueConstraint("number", name=op.f("invoices_number_key")),
        sa.UniqueConstraint("source_key", name=op.f("invoices_source_key_key")),
        sa.UniqueConstraint("qr_payment_id", name=op.f("invoices_qr_payment_id_key")),
        sa.UniqueConstraint("transaction_id", name=op.f("invoices_transaction_id_key")),
        sa.UniqueConstraint("series", "serial", name=op.f("invoices_series_serial_key")),
        comment="GST invoices, one per billed session. Immutable and gapless: triggers refuse anything else.",
        schema=SCHEMA,
    )
    for first in ("financial_year", "invoice_date", "station_id"):
        op.create_index(op.f(f"invoices_{first}_id_idx"), "invoices", [first, "id"], schema=SCHEMA)
    for statement in (REFUSE_CHANGE, REFUSE_GAP, NEVER_CHANGE, HAVE_NO_GAP):
        op.execute(statement)
    op.execute(BILLS_OF_BEFORE)


def downgrade() -> None:
    op.drop_table("invoices", schema=SCHEMA)
    op.drop_table("invoice_series", schema=SCHEMA)
    op.drop_table("invoices_due", schema=SCHEMA)
    op.execute("DROP FUNCTION payments.refuse_gap_in_series()")
    op.execute("DROP FUNCTION payments.refuse_change_of_invoice()")
    op.alter_column("qr_payments", "stopped", comment=STOPPED_BEFORE, existing_comment=STOPPED, schema=SCHEMA)
