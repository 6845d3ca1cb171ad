"""The tables of the schema `charging`. Each column says what it holds; a test holds the migrations against this page."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from charging.domain.deadlines import ConnectorKind
from charging.domain.start import ID_TAG_LENGTH_MAX
from charging.domain.states import CommandStatus, StartRequestState, TransactionState
from charging.domain.stopping import StopMeans
from contracts.charging import StartRefusal, StopReason

metadata = sa.MetaData(
    schema="charging",
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    },
)

Time = TIMESTAMP(timezone=True)


def _id() -> "sa.Column[int]":
    return sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True)


def _one_of(column: str, words: Iterable[str]) -> sa.CheckConstraint:
    """States are text with a CHECK: readable in psql, extended by a migration."""
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


stations = sa.Table(
    "stations",
    metadata,
    _id(),
    sa.Column("name", sa.Text, nullable=False, comment="as riders know the place"),
    sa.Column("franchisee_id", sa.BigInteger, comment="settlement's id of the site's owner; null: the platform's own"),
    sa.Column("address", sa.Text, nullable=False, server_default="", comment="street address, as printed"),
    sa.Column("city", sa.Text, nullable=False, server_default="", comment="city"),
    sa.Column("state", sa.Text, nullable=False, server_default="", comment="state of India: place of supply"),
    sa.Column("postal_code", sa.Text, nullable=False, server_default="", comment="PIN code"),
    sa.Column("latitude", sa.Double, comment="degrees north, WGS 84"),
    sa.Column("longitude", sa.Double, comment="degrees east, WGS 84"),
    sa.Column("created_at", Time, nullable=False, comment="when it was entered"),
    sa.Column("updated_at", Time, nullable=False, comment="when it was last changed"),
    sa.Index(None, "franchisee_id"),
)

tariffs = sa.Table(
    "tariffs",
    metadata,
    _id(),
    sa.Column(
        "station_id", sa.BigInteger, sa.ForeignKey(stations.c.id), comment="holds here; null with charger_id null: everywhere"
    ),
    sa.Column("charger_id", sa.BigInteger, sa.ForeignKey("charging.chargers.id"), comment="holds for this charger only"),
    sa.Column("name", sa.Text, nullable=False, comment="as operators call it"),
    sa.Column("paise_per_kwh", sa.BigInteger, nullable=False, comment="energy, GST apart, paise per kWh"),
    sa.Column("gst_bps", sa.Integer, nullable=False, comment="GST on the energy charge, 1/100 percent"),
    sa.Column("effective_from", Time, nullable=False, comment="a version never changes: the latest in force counts"),
    sa.Column("created_at", Time, nullable=False, comment="when it was entered"),
    sa.CheckConstraint("paise_per_kwh >= 0", name="paise_per_kwh"),
    sa.CheckConstraint("gst_bps BETWEEN 0 AND 10000", name="gst_bps"),
    sa.CheckConstraint("station_id IS NULL OR charger_id IS NULL", name="scope"),
    sa.Index(None, "station_id"),
    sa.Index(None, "charger_id"),
)

chargers = sa.Table(
    "chargers",
    metadata,
    _id(),
    sa.Column(
        "charge_point_id",
        sa.Text,
        nullable=False,
        comment="its identity in the OCPP URL, as spelled by us; compared case-insensitively",
    ),
    sa.Column("station_id", sa.BigInteger, sa.ForeignKey(stations.c.id), nullable=False, comment="where it stands"),
    sa.Column("name", sa.Text, nullable=False, server_default="", comment="as riders see it on the spot"),
    sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.text("true"), comment="false: its handshake is refused"),
    sa.Column(
        "operative",
        sa.Boolean,
        nullable=False,
        server_default=sa.text("true"),
        comment="the operator's will; apart from what it reports",
    ),
    sa.Column("connector_kind", sa.Text, nullable=False, comment="socket, type2 or ccs: what Available means mid-session"),
    sa.Column("rated_power_w", sa.Integer, nullable=False, comment="rated power of a connector: bounds what a meter may claim"),
    sa.Column("quirks", JSONB, nullable=False, server_default="{}", comment="overrides: energy_unit, stop_escalation"),
    sa.Column("password_salt", sa.Text, nullable=False, comment="hex"),
    sa.Column("password_hash", sa.Text, nullable=False, comment="hex SHA-256 of salt + password; the password is shown once"),
    sa.Column(
        "credentials_version", sa.BigInteger, nullable=False, server_default="1", comment="grows with every change of credentials"
    ),
    sa.Column("vendor", sa.Text, comment="from BootNotification"),
    sa.Column("model", sa.Text, comment="from BootNotification"),
    sa.Column("serial_number", sa.Text, comment="chargePointSerialNumber"),
    sa.Column("box_serial_number", sa.Text, comment="chargeBoxSerialNumber"),
    sa.Column("firmware_version", sa.Text, comment="from BootNotification"),
    sa.Column("iccid", sa.Text, comment="of its SIM"),
    sa.Column("imsi", sa.Text, comment="of its SIM"),
    sa.Column("meter_type", sa.Text, comment="from BootNotification"),
    sa.Column("meter_serial_number", sa.Text, comment="from BootNotification"),
    sa.Column("epoch", sa.BigInteger, nullable=False, server_default="0", comment="the newest connection that we know of"),
    sa.Column("gateway", sa.Text, comment="who holds that connection: where commands go"),
    sa.Column("online", sa.Boolean, nullable=False, server_default=sa.text("false"), comment="whether that connection stands"),
    sa.Column("online_since", Time, comment="when it was made"),
    sa.Column("offline_since", Time, comment="when it ended"),
    sa.Column("last_seen_at", Time, comment="last message, to a minute: kept cheap, the gateway's registry is exact"),
    sa.Column("booted_at", Time, comment="last BootNotification"),
    sa.Column("boot_epoch", sa.BigInteger, nullable=False, server_default="0", comment="the last applied BootNotification"),
    sa.Column("boot_seq", sa.BigInteger, nullable=False, server_default="0", comment="the last applied BootNotification"),
    sa.Column("created_at", Time, nullable=False, comment="when it was entered"),
    sa.Column("updated_at", Time, nullable=False, comment="when a person last changed it"),
    _one_of("connector_kind", ConnectorKind),
    sa.CheckConstraint("rated_power_w > 0", name="rated_power_w"),
    sa.Index("chargers_charge_point_id_key", sa.text("lower(charge_point_id)"), unique=True),
    sa.Index("chargers_charge_point_id", "charge_point_id"),
    sa.Index(None, "station_id"),
)

connectors = sa.Table(
    "connectors",
    metadata,
    sa.Column("charger_id", sa.BigInteger, sa.ForeignKey(chargers.c.id), primary_key=True, comment="its charger"),
    sa.Column("connector_id", sa.Integer, primary_key=True, comment="OCPP's number; 0 is the charger itself"),
    sa.Column("kind", sa.Text, comment="where it differs from the charger's"),
    sa.Column("rated_power_w", sa.Integer, comment="where it differs from the charger's"),
    sa.Column("status", sa.Text, nullable=False, server_default="Unknown", comment="as last reported (OCPP 1.6 §7.7)"),
    sa.Column("error_code", sa.Text, nullable=False, server_default="NoError", comment="as last reported (§7.6)"),
    sa.Column("info", sa.Text, comment="the charger's words with the status"),
    sa.Column("vendor_id", sa.Text, comment="of the vendor's error code"),
    sa.Column("vendor_error_code", sa.Text, comment="as last reported"),
    sa.Column("status_at", Time, comment="the charger's clock"),
    sa.Column("status_received_at", Time, comment="ours"),
    sa.Column("epoch", sa.BigInteger, nullable=False, server_default="0", comment="the last applied StatusNotification"),
    sa.Column("seq", sa.BigInteger, nullable=False, server_default="0", comment="the last applied StatusNotification"),
    sa.Column(
        "late_transaction_id",
        sa.BigInteger,
        comment="final, yet still drawing energy: the connector sells nothing until it stops",
    ),
    sa.CheckConstraint("connector_id >= 0", name="connector_id"),
)

id_tags = sa.Table(
    "id_tags",
    metadata,
    _id(),
    sa.Column("id_tag", sa.Text, nullable=False, unique=True, comment="as compared: upper case, no spaces"),
    sa.Column("holder", sa.Text, nullable=False, comment="whose it is"),
    sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.text("true"), comment="false: Blocked"),
    sa.Column("expires_at", Time, comment="Expired from then on; null: never"),
    sa.Column("created_at", Time, nullable=False, comment="when it was entered"),
    sa.CheckConstraint(f"length(id_tag) BETWEEN 1 AND {ID_TAG_LENGTH_MAX}", name="id_tag"),
)

start_requests = sa.Table(
    "start_requests",
    metadata,
    _id(),
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
    sa.Column("transaction_id", sa.BigInteger, comment="what it became"),
    sa.Column("traceparent", sa.Text, comment="trace of the payment: its session's events continue it"),
    sa.Column("requested_at", Time, nullable=False, comment="when it was first read"),
    sa.Column("decided_at", Time, comment="when it left REQUESTED"),
    _one_of("state", StartRequestState),
    _one_of("reason", StartRefusal),
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
        "implausible",
        sa.Boolean,
        nullable=False,
        server_default=sa.text("false"),
        comment="billed the smaller figure, payout held",
    ),
    sa.Column("late_wh", sa.BigInteger, nullable=False, server_default="0", comment="reported after the end: never billed"),
    sa.Column("energy_charge_paise", sa.BigInteger, comment="from the bill"),
    sa.Column("gst_amount_paise", sa.BigInteger, comment="from the bill"),
    sa.Column("total_billed_paise", sa.BigInteger, comment="from the bill: energy charge + GST + platform fee"),
    sa.CheckConstraint("id > 0", name="id"),
    _one_of("state", TransactionState),
    _one_of("stop_reason", StopReason),
    _one_of("stop_intent", StopReason),
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
    sa.Index(None, "start_request_id"),
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
    _one_of("means", StopMeans),
)

commands = sa.Table(
    "commands",
    metadata,
    _id(),
    sa.Column("charger_id", sa.BigInteger, sa.ForeignKey(chargers.c.id), nullable=False, comment="to whom"),
    sa.Column("charge_point_id", sa.Text, nullable=False, comment="the same, as the lanes name it"),
    sa.Column("action", sa.Text, nullable=False, comment="OCPP operation"),
    sa.Column("payload", JSONB, nullable=False, comment="its request, in OCPP's words"),
    sa.Column("status", sa.Text, nullable=False, server_default="PENDING", comment="moved by compare-and-set"),
    sa.Column("actor", sa.Text, nullable=False, comment="who wants it: a caller's subject, or charging"),
    sa.Column("trigger", sa.Text, nullable=False, comment="what led to it: api, start, stop, escalation"),
    sa.Column("start_request_id", sa.BigInteger, sa.ForeignKey(start_requests.c.id), comment="of a RemoteStart"),
    sa.Column("transaction_id", sa.BigInteger, comment="of a stop attempt"),
    sa.Column("deadline_at", Time, nullable=False, comment="not sent after it"),
    sa.Column("timeout_seconds", sa.Integer, nullable=False, comment="how long the charger may take to answer"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0", comment="how often it was handed to a gateway"),
    sa.Column("epoch", sa.BigInteger, comment="for which connection, last"),
    sa.Column("gateway", sa.Text, comment="to which gateway, last"),
    sa.Column("response", JSONB, comment="the charger's answer"),
    sa.Column("error_code", sa.Text, comment="of a CALLERROR"),
    sa.Column("error_description", sa.Text, comment="of a CALLERROR"),
    sa.Column("late_response", JSONB, comment="an answer that came after TIMED_OUT: recorded, it changes no outcome"),
    sa.Column("created_at", Time, nullable=False, comment="when it was wished for"),
    sa.Column("dispatched_at", Time, comment="when it was handed to a gateway, last"),
    sa.Column("completed_at", Time, comment="when its outcome was known"),
    _one_of("status", CommandStatus),
    sa.Index(None, "charger_id", "id"),
    sa.Index("commands_open", "charger_id", postgresql_where=sa.text("status IN ('PENDING', 'DISPATCHED')")),
    sa.Index(None, "start_request_id"),
)

orphans = sa.Table(
    "orphans",
    metadata,
    _id(),
    sa.Column("charger_id", sa.BigInteger, sa.ForeignKey(chargers.c.id), nullable=False, comment="who said it"),
    sa.Column("epoch", sa.BigInteger, nullable=False, comment="on which connection"),
    sa.Column("seq", sa.BigInteger, nullable=False, comment="in which message"),
    sa.Column("kind", sa.Text, nullable=False, comment="StopTransaction"),
    sa.Column("reported_transaction_id", sa.BigInteger, comment="the id that it claims"),
    sa.Column("payload", JSONB, nullable=False, comment="the whole message"),
    sa.Column("received_at", Time, nullable=False, comment="our clock"),
    sa.UniqueConstraint("charger_id", "epoch", "seq"),
)

signal_quality = sa.Table(
    "signal_quality",
    metadata,
    sa.Column("charger_id", sa.BigInteger, sa.ForeignKey(chargers.c.id), nullable=False, comment="whose modem"),
    sa.Column("epoch", sa.BigInteger, nullable=False, comment="on which connection"),
    sa.Column("seq", sa.BigInteger, nullable=False, comment="in which message"),
    sa.Column("rssi", sa.Integer, nullable=False, comment="0-31, 99 unknown (3GPP TS 27.007)"),
    sa.Column("ber", sa.Integer, nullable=False, comment="0-7, 99 unknown"),
    sa.Column("received_at", Time, nullable=False, comment="our clock"),
    sa.PrimaryKeyConstraint("charger_id", "epoch", "seq"),
)

gateways = sa.Table(
    "gateways",
    metadata,
    sa.Column("name", sa.Text, primary_key=True, comment="stable name of an ocpp-gateway"),
    sa.Column("process", sa.Text, comment="whose lease was seen last: another one has none of its sockets"),
    sa.Column("process_since", Time, comment="when this process was first seen"),
    sa.Column("missing_since", Time, comment="since when its lease is missing from a Redis that answers"),
)

deadline_notices = sa.Table(
    "deadline_notices",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True, comment="which column fell due"),
    sa.Column("subject_id", sa.Text, primary_key=True, comment="of which row"),
    sa.Column("due_at", Time, primary_key=True, comment="its value"),
    sa.Column("published_at", Time, nullable=False, comment="when the lane was told: not again every second"),
    sa.Index(None, "published_at"),
)
"""The sweeps' own memory: they may not write the rows whose deadlines they watch, the lane is those rows' only writer."""
