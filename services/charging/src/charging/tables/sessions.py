"""Who may charge, paid starts, transactions and what chargers said of them."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from charging.domain.start import ID_TAG_LENGTH_MAX
from charging.domain.states import StartRequestState, TransactionState
from charging.domain.stopping import StopMeans
from charging.tables.base import Time, identity, metadata, one_of
from charging.tables.network import chargers, tariffs
from contracts.charging import StartRefusal, StopReason

id_tags = sa.Table(
    "id_tags",
    metadata,
    identity(),
    sa.Column("id_tag", sa.Text, nullable=False, unique=True, comment="as compared: upper case, no spaces"),
    sa.Column("holder", sa.Text, nullable=False, comment="whose it is"),
    sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.text("true"), comment="false: Blocked"),
    sa.Column("expires_at", Time, comment="Expired from then on; null: never"),
    sa.Column("parent_id_tag", sa.Text, comment="the group it belongs to, as OCPP's parentIdTag; null: none"),
    sa.Column(
        "concurrent_sessions_max",
        sa.Integer,
        server_default="1",
        comment="more of its transactions at once are ConcurrentTx; null: no bound",
    ),
    sa.Column("created_at", Time, nullable=False, comment="when it was entered"),
    sa.Index(None, "parent_id_tag", "id"),
    sa.CheckConstraint("concurrent_sessions_max > 0", name="concurrent_sessions_max"),
    sa.CheckConstraint(f"length(parent_id_tag) BETWEEN 1 AND {ID_TAG_LENGTH_MAX}", name="parent_id_tag"),
    sa.CheckConstraint(f"length(id_tag) BETWEEN 1 AND {ID_TAG_LENGTH_MAX}", name="id_tag"),
)


start_requests = sa.Table(
    "start_requests",
    metadata,
    identity(),
    sa.Column("request_key", sa.Text, nullable=False, unique=True, comment="names the one wish: qr_payment_17"),
    sa.Column("charge_point_id", sa.Text, nullable=False, comment="as asked for"),
    sa.Column("charger_id", sa.BigInteger, sa.ForeignKey(chargers.c.id), comment="null: no such charger"),
    sa.Column("connector_id", sa.Integer, nullable=False, comment="as asked for"),
    sa.Column("budget_paise", sa.BigInteger, nullable=False, comment="what was paid"),
    sa.Column("platform_fee_paise", sa.BigInteger, nullable=False, comment="the payment's fee, part of the budget"),
    sa.Column("payer_reference", sa.Text, nullable=False, comment="who pays, as payments names it; opaque here"),
    sa.Column("id_tag", sa.Text, nullable=False, unique=True, comment="minted for this one request"),
    sa.Column("state", sa.Text, nullable=False, comment="REQUESTED until decided, once, in the lane"),
    sa.Column("reason", sa.Text, comment="why REFUSED or EXPIRED"),
    sa.Column("detail", sa.Text, nullable=False, server_default="", comment="the same for people"),
    sa.Column("deadline_at", Time, nullable=False, comment="nothing starts after it"),
    sa.Column(
        "judge_at", Time, comment="its connector is busy: looked at again then; null: the charger was asked, or it's decided"
    ),
    sa.Column("transaction_id", sa.BigInteger, comment="what it became"),
    sa.Column("traceparent", sa.Text, comment="trace of the payment: its session's events continue it"),
    sa.Column("requested_at", Time, nullable=False, comment="when it was first read"),
    sa.Column("decided_at", Time, comment="when it left REQUESTED"),
    one_of("state", StartRequestState),
    one_of("reason", StartRefusal),
    sa.Index(
        "start_requests_one_pending", "charger_id", "connector_id", unique=True, postgresql_where=sa.text("state = 'REQUESTED'")
    ),
    sa.Index(None, "charger_id", "id"),
)


transactions = sa.Table(
    "transactions",
    metadata,
    sa.Column(
        "id",
        sa.BigInteger,
        sa.Identity(always=True),
        primary_key=True,
        comment="OCPP's transactionId: positive, never from a clock",
    ),
    sa.Column("charger_id", sa.BigInteger, sa.ForeignKey(chargers.c.id), nullable=False, comment="its charger"),
    sa.Column("charge_point_id", sa.Text, nullable=False, comment="the same, as the lanes name it"),
    sa.Column("connector_id", sa.Integer, nullable=False, comment="where the car stands"),
    sa.Column("station_id", sa.BigInteger, nullable=False, comment="snapshot at the start"),
    sa.Column("franchisee_id", sa.BigInteger, comment="owner at the start; null: the platform's own"),
    sa.Column("station_name", sa.Text, comment="snapshot, for the rider's invoice; null: it began before this was kept"),
    sa.Column("station_state_code", sa.Text, comment="snapshot, GST code: place of supply; null: the station names none"),
    sa.Column(
        "start_request_id", sa.BigInteger, sa.ForeignKey(start_requests.c.id), comment="null: a staff tag or a refused start"
    ),
    sa.Column("request_key", sa.Text, comment="the start request's"),
    sa.Column("payer_reference", sa.Text, comment="the start request's; null: metered, neither billed nor settled"),
    sa.Column("id_tag", sa.Text, nullable=False, comment="as normalised"),
    sa.Column(
        "tariff_id", sa.BigInteger, sa.ForeignKey(tariffs.c.id), comment="snapshot; null: a staff tag where no tariff is set"
    ),
    sa.Column("tariff_paise_per_kwh", sa.BigInteger, nullable=False, comment="snapshot at the start"),
    sa.Column("gst_bps", sa.Integer, nullable=False, comment="snapshot at the start"),
    sa.Column(
        "tariff_effective_from",
        Time,
        comment="snapshot: since when that version held; null: no tariff, or it began before this was kept",
    ),
    sa.Column("budget_paise", sa.BigInteger, comment="what was paid; null: no payer, no limit"),
    sa.Column(
        "platform_fee_paise",
        sa.BigInteger,
        nullable=False,
        server_default="0",
        comment="part of the budget; may become exact later",
    ),
    sa.Column("affordable_wh", sa.BigInteger, comment="the energy that the budget pays for, by the bill's own rounding"),
    sa.Column("rated_power_w", sa.Integer, nullable=False, comment="snapshot: bounds plausibility, first forecast"),
    sa.Column("connector_kind", sa.Text, nullable=False, comment="snapshot"),
    sa.Column("started_at", Time, nullable=False, comment="StartTransaction received"),
    sa.Column(
        "timestamp_text", sa.Text, nullable=False, comment="the charger's own, part of the business key of a repeated start"
    ),
    sa.Column("traceparent", sa.Text, comment="the start request's"),
    sa.Column("answer_status", sa.Text, nullable=False, comment="AuthorizationStatus that StartTransaction was answered with"),
    sa.Column("state", sa.Text, nullable=False, comment="STARTED, RUNNING, SUSPENDED, STOPPED"),
    sa.Column(
        "subject_version", sa.Integer, nullable=False, server_default="1", comment="grows with every step: orders its events"
    ),
    sa.Column("suspended_at", Time, comment="last time it was suspended"),
    sa.Column("resumed_at", Time, comment="last time it resumed"),
    sa.Column("resume_count", sa.Integer, nullable=False, server_default="0", comment="how often it resumed"),
    sa.Column("suspension_cause", sa.Text, comment="DISCONNECT, GATEWAY, BOOT, RETURNED"),
    sa.Column("suspension_deadline_at", Time, comment="finalized if it is still suspended then"),
    sa.Column(
        "availability_deadline_at", Time, comment="finalized then: the connector reported free (grace, or waiting for the Stop)"
    ),
    sa.Column("availability_reason", sa.Text, comment="stop_reason of that end"),
    sa.Column(
        "last_activity_at", Time, nullable=False, comment="last Start or MeterValues received: the 900 s guard counts from it"
    ),
    sa.Column(
        "last_progress_at", Time, nullable=False, comment="last confirmed forward step received: socket grace counts from it"
    ),
    sa.Column("disconnect_count", sa.Integer, nullable=False, server_default="0", comment="drops in a row without progress"),
    sa.Column(
        "disconnect_energy_wh", sa.BigInteger, nullable=False, server_default="0", comment="confirmed energy at the last drop"
    ),
    sa.Column(
        "applied_epoch",
        sa.BigInteger,
        nullable=False,
        server_default="0",
        comment="the last applied MeterValues: a repeat changes nothing",
    ),
    sa.Column("applied_seq", sa.BigInteger, nullable=False, server_default="0", comment="the last applied MeterValues"),
    sa.Column("reported_transaction_id", sa.BigInteger, comment="the id that the charger itself uses, where it is not ours"),
    sa.Column("meter_start_wh", sa.BigInteger, nullable=False, comment="meterStart, never below 0"),
    sa.Column(
        "confirmed_wh",
        sa.BigInteger,
        nullable=False,
        server_default="0",
        comment="sum of confirmed forward steps, late ones included",
    ),
    sa.Column("register_wh", sa.BigInteger, nullable=False, comment="last confirmed register"),
    sa.Column("read_at", Time, nullable=False, comment="when it was received"),
    sa.Column("charger_read_at", Time, comment="the charger's clock of it, where sane"),
    sa.Column("offset_wh", sa.BigInteger, nullable=False, server_default="0", comment="added to a session-relative register"),
    sa.Column("held_wh", sa.BigInteger, comment="a reading that waits for an explanation"),
    sa.Column("held_at", Time, comment="when it was received"),
    sa.Column("held_charger_at", Time, comment="the charger's clock of it"),
    sa.Column(
        "segment_open",
        sa.Boolean,
        nullable=False,
        server_default=sa.text("false"),
        comment="boot or disconnect since the last good reading",
    ),
    sa.Column(
        "meter_implausible", sa.Boolean, nullable=False, server_default=sa.text("false"), comment="METER_IMPLAUSIBLE so far"
    ),
    sa.Column("power_w", sa.BigInteger, comment="last reported power"),
    sa.Column("rate_w", sa.BigInteger, comment="average power of the last confirmed stretch"),
    sa.Column(
        "power_mwh", sa.BigInteger, nullable=False, server_default="0", comment="reported power x time, 1/1000 Wh: cross-check"
    ),
    sa.Column("read_epoch", sa.BigInteger, nullable=False, server_default="0", comment="last confirmed reading; 0: meterStart"),
    sa.Column("read_seq", sa.BigInteger, nullable=False, server_default="0", comment="in which message"),
    sa.Column("read_n", sa.Integer, nullable=False, server_default="0", comment="which meterValue of it; -1: meterStop"),
    sa.Column("meter_trail", JSONB, comment="segments and doubtful readings so far; null: nothing out of the ordinary"),
    sa.Column("stop_due_at", Time, comment="forecast: when to stop so that the bill stays within the budget"),
    sa.Column("stop_intent", sa.Text, comment="stop_reason that we decided on; null: nobody wants it stopped"),
    sa.Column("stop_attempt", sa.Integer, nullable=False, server_default="0", comment="attempts so far"),
    sa.Column("stop_attempt_at", Time, comment="when the last was made"),
    sa.Column(
        "stop_attempt_energy_wh",
        sa.BigInteger,
        nullable=False,
        server_default="0",
        comment="confirmed energy at the last attempt",
    ),
    sa.Column("stop_confirm_due_at", Time, comment="the attempt in flight must be confirmed by then"),
    sa.Column("charger_stopped_at", Time, comment="StopTransaction received, energy seen flat, or nothing more heard of it"),
    sa.Column("stopped_at", Time, comment="finalized"),
    sa.Column("stop_reason", sa.Text, comment="ours"),
    sa.Column("ocpp_stop_reason", sa.Text, comment="the charger's own word"),
    sa.Column("energy_wh", sa.BigInteger, comment="billed energy, frozen by the finalizer"),
    sa.Column("meter_stop_wh", sa.BigInteger, comment="as the charger sent it"),
    sa.Column(
        "unnamed_stop_epoch",
        sa.BigInteger,
        comment="the StopTransaction that ended it without naming it by our id; null: it was named, or none came",
    ),
    sa.Column("unnamed_stop_seq", sa.BigInteger, comment="the same"),
    sa.Column(
        "implausible",
        sa.Boolean,
        nullable=False,
        server_default=sa.text("false"),
        comment="billed the smaller figure, payout held",
    ),
    sa.Column("late_wh", sa.BigInteger, nullable=False, server_default="0", comment="reported after the end: never billed"),
    sa.Column("energy_evidence", JSONB, comment="what energy_wh rests on (EnergyEvidence), frozen with it"),
    sa.Column("energy_charge_paise", sa.BigInteger, comment="from the bill"),
    sa.Column("gst_amount_paise", sa.BigInteger, comment="from the bill"),
    sa.Column("total_billed_paise", sa.BigInteger, comment="from the bill: energy charge + GST + platform fee"),
    sa.CheckConstraint("id > 0", name="id"),
    one_of("state", TransactionState),
    one_of("stop_reason", StopReason),
    one_of("stop_intent", StopReason),
    sa.CheckConstraint("(state = 'STOPPED') = (energy_wh IS NOT NULL AND stop_reason IS NOT NULL)", name="final"),
    sa.CheckConstraint("confirmed_wh >= 0 AND energy_wh >= 0 AND late_wh >= 0", name="energy"),
    # Only columns that seldom change are indexed, so that the update at every reading stays within its page (HOT). The sweeps
    # read the few active rows by the partial index.
    sa.Index(
        "transactions_one_active", "charger_id", "connector_id", unique=True, postgresql_where=sa.text("state <> 'STOPPED'")
    ),
    sa.Index("transactions_start_key", "charger_id", "connector_id", "id_tag", "timestamp_text", "meter_start_wh", unique=True),
    sa.Index(
        "transactions_unstopped",
        "charger_id",
        postgresql_where=sa.text("stop_intent IS NOT NULL AND charger_stopped_at IS NULL"),
    ),
    sa.Index(
        "transactions_unnamed_stop",
        "charger_id",
        "unnamed_stop_epoch",
        "unnamed_stop_seq",
        unique=True,
        postgresql_where=sa.text("unnamed_stop_epoch IS NOT NULL"),
    ),
    sa.Index(None, "start_request_id"),
    sa.Index("transactions_id_tag_id", "id_tag", "id"),
    sa.Index("transactions_charger_id_id", "charger_id", "id"),
    sa.Index("transactions_station_id_id", "station_id", "id"),
    sa.Index("transactions_franchisee_id_id", "franchisee_id", "id"),
)


meter_values = sa.Table(
    "meter_values",
    metadata,
    sa.Column("charger_id", sa.BigInteger, nullable=False, comment="who said it"),
    sa.Column("epoch", sa.BigInteger, nullable=False, comment="on which connection"),
    sa.Column("seq", sa.BigInteger, nullable=False, comment="in which message"),
    sa.Column("n", sa.Integer, nullable=False, comment="which meterValue of it"),
    sa.Column("connector_id", sa.Integer, nullable=False, comment="as the charger says"),
    sa.Column("transaction_id", sa.BigInteger, comment="bound to; null: to none"),
    sa.Column("received_at", Time, nullable=False, comment="our clock"),
    sa.Column("charger_at", Time, comment="the charger's, as sent"),
    sa.Column("energy_wh", sa.BigInteger, comment="import register as reported, in Wh"),
    sa.Column("confirmed_wh", sa.BigInteger, comment="the transaction's confirmed energy after it"),
    sa.Column("power_w", sa.BigInteger, comment="active import"),
    sa.Column("soc_percent", sa.Integer, comment="the car's state of charge"),
    sa.Column("sampled_value", JSONB, nullable=False, comment="everything that was said, in OCPP's words"),
    # No foreign keys: a row must be storable whatever it claims, and at this rate each check would cost as much as the row.
    sa.PrimaryKeyConstraint("charger_id", "epoch", "seq", "n"),
    sa.Index("meter_values_transaction_id", "transaction_id", "received_at", "seq", "n"),
)


stop_attempts = sa.Table(
    "stop_attempts",
    metadata,
    sa.Column("transaction_id", sa.BigInteger, sa.ForeignKey(transactions.c.id), primary_key=True, comment="what is to stop"),
    sa.Column("attempt", sa.Integer, primary_key=True, comment="from 1"),
    sa.Column("means", sa.Text, nullable=False, comment="REMOTE_STOP, or stronger"),
    sa.Column(
        "command_id", sa.BigInteger, sa.ForeignKey("charging.commands.id"), nullable=False, comment="the OCPP command of it"
    ),
    sa.Column("intent", sa.Text, nullable=False, comment="stop_reason that is wanted"),
    sa.Column("energy_wh", sa.BigInteger, nullable=False, comment="confirmed energy then"),
    sa.Column("attempted_at", Time, nullable=False, comment="when it was decided"),
    one_of("means", StopMeans),
)


orphans = sa.Table(
    "orphans",
    metadata,
    identity(),
    sa.Column("charger_id", sa.BigInteger, sa.ForeignKey(chargers.c.id), nullable=False, comment="who said it"),
    sa.Column("epoch", sa.BigInteger, nullable=False, comment="on which connection"),
    sa.Column("seq", sa.BigInteger, nullable=False, comment="in which message"),
    sa.Column("kind", sa.Text, nullable=False, comment="StopTransaction"),
    sa.Column("reported_transaction_id", sa.BigInteger, comment="the id that it claims"),
    sa.Column(
        "start_request_id", sa.BigInteger, sa.ForeignKey(start_requests.c.id), comment="whose minted tag it bears; null: nobody's"
    ),
    sa.Column("payload", JSONB, nullable=False, comment="the whole message"),
    sa.Column("received_at", Time, nullable=False, comment="our clock"),
    sa.UniqueConstraint("charger_id", "epoch", "seq"),
)
