"""Stations, chargers, tariffs, start requests, transactions, meter values, commands.

Revision ID: 2026_11_22_1800
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from chassis.database.tables import create_standard_tables, drop_standard_tables

revision = "2026_11_22_1800"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "charging"
Time = TIMESTAMP(timezone=True)


def upgrade() -> None:
    for statement in create_standard_tables(SCHEMA):
        op.execute(statement)
    op.create_table(
        "deadline_notices",
        sa.Column("kind", sa.Text(), nullable=False, comment="which column fell due"),
        sa.Column("subject_id", sa.Text(), nullable=False, comment="of which row"),
        sa.Column("due_at", Time, nullable=False, comment="its value"),
        sa.Column("published_at", Time, nullable=False, comment="when the lane was told: not again every second"),
        sa.PrimaryKeyConstraint("kind", "subject_id", "due_at", name=op.f("deadline_notices_pkey")),
        schema=SCHEMA,
    )
    op.create_index(op.f("deadline_notices_published_at"), "deadline_notices", ["published_at"], unique=False, schema=SCHEMA)
    op.create_table(
        "gateways",
        sa.Column("name", sa.Text(), nullable=False, comment="stable name of an ocpp-gateway"),
        sa.Column("process", sa.Text(), nullable=True, comment="whose lease was seen last: another one has none of its sockets"),
        sa.Column("process_since", Time, nullable=True, comment="when this process was first seen"),
        sa.Column("missing_since", Time, nullable=True, comment="since when its lease is missing from a Redis that answers"),
        sa.PrimaryKeyConstraint("name", name=op.f("gateways_pkey")),
        schema=SCHEMA,
    )
    op.create_table(
        "id_tags",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("id_tag", sa.Text(), nullable=False, comment="as compared: upper case, no spaces"),
        sa.Column("holder", sa.Text(), nullable=False, comment="whose it is"),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False, comment="false: Blocked"),
        sa.Column("expires_at", Time, nullable=True, comment="Expired from then on; null: never"),
        sa.Column("created_at", Time, nullable=False, comment="when it was entered"),
        sa.CheckConstraint("length(id_tag) BETWEEN 1 AND 20", name=op.f("id_tags_id_tag_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("id_tags_pkey")),
        sa.UniqueConstraint("id_tag", name=op.f("id_tags_id_tag_key")),
        schema=SCHEMA,
    )
    op.create_table(
        "meter_values",
        sa.Column("charger_id", sa.BigInteger(), nullable=False, comment="who said it"),
        sa.Column("epoch", sa.BigInteger(), nullable=False, comment="on which connection"),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="in which message"),
        sa.Column("n", sa.Integer(), nullable=False, comment="which meterValue of it"),
        sa.Column("connector_id", sa.Integer(), nullable=False, comment="as the charger says"),
        sa.Column("transaction_id", sa.BigInteger(), nullable=True, comment="bound to; null: to none"),
        sa.Column("received_at", Time, nullable=False, comment="our clock"),
        sa.Column("charger_at", Time, nullable=True, comment="the charger's, as sent"),
        sa.Column("energy_wh", sa.BigInteger(), nullable=True, comment="import register as reported, in Wh"),
        sa.Column("confirmed_wh", sa.BigInteger(), nullable=True, comment="the transaction's confirmed energy after it"),
        sa.Column("power_w", sa.BigInteger(), nullable=True, comment="active import"),
        sa.Column("soc_percent", sa.Integer(), nullable=True, comment="the car's state of charge"),
        sa.Column("sampled_value", JSONB, nullable=False, comment="everything that was said, in OCPP's words"),
        sa.PrimaryKeyConstraint("charger_id", "epoch", "seq", "n", name=op.f("meter_values_pkey")),
        schema=SCHEMA,
    )
    op.create_index(
        "meter_values_transaction_id", "meter_values", ["transaction_id", "received_at", "seq", "n"], unique=False, schema=SCHEMA
    )
    op.create_table(
        "stations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="as riders know the place"),
        sa.Column(
            "franchisee_id",
            sa.BigInteger(),
            nullable=True,
            comment="settlement's id of the site's owner; null: the platform's own",
        ),
        sa.Column("address", sa.Text(), server_default="", nullable=False, comment="street address, as printed"),
        sa.Column("city", sa.Text(), server_default="", nullable=False, comment="city"),
        sa.Column("state", sa.Text(), server_default="", nullable=False, comment="state of India: place of supply"),
        sa.Column("postal_code", sa.Text(), server_default="", nullable=False, comment="PIN code"),
        sa.Column("latitude", sa.Double(), nullable=True, comment="degrees north, WGS 84"),
        sa.Column("longitude", sa.Double(), nullable=True, comment="degrees east, WGS 84"),
        sa.Column("created_at", Time, nullable=False, comment="when it was entered"),
        sa.Column("updated_at", Time, nullable=False, comment="when it was last changed"),
        sa.PrimaryKeyConstraint("id", name=op.f("stations_pkey")),
        schema=SCHEMA,
    )
    op.create_index(op.f("stations_franchisee_id"), "stations", ["franchisee_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "chargers",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "charge_point_id",
            sa.Text(),
            nullable=False,
            comment="its identity in the OCPP URL, as spelled by us; compared case-insensitively",
        ),
        sa.Column("station_id", sa.BigInteger(), nullable=False, comment="where it stands"),
        sa.Column("name", sa.Text(), server_default="", nullable=False, comment="as riders see it on the spot"),
        sa.Column(
            "enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False, comment="false: its handshake is refused"
        ),
        sa.Column(
            "operative",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="the operator's will; apart from what it reports",
        ),
        sa.Column("connector_kind", sa.Text(), nullable=False, comment="socket, type2 or ccs: what Available means mid-session"),
        sa.Column(
            "rated_power_w", sa.Integer(), nullable=False, comment="rated power of a connector: bounds what a meter may claim"
        ),
        sa.Column("quirks", JSONB, server_default="{}", nullable=False, comment="overrides: energy_unit, stop_escalation"),
        sa.Column("password_salt", sa.Text(), nullable=False, comment="hex"),
        sa.Column(
            "password_hash", sa.Text(), nullable=False, comment="hex SHA-256 of salt + password; the password is shown once"
        ),
        sa.Column(
            "credentials_version",
            sa.BigInteger(),
            server_default="1",
            nullable=False,
            comment="grows with every change of credentials",
        ),
        sa.Column("vendor", sa.Text(), nullable=True, comment="from BootNotification"),
        sa.Column("model", sa.Text(), nullable=True, comment="from BootNotification"),
        sa.Column("serial_number", sa.Text(), nullable=True, comment="chargePointSerialNumber"),
        sa.Column("box_serial_number", sa.Text(), nullable=True, comment="chargeBoxSerialNumber"),
        sa.Column("firmware_version", sa.Text(), nullable=True, comment="from BootNotification"),
        sa.Column("iccid", sa.Text(), nullable=True, comment="of its SIM"),
        sa.Column("imsi", sa.Text(), nullable=True, comment="of its SIM"),
        sa.Column("meter_type", sa.Text(), nullable=True, comment="from BootNotification"),
        sa.Column("meter_serial_number", sa.Text(), nullable=True, comment="from BootNotification"),
        sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False, comment="the newest connection that we know of"),
        sa.Column("gateway", sa.Text(), nullable=True, comment="who holds that connection: where commands go"),
        sa.Column(
            "online", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="whether that connection stands"
        ),
        sa.Column("online_since", Time, nullable=True, comment="when it was made"),
        sa.Column("offline_since", Time, nullable=True, comment="when it ended"),
        sa.Column(
            "last_seen_at", Time, nullable=True, comment="last message, to a minute: kept cheap, the gateway's registry is exact"
        ),
        sa.Column("booted_at", Time, nullable=True, comment="last BootNotification"),
        sa.Column("boot_epoch", sa.BigInteger(), server_default="0", nullable=False, comment="the last applied BootNotification"),
        sa.Column("boot_seq", sa.BigInteger(), server_default="0", nullable=False, comment="the last applied BootNotification"),
        sa.Column("created_at", Time, nullable=False, comment="when it was entered"),
        sa.Column("updated_at", Time, nullable=False, comment="when a person last changed it"),
        sa.CheckConstraint("connector_kind IN ('socket', 'type2', 'ccs')", name=op.f("chargers_connector_kind_check")),
        sa.CheckConstraint("rated_power_w > 0", name=op.f("chargers_rated_power_w_check")),
        sa.ForeignKeyConstraint(["station_id"], ["charging.stations.id"], name=op.f("chargers_station_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("chargers_pkey")),
        schema=SCHEMA,
    )
    op.create_index("chargers_charge_point_id", "chargers", ["charge_point_id"], unique=False, schema=SCHEMA)
    op.create_index(
        "chargers_charge_point_id_key", "chargers", [sa.literal_column("lower(charge_point_id)")], unique=True, schema=SCHEMA
    )
    op.create_index(op.f("chargers_station_id"), "chargers", ["station_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "connectors",
        sa.Column("charger_id", sa.BigInteger(), nullable=False, comment="its charger"),
        sa.Column("connector_id", sa.Integer(), nullable=False, comment="OCPP's number; 0 is the charger itself"),
        sa.Column("kind", sa.Text(), nullable=True, comment="where it differs from the charger's"),
        sa.Column("rated_power_w", sa.Integer(), nullable=True, comment="where it differs from the charger's"),
        sa.Column("status", sa.Text(), server_default="Unknown", nullable=False, comment="as last reported (OCPP 1.6 §7.7)"),
        sa.Column("error_code", sa.Text(), server_default="NoError", nullable=False, comment="as last reported (§7.6)"),
        sa.Column("info", sa.Text(), nullable=True, comment="the charger's words with the status"),
        sa.Column("vendor_id", sa.Text(), nullable=True, comment="of the vendor's error code"),
        sa.Column("vendor_error_code", sa.Text(), nullable=True, comment="as last reported"),
        sa.Column("status_at", Time, nullable=True, comment="the charger's clock"),
        sa.Column("status_received_at", Time, nullable=True, comment="ours"),
        sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False, comment="the last applied StatusNotification"),
        sa.Column("seq", sa.BigInteger(), server_default="0", nullable=False, comment="the last applied StatusNotification"),
        sa.Column(
            "late_transaction_id",
            sa.BigInteger(),
            nullable=True,
            comment="final, yet still drawing energy: the connector sells nothing until it stops",
        ),
        sa.CheckConstraint("connector_id >= 0", name=op.f("connectors_connector_id_check")),
        sa.ForeignKeyConstraint(["charger_id"], ["charging.chargers.id"], name=op.f("connectors_charger_id_fkey")),
        sa.PrimaryKeyConstraint("charger_id", "connector_id", name=op.f("connectors_pkey")),
        schema=SCHEMA,
    )
    op.create_table(
        "orphans",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("charger_id", sa.BigInteger(), nullable=False, comment="who said it"),
        sa.Column("epoch", sa.BigInteger(), nullable=False, comment="on which connection"),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="in which message"),
        sa.Column("kind", sa.Text(), nullable=False, comment="StopTransaction"),
        sa.Column("reported_transaction_id", sa.BigInteger(), nullable=True, comment="the id that it claims"),
        sa.Column("payload", JSONB, nullable=False, comment="the whole message"),
        sa.Column("received_at", Time, nullable=False, comment="our clock"),
        sa.ForeignKeyConstraint(["charger_id"], ["charging.chargers.id"], name=op.f("orphans_charger_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("orphans_pkey")),
        sa.UniqueConstraint("charger_id", "epoch", "seq", name=op.f("orphans_charger_id_epoch_seq_key")),
        schema=SCHEMA,
    )
    op.create_table(
        "signal_quality",
        sa.Column("charger_id", sa.BigInteger(), nullable=False, comment="whose modem"),
        sa.Column("epoch", sa.BigInteger(), nullable=False, comment="on which connection"),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="in which message"),
        sa.Column("rssi", sa.Integer(), nullable=False, comment="0-31, 99 unknown (3GPP TS 27.007)"),
        sa.Column("ber", sa.Integer(), nullable=False, comment="0-7, 99 unknown"),
        sa.Column("received_at", Time, nullable=False, comment="our clock"),
        sa.ForeignKeyConstraint(["charger_id"], ["charging.chargers.id"], name=op.f("signal_quality_charger_id_fkey")),
        sa.PrimaryKeyConstraint("charger_id", "epoch", "seq", name=op.f("signal_quality_pkey")),
        schema=SCHEMA,
    )
    op.create_table(
        "start_requests",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("request_key", sa.Text(), nullable=False, comment="names the one wish: qr_payment_17"),
        sa.Column("charge_point_id", sa.Text(), nullable=False, comment="as asked for"),
        sa.Column("charger_id", sa.BigInteger(), nullable=True, comment="null: no such charger"),
        sa.Column("connector_id", sa.Integer(), nullable=False, comment="as asked for"),
        sa.Column("budget_paise", sa.BigInteger(), nullable=False, comment="what was paid"),
        sa.Column("platform_fee_paise", sa.BigInteger(), nullable=False, comment="the payment's fee, part of the budget"),
        sa.Column("payer_reference", sa.Text(), nullable=False, comment="who pays, as payments names it; opaque here"),
        sa.Column("id_tag", sa.Text(), nullable=False, comment="minted for this one request"),
        sa.Column("state", sa.Text(), nullable=False, comment="REQUESTED until decided, once, in the lane"),
        sa.Column("reason", sa.Text(), nullable=True, comment="why REFUSED or EXPIRED"),
        sa.Column("detail", sa.Text(), server_default="", nullable=False, comment="the same for people"),
        sa.Column("deadline_at", Time, nullable=False, comment="nothing starts after it"),
        sa.Column("transaction_id", sa.BigInteger(), nullable=True, comment="what it became"),
        sa.Column("traceparent", sa.Text(), nullable=True, comment="trace of the payment: its session's events continue it"),
        sa.Column("requested_at", Time, nullable=False, comment="when it was first read"),
        sa.Column("decided_at", Time, nullable=True, comment="when it left REQUESTED"),
        sa.CheckConstraint(
            "reason IN ('UNKNOWN_CHARGER', 'CHARGER_OFFLINE', 'CONNECTOR_BUSY', 'CONNECTOR_FAULTED', 'CONNECTOR_UNAVAILABLE', 'NO_TARIFF', 'REMOTE_START_REJECTED', 'NOT_PLUGGED_IN', 'DEADLINE_PASSED', 'CANCELLED')",  # noqa: E501
            name=op.f("start_requests_reason_check"),
        ),
        sa.CheckConstraint("state IN ('REQUESTED', 'STARTED', 'REFUSED', 'EXPIRED')", name=op.f("start_requests_state_check")),
        sa.ForeignKeyConstraint(["charger_id"], ["charging.chargers.id"], name=op.f("start_requests_charger_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("start_requests_pkey")),
        sa.UniqueConstraint("id_tag", name=op.f("start_requests_id_tag_key")),
        sa.UniqueConstraint("request_key", name=op.f("start_requests_request_key_key")),
        schema=SCHEMA,
    )
    op.create_index(op.f("start_requests_charger_id_id"), "start_requests", ["charger_id", "id"], unique=False, schema=SCHEMA)
    op.create_index(
        "start_requests_one_pending",
        "start_requests",
        ["charger_id", "connector_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'REQUESTED'"),
    )
    op.create_table(
        "tariffs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("station_id", sa.BigInteger(), nullable=True, comment="holds here; null with charger_id null: everywhere"),
        sa.Column("charger_id", sa.BigInteger(), nullable=True, comment="holds for this charger only"),
        sa.Column("name", sa.Text(), nullable=False, comment="as operators call it"),
        sa.Column("paise_per_kwh", sa.BigInteger(), nullable=False, comment="energy, GST apart, paise per kWh"),
        sa.Column("gst_bps", sa.Integer(), nullable=False, comment="GST on the energy charge, 1/100 percent"),
        sa.Column("effective_from", Time, nullable=False, comment="a version never changes: the latest in force counts"),
        sa.Column("created_at", Time, nullable=False, comment="when it was entered"),
        sa.CheckConstraint("gst_bps BETWEEN 0 AND 10000", name=op.f("tariffs_gst_bps_check")),
        sa.CheckConstraint("paise_per_kwh >= 0", name=op.f("tariffs_paise_per_kwh_check")),
        sa.CheckConstraint("station_id IS NULL OR charger_id IS NULL", name=op.f("tariffs_scope_check")),
        sa.ForeignKeyConstraint(["charger_id"], ["charging.chargers.id"], name=op.f("tariffs_charger_id_fkey")),
        sa.ForeignKeyConstraint(["station_id"], ["charging.stations.id"], name=op.f("tariffs_station_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("tariffs_pkey")),
        schema=SCHEMA,
    )
    op.create_index(op.f("tariffs_charger_id"), "tariffs", ["charger_id"], unique=False, schema=SCHEMA)
    op.create_index(op.f("tariffs_station_id"), "tariffs", ["station_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "commands",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("charger_id", sa.BigInteger(), nullable=False, comment="to whom"),
        sa.Column("charge_point_id", sa.Text(), nullable=False, comment="the same, as the lanes name it"),
        sa.Column("action", sa.Text(), nullable=False, comment="OCPP operation"),
        sa.Column("payload", JSONB, nullable=False, comment="its request, in OCPP's words"),
        sa.Column("status", sa.Text(), server_default="PENDING", nullable=False, comment="moved by compare-and-set"),
        sa.Column("actor", sa.Text(), nullable=False, comment="who wants it: a caller's subject, or charging"),
        sa.Column("trigger", sa.Text(), nullable=False, comment="what led to it: api, start, stop, escalation"),
        sa.Column("start_request_id", sa.BigInteger(), nullable=True, comment="of a RemoteStart"),
        sa.Column("transaction_id", sa.BigInteger(), nullable=True, comment="of a stop attempt"),
        sa.Column("deadline_at", Time, nullable=False, comment="not sent after it"),
        sa.Column("timeout_seconds", sa.Integer(), nullable=False, comment="how long the charger may take to answer"),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False, comment="how often it was handed to a gateway"),
        sa.Column("epoch", sa.BigInteger(), nullable=True, comment="for which connection, last"),
        sa.Column("gateway", sa.Text(), nullable=True, comment="to which gateway, last"),
        sa.Column("response", JSONB, nullable=True, comment="the charger's answer"),
        sa.Column("error_code", sa.Text(), nullable=True, comment="of a CALLERROR"),
        sa.Column("error_description", sa.Text(), nullable=True, comment="of a CALLERROR"),
        sa.Column(
            "late_response", JSONB, nullable=True, comment="an answer that came after TIMED_OUT: recorded, it changes no outcome"
        ),
        sa.Column("created_at", Time, nullable=False, comment="when it was wished for"),
        sa.Column("dispatched_at", Time, nullable=True, comment="when it was handed to a gateway, last"),
        sa.Column("completed_at", Time, nullable=True, comment="when its outcome was known"),
        sa.CheckConstraint(
            "status IN ('PENDING', 'DISPATCHED', 'ANSWERED', 'REJECTED', 'CALL_ERROR', 'TIMED_OUT', 'UNKNOWN', 'EXPIRED')",
            name=op.f("commands_status_check"),
        ),
        sa.ForeignKeyConstraint(["charger_id"], ["charging.chargers.id"], name=op.f("commands_charger_id_fkey")),
        sa.ForeignKeyConstraint(
            ["start_request_id"], ["charging.start_requests.id"], name=op.f("commands_start_request_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("commands_pkey")),
        schema=SCHEMA,
    )
    op.create_index(op.f("commands_charger_id_id"), "commands", ["charger_id", "id"], unique=False, schema=SCHEMA)
    op.create_index(
        "commands_open",
        "commands",
        ["charger_id"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("status IN ('PENDING', 'DISPATCHED')"),
    )
    op.create_index(op.f("commands_start_request_id"), "commands", ["start_request_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "transactions",
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="OCPP's transactionId: positive, never from a clock",
        ),
        sa.Column("charger_id", sa.BigInteger(), nullable=False, comment="its charger"),
        sa.Column("charge_point_id", sa.Text(), nullable=False, comment="the same, as the lanes name it"),
        sa.Column("connector_id", sa.Integer(), nullable=False, comment="where the car stands"),
        sa.Column("station_id", sa.BigInteger(), nullable=False, comment="snapshot at the start"),
        sa.Column("franchisee_id", sa.BigInteger(), nullable=True, comment="owner at the start; null: the platform's own"),
        sa.Column("start_request_id", sa.BigInteger(), nullable=True, comment="null: a staff tag or a refused start"),
        sa.Column("request_key", sa.Text(), nullable=True, comment="the start request's"),
        sa.Column(
            "payer_reference", sa.Text(), nullable=True, comment="the start request's; null: metered, neither billed nor settled"
        ),
        sa.Column("id_tag", sa.Text(), nullable=False, comment="as normalised"),
        sa.Column("tariff_id", sa.BigInteger(), nullable=True, comment="snapshot; null: a staff tag where no tariff is set"),
        sa.Column("tariff_paise_per_kwh", sa.BigInteger(), nullable=False, comment="snapshot at the start"),
        sa.Column("gst_bps", sa.Integer(), nullable=False, comment="snapshot at the start"),
        sa.Column("budget_paise", sa.BigInteger(), nullable=True, comment="what was paid; null: no payer, no limit"),
        sa.Column(
            "platform_fee_paise",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="part of the budget; may become exact later",
        ),
        sa.Column(
            "affordable_wh",
            sa.BigInteger(),
            nullable=True,
            comment="the energy that the budget pays for, by the bill's own rounding",
        ),
        sa.Column("rated_power_w", sa.Integer(), nullable=False, comment="snapshot: bounds plausibility, first forecast"),
        sa.Column("connector_kind", sa.Text(), nullable=False, comment="snapshot"),
        sa.Column("started_at", Time, nullable=False, comment="StartTransaction received"),
        sa.Column(
            "timestamp_text", sa.Text(), nullable=False, comment="the charger's own, part of the business key of a repeated start"
        ),
        sa.Column("traceparent", sa.Text(), nullable=True, comment="the start request's"),
        sa.Column(
            "answer_status", sa.Text(), nullable=False, comment="AuthorizationStatus that StartTransaction was answered with"
        ),
        sa.Column("state", sa.Text(), nullable=False, comment="STARTED, RUNNING, SUSPENDED, STOPPED"),
        sa.Column(
            "subject_version",
            sa.Integer(),
            server_default="1",
            nullable=False,
            comment="grows with every step: orders its events",
        ),
        sa.Column("suspended_at", Time, nullable=True, comment="last time it was suspended"),
        sa.Column("resumed_at", Time, nullable=True, comment="last time it resumed"),
        sa.Column("resume_count", sa.Integer(), server_default="0", nullable=False, comment="how often it resumed"),
        sa.Column("suspension_cause", sa.Text(), nullable=True, comment="DISCONNECT, GATEWAY, BOOT, RETURNED"),
        sa.Column("suspension_deadline_at", Time, nullable=True, comment="finalized if it is still suspended then"),
        sa.Column(
            "availability_deadline_at",
            Time,
            nullable=True,
            comment="finalized then: the connector reported free (grace, or waiting for the Stop)",
        ),
        sa.Column("availability_reason", sa.Text(), nullable=True, comment="stop_reason of that end"),
        sa.Column(
            "last_activity_at", Time, nullable=False, comment="last Start or MeterValues received: the 900 s guard counts from it"
        ),
        sa.Column(
            "last_progress_at", Time, nullable=False, comment="last confirmed forward step received: socket grace counts from it"
        ),
        sa.Column(
            "disconnect_count", sa.Integer(), server_default="0", nullable=False, comment="drops in a row without progress"
        ),
        sa.Column(
            "disconnect_energy_wh",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="confirmed energy at the last drop",
        ),
        sa.Column(
            "applied_epoch",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="the last applied MeterValues: a repeat changes nothing",
        ),
        sa.Column("applied_seq", sa.BigInteger(), server_default="0", nullable=False, comment="the last applied MeterValues"),
        sa.Column(
            "reported_transaction_id",
            sa.BigInteger(),
            nullable=True,
            comment="the id that the charger itself uses, where it is not ours",
        ),
        sa.Column("meter_start_wh", sa.BigInteger(), nullable=False, comment="meterStart, never below 0"),
        sa.Column(
            "confirmed_wh",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="sum of confirmed forward steps, late ones included",
        ),
        sa.Column("register_wh", sa.BigInteger(), nullable=False, comment="last confirmed register"),
        sa.Column("read_at", Time, nullable=False, comment="when it was received"),
        sa.Column("charger_read_at", Time, nullable=True, comment="the charger's clock of it, where sane"),
        sa.Column(
            "offset_wh", sa.BigInteger(), server_default="0", nullable=False, comment="added to a session-relative register"
        ),
        sa.Column("held_wh", sa.BigInteger(), nullable=True, comment="a reading that waits for an explanation"),
        sa.Column("held_at", Time, nullable=True, comment="when it was received"),
        sa.Column("held_charger_at", Time, nullable=True, comment="the charger's clock of it"),
        sa.Column(
            "segment_open",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="boot or disconnect since the last good reading",
        ),
        sa.Column(
            "meter_implausible", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="METER_IMPLAUSIBLE so far"
        ),
        sa.Column("power_w", sa.BigInteger(), nullable=True, comment="last reported power"),
        sa.Column("rate_w", sa.BigInteger(), nullable=True, comment="average power of the last confirmed stretch"),
        sa.Column(
            "power_mwh",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="reported power x time, 1/1000 Wh: cross-check",
        ),
        sa.Column("stop_due_at", Time, nullable=True, comment="forecast: when to stop so that the bill stays within the budget"),
        sa.Column(
            "stop_intent", sa.Text(), nullable=True, comment="stop_reason that we decided on; null: nobody wants it stopped"
        ),
        sa.Column("stop_attempt", sa.Integer(), server_default="0", nullable=False, comment="attempts so far"),
        sa.Column("stop_attempt_at", Time, nullable=True, comment="when the last was made"),
        sa.Column(
            "stop_attempt_energy_wh",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="confirmed energy at the last attempt",
        ),
        sa.Column("stop_confirm_due_at", Time, nullable=True, comment="the attempt in flight must be confirmed by then"),
        sa.Column(
            "charger_stopped_at",
            Time,
            nullable=True,
            comment="StopTransaction received, energy seen flat, or nothing more heard of it",
        ),
        sa.Column("stopped_at", Time, nullable=True, comment="finalized"),
        sa.Column("stop_reason", sa.Text(), nullable=True, comment="ours"),
        sa.Column("ocpp_stop_reason", sa.Text(), nullable=True, comment="the charger's own word"),
        sa.Column("energy_wh", sa.BigInteger(), nullable=True, comment="billed energy, frozen by the finalizer"),
        sa.Column("meter_stop_wh", sa.BigInteger(), nullable=True, comment="as the charger sent it"),
        sa.Column(
            "implausible",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="billed the smaller figure, payout held",
        ),
        sa.Column("late_wh", sa.BigInteger(), server_default="0", nullable=False, comment="reported after the end: never billed"),
        sa.Column("energy_charge_paise", sa.BigInteger(), nullable=True, comment="from the bill"),
        sa.Column("gst_amount_paise", sa.BigInteger(), nullable=True, comment="from the bill"),
        sa.Column(
            "total_billed_paise", sa.BigInteger(), nullable=True, comment="from the bill: energy charge + GST + platform fee"
        ),
        sa.CheckConstraint(
            "(state = 'STOPPED') = (energy_wh IS NOT NULL AND stop_reason IS NOT NULL)", name=op.f("transactions_final_check")
        ),
        sa.CheckConstraint("state IN ('STARTED', 'RUNNING', 'SUSPENDED', 'STOPPED')", name=op.f("transactions_state_check")),
        sa.CheckConstraint(
            "stop_intent IN ('CHARGER', 'BUDGET_EXHAUSTED', 'DISCONNECT_TIMEOUT', 'BOOT_TIMEOUT', 'STALE_RECONNECT', 'GRACE_EXPIRED', 'CONNECTOR_UNAVAILABLE', 'FLAP_LIMIT', 'START_REFUSED', 'OPERATOR', 'METER_LOST', 'SWEPT')",  # noqa: E501
            name=op.f("transactions_stop_intent_check"),
        ),
        sa.CheckConstraint(
            "stop_reason IN ('CHARGER', 'BUDGET_EXHAUSTED', 'DISCONNECT_TIMEOUT', 'BOOT_TIMEOUT', 'STALE_RECONNECT', 'GRACE_EXPIRED', 'CONNECTOR_UNAVAILABLE', 'FLAP_LIMIT', 'START_REFUSED', 'OPERATOR', 'METER_LOST', 'SWEPT')",  # noqa: E501
            name=op.f("transactions_stop_reason_check"),
        ),
        sa.CheckConstraint("confirmed_wh >= 0 AND energy_wh >= 0 AND late_wh >= 0", name=op.f("transactions_energy_check")),
        sa.CheckConstraint("id > 0", name=op.f("transactions_id_check")),
        sa.ForeignKeyConstraint(["charger_id"], ["charging.chargers.id"], name=op.f("transactions_charger_id_fkey")),
        sa.ForeignKeyConstraint(
            ["start_request_id"], ["charging.start_requests.id"], name=op.f("transactions_start_request_id_fkey")
        ),
        sa.ForeignKeyConstraint(["tariff_id"], ["charging.tariffs.id"], name=op.f("transactions_tariff_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("transactions_pkey")),
        schema=SCHEMA,
    )
    op.create_index("transactions_charger_id_id", "transactions", ["charger_id", "id"], unique=False, schema=SCHEMA)
    op.create_index("transactions_franchisee_id_id", "transactions", ["franchisee_id", "id"], unique=False, schema=SCHEMA)
    op.create_index(
        "transactions_one_active",
        "transactions",
        ["charger_id", "connector_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("state <> 'STOPPED'"),
    )
    op.create_index(
        "transactions_start_key",
        "transactions",
        ["charger_id", "connector_id", "id_tag", "timestamp_text", "meter_start_wh"],
        unique=True,
        schema=SCHEMA,
    )
    op.create_index(op.f("transactions_start_request_id"), "transactions", ["start_request_id"], unique=False, schema=SCHEMA)
    op.create_index("transactions_station_id_id", "transactions", ["station_id", "id"], unique=False, schema=SCHEMA)
    op.create_index(
        "transactions_unstopped",
        "transactions",
        ["charger_id"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("stop_intent IS NOT NULL AND charger_stopped_at IS NULL"),
    )
    op.create_table(
        "stop_attempts",
        sa.Column("transaction_id", sa.BigInteger(), nullable=False, comment="what is to stop"),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="from 1"),
        sa.Column("means", sa.Text(), nullable=False, comment="REMOTE_STOP, or stronger"),
        sa.Column("command_id", sa.BigInteger(), nullable=False, comment="the OCPP command of it"),
        sa.Column("intent", sa.Text(), nullable=False, comment="stop_reason that is wanted"),
        sa.Column("energy_wh", sa.BigInteger(), nullable=False, comment="confirmed energy then"),
        sa.Column("attempted_at", Time, nullable=False, comment="when it was decided"),
        sa.CheckConstraint(
            "means IN ('REMOTE_STOP', 'PROFILE_ZERO', 'INOPERATIVE', 'RESET_HARD')", name=op.f("stop_attempts_means_check")
        ),
        sa.ForeignKeyConstraint(["command_id"], ["charging.commands.id"], name=op.f("stop_attempts_command_id_fkey")),
        sa.ForeignKeyConstraint(["transaction_id"], ["charging.transactions.id"], name=op.f("stop_attempts_transaction_id_fkey")),
        sa.PrimaryKeyConstraint("transaction_id", "attempt", name=op.f("stop_attempts_pkey")),
        schema=SCHEMA,
    )

    # Room for the update at every reading to stay within its page.
    op.execute(f"ALTER TABLE {SCHEMA}.transactions SET (fillfactor = 70)")


def downgrade() -> None:
    op.drop_table("stop_attempts", schema=SCHEMA)
    op.drop_table("transactions", schema=SCHEMA)
    op.drop_table("commands", schema=SCHEMA)
    op.drop_table("tariffs", schema=SCHEMA)
    op.drop_table("start_requests", schema=SCHEMA)
    op.drop_table("signal_quality", schema=SCHEMA)
    op.drop_table("orphans", schema=SCHEMA)
    op.drop_table("connectors", schema=SCHEMA)
    op.drop_table("chargers", schema=SCHEMA)
    op.drop_table("stations", schema=SCHEMA)
    op.drop_table("meter_values", schema=SCHEMA)
    op.drop_table("id_tags", schema=SCHEMA)
    op.drop_table("gateways", schema=SCHEMA)
    op.drop_table("deadline_notices", schema=SCHEMA)
    for statement in drop_standard_tables(SCHEMA):
        op.execute(statement)
