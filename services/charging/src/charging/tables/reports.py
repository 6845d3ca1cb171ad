"""What chargers say of themselves, as history."""

import sqlalchemy as sa

from charging.tables.base import Time, metadata
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
)
