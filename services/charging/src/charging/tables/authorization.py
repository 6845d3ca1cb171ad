"""What chargers know of who may charge: their Local Authorization Lists, and reservations."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from charging.domain.local_list import LocalListState
from charging.domain.reservations import ReservationState
from charging.domain.start import ID_TAG_LENGTH_MAX
from charging.tables.base import Time, identity, metadata, one_of
from charging.tables.commands import commands
from charging.tables.network import chargers

local_lists = sa.Table(
    "local_lists",
    metadata,
    identity(),
    sa.Column("charger_id", sa.BigInteger, sa.ForeignKey(chargers.c.id), nullable=False, unique=True, comment="whose list"),
    sa.Column("charge_point_id", sa.Text, nullable=False, comment="the same, as the lanes name it"),
    sa.Column("state", sa.Text, nullable=False, server_default="IDLE", comment="where the teaching of it stands"),
    sa.Column("reason", sa.Text, comment="why it FAILED, in the charger's word or ours"),
    sa.Column("version", sa.Integer, comment="listVersion that the charger last confirmed; null: not known"),
    sa.Column("entries", JSONB, comment="idTag to idTagInfo, as the charger last confirmed; null: not known"),
    sa.Column("updates", JSONB, nullable=False, server_default="[]", comment="SendLocalList requests yet to be confirmed"),
    sa.Column("command_id", sa.BigInteger, sa.ForeignKey(commands.c.id), comment="the command in flight"),
    sa.Column(
        "verify", sa.Boolean, nullable=False, server_default=sa.text("true"), comment="ask the version first: it booted since"
    ),
    sa.Column(
        "full_wanted", sa.Boolean, nullable=False, server_default=sa.text("false"), comment="somebody asked for the whole list"
    ),
    sa.Column(
        "retried", sa.Boolean, nullable=False, server_default=sa.text("false"), comment="the one Full after a failure was tried"
    ),
    sa.Column("unsupported_firmware", sa.Text, comment="firmware that said NotSupported; not asked again while it is the same"),
    sa.Column("sync_due_at", Time, comment="to be compared with what is desired then; null: nothing is due"),
    sa.Column("confirmed_at", Time, comment="when it was last in step"),
    one_of("state", LocalListState),
    sa.Index(None, "sync_due_at", postgresql_where=sa.text("sync_due_at IS NOT NULL")),
)


reservations = sa.Table(
    "reservations",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True, comment="OCPP's reservationId"),
    sa.Column("charger_id", sa.BigInteger, sa.ForeignKey(chargers.c.id), nullable=False, comment="where"),
    sa.Column("charge_point_id", sa.Text, nullable=False, comment="the same, as the lanes name it"),
    sa.Column("connector_id", sa.Integer, nullable=False, comment="0: any connector of the charge point"),
    sa.Column("id_tag", sa.Text, nullable=False, comment="for whom, as compared"),
    sa.Column("parent_id_tag", sa.Text, comment="any tag of this group may use it"),
    sa.Column("expires_at", Time, nullable=False, comment="it ends then by itself"),
    sa.Column("state", sa.Text, nullable=False, server_default="REQUESTED", comment="moved in the lane only"),
    sa.Column("reason", sa.Text, comment="why REFUSED: Faulted, Occupied, Rejected, Unavailable, or what became of the command"),
    sa.Column("command_id", sa.BigInteger, sa.ForeignKey(commands.c.id), comment="its ReserveNow"),
    sa.Column("transaction_id", sa.BigInteger, comment="that used it"),
    sa.Column("actor", sa.Text, nullable=False, comment="who made it"),
    sa.Column("created_at", Time, nullable=False, comment="when it was wished for"),
    sa.Column("decided_at", Time, comment="when the charger accepted or refused it"),
    sa.Column("ended_at", Time, comment="when it was used, cancelled, or expired"),
    one_of("state", ReservationState),
    sa.CheckConstraint("connector_id >= 0", name="connector_id"),
    sa.CheckConstraint(f"length(id_tag) BETWEEN 1 AND {ID_TAG_LENGTH_MAX}", name="id_tag"),
    sa.CheckConstraint("(state = 'USED') = (transaction_id IS NOT NULL)", name="used"),
    sa.Index("reservations_open", "charger_id", postgresql_where=sa.text("state IN ('REQUESTED', 'ACCEPTED')")),
    sa.Index("reservations_due", "expires_at", postgresql_where=sa.text("state IN ('REQUESTED', 'ACCEPTED')")),
    sa.Index(None, "command_id"),
    sa.Index("reservations_charger_id_id", "charger_id", "id"),
    sa.Index("reservations_id_tag_id", "id_tag", "id"),
)
