"""Id tags with parents, local lists, reservations, charging profiles.

Revision ID: 2026_11_22_2100
Revises: 2026_11_22_1800
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "2026_11_22_2100"
down_revision = "2026_11_22_1800"
branch_labels = None
depends_on = None

SCHEMA = "charging"
Time = TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "local_lists",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("charger_id", sa.BigInteger(), nullable=False, comment="whose list"),
        sa.Column("charge_point_id", sa.Text(), nullable=False, comment="the same, as the lanes name it"),
        sa.Column("state", sa.Text(), server_default="IDLE", nullable=False, comment="where the teaching of it stands"),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it FAILED, in the charger's word or ours"),
        sa.Column("version", sa.Integer(), nullable=True, comment="listVersion that the charger last confirmed; null: not known"),
        sa.Column("entries", JSONB, nullable=True, comment="idTag to idTagInfo, as the charger last confirmed; null: not known"),
        sa.Column("updates", JSONB, server_default="[]", nullable=False, comment="SendLocalList requests yet to be confirmed"),
        sa.Column("command_id", sa.BigInteger(), nullable=True, comment="the command in flight"),
        sa.Column(
            "verify",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="ask the version first: it booted since",
        ),
        sa.Column(
            "full_wanted",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="somebody asked for the whole list",
        ),
        sa.Column(
            "retried",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="the one Full after a failure was tried",
        ),
        sa.Column(
            "unsupported_firmware",
            sa.Text(),
            nullable=True,
            comment="firmware that said NotSupported; not asked again while it is the same",
        ),
        sa.Column("sync_due_at", Time, nullable=True, comment="to be compared with what is desired then; null: nothing is due"),
        sa.Column("confirmed_at", Time, nullable=True, comment="when it was last in step"),
        sa.CheckConstraint(
            "state IN ('IDLE', 'ASKING', 'SENDING', 'FAILED', 'UNSUPPORTED')", name=op.f("local_lists_state_check")
        ),
        sa.ForeignKeyConstraint(["charger_id"], ["charging.chargers.id"], name=op.f("local_lists_charger_id_fkey")),
        sa.ForeignKeyConstraint(["command_id"], ["charging.commands.id"], name=op.f("local_lists_command_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("local_lists_pkey")),
        sa.UniqueConstraint("charger_id", name=op.f("local_lists_charger_id_key")),
        schema=SCHEMA,
    )
    op.create_index(
        op.f("local_lists_sync_due_at"),
        "local_lists",
        ["sync_due_at"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("sync_due_at IS NOT NULL"),
    )
    op.create_table(
        "reservations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="OCPP's reservationId"),
        sa.Column("charger_id", sa.BigInteger(), nullable=False, comment="where"),
        sa.Column("charge_point_id", sa.Text(), nullable=False, comment="the same, as the lanes name it"),
        sa.Column("connector_id", sa.Integer(), nullable=False, comment="0: any connector of the charge point"),
        sa.Column("id_tag", sa.Text(), nullable=False, comment="for whom, as compared"),
        sa.Column("parent_id_tag", sa.Text(), nullable=True, comment="any tag of this group may use it"),
        sa.Column("expires_at", Time, nullable=False, comment="it ends then by itself"),
        sa.Column("state", sa.Text(), server_default="REQUESTED", nullable=False, comment="moved in the lane only"),
        sa.Column(
            "reason",
            sa.Text(),
            nullable=True,
            comment="why REFUSED: Faulted, Occupied, Rejected, Unavailable, or what became of the command",
        ),
        sa.Column("command_id", sa.BigInteger(), nullable=True, comment="its ReserveNow"),
        sa.Column("transaction_id", sa.BigInteger(), nullable=True, comment="that used it"),
        sa.Column("actor", sa.Text(), nullable=False, comment="who made it"),
        sa.Column("created_at", Time, nullable=False, comment="when it was wished for"),
        sa.Column("decided_at", Time, nullable=True, comment="when the charger accepted or refused it"),
        sa.Column("ended_at", Time, nullable=True, comment="when it was used, cancelled, or expired"),
        sa.CheckConstraint("(state = 'USED') = (transaction_id IS NOT NULL)", name=op.f("reservations_used_check")),
        sa.CheckConstraint(
            "state IN ('REQUESTED', 'ACCEPTED', 'REFUSED', 'USED', 'CANCELLED', 'EXPIRED')", name=op.f("reservations_state_check")
        ),
        sa.CheckConstraint("connector_id >= 0", name=op.f("reservations_connector_id_check")),
        sa.CheckConstraint("length(id_tag) BETWEEN 1 AND 20", name=op.f("reservations_id_tag_check")),
        sa.ForeignKeyConstraint(["charger_id"], ["charging.chargers.id"], name=op.f("reservations_charger_id_fkey")),
        sa.ForeignKeyConstraint(["command_id"], ["charging.commands.id"], name=op.f("reservations_command_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("reservations_pkey")),
        schema=SCHEMA,
    )
    op.create_index("reservations_charger_id_id", "reservations", ["charger_id", "id"], unique=False, schema=SCHEMA)
    op.create_index(op.f("reservations_command_id"), "reservations", ["command_id"], unique=False, schema=SCHEMA)
    op.create_index(
        "reservations_due",
        "reservations",
        ["expires_at"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("state IN ('REQUESTED', 'ACCEPTED')"),
    )
    op.create_index("reservations_id_tag_id", "reservations", ["id_tag", "id"], unique=False, schema=SCHEMA)
    op.create_index(
        "reservations_open",
        "reservations",
        ["charger_id"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("state IN ('REQUESTED', 'ACCEPTED')"),
    )
    op.create_table(
        "charging_profiles",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("charger_id", sa.BigInteger(), nullable=False, comment="who holds it"),
        sa.Column("charge_point_id", sa.Text(), nullable=False, comment="the same, as the lanes name it"),
        sa.Column("connector_id", sa.Integer(), nullable=False, comment="0: the charge point as a whole"),
        sa.Column("charging_profile_id", sa.BigInteger(), nullable=False, comment="OCPP's chargingProfileId"),
        sa.Column("purpose", sa.Text(), nullable=False, comment="ChargePointMaxProfile, TxDefaultProfile, TxProfile"),
        sa.Column("stack_level", sa.Integer(), nullable=False, comment="the highest leads"),
        sa.Column(
            "transaction_id",
            sa.BigInteger(),
            nullable=True,
            comment="of a TxProfile: it ends with it; null: none has begun with it yet",
        ),
        sa.Column("profile", JSONB, nullable=False, comment="csChargingProfiles, in OCPP's words"),
        sa.Column("state", sa.Text(), server_default="REQUESTED", nullable=False, comment="what the charger said to it"),
        sa.Column("reason", sa.Text(), nullable=True, comment="the charger's word, or what became of the command"),
        sa.Column("id_tag", sa.Text(), nullable=True, comment="whose start it comes with (RemoteStartTransaction)"),
        sa.Column("command_id", sa.BigInteger(), nullable=True, comment="what sent it"),
        sa.Column("renew_at", Time, nullable=True, comment="of an offline-safe cap: looked at again then; null: nothing is due"),
        sa.Column("actor", sa.Text(), nullable=False, comment="who wanted it: a caller's subject, or charging"),
        sa.Column("created_at", Time, nullable=False, comment="when it was wished for"),
        sa.Column("decided_at", Time, nullable=True, comment="when the charger answered, or was given up"),
        sa.Column("ended_at", Time, nullable=True, comment="when it was replaced or cleared"),
        sa.CheckConstraint(
            "purpose IN ('ChargePointMaxProfile', 'TxDefaultProfile', 'TxProfile')", name=op.f("charging_profiles_purpose_check")
        ),
        sa.CheckConstraint(
            "state IN ('REQUESTED', 'ACCEPTED', 'REFUSED', 'UNKNOWN', 'REPLACED', 'CLEARED')",
            name=op.f("charging_profiles_state_check"),
        ),
        sa.ForeignKeyConstraint(["charger_id"], ["charging.chargers.id"], name=op.f("charging_profiles_charger_id_fkey")),
        sa.ForeignKeyConstraint(["command_id"], ["charging.commands.id"], name=op.f("charging_profiles_command_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("charging_profiles_pkey")),
        sa.UniqueConstraint("command_id", name=op.f("charging_profiles_command_id_key")),
        schema=SCHEMA,
    )
    op.create_index("charging_profiles_charger_id_id", "charging_profiles", ["charger_id", "id"], unique=False, schema=SCHEMA)
    op.create_index(
        "charging_profiles_held",
        "charging_profiles",
        ["charger_id", "connector_id"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("state IN ('REQUESTED', 'ACCEPTED', 'UNKNOWN')"),
    )
    op.create_index(
        op.f("charging_profiles_renew_at"),
        "charging_profiles",
        ["renew_at"],
        unique=False,
        schema=SCHEMA,
        postgresql_where=sa.text("renew_at IS NOT NULL"),
    )
    op.add_column(
        "id_tags",
        sa.Column(
            "parent_id_tag", sa.Text(), nullable=True, comment="the group it belongs to, as OCPP's parentIdTag; null: none"
        ),
        schema=SCHEMA,
    )
    op.add_column(
        "id_tags",
        sa.Column(
            "concurrent_sessions_max",
            sa.Integer(),
            server_default="1",
            nullable=True,
            comment="more of its transactions at once are ConcurrentTx; null: no bound",
        ),
        schema=SCHEMA,
    )
    op.create_check_constraint(
        op.f("id_tags_concurrent_sessions_max_check"), "id_tags", "concurrent_sessions_max > 0", schema=SCHEMA
    )
    op.create_check_constraint(
        op.f("id_tags_parent_id_tag_check"), "id_tags", "length(parent_id_tag) BETWEEN 1 AND 20", schema=SCHEMA
    )
    op.create_index(op.f("id_tags_parent_id_tag_id"), "id_tags", ["parent_id_tag", "id"], unique=False, schema=SCHEMA)
    op.create_index("transactions_id_tag_id", "transactions", ["id_tag", "id"], unique=False, schema=SCHEMA)


def downgrade() -> None:
    op.drop_index("transactions_id_tag_id", table_name="transactions", schema=SCHEMA)
    op.drop_column("id_tags", "concurrent_sessions_max", schema=SCHEMA)
    op.drop_column("id_tags", "parent_id_tag", schema=SCHEMA)
    for table in ("charging_profiles", "reservations", "local_lists"):
        op.drop_table(table, schema=SCHEMA)
