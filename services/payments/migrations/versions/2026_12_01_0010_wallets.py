"""Registered riders with their logins, guests that are merged into them; wallets with recharges, sessions, bills and entries.

Revision ID: 2026_12_01_0010
Revises: 2026_12_01_0100
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "2026_12_01_0010"
down_revision = "2026_12_01_0100"
branch_labels = None
depends_on = None

SCHEMA = "payments"
Time = sa.DateTime(timezone=True)

APPEND_ONLY = (
    """
    CREATE FUNCTION payments.refuse_change_of_wallet_entries() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'wallet entries are never changed' USING ERRCODE = 'restrict_violation';
    END $$
    """,
    """
    CREATE TRIGGER wallet_entries_append_only BEFORE UPDATE OR DELETE ON payments.wallet_entries
        FOR EACH ROW EXECUTE FUNCTION payments.refuse_change_of_wallet_entries()
    """,
)


def upgrade() -> None:
    for column in (
        sa.Column("merged_into_id", sa.BigInteger(), comment="the registered rider who this guest turned out to be"),
        sa.Column("registered_at", Time, comment="when somebody with an account said who it is; null: a guest"),
        sa.Column("merged_at", Time, comment="when the guest's payments went over"),
    ):
        op.add_column("riders", column, schema=SCHEMA)
    op.create_foreign_key(
        op.f("riders_merged_into_id_fkey"),
        "riders",
        "riders",
        ["merged_into_id"],
        ["id"],
        source_schema=SCHEMA,
        referent_schema=SCHEMA,
    )
    op.create_check_constraint(
        op.f("riders_only_guests_merge_check"),
        "riders",
        "(merged_into_id is null) = (merged_at is null)"
        " and (merged_into_id is null or (registered_at is null and phone is null))",
        schema=SCHEMA,
    )
    op.create_index(
        "riders_merged_idx",
        "riders",
        ["merged_into_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("merged_into_id is not null"),
    )
    op.create_table_comment(
        "riders", "Who paid, or registered. Neither with a phone nor registered it is a UPI guest.", schema=SCHEMA
    )
    op.create_table(
        "rider_logins",
        sa.Column("provider", sa.Text(), nullable=False, comment="who knows the account: oidc"),
        sa.Column("subject", sa.Text(), nullable=False, comment="the provider's name of the account"),
        sa.Column("rider_id", sa.BigInteger(), nullable=False, comment="whose account it is"),
        sa.Column("created_at", Time, nullable=False, comment="when it was first used here"),
        sa.PrimaryKeyConstraint("provider", "subject", name=op.f("rider_logins_pkey")),
        sa.ForeignKeyConstraint(["rider_id"], [f"{SCHEMA}.riders.id"], name=op.f("rider_logins_rider_id_fkey")),
        schema=SCHEMA,
        comment="Accounts at the identity provider, and the riders who they are.",
    )
    op.create_index(op.f("rider_logins_rider_id_idx"), "rider_logins", ["rider_id"], schema=SCHEMA)
    op.create_table(
        "wallets",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        sa.Column("rider_id", sa.BigInteger(), nullable=False, comment="whose; a registered rider's"),
        sa.Column(
            "balance_paise", sa.BigInteger(), server_default=sa.text("0"), nullable=False, comment="the sum of its entries"
        ),
        sa.Column(
            "held_paise", sa.BigInteger(), server_default=sa.text("0"), nullable=False, comment="of it, put aside for sessions"
        ),
        sa.Column("created_at", Time, nullable=False, comment="when the rider registered"),
        sa.Column("updated_at", Time, nullable=False, comment="the last change of either sum"),
        sa.CheckConstraint(
            "balance_paise >= 0 and held_paise between 0 and balance_paise", name=op.f("wallets_never_below_zero_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("wallets_pkey")),
        sa.UniqueConstraint("rider_id", name=op.f("wallets_rider_id_key")),
        sa.ForeignKeyConstraint(["rider_id"], [f"{SCHEMA}.riders.id"], name=op.f("wallets_rider_id_fkey")),
        schema=SCHEMA,
        comment="Riders' prepaid money. Who changes a sum holds the row's lock.",
    )
    op.create_table(
        "wallet_recharges",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="rides in the order's receipt and notes"
        ),
        sa.Column("wallet_id", sa.BigInteger(), nullable=False, comment="what is recharged"),
        sa.Column("amount_paise", sa.BigInteger(), nullable=False, comment="what was asked for"),
        sa.Column("status", sa.Text(), nullable=False, comment="CREATING, OPEN, PAID, REFUSED"),
        sa.Column("body", JSONB, nullable=False, comment="what Razorpay is asked to create, frozen before the first call"),
        sa.Column("razorpay_order_id", sa.Text(), comment="order_...; null until Razorpay made it"),
        sa.Column(
            "calls",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="how often Razorpay was asked to create it",
        ),
        sa.Column("last_error", sa.Text(), comment="what Razorpay said last, where it did not do what was asked"),
        sa.Column("next_attempt_at", Time, comment="when a sweep takes it up again; null: nothing to do"),
        sa.Column("created_at", Time, nullable=False, comment="when the rider asked"),
        sa.Column("paid_at", Time, comment="when a payment of it was credited"),
        sa.CheckConstraint("amount_paise > 0", name=op.f("wallet_recharges_amount_check")),
        sa.CheckConstraint("status in ('CREATING', 'OPEN', 'PAID', 'REFUSED')", name=op.f("wallet_recharges_status_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("wallet_recharges_pkey")),
        sa.UniqueConstraint("razorpay_order_id", name=op.f("wallet_recharges_razorpay_order_id_key")),
        sa.ForeignKeyConstraint(["wallet_id"], [f"{SCHEMA}.wallets.id"], name=op.f("wallet_recharges_wallet_id_fkey")),
        schema=SCHEMA,
        comment="Orders at Razorpay that put money into wallets. Our row is there before Razorpay is asked.",
    )
    op.create_index(op.f("wallet_recharges_wallet_id_id_idx"), "wallet_recharges", ["wallet_id", "id"], schema=SCHEMA)
    op.create_index(
        "wallet_recharges_due_idx",
        "wallet_recharges",
        ["next_attempt_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("next_attempt_at is not null"),
    )
    op.create_table(
        "recharge_payments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="names it in the books"),
        sa.Column("recharge_id", sa.BigInteger(), nullable=False, comment="whose order was paid"),
        sa.Column("razorpay_payment_id", sa.Text(), nullable=False, comment="pay_...: credited once, however often it is told"),
        sa.Column("webhook_event_id", sa.BigInteger(), nullable=False, comment="the event that told us"),
        sa.Column("amount_paise", sa.BigInteger(), nullable=False, comment="what was captured, and credited"),
        sa.Column("fee_paise", sa.BigInteger(), comment="Razorpay's fee, GST included: our expense; null: not told yet"),
        sa.Column("fee_tax_paise", sa.BigInteger(), comment="the GST in it; null where it was not told"),
        sa.Column("fee_source", sa.Text(), comment="WEBHOOK, API; null: not told yet"),
        sa.Column("paid_at", Time, nullable=False, comment="when the rider paid, by Razorpay"),
        sa.Column("received_at", Time, nullable=False, comment="when we got the event"),
        sa.Column("credited_at", Time, nullable=False, comment="when it was in the wallet"),
        sa.CheckConstraint("amount_paise > 0 and fee_paise >= 0", name=op.f("recharge_payments_amounts_check")),
        sa.CheckConstraint("(fee_paise is null) = (fee_source is null)", name=op.f("recharge_payments_fee_has_a_source_check")),
        sa.CheckConstraint("fee_source in ('WEBHOOK', 'API')", name=op.f("recharge_payments_fee_source_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("recharge_payments_pkey")),
        sa.UniqueConstraint("razorpay_payment_id", name=op.f("recharge_payments_razorpay_payment_id_key")),
        sa.ForeignKeyConstraint(
            ["recharge_id"], [f"{SCHEMA}.wallet_recharges.id"], name=op.f("recharge_payments_recharge_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["webhook_event_id"], [f"{SCHEMA}.webhook_events.id"], name=op.f("recharge_payments_webhook_event_id_fkey")
        ),
        schema=SCHEMA,
        comment="Captured payments of our orders. An order paid twice has two: either is the rider's money.",
    )
    op.create_index(op.f("recharge_payments_recharge_id_idx"), "recharge_payments", ["recharge_id"], schema=SCHEMA)
    op.create_index(
        "recharge_payments_fee_unknown_idx",
        "recharge_payments",
        ["id"],
        schema=SCHEMA,
        postgresql_where=sa.text("fee_paise is null"),
    )
    op.create_table(
        "wallet_sessions",
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="names the start request: wallet_session_{id}",
        ),
        sa.Column("wallet_id", sa.BigInteger(), nullable=False, comment="what pays"),
        sa.Column(
            "request_key",
            sa.Text(),
            sa.Computed("'wallet_session_' || id::text", persisted=True),
            comment="as charging knows it",
        ),
        sa.Column("charge_point_id", sa.Text(), nullable=False, comment="the charger"),
        sa.Column("connector_id", sa.Integer(), nullable=False, comment="OCPP connector, from 1"),
        sa.Column("limit_paise", sa.BigInteger(), comment="the most that the rider wanted to spend; null: all there is"),
        sa.Column("hold_paise", sa.BigInteger(), nullable=False, comment="what was put aside: the session's budget"),
        sa.Column("state", sa.Text(), nullable=False, comment="see payments.domain.wallet_session"),
        sa.Column("release_reason", sa.Text(), comment="why it was released: charging's reason, or NO_ENERGY"),
        sa.Column("release_detail", sa.Text(), comment="a sentence for people"),
        sa.Column("transaction_id", sa.BigInteger(), comment="charging's transaction; one request is one session"),
        sa.Column("stopped", JSONB, comment="charging's transaction_stopped, kept while no bill could be made of it"),
        sa.Column("requested_at", Time, nullable=False, comment="when the rider asked; the start deadline counts from here"),
        sa.Column("start_deadline", Time, nullable=False, comment="nothing starts after it"),
        sa.Column("start_chased_at", Time, comment="when we last alarmed and asked to cancel, for want of an answer"),
        sa.Column("stop_requested_at", Time, comment="when the rider asked to stop it"),
        sa.Column("updated_at", Time, nullable=False, comment="the last change of state"),
        sa.CheckConstraint("connector_id >= 1", name=op.f("wallet_sessions_connector_check")),
        sa.CheckConstraint(
            "hold_paise > 0 and hold_paise <= coalesce(limit_paise, hold_paise)", name=op.f("wallet_sessions_hold_check")
        ),
        sa.CheckConstraint(
            "state in ('START_REQUESTED', 'CHARGING', 'BILLING_FAILED', 'BILLED', 'RELEASED')",
            name=op.f("wallet_sessions_state_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("wallet_sessions_pkey")),
        sa.UniqueConstraint("transaction_id", name=op.f("wallet_sessions_transaction_id_key")),
        sa.ForeignKeyConstraint(["wallet_id"], [f"{SCHEMA}.wallets.id"], name=op.f("wallet_sessions_wallet_id_fkey")),
        schema=SCHEMA,
        comment="Sessions started from the app. One runs per wallet at a time.",
    )
    op.create_index(
        "wallet_sessions_one_running_idx",
        "wallet_sessions",
        ["wallet_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("state in ('START_REQUESTED', 'CHARGING')"),
    )
    op.create_index(
        "wallet_sessions_open_idx",
        "wallet_sessions",
        ["state", "start_deadline"],
        schema=SCHEMA,
        postgresql_where=sa.text("state in ('START_REQUESTED', 'BILLING_FAILED')"),
    )
    op.create_index(op.f("wallet_sessions_wallet_id_id_idx"), "wallet_sessions", ["wallet_id", "id"], schema=SCHEMA)
    op.create_table(
        "wallet_bills",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        sa.Column("wallet_session_id", sa.BigInteger(), nullable=False, comment="one bill per session"),
        sa.Column("transaction_id", sa.BigInteger(), nullable=False, comment="and one per transaction"),
        sa.Column("station_id", sa.BigInteger(), nullable=False, comment="as charging snapshotted it at the start"),
        sa.Column("franchisee_id", sa.BigInteger(), comment="owner at the start; null: the platform's own site"),
        sa.Column("energy_wh", sa.BigInteger(), nullable=False, comment="confirmed energy"),
        sa.Column("tariff_paise_per_kwh", sa.BigInteger(), nullable=False, comment="rate, without GST"),
        sa.Column("gst_bps", sa.Integer(), nullable=False, comment="GST rate in basis points"),
        sa.Column("held_paise", sa.BigInteger(), nullable=False, comment="what was put aside"),
        sa.Column("billed_paise", sa.BigInteger(), nullable=False, comment="= energy charge + gst: what left the wallet"),
        sa.Column("energy_charge_paise", sa.BigInteger(), nullable=False, comment="energy without GST"),
        sa.Column("gst_paise", sa.BigInteger(), nullable=False, comment="GST as one figure"),
        sa.Column("shortfall_paise", sa.BigInteger(), nullable=False, comment="our loss; a memo outside the sum"),
        sa.Column(
            "implausible",
            sa.Boolean(),
            nullable=False,
            comment="METER_IMPLAUSIBLE: the smaller figure was billed, the payout waits",
        ),
        sa.Column("started_at", Time, nullable=False, comment="of the transaction"),
        sa.Column("stopped_at", Time, nullable=False, comment="of the transaction"),
        sa.Column("billed_at", Time, nullable=False, comment="when the bill was made"),
        sa.CheckConstraint(
            "billed_paise = energy_charge_paise + gst_paise and billed_paise <= held_paise",
            name=op.f("wallet_bills_adds_up_check"),
        ),
        sa.CheckConstraint(
            "least(energy_wh, energy_charge_paise, gst_paise, shortfall_paise) >= 0",
            name=op.f("wallet_bills_not_negative_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("wallet_bills_pkey")),
        sa.UniqueConstraint("wallet_session_id", name=op.f("wallet_bills_wallet_session_id_key")),
        sa.UniqueConstraint("transaction_id", name=op.f("wallet_bills_transaction_id_key")),
        sa.ForeignKeyConstraint(
            ["wallet_session_id"], [f"{SCHEMA}.wallet_sessions.id"], name=op.f("wallet_bills_wallet_session_id_fkey")
        ),
        schema=SCHEMA,
        comment="The one bill of a wallet's session. Never changed once made.",
    )
    op.create_table(
        "wallet_entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        sa.Column("wallet_id", sa.BigInteger(), nullable=False, comment="whose balance moved"),
        sa.Column("kind", sa.Text(), nullable=False, comment="RECHARGE, SESSION"),
        sa.Column("amount_paise", sa.BigInteger(), nullable=False, comment="above zero: put in; below: paid"),
        sa.Column("balance_after_paise", sa.BigInteger(), nullable=False, comment="the balance with it: entries form a chain"),
        sa.Column("recharge_payment_id", sa.BigInteger(), comment="what put it in"),
        sa.Column("wallet_bill_id", sa.BigInteger(), comment="what it paid"),
        sa.Column("created_at", Time, nullable=False, comment="when; the journal in the books bears the same time"),
        sa.CheckConstraint("kind in ('RECHARGE', 'SESSION')", name=op.f("wallet_entries_kind_check")),
        sa.CheckConstraint("balance_after_paise >= 0", name=op.f("wallet_entries_never_below_zero_check")),
        sa.CheckConstraint(
            "case kind when 'RECHARGE' then amount_paise > 0 and recharge_payment_id is not null and wallet_bill_id is null"
            " else amount_paise < 0 and wallet_bill_id is not null and recharge_payment_id is null end",
            name=op.f("wallet_entries_is_of_its_kind_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("wallet_entries_pkey")),
        sa.UniqueConstraint("recharge_payment_id", name=op.f("wallet_entries_recharge_payment_id_key")),
        sa.UniqueConstraint("wallet_bill_id", name=op.f("wallet_entries_wallet_bill_id_key")),
        sa.ForeignKeyConstraint(["wallet_id"], [f"{SCHEMA}.wallets.id"], name=op.f("wallet_entries_wallet_id_fkey")),
        sa.ForeignKeyConstraint(
            ["recharge_payment_id"],
            [f"{SCHEMA}.recharge_payments.id"],
            name=op.f("wallet_entries_recharge_payment_id_fkey"),
        ),
        sa.ForeignKeyConstraint(
            ["wallet_bill_id"], [f"{SCHEMA}.wallet_bills.id"], name=op.f("wallet_entries_wallet_bill_id_fkey")
        ),
        schema=SCHEMA,
        comment="Every movement of every wallet. Added, never changed: a trigger refuses it.",
    )
    op.create_index(op.f("wallet_entries_wallet_id_id_idx"), "wallet_entries", ["wallet_id", "id"], schema=SCHEMA)
    op.create_index(op.f("wallet_entries_created_at_idx"), "wallet_entries", ["created_at"], schema=SCHEMA)
    for statement in APPEND_ONLY:
        op.execute(statement)


def downgrade() -> None:
    for table in (
        "wallet_entries",
        "wallet_bills",
        "wallet_sessions",
        "recharge_payments",
        "wallet_recharges",
        "wallets",
        "rider_logins",
    ):
        op.drop_table(table, schema=SCHEMA)
    op.execute("DROP FUNCTION payments.refuse_change_of_wallet_entries()")
    op.create_table_comment("riders", "Who paid. Without a phone it is a UPI guest.", schema=SCHEMA)
    for column in ("merged_at", "registered_at", "merged_into_id"):
        op.drop_column("riders", column, schema=SCHEMA)
