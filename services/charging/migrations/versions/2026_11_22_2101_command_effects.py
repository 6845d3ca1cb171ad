"""What a command is expected to bring about, and bulk commands.

Revision ID: 2026_11_22_2101
Revises: 2026_11_22_2100
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_11_22_2101"
down_revision = "2026_11_22_2100"
branch_labels = None
depends_on = None

SCHEMA = "charging"


Time = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "command_batches",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("action", sa.Text(), nullable=False, comment="OCPP operation"),
        sa.Column("payload", postgresql.JSONB(), nullable=False, comment="its request, the same for all"),
        sa.Column("station_id", sa.BigInteger(), nullable=True, comment="whose chargers, where a station was named"),
        sa.Column("actor", sa.Text(), nullable=False, comment="who wants it: a caller's subject"),
        sa.Column("requested", sa.Integer(), nullable=False, comment="chargers asked for"),
        sa.Column(
            "refused",
            postgresql.JSONB(),
            server_default="[]",
            nullable=False,
            comment="those that got no command: charger_id, reason, detail",
        ),
        sa.Column("created_at", Time, nullable=False, comment="when it was wished for"),
        sa.PrimaryKeyConstraint("id", name=op.f("command_batches_pkey")),
        schema=SCHEMA,
    )
    for column in (
        sa.Column("batch_id", sa.BigInteger(), nullable=True, comment="of a command to many chargers"),
        sa.Column(
            "sealed",
            sa.Text(),
            nullable=True,
            comment="fields of the payload that nobody may read here (a password), sealed; null once it ended",
        ),
        sa.Column("effect", sa.Text(), server_default="NONE_EXPECTED", nullable=False, comment="whether it did what it is for"),
        sa.Column("effect_waits_for", sa.Text(), nullable=True, comment="what would show it, in words"),
        sa.Column("effect_due_at", Time, nullable=True, comment="to be seen by then; null until the command ended"),
        sa.Column("effect_evidence", sa.Text(), nullable=True, comment="what showed it, or why nothing is expected any more"),
        sa.Column("effect_at", Time, nullable=True, comment="when that was"),
    ):
        op.add_column("commands", column, schema=SCHEMA)
    op.create_foreign_key(
        op.f("commands_batch_id_fkey"),
        "commands",
        "command_batches",
        ["batch_id"],
        ["id"],
        source_schema=SCHEMA,
        referent_schema=SCHEMA,
    )
    op.create_check_constraint(
        op.f("commands_effect_check"),
        "commands",
        "effect IN ('NONE_EXPECTED', 'AWAITED', 'SEEN', 'NOT_SEEN')",
        schema=SCHEMA,
    )
    op.create_index(
        "commands_batch_id_id",
        "commands",
        ["batch_id", "id"],
        schema=SCHEMA,
        postgresql_where=sa.text("batch_id IS NOT NULL"),
    )
    awaited = sa.text("effect = 'AWAITED'")
    op.create_index("commands_effect_awaited", "commands", ["charge_point_id"], schema=SCHEMA, postgresql_where=awaited)
    op.create_index("commands_effect_due", "commands", ["effect_due_at"], schema=SCHEMA, postgresql_where=awaited)
    op.alter_column(
        "commands",
        "trigger",
        schema=SCHEMA,
        existing_type=sa.Text(),
        existing_nullable=False,
        comment="what led to it: api, start, stop, escalation, configuration, ...",
    )


def downgrade() -> None:
    op.alter_column(
        "commands",
        "trigger",
        schema=SCHEMA,
        existing_type=sa.Text(),
        existing_nullable=False,
        comment="what led to it: api, start, stop, escalation",
    )
    for index in ("commands_effect_due", "commands_effect_awaited", "commands_batch_id_id"):
        op.drop_index(index, "commands", schema=SCHEMA)
    op.drop_constraint("commands_effect_check", "commands", schema=SCHEMA)
    for column in ("effect_at", "effect_evidence", "effect_due_at", "effect_waits_for", "effect", "sealed", "batch_id"):
        op.drop_column("commands", column, schema=SCHEMA)
    op.drop_table("command_batches", schema=SCHEMA)
