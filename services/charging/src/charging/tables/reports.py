"""What chargers say of themselves, as history."""

import sqlalchemy as sa

from charging.tables.base import Time, identity, metadata
from charging.tables.network import chargers

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
    sa.Index(None, "received_at"),
)


charger_errors = sa.Table(
    "charger_errors",
    metadata,
    identity(),
    sa.Column("charger_id", sa.BigInteger, sa.ForeignKey(chargers.c.id), nullable=False, comment="whose error"),
    sa.Column("connector_id", sa.Integer, nullable=False, comment="of which connector; 0 is the charger itself"),
    sa.Column("error_code", sa.Text, nullable=False, comment="as first reported, never NoError (OCPP 1.6 §7.6)"),
    sa.Column("vendor_id", sa.Text, nullable=False, server_default="", comment="of the vendor's code; empty: none"),
    sa.Column("vendor_error_code", sa.Text, nullable=False, server_default="", comment="the vendor's own; empty: none"),
    sa.Column("status", sa.Text, nullable=False, comment="the connector's, with the last report"),
    sa.Column("info", sa.Text, nullable=False, server_default="", comment="the charger's words, with the last report"),
    sa.Column("opened_at", Time, nullable=False, comment="first report, our clock"),
    sa.Column("reported_at", Time, comment="first report, the charger's clock"),
    sa.Column("last_seen_at", Time, nullable=False, comment="last report, our clock"),
    sa.Column("occurrences", sa.Integer, nullable=False, server_default="1", comment="reports of it"),
    sa.Column("resolved_at", Time, comment="when NoError was reported for its connector; null: open"),
    sa.Column("resolution", sa.Text, comment="what resolved it, in words"),
    sa.CheckConstraint("error_code <> 'NoError'", name="error_code"),
    sa.Index(
        "charger_errors_open_key",
        "charger_id",
        "connector_id",
        "error_code",
        "vendor_id",
        "vendor_error_code",
        unique=True,
        postgresql_where=sa.text("resolved_at IS NULL"),
    ),
    sa.Index(None, "charger_id", "last_seen_at"),
    sa.Index(None, "last_seen_at", "id"),
)


unknown_charge_points = sa.Table(
    "unknown_charge_points",
    metadata,
    identity(),
    sa.Column("charge_point_id", sa.Text, nullable=False, comment="the identity as it was last tried; one row whatever its case"),
    sa.Column("first_seen_at", Time, nullable=False, comment="the first refused handshake"),
    sa.Column("last_seen_at", Time, nullable=False, comment="the last one; gateways tell of one a minute at most"),
    sa.Column("times", sa.Integer, nullable=False, server_default="1", comment="how often we were told"),
    sa.Column("network", sa.Text, comment="where it comes from: the address without its last part"),
    sa.Column("user_agent", sa.Text, comment="its WebSocket library, where it names one: a hint at the vendor"),
    sa.Index("unknown_charge_points_charge_point_id_key", sa.text("lower(charge_point_id)"), unique=True),
    sa.Index(None, "last_seen_at", "id"),
)
