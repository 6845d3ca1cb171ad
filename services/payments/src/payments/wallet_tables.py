"""The tables of riders' wallets, in schema `payments` beside those of `payments.tables`."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Computed, ForeignKey, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from chassis.database.columns import identity, moment, one_of
from payments.domain.recharge import RechargeFeeSource, RechargeStatus
from payments.domain.wallet import EntryKind
from payments.domain.wallet_session import REQUEST_KEY_PREFIX, SessionState
from payments.tables import metadata, operator_refunds, riders, webhook_events

wallets = Table(
    "wallets",
    metadata,
    identity("ours"),
    Column("rider_id", BigInteger, ForeignKey(riders.c.id), nullable=False, unique=True, comment="whose; a registered rider's"),
    Column("balance_paise", BigInteger, nullable=False, server_default=text("0"), comment="the sum of its entries"),
    Column("held_paise", BigInteger, nullable=False, server_default=text("0"), comment="of it, put aside for sessions"),
    moment("created_at", "when the rider registered"),
    moment("updated_at", "the last change of either sum"),
    # Neither a race nor a bug takes out what is not in, or puts aside what is not there.
    CheckConstraint("balance_paise >= 0 and held_paise between 0 and balance_paise", name="never_below_zero"),
    comment="Riders' prepaid money. Who changes a sum holds the row's lock.",
)

wallet_recharges = Table(
    "wallet_recharges",
    metadata,
    identity("rides in the order's receipt and notes"),
    Column("wallet_id", BigInteger, ForeignKey(wallets.c.id), nullable=False, comment="what is recharged"),
    Column("amount_paise", BigInteger, nullable=False, comment="what was asked for"),
    Column("status", Text, nullable=False, comment="CREATING, OPEN, PAID, REFUSED"),
    Column("body", JSONB, nullable=False, comment="what Razorpay is asked to create, frozen before the first call"),
    Column("razorpay_order_id", Text, unique=True, comment="order_...; null until Razorpay made it"),
    Column("calls", Integer, nullable=False, server_default=text("0"), comment="how often Razorpay was asked to create it"),
    Column("last_error", Text, comment="what Razorpay said last, where it did not do what was asked"),
    moment("next_attempt_at", "when a sweep takes it up again; null: nothing to do", nullable=True),
    moment("created_at", "when the rider asked"),
    moment("paid_at", "when a payment of it was credited", nullable=True),
    CheckConstraint("amount_paise > 0", name="amount"),
    one_of("status", RechargeStatus),
    Index(None, "wallet_id", "id"),
    Index("wallet_recharges_due_idx", "next_attempt_at", postgresql_where=text("next_attempt_at is not null")),
    comment="Orders at Razorpay that put money into wallets. Our row is there before Razorpay is asked.",
)

recharge_payments = Table(
    "recharge_payments",
    metadata,
    identity("names it in the books"),
    Column("recharge_id", BigInteger, ForeignKey(wallet_recharges.c.id), nullable=False, comment="whose order was paid"),
    Column("razorpay_payment_id", Text, nullable=False, unique=True, comment="pay_...: credited once, however often it is told"),
    Column("webhook_event_id", BigInteger, ForeignKey(webhook_events.c.id), nullable=False, comment="the event that told us"),
    Column("amount_paise", BigInteger, nullable=False, comment="what was captured, and credited"),
    Column("fee_paise", BigInteger, comment="Razorpay's fee, GST included: our expense; null: not told yet"),
    Column("fee_tax_paise", BigInteger, comment="the GST in it; null where it was not told"),
    Column("fee_source", Text, comment="WEBHOOK, API; null: not told yet"),
    moment("fee_due_at", "when Razorpay is asked again for a fee that it did not tell; null: not asked yet", nullable=True),
    moment("paid_at", "when the rider paid, by Razorpay"),
    moment("received_at", "when we got the event"),
    moment("credited_at", "when it was in the wallet"),
    CheckConstraint("amount_paise > 0 and fee_paise >= 0", name="amounts"),
    CheckConstraint("(fee_paise is null) = (fee_source is null)", name="fee_has_a_source"),
    one_of("fee_source", RechargeFeeSource),
    Index(None, "recharge_id"),
    Index("recharge_payments_fee_due_idx", "fee_due_at", postgresql_where=text("fee_paise is null")),
    comment="Captured payments of our orders. An order paid twice has two: either is the rider's money.",
)

wallet_sessions = Table(
    "wallet_sessions",
    metadata,
    identity("names the start request: wallet_session_{id}"),
    Column("wallet_id", BigInteger, ForeignKey(wallets.c.id), nullable=False, comment="what pays"),
    Column("request_key", Text, Computed(f"'{REQUEST_KEY_PREFIX}' || id::text", persisted=True), comment="as charging knows it"),
    Column("charge_point_id", Text, nullable=False, comment="the charger"),
    Column("connector_id", Integer, nullable=False, comment="OCPP connector, from 1"),
    Column("limit_paise", BigInteger, comment="the most that the rider wanted to spend; null: all there is"),
    Column("hold_paise", BigInteger, nullable=False, comment="what was put aside: the session's budget"),
    Column("state", Text, nullable=False, comment="see payments.domain.wallet_session"),
    Column("release_reason", Text, comment="why it was released: charging's reason, or NO_ENERGY"),
    Column("release_detail", Text, comment="a sentence for people"),
    Column("transaction_id", BigInteger, unique=True, comment="charging's transaction; one request is one session"),
    Column("stopped", JSONB, comment="charging's transaction_stopped: what the bill was made of, or could not be"),
    moment("requested_at", "when the rider asked; the start deadline counts from here"),
    moment("start_deadline", "nothing starts after it"),
    moment("start_chased_at", "when we last alarmed and asked to cancel, for want of an answer", nullable=True),
    moment("stop_requested_at", "when the rider asked to stop it", nullable=True),
    moment("updated_at", "the last change of state"),
    CheckConstraint("connector_id >= 1", name="connector"),
    CheckConstraint("hold_paise > 0 and hold_paise <= coalesce(limit_paise, hold_paise)", name="hold"),
    one_of("state", SessionState),
    Index(
        "wallet_sessions_one_running_idx",
        "wallet_id",
        unique=True,
        postgresql_where=text("state in ('START_REQUESTED', 'CHARGING')"),
    ),
    Index(
        "wallet_sessions_open_idx",
        "state",
        "start_deadline",
        postgresql_where=text("state in ('START_REQUESTED', 'BILLING_FAILED')"),
    ),
    Index(None, "wallet_id", "id"),
    comment="Sessions started from the app. One runs per wallet at a time.",
)

wallet_bills = Table(
    "wallet_bills",
    metadata,
    identity("ours"),
    Column(
        "wallet_session_id",
        BigInteger,
        ForeignKey(wallet_sessions.c.id),
        nullable=False,
        unique=True,
        comment="one bill per session",
    ),
    Column("transaction_id", BigInteger, nullable=False, unique=True, comment="and one per transaction"),
    Column("station_id", BigInteger, nullable=False, comment="as charging snapshotted it at the start"),
    Column("franchisee_id", BigInteger, comment="owner at the start; null: the platform's own site"),
    Column("energy_wh", BigInteger, nullable=False, comment="confirmed energy"),
    Column("tariff_paise_per_kwh", BigInteger, nullable=False, comment="rate, without GST"),
    Column("gst_bps", Integer, nullable=False, comment="GST rate in basis points"),
    Column("held_paise", BigInteger, nullable=False, comment="what was put aside"),
    Column("billed_paise", BigInteger, nullable=False, comment="= energy charge + gst: what left the wallet"),
    Column("energy_charge_paise", BigInteger, nullable=False, comment="energy without GST"),
    Column("gst_paise", BigInteger, nullable=False, comment="GST as one figure"),
    Column("shortfall_paise", BigInteger, nullable=False, comment="our loss; a memo outside the sum"),
    Column("implausible", Boolean, nullable=False, comment="METER_IMPLAUSIBLE: the smaller figure was billed, the payout waits"),
    moment("started_at", "of the transaction"),
    moment("stopped_at", "of the transaction"),
    moment("billed_at", "when the bill was made"),
    CheckConstraint("billed_paise = energy_charge_paise + gst_paise and billed_paise <= held_paise", name="adds_up"),
    CheckConstraint("least(energy_wh, energy_charge_paise, gst_paise, shortfall_paise) >= 0", name="not_negative"),
    comment="The one bill of a wallet's session. Never changed once made.",
)

wallet_entries = Table(
    "wallet_entries",
    metadata,
    identity("ours"),
    Column("wallet_id", BigInteger, ForeignKey(wallets.c.id), nullable=False, comment="whose balance moved"),
    Column("kind", Text, nullable=False, comment="RECHARGE, SESSION, REFUND"),
    Column("amount_paise", BigInteger, nullable=False, comment="above zero: put in; below: paid"),
    Column("balance_after_paise", BigInteger, nullable=False, comment="the balance with it: entries form a chain"),
    Column("recharge_payment_id", BigInteger, ForeignKey(recharge_payments.c.id), unique=True, comment="what put it in"),
    Column("wallet_bill_id", BigInteger, ForeignKey(wallet_bills.c.id), unique=True, comment="what it paid"),
    Column(
        "operator_refund_id",
        BigInteger,
        ForeignKey(operator_refunds.c.id),
        unique=True,
        comment="what an operator gave back of a bill",
    ),
    moment("created_at", "when; the journal in the books bears the same time"),
    one_of("kind", EntryKind),
    CheckConstraint("balance_after_paise >= 0", name="never_below_zero"),
    CheckConstraint(
        "num_nonnulls(recharge_payment_id, wallet_bill_id, operator_refund_id) = 1 and case kind"
        " when 'RECHARGE' then amount_paise > 0 and recharge_payment_id is not null"
        " when 'SESSION' then amount_paise < 0 and wallet_bill_id is not null"
        " else amount_paise > 0 and operator_refund_id is not null end",
        name="is_of_its_kind",
    ),
    Index(None, "wallet_id", "id"),
    Index(None, "created_at"),
    comment="Every movement of every wallet. Added, never changed: a trigger refuses it.",
)
