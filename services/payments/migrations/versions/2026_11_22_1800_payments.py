"""QR codes, webhooks, riders, payments, bills, refunds, residues; and the chassis's outbox, inbox and idempotency keys."""

from alembic import op

from chassis.database.tables import create_standard_tables, drop_standard_tables

revision = "2026_11_22_1800"
down_revision = None

# As `payments.tables` was on this day. A later change is a later migration; a test compares the two.
TABLES = """
CREATE TABLE qr_codes (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    charge_point_id TEXT NOT NULL,
    connector_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    body JSONB NOT NULL,
    razorpay_qr_code_id TEXT,
    image_url TEXT,
    image_content TEXT,
    calls INTEGER DEFAULT 0 NOT NULL,
    last_error TEXT,
    next_attempt_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    closed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT qr_codes_pkey PRIMARY KEY (id),
    CONSTRAINT qr_codes_connector_check CHECK (connector_id >= 1),
    CONSTRAINT qr_codes_status_check CHECK (status in ('CREATING', 'ACTIVE', 'CLOSING', 'CLOSED', 'FAILED')),
    CONSTRAINT qr_codes_razorpay_qr_code_id_key UNIQUE (razorpay_qr_code_id)
);

CREATE INDEX qr_codes_due_idx ON qr_codes (next_attempt_at) WHERE next_attempt_at is not null;
CREATE UNIQUE INDEX qr_codes_one_live_per_connector_idx ON qr_codes (charge_point_id, connector_id) WHERE status in ('CREATING', 'ACTIVE');
COMMENT ON TABLE qr_codes IS 'Printed UPI QR codes, one live per connector. Our row is there before Razorpay is asked.';
COMMENT ON COLUMN qr_codes.id IS 'ours; it rides in Razorpay''s notes';
COMMENT ON COLUMN qr_codes.charge_point_id IS 'the charger whose connector the money is for';
COMMENT ON COLUMN qr_codes.connector_id IS 'OCPP connector, from 1';
COMMENT ON COLUMN qr_codes.name IS 'what stands on the print, and in Razorpay''s dashboard';
COMMENT ON COLUMN qr_codes.status IS 'CREATING, ACTIVE, CLOSING, CLOSED, FAILED';
COMMENT ON COLUMN qr_codes.body IS 'what Razorpay is asked to create, frozen before the first call';
COMMENT ON COLUMN qr_codes.razorpay_qr_code_id IS 'qr_...; null until Razorpay made it';
COMMENT ON COLUMN qr_codes.image_url IS 'Razorpay''s picture of it';
COMMENT ON COLUMN qr_codes.image_content IS 'the upi:// text that the QR code encodes; ours to draw, offline';
COMMENT ON COLUMN qr_codes.calls IS 'how often Razorpay was asked to create it';
COMMENT ON COLUMN qr_codes.last_error IS 'what Razorpay said last, where it did not do what was asked';
COMMENT ON COLUMN qr_codes.next_attempt_at IS 'when a sweep takes it up again; null: nothing to do';
COMMENT ON COLUMN qr_codes.created_at IS 'when our row was made';
COMMENT ON COLUMN qr_codes.closed_at IS 'when it was closed here';

CREATE TABLE riders (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    phone TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT riders_pkey PRIMARY KEY (id),
    CONSTRAINT riders_phone_key UNIQUE (phone)
);

COMMENT ON TABLE riders IS 'Who paid. Without a phone it is a UPI guest.';
COMMENT ON COLUMN riders.id IS 'the payer''s reference in charging: rdr_{id}';
COMMENT ON COLUMN riders.phone IS 'E.164; personal: masked in logs and answers';
COMMENT ON COLUMN riders.created_at IS 'when we first saw this payer';

CREATE TABLE webhook_events (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    razorpay_event_id TEXT NOT NULL,
    body_sha256 TEXT NOT NULL,
    event TEXT,
    account_id TEXT,
    body BYTEA NOT NULL,
    headers JSONB NOT NULL,
    verified_by TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    deliveries INTEGER DEFAULT 1 NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    traceparent TEXT,
    next_attempt_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL,
    handled_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT webhook_events_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_events_razorpay_event_id_body_sha256_key UNIQUE (razorpay_event_id, body_sha256),
    CONSTRAINT webhook_events_verified_by_check CHECK (verified_by in ('CURRENT', 'PREVIOUS')),
    CONSTRAINT webhook_events_state_check CHECK (state in ('RECEIVED', 'HANDLED', 'IGNORED', 'FAILED'))
);

CREATE INDEX webhook_events_due_idx ON webhook_events (next_attempt_at, id) WHERE next_attempt_at is not null;
CREATE INDEX webhook_events_event_idx ON webhook_events (event, id);
CREATE INDEX webhook_events_state_idx ON webhook_events (state, id);
COMMENT ON TABLE webhook_events IS 'Every verified webhook as it came. The same event id with another body is another row.';
COMMENT ON COLUMN webhook_events.id IS 'ours';
COMMENT ON COLUMN webhook_events.razorpay_event_id IS 'x-razorpay-event-id, or the body''s hash where it was missing';
COMMENT ON COLUMN webhook_events.body_sha256 IS 'SHA-256 of the raw body, hex';
COMMENT ON COLUMN webhook_events.event IS 'its name, such as qr_code.credited; null where the body could not be read';
COMMENT ON COLUMN webhook_events.account_id IS 'acc_... as the envelope says';
COMMENT ON COLUMN webhook_events.body IS 'the bytes as they came: what the signature is of';
COMMENT ON COLUMN webhook_events.headers IS 'those headers that say something about the delivery';
COMMENT ON COLUMN webhook_events.verified_by IS 'which webhook secret verified it; unverified events are not stored';
COMMENT ON COLUMN webhook_events.state IS 'RECEIVED, HANDLED, IGNORED, FAILED';
COMMENT ON COLUMN webhook_events.reason IS 'why it was ignored or failed, or waits';
COMMENT ON COLUMN webhook_events.deliveries IS 'how often Razorpay sent it';
COMMENT ON COLUMN webhook_events.attempts IS 'how often working it failed or had to wait';
COMMENT ON COLUMN webhook_events.traceparent IS 'the trace of the delivery; the work goes on in it';
COMMENT ON COLUMN webhook_events.next_attempt_at IS 'when it is worked next; null: not any more';
COMMENT ON COLUMN webhook_events.created_at IS 'when Razorpay made the event';
COMMENT ON COLUMN webhook_events.received_at IS 'when we first got it';
COMMENT ON COLUMN webhook_events.handled_at IS 'when it was handled, ignored or given up';

CREATE TABLE qr_payments (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    razorpay_payment_id TEXT NOT NULL,
    request_key TEXT GENERATED ALWAYS AS ('qr_payment_' || id::text) STORED,
    webhook_event_id BIGINT,
    qr_code_id BIGINT,
    charge_point_id TEXT,
    connector_id INTEGER,
    amount_paise BIGINT NOT NULL,
    platform_fee_paise BIGINT NOT NULL,
    platform_fee_tax_paise BIGINT,
    fee_source TEXT NOT NULL,
    rider_id BIGINT NOT NULL,
    rider_resolved_by TEXT NOT NULL,
    vpa TEXT,
    contact TEXT,
    rrn TEXT,
    state TEXT NOT NULL,
    refund_reason TEXT,
    refund_detail TEXT,
    transaction_id BIGINT,
    stopped JSONB,
    paid_at TIMESTAMP WITH TIME ZONE NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL,
    start_deadline TIMESTAMP WITH TIME ZONE,
    start_chased_at TIMESTAMP WITH TIME ZONE,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT qr_payments_pkey PRIMARY KEY (id),
    CONSTRAINT qr_payments_amount_check CHECK (amount_paise > 0),
    CONSTRAINT qr_payments_fee_check CHECK (platform_fee_paise >= 0),
    CONSTRAINT qr_payments_state_check CHECK (state in ('RECEIVED', 'START_REQUESTED', 'CHARGING', 'BILLING_FAILED', 'BILLED', 'REFUND_DUE', 'REFUNDED', 'RESIDUE_OWED')),
    CONSTRAINT qr_payments_fee_source_check CHECK (fee_source in ('WEBHOOK', 'API', 'ESTIMATE')),
    CONSTRAINT qr_payments_rider_resolved_by_check CHECK (rider_resolved_by in ('PHONE', 'VPA', 'UPI_GUEST')),
    CONSTRAINT qr_payments_razorpay_payment_id_key UNIQUE (razorpay_payment_id),
    CONSTRAINT qr_payments_webhook_event_id_fkey FOREIGN KEY(webhook_event_id) REFERENCES webhook_events (id),
    CONSTRAINT qr_payments_qr_code_id_fkey FOREIGN KEY(qr_code_id) REFERENCES qr_codes (id),
    CONSTRAINT qr_payments_rider_id_fkey FOREIGN KEY(rider_id) REFERENCES riders (id),
    CONSTRAINT qr_payments_transaction_id_key UNIQUE (transaction_id)
);

CREATE INDEX qr_payments_charge_point_id_id_idx ON qr_payments (charge_point_id, id);
CREATE INDEX qr_payments_fee_unknown_idx ON qr_payments (id) WHERE fee_source = 'ESTIMATE' and state in ('START_REQUESTED', 'CHARGING');
CREATE INDEX qr_payments_open_idx ON qr_payments (state, start_deadline) WHERE state in ('START_REQUESTED', 'BILLING_FAILED');
CREATE INDEX qr_payments_qr_code_id_id_idx ON qr_payments (qr_code_id, id);
CREATE INDEX qr_payments_rider_id_id_idx ON qr_payments (rider_id, id);
CREATE INDEX qr_payments_state_idx ON qr_payments (state, id);
COMMENT ON TABLE qr_payments IS 'Payments made by scanning a QR code.';
COMMENT ON COLUMN qr_payments.id IS 'names the start request and the refund: qr_payment_{id}';
COMMENT ON COLUMN qr_payments.razorpay_payment_id IS 'pay_...: one payment is one row, however often it is told';
COMMENT ON COLUMN qr_payments.request_key IS 'as charging knows it';
COMMENT ON COLUMN qr_payments.webhook_event_id IS 'the event that told us';
COMMENT ON COLUMN qr_payments.qr_code_id IS 'null: the noted QR code never turned up';
COMMENT ON COLUMN qr_payments.charge_point_id IS 'copied from the QR code at receipt';
COMMENT ON COLUMN qr_payments.connector_id IS 'copied from the QR code at receipt';
COMMENT ON COLUMN qr_payments.amount_paise IS 'what the rider paid';
COMMENT ON COLUMN qr_payments.platform_fee_paise IS 'Razorpay''s fee, GST included, or its estimate';
COMMENT ON COLUMN qr_payments.platform_fee_tax_paise IS 'the GST in it; null where it was not told';
COMMENT ON COLUMN qr_payments.fee_source IS 'WEBHOOK, API, ESTIMATE';
COMMENT ON COLUMN qr_payments.rider_id IS 'who paid';
COMMENT ON COLUMN qr_payments.rider_resolved_by IS 'PHONE, VPA, UPI_GUEST';
COMMENT ON COLUMN qr_payments.vpa IS 'as Razorpay gave it; personal';
COMMENT ON COLUMN qr_payments.contact IS 'as Razorpay gave it; personal';
COMMENT ON COLUMN qr_payments.rrn IS 'the bank''s reference of the payment';
COMMENT ON COLUMN qr_payments.state IS 'see payments.domain.qr_payment';
COMMENT ON COLUMN qr_payments.refund_reason IS 'why all of it goes back';
COMMENT ON COLUMN qr_payments.refund_detail IS 'a sentence for people';
COMMENT ON COLUMN qr_payments.transaction_id IS 'charging''s transaction; one payment is one session';
COMMENT ON COLUMN qr_payments.stopped IS 'charging''s transaction_stopped, kept while no bill could be made of it';
COMMENT ON COLUMN qr_payments.paid_at IS 'when the rider paid, by Razorpay';
COMMENT ON COLUMN qr_payments.received_at IS 'when we got the event; the start deadline counts from here';
COMMENT ON COLUMN qr_payments.start_deadline IS 'nothing starts after it';
COMMENT ON COLUMN qr_payments.start_chased_at IS 'when we last alarmed and asked to cancel, for want of an answer';
COMMENT ON COLUMN qr_payments.updated_at IS 'the last change of state';

CREATE TABLE rider_vpas (
    vpa TEXT NOT NULL,
    rider_id BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT rider_vpas_pkey PRIMARY KEY (vpa),
    CONSTRAINT rider_vpas_rider_id_fkey FOREIGN KEY(rider_id) REFERENCES riders (id)
);

CREATE INDEX rider_vpas_rider_id_idx ON rider_vpas (rider_id);
COMMENT ON TABLE rider_vpas IS 'The UPI addresses that a rider has paid from.';
COMMENT ON COLUMN rider_vpas.vpa IS 'UPI address, lower-cased; personal: masked in logs and answers';
COMMENT ON COLUMN rider_vpas.rider_id IS 'whose it is';
COMMENT ON COLUMN rider_vpas.created_at IS 'when it was first used';

CREATE TABLE bills (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    qr_payment_id BIGINT NOT NULL,
    transaction_id BIGINT NOT NULL,
    station_id BIGINT NOT NULL,
    franchisee_id BIGINT,
    energy_wh BIGINT NOT NULL,
    tariff_paise_per_kwh BIGINT NOT NULL,
    gst_bps INTEGER NOT NULL,
    paid_paise BIGINT NOT NULL,
    energy_charge_paise BIGINT NOT NULL,
    gst_paise BIGINT NOT NULL,
    platform_fee_paise BIGINT NOT NULL,
    fee_source TEXT NOT NULL,
    refund_paise BIGINT NOT NULL,
    residue_paise BIGINT NOT NULL,
    shortfall_paise BIGINT NOT NULL,
    implausible BOOLEAN NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    stopped_at TIMESTAMP WITH TIME ZONE NOT NULL,
    billed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT bills_pkey PRIMARY KEY (id),
    CONSTRAINT bills_adds_up_check CHECK (paid_paise = energy_charge_paise + gst_paise + platform_fee_paise + refund_paise + residue_paise),
    CONSTRAINT bills_not_negative_check CHECK (least(energy_wh, energy_charge_paise, gst_paise, platform_fee_paise, refund_paise, residue_paise, shortfall_paise) >= 0),
    CONSTRAINT bills_fee_source_check CHECK (fee_source in ('WEBHOOK', 'API', 'ESTIMATE')),
    CONSTRAINT bills_qr_payment_id_key UNIQUE (qr_payment_id),
    CONSTRAINT bills_qr_payment_id_fkey FOREIGN KEY(qr_payment_id) REFERENCES qr_payments (id),
    CONSTRAINT bills_transaction_id_key UNIQUE (transaction_id)
);

COMMENT ON TABLE bills IS 'The one bill of a session. Never changed once made.';
COMMENT ON COLUMN bills.id IS 'ours';
COMMENT ON COLUMN bills.qr_payment_id IS 'one bill per payment';
COMMENT ON COLUMN bills.transaction_id IS 'and one per transaction';
COMMENT ON COLUMN bills.station_id IS 'as charging snapshotted it at the start';
COMMENT ON COLUMN bills.franchisee_id IS 'owner at the start; null: the platform''s own site';
COMMENT ON COLUMN bills.energy_wh IS 'confirmed energy';
COMMENT ON COLUMN bills.tariff_paise_per_kwh IS 'rate, without GST';
COMMENT ON COLUMN bills.gst_bps IS 'GST rate in basis points';
COMMENT ON COLUMN bills.paid_paise IS '= energy charge + gst + fee + refund + residue';
COMMENT ON COLUMN bills.energy_charge_paise IS 'energy without GST';
COMMENT ON COLUMN bills.gst_paise IS 'GST as one figure';
COMMENT ON COLUMN bills.platform_fee_paise IS 'the fee as far as the rider bears it';
COMMENT ON COLUMN bills.fee_source IS 'WEBHOOK, API, ESTIMATE';
COMMENT ON COLUMN bills.refund_paise IS 'what goes back through Razorpay';
COMMENT ON COLUMN bills.residue_paise IS 'due back, below what Razorpay can refund';
COMMENT ON COLUMN bills.shortfall_paise IS 'our loss; a memo outside the sum';
COMMENT ON COLUMN bills.implausible IS 'METER_IMPLAUSIBLE: the smaller figure was billed, the payout waits';
COMMENT ON COLUMN bills.started_at IS 'of the transaction';
COMMENT ON COLUMN bills.stopped_at IS 'of the transaction';
COMMENT ON COLUMN bills.billed_at IS 'when the bill was made';

CREATE TABLE refunds (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    qr_payment_id BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    key TEXT NOT NULL,
    amount_paise BIGINT NOT NULL,
    body JSONB NOT NULL,
    status TEXT NOT NULL,
    speed_requested TEXT NOT NULL,
    speed_processed TEXT,
    razorpay_refund_id TEXT,
    bank_reference TEXT,
    calls INTEGER DEFAULT 0 NOT NULL,
    last_error TEXT,
    traceparent TEXT,
    subject_version INTEGER NOT NULL,
    next_attempt_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    processed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT refunds_pkey PRIMARY KEY (id),
    CONSTRAINT refunds_qr_payment_id_attempt_key UNIQUE (qr_payment_id, attempt),
    CONSTRAINT refunds_amount_check CHECK (amount_paise >= 100),
    CONSTRAINT refunds_status_check CHECK (status in ('PENDING', 'CALLING', 'UNKNOWN', 'PROCESSING', 'PROCESSED', 'FAILED')),
    CONSTRAINT refunds_speed_requested_check CHECK (speed_requested in ('normal', 'optimum')),
    CONSTRAINT refunds_qr_payment_id_fkey FOREIGN KEY(qr_payment_id) REFERENCES qr_payments (id),
    CONSTRAINT refunds_key_key UNIQUE (key),
    CONSTRAINT refunds_razorpay_refund_id_key UNIQUE (razorpay_refund_id)
);

CREATE INDEX refunds_due_idx ON refunds (next_attempt_at) WHERE next_attempt_at is not null;
CREATE UNIQUE INDEX refunds_one_live_per_payment_idx ON refunds (qr_payment_id) WHERE status <> 'FAILED';
CREATE INDEX refunds_status_idx ON refunds (status, id);
COMMENT ON TABLE refunds IS 'Money on its way back. At most one live refund per payment.';
COMMENT ON COLUMN refunds.id IS 'ours';
COMMENT ON COLUMN refunds.qr_payment_id IS 'whose money goes back';
COMMENT ON COLUMN refunds.attempt IS '1, and one more after each definitive failure';
COMMENT ON COLUMN refunds.key IS 'X-Refund-Idempotency and receipt';
COMMENT ON COLUMN refunds.amount_paise IS 'frozen when it was decided; never computed again';
COMMENT ON COLUMN refunds.body IS 'what is sent to Razorpay, word for word, every time';
COMMENT ON COLUMN refunds.status IS 'PENDING, CALLING, UNKNOWN, PROCESSING, PROCESSED, FAILED';
COMMENT ON COLUMN refunds.speed_requested IS 'optimum or normal';
COMMENT ON COLUMN refunds.speed_processed IS 'how it really went: instant or normal';
COMMENT ON COLUMN refunds.razorpay_refund_id IS 'rfnd_..., once we know it';
COMMENT ON COLUMN refunds.bank_reference IS 'RRN or ARN';
COMMENT ON COLUMN refunds.calls IS 'how often Razorpay was asked for this attempt';
COMMENT ON COLUMN refunds.last_error IS 'what Razorpay said last, where it did not do what was asked';
COMMENT ON COLUMN refunds.traceparent IS 'the trace in which it was decided';
COMMENT ON COLUMN refunds.subject_version IS 'orders RefundChanged';
COMMENT ON COLUMN refunds.next_attempt_at IS 'when the worker takes it up; while claimed, when the claim lapses; null: nothing to do';
COMMENT ON COLUMN refunds.created_at IS 'when it was decided';
COMMENT ON COLUMN refunds.updated_at IS 'the last change of status';
COMMENT ON COLUMN refunds.processed_at IS 'when we learnt that the rider has it';

CREATE TABLE residues (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    qr_payment_id BIGINT NOT NULL,
    amount_paise BIGINT NOT NULL,
    reason TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT residues_pkey PRIMARY KEY (id),
    CONSTRAINT residues_amount_check CHECK (amount_paise between 1 and 99),
    CONSTRAINT residues_qr_payment_id_key UNIQUE (qr_payment_id),
    CONSTRAINT residues_qr_payment_id_fkey FOREIGN KEY(qr_payment_id) REFERENCES qr_payments (id)
);

COMMENT ON TABLE residues IS 'Owed to riders and too small to send. Visible, never dropped.';
COMMENT ON COLUMN residues.id IS 'ours';
COMMENT ON COLUMN residues.qr_payment_id IS 'whose it is';
COMMENT ON COLUMN residues.amount_paise IS '1 to 99: less than Razorpay refunds';
COMMENT ON COLUMN residues.reason IS 'BILL: the remainder of a bill; else why the payment was not served';
COMMENT ON COLUMN residues.created_at IS 'when it was booked';
"""  # noqa: E501


def upgrade() -> None:
    """Create everything. Runs with the lock timeout of chassis.database.migrate."""
    connection = op.get_bind()
    for statement in (*create_standard_tables("payments"), *TABLES.split(";\n")):
        if statement.strip():
            connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Drop everything, dependants first."""
    for table in ("residues", "refunds", "bills", "qr_payments", "rider_vpas", "riders", "webhook_events", "qr_codes"):
        op.execute(f"DROP TABLE {table}")
    for statement in drop_standard_tables("payments"):
        op.execute(statement)
