"""Sites, chargers, connectors and what energy costs there."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from charging.domain.deadlines import ConnectorKind
from charging.tables.base import Time, identity, metadata, one_of

stations = sa.Table(
    "stations",
    metadata,
    identity(),
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
    identity(),
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
    # What precedes and follows a version: those of the same scope, by time. 0: everywhere.
    sa.Index(
        "tariffs_scope_effective_from_idx",
        sa.text("coalesce(charger_id, 0)"),
        sa.text("coalesce(station_id, 0)"),
        "effective_from",
        "id",
    ),
)


chargers = sa.Table(
    "chargers",
    metadata,
    identity(),
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
    sa.Column("quirks", JSONB, nullable=False, server_default="{}", comment="overrides of its quirk profiles"),
    sa.Column("password_salt", sa.Text, nullable=False, comment="hex"),
    sa.Column("password_hash", sa.Text, nullable=False, comment="hex SHA-256 of salt + password; the password is shown once"),
    sa.Column("previous_password_salt", sa.Text, comment="of the password that is being replaced; null: none is"),
    sa.Column("previous_password_hash", sa.Text, comment="accepted too until the charger has shown that it has the new one"),
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
    sa.Column("stop_latency_ms", sa.Integer, comment="learned: from deciding on a stop until its energy is off"),
    sa.Column("created_at", Time, nullable=False, comment="when it was entered"),
    sa.Column("updated_at", Time, nullable=False, comment="when a person last changed it"),
    one_of("connector_kind", ConnectorKind),
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
    sa.Column(
        "operative",
        sa.Boolean,
        nullable=False,
        server_default=sa.text("true"),
        comment="the operator's will; apart from what it reports",
    ),
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
