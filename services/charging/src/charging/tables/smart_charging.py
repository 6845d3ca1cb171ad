"""Charging profiles as chargers hold them."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from charging.domain.charging_profiles import ProfileState, Purpose
from charging.tables.base import Time, identity, metadata, one_of
from charging.tables.commands import commands
from charging.tables.network import chargers

charging_profiles = sa.Table(
    "charging_profiles",
    metadata,
    identity(),
    sa.Column("charger_id", sa.BigInteger, sa.ForeignKey(chargers.c.id), nullable=False, comment="who holds it"),
    sa.Column("charge_point_id", sa.Text, nullable=False, comment="the same, as the lanes name it"),
    sa.Column("connector_id", sa.Integer, nullable=False, comment="0: the charge point as a whole"),
    sa.Column("charging_profile_id", sa.BigInteger, nullable=False, comment="OCPP's chargingProfileId"),
    sa.Column("purpose", sa.Text, nullable=False, comment="ChargePointMaxProfile, TxDefaultProfile, TxProfile"),
    sa.Column("stack_level", sa.Integer, nullable=False, comment="the highest leads"),
    sa.Column("transaction_id", sa.BigInteger, comment="of a TxProfile: it ends with it; null: none has begun with it yet"),
    sa.Column("profile", JSONB, nullable=False, comment="csChargingProfiles, in OCPP's words"),
    sa.Column("state", sa.Text, nullable=False, server_default="REQUESTED", comment="what the charger said to it"),
    sa.Column("reason", sa.Text, comment="the charger's word, or what became of the command"),
    sa.Column("id_tag", sa.Text, comment="whose start it comes with (RemoteStartTransaction)"),
    sa.Column("command_id", sa.BigInteger, sa.ForeignKey(commands.c.id), unique=True, comment="what sent it"),
    sa.Column("renew_at", Time, comment="of an offline-safe cap: looked at again then; null: nothing is due"),
    sa.Column("actor", sa.Text, nullable=False, comment="who wanted it: a caller's subject, or charging"),
    sa.Column("created_at", Time, nullable=False, comment="when it was wished for"),
    sa.Column("decided_at", Time, comment="when the charger answered, or was given up"),
    sa.Column("ended_at", Time, comment="when it was replaced or cleared"),
    one_of("state", ProfileState),
    one_of("purpose", Purpose),
    sa.Index("charging_profiles_charger_id_id", "charger_id", "id"),
    sa.Index(
        "charging_profiles_held",
        "charger_id",
        "connector_id",
        postgresql_where=sa.text("state IN ('REQUESTED', 'ACCEPTED', 'UNKNOWN')"),
    ),
    sa.Index(None, "renew_at", postgresql_where=sa.text("renew_at IS NOT NULL")),
)
