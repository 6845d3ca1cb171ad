"""The tables of schema `payments`. Money in paise, times aware UTC, states as text with a CHECK, every list with its index."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from chassis.database.columns import identity, moment, one_of, tables_of_the_service
from contracts.payments import BorneBy, FeeSource
from contracts.settlement import DirectCollection
from payments.domain.qr_code import QrCodeStatus
from payments.domain.qr_payment import REQUEST_KEY_PREFIX, PaymentState
from payments.domain.refund import RefundStatus, Speed
from payments.domain.refund_history import Step, ToldBy
from payments.domain.rider import ResolvedBy
from payments.domain.wallet_session import REQUEST_KEY_PREFIX as SESSION_KEY_PREFIX
from payments.domain.webhook import Secret, WebhookState

metadata = tables_of_the_service()

qr_codes = Table(
    "qr_codes",
    metadata,
    identity("ours; it rides in Razorpay's notes"),
    Column("charge_point_id", Text, nullable=False, comment="the charger whose connector the money is for"),
    Column("connector_id", Integer, nullable=False, comment="OCPP connector, from 1"),
    Column("name", Text, nullable=False, comment="what stands on the print, and in Razorpay's dashboard"),
    Column("status", Text, nullable=False, comment="CREATING, ACTIVE, CLOSING, CLOSED, FAILED"),
    Column("body", JSONB, nullable=False, comment="what Razorpay is asked to create, frozen before the first call"),
    Column("replaces_id", BigInteger, ForeignKey("qr_codes.id"), comment="the code it was made in place of; null: the first"),
    Column("owner_franchisee_id", BigInteger, comment="whose own code it is; null: the platform's"),
    Column("owner_account_id", Text, comment="the linked account that it was made on, acc_...; null: our own"),
    Column("razorpay_qr_code_id", Text, unique=True, comment="qr_...; null until Razorpay made it"),
    Column("image_url", Text, comment="Razorpay's picture of it"),
    Column("image_content", Text, comment="the upi:// text that the QR code encodes; ours to draw, offline"),
    Column("calls", Integer, nullable=False, server_default=text("0"), comment="how often Razorpay was asked to create it"),
    Column("last_error", Text, comment="what Razorpay said last, where it did not do what was asked"),
    moment("next_attempt_at", "when a sweep takes it up again; null: nothing to do", nullable=True),
    moment("created_at", "when our row was made"),
    moment("closed_at", "when it was closed here", nullable=True),
    CheckConstraint("connector_id >= 1", name="connector"),
    CheckConstraint("(owner_franchisee_id is null) = (owner_account_id is null)", name="owner"),
    one_of("status", QrCodeStatus),
    Index(
        "qr_codes_one_live_per_connector_idx",
        "charge_point_id",
        "connector_id",
        unique=True,
        postgresql_where=text("status in ('CREATING', 'ACTIVE')"),
    ),
    Index("qr_codes_one_replacement_idx", "replaces_id", unique=True, postgresql_where=text("status <> 'FAILED'")),
    Index("qr_codes_owner_idx", "owner_franchisee_id", "id", postgresql_where=text("owner_franchisee_id is not null")),
    Index("qr_codes_due_idx", "next_attempt_at", postgresql_where=text("next_attempt_at is not null")),
    comment="Printed UPI QR codes, one live per connector. Our row is there before Razorpay is asked.",
)

franchisees = Table(
    "franchisees",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False, comment="settlement's"),
    Column("razorpay_account_id", Text, unique=True, comment="the linked account, acc_...; null: not made yet"),
    Column("direct_collection", Text, nullable=False, comment="ALLOWED, PAUSED, ENDED: whether its own QR codes take money"),
    Column("reason", Text, comment="why not, in settlement's words"),
    Column("subject_version", Integer, nullable=False, comment="of settlement's last word that was heard"),
    moment("updated_at", "when it was heard"),
    one_of("direct_collection", DirectCollection),
    comment="What payments knows of franchisees, by settlement's events: who may take riders' money on QR codes of its own.",
)

webhook_events = Table(
    "webhook_events",
    metadata,
    identity("ours"),
    Column("razorpay_event_id", Text, nullable=False, comment="x-razorpay-event-id, or the body's hash where it was missing"),
    Column("body_sha256", Text, nullable=False, comment="SHA-256 of the raw body, hex"),
    Column("event", Text, comment="its name, such as qr_code.credited; null where the body could not be read"),
    Column("account_id", Text, comment="acc_... as the envelope says"),
    Column("body", LargeBinary, nullable=False, comment="the bytes as they came: what the signature is of"),
    Column("headers", JSONB, nullable=False, comment="those headers that say something about the delivery"),
    Column(
        "verified_by", Text, nullable=False, comment="which webhook secret verified it, or ASKED: an answer to our own question"
    ),
    Column("state", Text, nullable=False, comment="RECEIVED, HANDLED, IGNORED, FAILED"),
    Column("reason", Text, comment="why it was ignored or failed, or waits"),
    Column("attempts", Integer, nullable=False, server_default=text("0"), comment="how often working it failed or had to wait"),
    Column("traceparent", Text, comment="the trace of the delivery; the work goes on in it"),
    moment("next_attempt_at", "when it is worked next; null: not any more", nullable=True),
    moment("created_at", "when Razorpay made the event"),
    moment("received_at", "when we first got it"),
    moment("handled_at", "when it was handled, ignored or given up", nullable=True),
    UniqueConstraint("razorpay_event_id", "body_sha256"),
    one_of("verified_by", Secret),
    one_of("state", WebhookState),
    Index("webhook_events_due_idx", "next_attempt_at", "id", postgresql_where=text("next_attempt_at is not null")),
    Index("webhook_events_state_idx", "state", "id"),
    Index("webhook_events_event_idx", "event", "id"),
    Index(None, "account_id", "id"),
    comment="Every verified webhook as it came. The same event id with another body is another row.",
)

webhook_repeats = Table(
    "webhook_repeats",
    metadata,
    identity("ours"),
    Column("webhook_event_id", BigInteger, ForeignKey(webhook_events.c.id), nullable=False, comment="what came again"),
    moment("received_at", "when it did"),
    Index(None, "webhook_event_id"),
    comment="Deliveries after the first. Rows of their own: who works an event holds its row, and an answer waits for nobody.",
)

riders = Table(
    "riders",
    metadata,
    identity("the payer's reference in charging: rdr_{id}"),
    Column("phone", Text, unique=True, comment="E.164; personal: masked in logs and answers"),
    Column("merged_into_id", BigInteger, ForeignKey("riders.id"), comment="the registered rider who this guest turned out to be"),
    moment("created_at", "when we first saw this payer"),
    moment("registered_at", "when somebody with an account said who it is; null: a guest", nullable=True),
    moment("merged_at", "when the guest's payments went over", nullable=True),
    CheckConstraint(
        "(merged_into_id is null) = (merged_at is null)"
        " and (merged_into_id is null or (registered_at is null and phone is null))",
        name="only_guests_merge",
    ),
    Index("riders_merged_idx", "merged_into_id", postgresql_where=text("merged_into_id is not null")),
    comment="Who paid, or registered. Neither with a phone nor registered it is a UPI guest.",
)

rider_logins = Table(
    "rider_logins",
    metadata,
    Column("provider", Text, primary_key=True, comment="who knows the account: oidc"),
    Column("subject", Text, primary_key=True, comment="the provider's name of the account"),
    Column("rider_id", BigInteger, ForeignKey(riders.c.id), nullable=False, comment="whose account it is"),
    moment("created_at", "when it was first used here"),
    Index(None, "rider_id"),
    comment="Accounts at the identity provider, and the riders who they are.",
)

rider_vpas = Table(
    "rider_vpas",
    metadata,
    Column("vpa", Text, primary_key=True, comment="UPI address, lower-cased; personal: masked in logs and answers"),
    Column("rider_id", BigInteger, ForeignKey(riders.c.id), nullable=False, comment="whose it is"),
    moment("created_at", "when it was first used"),
    Index(None, "rider_id"),
    comment="The UPI addresses that a rider has paid from.",
)

proof_failures = Table(
    "proof_failures",
    metadata,
    identity("ours"),
    Column("vpa", Text, nullable=False, comment="whose payment was to be proved, lower-cased; personal"),
    moment("failed_at", "when the digits did not fit"),
    Index(None, "vpa", "failed_at"),
    comment="Proofs of payments that failed, of the last hour: who guesses digits is stopped, whichever address it comes from.",
)

qr_payments = Table(
    "qr_payments",
    metadata,
    identity("names the start request and the refund: qr_payment_{id}"),
    Column(
        "razorpay_payment_id",
        Text,
        nullable=False,
        unique=True,
        comment="pay_...: one payment is one row, however often it is told",
    ),
    Column("request_key", Text, Computed(f"'{REQUEST_KEY_PREFIX}' || id::text", persisted=True), comment="as charging knows it"),
    Column("webhook_event_id", BigInteger, ForeignKey(webhook_events.c.id), comment="the event that told us"),
    Column("qr_code_id", BigInteger, ForeignKey(qr_codes.c.id), comment="null: the noted QR code never turned up"),
    Column("charge_point_id", Text, comment="copied from the QR code at receipt"),
    Column("connector_id", Integer, comment="copied from the QR code at receipt"),
    Column("amount_paise", BigInteger, nullable=False, comment="what the rider paid"),
    Column("platform_fee_paise", BigInteger, nullable=False, comment="Razorpay's fee, GST included, or its estimate"),
    Column("platform_fee_tax_paise", BigInteger, comment="the GST in it; null where it was not told"),
    Column("fee_source", Text, nullable=False, comment="WEBHOOK, API, ESTIMATE"),
    Column("rider_id", BigInteger, ForeignKey(riders.c.id), nullable=False, comment="who paid"),
    Column("rider_resolved_by", Text, nullable=False, comment="PHONE, VPA, UPI_GUEST"),
    Column("vpa", Text, comment="as Razorpay gave it; personal"),
    Column("contact", Text, comment="as Razorpay gave it; personal"),
    Column("rrn", Text, comment="the bank's reference of the payment"),
    Column("state", Text, nullable=False, comment="see payments.domain.qr_payment"),
    Column("refund_reason", Text, comment="why all of it goes back"),
    Column("refund_detail", Text, comment="a sentence for people"),
    Column("transaction_id", BigInteger, unique=True, comment="charging's transaction; one payment is one session"),
    Column("station_id", BigInteger, comment="the transaction's station, snapshotted by charging; null: nothing ran on it"),
    Column("franchisee_id", BigInteger, comment="owner at the start; null: the platform's own site, or nothing ran on it"),
    Column("collected_by_franchisee_id", BigInteger, comment="whose linked account took it; null: our own balance"),
    Column("collected_by_account_id", Text, comment="that linked account, acc_..."),
    Column(
        "stopped",
        JSONB,
        comment="charging's transaction_stopped: the bill's readings and terms; null: not ended, or before this was kept",
    ),
    moment("fee_due_at", "when Razorpay is asked again for a fee that it did not tell; null: not asked yet", nullable=True),
    moment("paid_at", "when the rider paid, by Razorpay"),
    moment("received_at", "when we got the event; the start deadline counts from here"),
    moment("start_deadline", "nothing starts after it", nullable=True),
    moment("start_chased_at", "when we last alarmed and asked to cancel, for want of an answer", nullable=True),
    moment("updated_at", "the last change of state"),
    CheckConstraint("amount_paise > 0", name="amount"),
    CheckConstraint("platform_fee_paise >= 0", name="fee"),
    CheckConstraint("(collected_by_franchisee_id is null) = (collected_by_account_id is null)", name="collected_by"),
    one_of("state", PaymentState),
    one_of("fee_source", FeeSource),
    one_of("rider_resolved_by", ResolvedBy),
    Index(
        "qr_payments_open_idx", "state", "start_deadline", postgresql_where=text("state in ('START_REQUESTED', 'BILLING_FAILED')")
    ),
    Index(
        "qr_payments_fee_due_idx",
        "fee_due_at",
        postgresql_where=text("fee_source = 'ESTIMATE' and state in ('START_REQUESTED', 'CHARGING')"),
    ),
    Index(None, "qr_code_id", "id"),
    Index(None, "charge_point_id", "id"),
    Index(None, "rider_id", "id"),
    Index("qr_payments_state_idx", "state", "id"),
    Index(None, "paid_at"),
    Index(None, "franchisee_id", "paid_at"),
    comment="Payments made by scanning a QR code.",
)

bills = Table(
    "bills",
    metadata,
    identity("ours"),
    Column(
        "qr_payment_id", BigInteger, ForeignKey(qr_payments.c.id), nullable=False, unique=True, comment="one bill per payment"
    ),
    Column("transaction_id", BigInteger, nullable=False, unique=True, comment="and one per transaction"),
    Column("station_id", BigInteger, nullable=False, comment="as charging snapshotted it at the start"),
    Column("franchisee_id", BigInteger, comment="owner at the start; null: the platform's own site"),
    Column("energy_wh", BigInteger, nullable=False, comment="confirmed energy"),
    Column("tariff_paise_per_kwh", BigInteger, nullable=False, comment="rate, without GST"),
    Column("gst_bps", Integer, nullable=False, comment="GST rate in basis points"),
    Column("paid_paise", BigInteger, nullable=False, comment="= energy charge + gst + fee + refund + residue"),
    Column("energy_charge_paise", BigInteger, nullable=False, comment="energy without GST"),
    Column("gst_paise", BigInteger, nullable=False, comment="GST as one figure"),
    Column("platform_fee_paise", BigInteger, nullable=False, comment="the fee as far as the rider bears it"),
    Column("fee_source", Text, nullable=False, comment="WEBHOOK, API, ESTIMATE"),
    Column("refund_paise", BigInteger, nullable=False, comment="what goes back through Razorpay"),
    Column("residue_paise", BigInteger, nullable=False, comment="due back, below what Razorpay can refund"),
    Column("shortfall_paise", BigInteger, nullable=False, comment="our loss; a memo outside the sum"),
    Column("implausible", Boolean, nullable=False, comment="METER_IMPLAUSIBLE: the smaller figure was billed, the payout waits"),
    moment("started_at", "of the transaction"),
    moment("stopped_at", "of the transaction"),
    moment("billed_at", "when the bill was made"),
    CheckConstraint(
        "paid_paise = energy_charge_paise + gst_paise + platform_fee_paise + refund_paise + residue_paise", name="adds_up"
    ),
    CheckConstraint(
        "least(energy_wh, energy_charge_paise, gst_paise, platform_fee_paise, refund_paise, residue_paise, shortfall_paise) >= 0",
        name="not_negative",
    ),
    one_of("fee_source", FeeSource),
    comment="The one bill of a session. Never changed once made.",
)

operator_refunds = Table(
    "operator_refunds",
    metadata,
    identity("ours"),
    Column("qr_payment_id", BigInteger, ForeignKey(qr_payments.c.id), comment="of which payment; null: a wallet paid"),
    Column("wallet_session_id", BigInteger, ForeignKey("wallet_sessions.id"), comment="or of which session of a wallet"),
    Column(
        "source_key",
        Text,
        Computed(
            f"coalesce('{REQUEST_KEY_PREFIX}' || qr_payment_id::text, '{SESSION_KEY_PREFIX}' || wallet_session_id::text)",
            persisted=True,
        ),
        comment="whose bill it is of, as its invoice has it",
    ),
    Column("number", Integer, nullable=False, comment="1, 2, ... of the bill: names its refunds, qr_payment_{id}_op{number}"),
    Column(
        "amount_paise", BigInteger, nullable=False, comment="= energy charge + gst + goodwill; Razorpay refunds no less than 100"
    ),
    Column("energy_charge_paise", BigInteger, nullable=False, comment="by how much the energy charge is reduced"),
    Column("gst_paise", BigInteger, nullable=False, comment="and the GST on it"),
    Column("goodwill_paise", BigInteger, nullable=False, comment="granted at the platform's expense: the supply stands"),
    Column("energy_charge_before_paise", BigInteger, nullable=False, comment="what earlier ones had taken off the energy charge"),
    Column("gst_before_paise", BigInteger, nullable=False, comment="and off the GST"),
    Column("borne_by", Text, nullable=False, comment="FRANCHISEE, PLATFORM"),
    Column("reason", Text, nullable=False, comment="why, in the operator's words"),
    Column("decided_by", Text, nullable=False, comment="who decided it"),
    moment("decided_at", "when; from then on it is owed"),
    UniqueConstraint("source_key", "number"),
    CheckConstraint("amount_paise >= 100 or (amount_paise > 0 and wallet_session_id is not null)", name="amount"),
    CheckConstraint("num_nonnulls(qr_payment_id, wallet_session_id) = 1", name="one_payer"),
    CheckConstraint("number >= 1", name="number"),
    CheckConstraint("amount_paise = energy_charge_paise + gst_paise + goodwill_paise", name="adds_up"),
    CheckConstraint(
        "least(energy_charge_paise, gst_paise, goodwill_paise, energy_charge_before_paise, gst_before_paise) >= 0",
        name="not_negative",
    ),
    CheckConstraint("goodwill_paise in (0, amount_paise)", name="one_or_the_other"),
    one_of("borne_by", BorneBy),
    Index("operator_refunds_qr_payment_idx", "qr_payment_id", postgresql_where=text("qr_payment_id is not null")),
    Index("operator_refunds_wallet_session_idx", "wallet_session_id", postgresql_where=text("wallet_session_id is not null")),
    comment="What operators gave back after the bill. Decided once, never changed; a refund or a wallet's entry carries it out.",
)

refunds = Table(
    "refunds",
    metadata,
    identity("ours"),
    Column("qr_payment_id", BigInteger, ForeignKey(qr_payments.c.id), nullable=False, comment="whose money goes back"),
    Column(
        "number",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="0: what the payment gives back by itself; n: the operators' n-th of the payment",
    ),
    Column("attempt", Integer, nullable=False, comment="1, and one more after each definitive failure"),
    Column("key", Text, nullable=False, unique=True, comment="X-Refund-Idempotency and receipt"),
    Column("amount_paise", BigInteger, nullable=False, comment="frozen when it was decided; never computed again"),
    Column("body", JSONB, nullable=False, comment="what is sent to Razorpay, word for word, every time"),
    Column("status", Text, nullable=False, comment="PENDING, CALLING, UNKNOWN, PROCESSING, PROCESSED, FAILED"),
    Column("speed_requested", Text, nullable=False, comment="optimum or normal"),
    Column("speed_processed", Text, comment="how it really went: instant or normal"),
    Column("razorpay_refund_id", Text, unique=True, comment="rfnd_..., once we know it"),
    Column("bank_reference", Text, comment="RRN or ARN"),
    Column("reference_kind", Text, comment="RRN, ARN or UTR: which of them it is; null: not known"),
    Column("calls", Integer, nullable=False, server_default=text("0"), comment="how often Razorpay was asked for this attempt"),
    Column("last_error", Text, comment="what Razorpay said last, where it did not do what was asked"),
    Column("traceparent", Text, comment="the trace in which it was decided"),
    Column("subject_version", Integer, nullable=False, comment="orders RefundChanged"),
    moment(
        "next_attempt_at", "when the worker takes it up; while claimed, when the claim lapses; null: nothing to do", nullable=True
    ),
    moment("created_at", "when it was decided"),
    moment("updated_at", "the last change of status"),
    moment("processed_at", "when we learnt that the rider has it", nullable=True),
    UniqueConstraint("qr_payment_id", "number", "attempt"),
    CheckConstraint("amount_paise >= 100", name="amount"),
    one_of("status", RefundStatus),
    one_of("speed_requested", Speed),
    Index("refunds_one_live_per_number_idx", "qr_payment_id", "number", unique=True, postgresql_where=text("status <> 'FAILED'")),
    Index("refunds_due_idx", "next_attempt_at", postgresql_where=text("next_attempt_at is not null")),
    Index("refunds_status_idx", "status", "id"),
    Index("refunds_by_operators_idx", "id", postgresql_where=text("number > 0")),
    comment="Money on its way back. At most one live automatic refund per payment, and one of each that an operator decided.",
)

refund_steps = Table(
    "refund_steps",
    metadata,
    identity("ours: the order in which we learnt"),
    Column("refund_id", BigInteger, ForeignKey(refunds.c.id), nullable=False, comment="whose step"),
    Column("step", Text, nullable=False, comment="REQUESTED, UNKNOWN, PENDING, PROCESSED, FAILED, SPEED_CHANGED, REFERENCE"),
    Column("told_by", Text, nullable=False, comment="US, ANSWER, WEBHOOK, FETCH: who said so"),
    Column("webhook_event_id", BigInteger, ForeignKey(webhook_events.c.id), comment="the event, where one said so"),
    Column("detail", Text, comment="Razorpay's reason, the bank's reference, or the speed"),
    moment("at", "when we learnt it"),
    one_of("step", Step),
    one_of("told_by", ToldBy),
    Index(None, "refund_id", "id"),
    comment="The history of each refund: what was learnt, when, and from whom. Added, never changed.",
)

residues = Table(
    "residues",
    metadata,
    identity("ours"),
    Column("qr_payment_id", BigInteger, ForeignKey(qr_payments.c.id), nullable=False, unique=True, comment="whose it is"),
    Column("amount_paise", BigInteger, nullable=False, comment="1 to 99: less than Razorpay refunds"),
    Column("reason", Text, nullable=False, comment="BILL: the remainder of a bill; else why the payment was not served"),
    moment("created_at", "when it was booked"),
    CheckConstraint("amount_paise between 1 and 99", name="amount"),
    comment="Owed to riders and too small to send. Visible, never dropped.",
)
