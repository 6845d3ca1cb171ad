"""Franchisees, terms, KYC, the commission ledger, transfers and their allocations, settlements.

Revision ID: 2026_11_22_1830
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from chassis.database.tables import create_standard_tables, drop_standard_tables

revision = "2026_11_22_1830"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "settlement"
Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    for statement in create_standard_tables(SCHEMA):
        op.execute(statement)
    op.create_table(
        "franchisees",
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="ours; `franchisee_{id}` is the reference at Razorpay",
        ),
        sa.Column("legal_business_name", sa.Text(), nullable=False, comment="as on the papers; Razorpay: 4 to 200 characters"),
        sa.Column("display_name", sa.Text(), nullable=False, comment="as riders see it"),
        sa.Column("business_type", sa.Text(), nullable=False, comment="Razorpay's word: partnership, private_limited, ..."),
        sa.Column("email", sa.Text(), nullable=False, comment="one linked account per address at Razorpay"),
        sa.Column("phone", sa.Text(), nullable=False, comment="8 to 15 digits"),
        sa.Column("contact_name", sa.Text(), nullable=False, comment="whom Razorpay and we talk to"),
        sa.Column("pan", sa.Text(), nullable=True, comment="PAN of the business; null where its type needs none"),
        sa.Column("gstin", sa.Text(), nullable=True, comment="GSTIN of the business; null where its type needs none"),
        sa.Column(
            "address", JSONB, nullable=False, comment="registered address: street1, street2, city, state, postal_code, country"
        ),
        sa.Column("stakeholder", JSONB, nullable=False, comment="the person behind it: name, email, pan"),
        sa.Column(
            "bank", JSONB, nullable=False, comment="where Razorpay settles to: account_number, ifsc_code, beneficiary_name"
        ),
        sa.Column("status", sa.Text(), nullable=False, comment="CREATED, LINKED, then as Razorpay's KYC has it"),
        sa.Column("status_detail", sa.Text(), nullable=True, comment="what Razorpay asks for, where it needs clarification"),
        sa.Column(
            "transfers_enabled",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="whether Razorpay's KYC allows transfers",
        ),
        sa.Column(
            "funds_on_hold",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="whether Razorpay holds the funds",
        ),
        sa.Column(
            "operator_hold", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="whether we hold the payouts"
        ),
        sa.Column("operator_reason", sa.Text(), nullable=True, comment="why we do, in words for the franchisee"),
        sa.Column("razorpay_account_id", sa.Text(), nullable=True, comment="acc_..., once Razorpay made it"),
        sa.Column("razorpay_stakeholder_id", sa.Text(), nullable=True, comment="sth_..."),
        sa.Column("razorpay_product_id", sa.Text(), nullable=True, comment="acc_prd_...: the Route product configuration"),
        sa.Column(
            "link_step",
            sa.Text(),
            nullable=False,
            comment="what is to be done next at Razorpay: ACCOUNT, STAKEHOLDER, PRODUCT, BANK, DONE",
        ),
        sa.Column("link_calls", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="tries of this step"),
        sa.Column("link_error", sa.Text(), nullable=True, comment="what Razorpay said last, where the step did not succeed"),
        sa.Column(
            "link_due_at",
            Time,
            nullable=True,
            comment="when the step is tried next; while claimed, when the claim lapses; null: nothing to do",
        ),
        sa.Column("kyc_polled_at", Time, nullable=True, comment="when the product configuration was last looked up"),
        sa.Column("created_at", Time, nullable=False, comment="when it was entered"),
        sa.Column("updated_at", Time, nullable=False, comment="the last change"),
        sa.CheckConstraint(
            "link_step in ('ACCOUNT', 'STAKEHOLDER', 'PRODUCT', 'BANK', 'DONE')", name=op.f("franchisees_link_step_check")
        ),
        sa.CheckConstraint(
            "status in ('CREATED', 'LINKED', 'INSTANTLY_ACTIVATED', 'UNDER_REVIEW', 'NEEDS_CLARIFICATION', "
            "'ACTIVATED_KYC_PENDING', 'ACTIVATED', 'REJECTED', 'SUSPENDED')",
            name=op.f("franchisees_status_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("franchisees_pkey")),
        sa.UniqueConstraint("razorpay_account_id", name=op.f("franchisees_razorpay_account_id_key")),
        comment="Owners of sites, and their linked accounts at Razorpay.",
        schema=SCHEMA,
    )
    op.create_index("franchisees_email_key", "franchisees", [sa.literal_column("lower(email)")], unique=True, schema=SCHEMA)
    op.create_index(
        "franchisees_link_due_idx",
        "franchisees",
        ["link_due_at"],
        unique=False,
        postgresql_where=sa.text("link_due_at is not null"),
        schema=SCHEMA,
    )
    op.create_table(
        "kyc_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        sa.Column("razorpay_event_id", sa.Text(), nullable=False, comment="Razorpay's, or ours for a poll"),
        sa.Column(
            "razorpay_account_id", sa.Text(), nullable=False, comment="acc_...: the account may be told of before we know it"
        ),
        sa.Column("event", sa.Text(), nullable=False, comment="account.*, product.route.* or poll.route.*"),
        sa.Column("hold_funds", sa.Boolean(), nullable=True, comment="as the event says; null where it does not"),
        sa.Column("detail", sa.Text(), nullable=True, comment="what Razorpay asks for"),
        sa.Column("occurred_at", Time, nullable=False, comment="Razorpay's time of the event: their order"),
        sa.Column("received_at", Time, nullable=False, comment="when we learnt it"),
        sa.PrimaryKeyConstraint("id", name=op.f("kyc_events_pkey")),
        sa.UniqueConstraint("razorpay_event_id", name=op.f("kyc_events_razorpay_event_id_key")),
        comment="Every word on a linked account's KYC. A franchisee's standing is their fold.",
        schema=SCHEMA,
    )
    op.create_index(
        op.f("kyc_events_razorpay_account_id_occurred_at_idx"),
        "kyc_events",
        ["razorpay_account_id", "occurred_at"],
        unique=False,
        schema=SCHEMA,
    )
    op.create_table(
        "franchisee_terms",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        sa.Column("franchisee_id", sa.BigInteger(), nullable=False, comment="whose"),
        sa.Column("commission_bps", sa.Integer(), nullable=False, comment="the platform's share of the net, in basis points"),
        sa.Column("tds_bps", sa.Integer(), nullable=False, comment="income tax withheld, in basis points"),
        sa.Column("tds_base", sa.Text(), nullable=False, comment="what the TDS rate is taken of"),
        sa.Column("effective_from", Time, nullable=False, comment="in force for sessions started from then on"),
        sa.Column("created_by", sa.Text(), nullable=False, comment="who agreed to them here"),
        sa.Column("created_at", Time, nullable=False, comment="when they were entered"),
        sa.CheckConstraint("tds_base in ('NET_EXCL_GST', 'NET_LESS_COMMISSION')", name=op.f("franchisee_terms_tds_base_check")),
        sa.CheckConstraint(
            "commission_bps between 0 and 10000 and tds_bps between 0 and 10000", name=op.f("franchisee_terms_rates_check")
        ),
        sa.ForeignKeyConstraint(
            ["franchisee_id"], [f"{SCHEMA}.franchisees.id"], name=op.f("franchisee_terms_franchisee_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("franchisee_terms_pkey")),
        sa.UniqueConstraint("franchisee_id", "effective_from", name=op.f("franchisee_terms_franchisee_id_effective_from_key")),
        comment="Commission and TDS over time. Added, never rewritten.",
        schema=SCHEMA,
    )
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        sa.Column("key", sa.Text(), nullable=False, comment="txn_{transaction_id}"),
        sa.Column("transaction_id", sa.BigInteger(), nullable=False, comment="charging's id of the session"),
        sa.Column("franchisee_id", sa.BigInteger(), nullable=False, comment="owner at StartTransaction"),
        sa.Column("qr_payment_id", sa.BigInteger(), nullable=False, comment="payments' id of the payment"),
        sa.Column("razorpay_payment_id", sa.Text(), nullable=False, comment="pay_..."),
        sa.Column("station_id", sa.BigInteger(), nullable=False, comment="as charging snapshotted it"),
        sa.Column("charge_point_id", sa.Text(), nullable=False, comment="the charger"),
        sa.Column("connector_id", sa.Integer(), nullable=False, comment="OCPP connector"),
        sa.Column("energy_wh", sa.BigInteger(), nullable=False, comment="billed energy"),
        sa.Column("started_at", Time, nullable=False, comment="of the session: its terms are those in force then"),
        sa.Column("stopped_at", Time, nullable=False, comment="of the session"),
        sa.Column("billed_at", Time, nullable=False, comment="when payments made the bill"),
        sa.Column("commission_bps", sa.Integer(), nullable=False, comment="rate in force at the start"),
        sa.Column("tds_bps", sa.Integer(), nullable=False, comment="rate in force at the start"),
        sa.Column("tds_base", sa.Text(), nullable=False, comment="base in force at the start"),
        sa.Column("gross_paise", sa.BigInteger(), nullable=False, comment="what the rider paid"),
        sa.Column("refund_paise", sa.BigInteger(), nullable=False, comment="refund due, frozen at billing"),
        sa.Column("residue_paise", sa.BigInteger(), nullable=False, comment="due to the rider, too little to refund"),
        sa.Column("pg_fee_paise", sa.BigInteger(), nullable=False, comment="Razorpay's fee on the payment, as the bill bore it"),
        sa.Column("gst_paise", sa.BigInteger(), nullable=False, comment="GST collected, owed to the state"),
        sa.Column("commission_paise", sa.BigInteger(), nullable=False, comment="the platform's share"),
        sa.Column("tds_paise", sa.BigInteger(), nullable=False, comment="withheld, owed to the state"),
        sa.Column("payout_paise", sa.BigInteger(), nullable=False, comment="what the franchisee is due"),
        sa.Column("implausible", sa.Boolean(), nullable=False, comment="the meter was in doubt"),
        sa.Column("released_by", sa.Text(), nullable=True, comment="who let an implausible one go"),
        sa.Column(
            "status", sa.Text(), nullable=False, comment="PENDING, ON_HOLD, TRANSFERRING, UNKNOWN, TRANSFERRED, SETTLED, FAILED"
        ),
        sa.Column("hold_kind", sa.Text(), nullable=True, comment="what an entry on hold waits for"),
        sa.Column("hold_reason", sa.Text(), nullable=True, comment="the same in plain words"),
        sa.Column(
            "failed_attempts",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="attempts that failed definitively; holds don't count",
        ),
        sa.Column("last_error", sa.Text(), nullable=True, comment="what Razorpay said of the last failed attempt"),
        sa.Column("subject_version", sa.Integer(), nullable=False, comment="orders LedgerEntryChanged"),
        sa.Column("traceparent", sa.Text(), nullable=True, comment="the session's trace"),
        sa.Column(
            "due_at",
            Time,
            nullable=True,
            comment="when the worker takes it up; while claimed, when the claim lapses; null: nothing to do",
        ),
        sa.Column("created_at", Time, nullable=False, comment="when it was booked"),
        sa.Column("updated_at", Time, nullable=False, comment="the last change of status"),
        sa.CheckConstraint("(status = 'ON_HOLD') = (hold_kind is not null)", name=op.f("ledger_entries_hold_says_why_check")),
        sa.CheckConstraint(
            "hold_kind in ('GATED', 'IMPLAUSIBLE', 'BELOW_MINIMUM', 'RAZORPAY')", name=op.f("ledger_entries_hold_kind_check")
        ),
        sa.CheckConstraint(
            "status in ('PENDING', 'ON_HOLD', 'TRANSFERRING', 'UNKNOWN', 'TRANSFERRED', 'SETTLED', 'FAILED')",
            name=op.f("ledger_entries_status_check"),
        ),
        sa.CheckConstraint("tds_base in ('NET_EXCL_GST', 'NET_LESS_COMMISSION')", name=op.f("ledger_entries_tds_base_check")),
        sa.CheckConstraint(
            "gross_paise = refund_paise + residue_paise + pg_fee_paise + gst_paise + commission_paise + tds_paise + payout_paise",
            name=op.f("ledger_entries_adds_up_check"),
        ),
        sa.CheckConstraint(
            "least(refund_paise, residue_paise, pg_fee_paise, gst_paise, commission_paise, tds_paise, payout_paise) >= 0",
            name=op.f("ledger_entries_not_negative_check"),
        ),
        sa.ForeignKeyConstraint(["franchisee_id"], [f"{SCHEMA}.franchisees.id"], name=op.f("ledger_entries_franchisee_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("ledger_entries_pkey")),
        sa.UniqueConstraint("key", name=op.f("ledger_entries_key_key")),
        sa.UniqueConstraint("transaction_id", name=op.f("ledger_entries_transaction_id_key")),
        comment="The commission ledger: one entry per billed session of a franchisee's site.",
        schema=SCHEMA,
    )
    op.create_index(
        "ledger_entries_carried_idx",
        "ledger_entries",
        ["franchisee_id", "id"],
        unique=False,
        postgresql_where=sa.text("payout_paise between 1 and 99 and status in ('PENDING', 'ON_HOLD')"),
        schema=SCHEMA,
    )
    op.create_index(
        "ledger_entries_due_idx",
        "ledger_entries",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("due_at is not null"),
        schema=SCHEMA,
    )
    op.create_index(
        op.f("ledger_entries_franchisee_id_id_idx"), "ledger_entries", ["franchisee_id", "id"], unique=False, schema=SCHEMA
    )
    op.create_index("ledger_entries_status_idx", "ledger_entries", ["status", "id"], unique=False, schema=SCHEMA)
    op.create_table(
        "settlements",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        sa.Column("razorpay_settlement_id", sa.Text(), nullable=False, comment="setl_..."),
        sa.Column(
            "razorpay_account_id",
            sa.Text(),
            nullable=True,
            comment="acc_... of the event's envelope: a hint, never a key (razorpay.md §5.6)",
        ),
        sa.Column(
            "franchisee_id", sa.BigInteger(), nullable=True, comment="whose transfers are in it; null: our own, or not known yet"
        ),
        sa.Column("amount_paise", sa.BigInteger(), nullable=False, comment="what went to the bank"),
        sa.Column("fee_paise", sa.BigInteger(), nullable=False, comment="as Razorpay tells it"),
        sa.Column("tax_paise", sa.BigInteger(), nullable=False, comment="as Razorpay tells it"),
        sa.Column("utr", sa.Text(), nullable=True, comment="the bank's reference"),
        sa.Column("status", sa.Text(), nullable=False, comment="RECEIVED, MATCHED, OWN"),
        sa.Column("listed", JSONB, nullable=True, comment="its transfers as the event listed them; null: to be asked for"),
        sa.Column("transfers_count", sa.Integer(), nullable=True, comment="transfers of ours found in it"),
        sa.Column(
            "transfers_paise",
            sa.BigInteger(),
            nullable=True,
            comment="their sum: equals the amount unless something was reversed or is not ours",
        ),
        sa.Column(
            "calls", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="how often its transfers were looked up"
        ),
        sa.Column("last_error", sa.Text(), nullable=True, comment="why the last lookup did not succeed"),
        sa.Column("traceparent", sa.Text(), nullable=True, comment="the trace of the event"),
        sa.Column("next_attempt_at", Time, nullable=True, comment="when its transfers are looked up; null: done"),
        sa.Column("processed_at", Time, nullable=False, comment="Razorpay's time of the event"),
        sa.Column("created_at", Time, nullable=False, comment="when we learnt of it"),
        sa.CheckConstraint("status in ('RECEIVED', 'MATCHED', 'OWN')", name=op.f("settlements_status_check")),
        sa.ForeignKeyConstraint(["franchisee_id"], [f"{SCHEMA}.franchisees.id"], name=op.f("settlements_franchisee_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("settlements_pkey")),
        sa.UniqueConstraint("razorpay_settlement_id", name=op.f("settlements_razorpay_settlement_id_key")),
        comment="settlement.processed events: a franchisee's, reconciled with its transfers, or our own, recorded.",
        schema=SCHEMA,
    )
    op.create_index(
        "settlements_due_idx",
        "settlements",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("next_attempt_at is not null"),
        schema=SCHEMA,
    )
    op.create_index(op.f("settlements_franchisee_id_id_idx"), "settlements", ["franchisee_id", "id"], unique=False, schema=SCHEMA)
    op.create_table(
        "transfers",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        sa.Column("key", sa.Text(), nullable=False, comment="X-Transfer-Idempotency: txn_{id}, then txn_{id}_r{n}"),
        sa.Column("lead_entry_id", sa.BigInteger(), nullable=False, comment="the entry that the key names"),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="1, and one more after each definitive failure"),
        sa.Column("franchisee_id", sa.BigInteger(), nullable=False, comment="to whom"),
        sa.Column("amount_paise", sa.BigInteger(), nullable=False, comment="frozen at the claim; the sum of its allocations"),
        sa.Column("body", JSONB, nullable=False, comment="what is sent to Razorpay, word for word, every time"),
        sa.Column("status", sa.Text(), nullable=False, comment="CLAIMED, UNKNOWN, WAITING, ACCEPTED, PROCESSED, SETTLED, FAILED"),
        sa.Column("razorpay_transfer_id", sa.Text(), nullable=True, comment="trf_..., once we know it"),
        sa.Column("fee_paise", sa.BigInteger(), nullable=True, comment="what Razorpay took on top, GST included: our expense"),
        sa.Column("tax_paise", sa.BigInteger(), nullable=True, comment="the GST in it"),
        sa.Column("razorpay_settlement_id", sa.Text(), nullable=True, comment="setl_... that took it to the bank"),
        sa.Column("utr", sa.Text(), nullable=True, comment="the bank's reference of that settlement"),
        sa.Column(
            "calls",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="how often Razorpay was asked for this attempt",
        ),
        sa.Column("last_error", sa.Text(), nullable=True, comment="what Razorpay said last, where it did not do what was asked"),
        sa.Column("traceparent", sa.Text(), nullable=True, comment="the session's trace"),
        sa.Column(
            "next_attempt_at",
            Time,
            nullable=True,
            comment="when the worker takes it up; while claimed, when the claim lapses; null: nothing to do",
        ),
        sa.Column("created_at", Time, nullable=False, comment="when it was claimed"),
        sa.Column("updated_at", Time, nullable=False, comment="the last change of status"),
        sa.Column("processed_at", Time, nullable=True, comment="when we learnt that the linked account has it"),
        sa.Column("settled_at", Time, nullable=True, comment="when we learnt that it was settled"),
        sa.CheckConstraint(
            "status in ('CLAIMED', 'UNKNOWN', 'WAITING', 'ACCEPTED', 'FAILED', 'PROCESSED', 'SETTLED')",
            name=op.f("transfers_status_check"),
        ),
        sa.CheckConstraint("amount_paise >= 100", name=op.f("transfers_amount_check")),
        sa.ForeignKeyConstraint(["franchisee_id"], [f"{SCHEMA}.franchisees.id"], name=op.f("transfers_franchisee_id_fkey")),
        sa.ForeignKeyConstraint(["lead_entry_id"], [f"{SCHEMA}.ledger_entries.id"], name=op.f("transfers_lead_entry_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("transfers_pkey")),
        sa.UniqueConstraint("key", name=op.f("transfers_key_key")),
        sa.UniqueConstraint("lead_entry_id", "attempt", name=op.f("transfers_lead_entry_id_attempt_key")),
        sa.UniqueConstraint("razorpay_transfer_id", name=op.f("transfers_razorpay_transfer_id_key")),
        comment="Route transfers, claimed before Razorpay is called. At most one that lives per leading entry.",
        schema=SCHEMA,
    )
    op.create_index(
        "transfers_due_idx",
        "transfers",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("next_attempt_at is not null"),
        schema=SCHEMA,
    )
    op.create_index(op.f("transfers_franchisee_id_id_idx"), "transfers", ["franchisee_id", "id"], unique=False, schema=SCHEMA)
    op.create_index(
        "transfers_one_live_per_entry_idx",
        "transfers",
        ["lead_entry_id"],
        unique=True,
        postgresql_where=sa.text("status <> 'FAILED'"),
        schema=SCHEMA,
    )
    op.create_index(
        op.f("transfers_razorpay_settlement_id_idx"), "transfers", ["razorpay_settlement_id"], unique=False, schema=SCHEMA
    )
    op.create_index("transfers_status_idx", "transfers", ["status", "id"], unique=False, schema=SCHEMA)
    op.create_table(
        "allocations",
        sa.Column("transfer_id", sa.BigInteger(), nullable=False, comment="which transfer"),
        sa.Column("ledger_entry_id", sa.BigInteger(), nullable=False, comment="pays which entry"),
        sa.Column("amount_paise", sa.BigInteger(), nullable=False, comment="with how much: the entry's payout"),
        sa.Column("live", sa.Boolean(), nullable=False, comment="false: the transfer failed, the entry is free for another"),
        sa.CheckConstraint("amount_paise > 0", name=op.f("allocations_amount_check")),
        sa.ForeignKeyConstraint(
            ["ledger_entry_id"], [f"{SCHEMA}.ledger_entries.id"], name=op.f("allocations_ledger_entry_id_fkey")
        ),
        sa.ForeignKeyConstraint(["transfer_id"], [f"{SCHEMA}.transfers.id"], name=op.f("allocations_transfer_id_fkey")),
        sa.PrimaryKeyConstraint("transfer_id", "ledger_entry_id", name=op.f("allocations_pkey")),
        comment="Which transfer pays which entries: mostly one each, more where payouts under ₹1 were carried.",
        schema=SCHEMA,
    )
    op.create_index(
        "allocations_one_live_per_entry_idx",
        "allocations",
        ["ledger_entry_id"],
        unique=True,
        postgresql_where=sa.text("live"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("allocations", schema=SCHEMA)
    op.drop_table("transfers", schema=SCHEMA)
    op.drop_table("settlements", schema=SCHEMA)
    op.drop_table("ledger_entries", schema=SCHEMA)
    op.drop_table("franchisee_terms", schema=SCHEMA)
    op.drop_table("kyc_events", schema=SCHEMA)
    op.drop_table("franchisees", schema=SCHEMA)
    for statement in drop_standard_tables(SCHEMA):
        op.execute(statement)
