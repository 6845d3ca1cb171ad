"""Configuration that chargers should have, and what they say they have.

Revision ID: 2026_11_22_2102
Revises: 2026_11_22_2101
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_11_22_2102"
down_revision = "2026_11_22_2101"
branch_labels = None
depends_on = None

SCHEMA = "charging"

Time = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "configurations",
        sa.Column("charger_id", sa.BigInteger(), nullable=False, comment="whose"),
        sa.Column("charge_point_id", sa.Text(), nullable=False, comment="the same, as the lanes name it"),
        sa.Column("state", sa.Text(), nullable=False, comment="where the conversation stands"),
        sa.Column("due_at", Time, nullable=True, comment="to begin (again) then; under way: stuck by then; null: not by itself"),
        sa.Column("started_at", Time, nullable=True, comment="when the conversation began"),
        sa.Column("finished_at", Time, nullable=True, comment="when one was last brought to its end"),
        sa.Column("epoch", sa.BigInteger(), nullable=True, comment="the connection that it is held over"),
        sa.Column("command_id", sa.BigInteger(), nullable=True, comment="what is in flight"),
        sa.Column("key", sa.Text(), nullable=True, comment="of the ChangeConfiguration in flight, lower case"),
        sa.Column("vendor", sa.Text(), nullable=True, comment="what the charger was when it was last spoken to"),
        sa.Column("model", sa.Text(), nullable=True, comment="likewise"),
        sa.Column("firmware_version", sa.Text(), nullable=True, comment="likewise"),
        sa.Column(
            "desired_version",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="which desired values: a change begins it anew",
        ),
        sa.Column(
            "listing_refused",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="GetConfiguration failed on this firmware: never asked again",
        ),
        sa.Column(
            "interruptions",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="conversations on this firmware in which it hung or dropped",
        ),
        sa.Column(
            "changed",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="a key was set in this conversation: to be read back",
        ),
        sa.Column(
            "reboot_required",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="a key takes effect with the next boot",
        ),
        sa.Column("drift", sa.Integer(), server_default="0", nullable=False, comment="keys that are not as desired"),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it waits or was given up, in words"),
        sa.CheckConstraint(
            "state IN ('WAITING', 'LISTING', 'CHANGING', 'READING_BACK', 'DONE', 'GIVEN_UP', 'LEFT_ALONE')",
            name=op.f("configurations_state_check"),
        ),
        sa.ForeignKeyConstraint(["charger_id"], ["charging.chargers.id"], name=op.f("configurations_charger_id_fkey")),
        sa.ForeignKeyConstraint(["command_id"], ["charging.commands.id"], name=op.f("configurations_command_id_fkey")),
        sa.PrimaryKeyConstraint("charger_id", name=op.f("configurations_pkey")),
        schema=SCHEMA,
    )
    op.create_index("configurations_due", "configurations", ["due_at"], schema=SCHEMA)
    op.create_index(
        "configurations_drift", "configurations", ["charger_id"], schema=SCHEMA, postgresql_where=sa.text("drift > 0")
    )
    op.create_table(
        "configuration_keys",
        sa.Column("charger_id", sa.BigInteger(), nullable=False, comment="whose"),
        sa.Column("name", sa.Text(), nullable=False, comment="lower case: keys are compared without regard to case"),
        sa.Column("key", sa.Text(), nullable=False, comment="as the charger spells it, else as we do"),
        sa.Column("override", sa.Text(), nullable=True, comment="desired for this charger alone, by a person"),
        sa.Column("override_by", sa.Text(), nullable=True, comment="who"),
        sa.Column("override_at", Time, nullable=True, comment="when"),
        sa.Column("desired", sa.Text(), nullable=True, comment="what it should be; null: we don't mind"),
        sa.Column("position", sa.Integer(), nullable=True, comment="its turn among the desired"),
        sa.Column("reported", sa.Text(), nullable=True, comment="as the charger said; *** for a secret"),
        sa.Column("readonly", sa.Boolean(), nullable=True, comment="as the charger said"),
        sa.Column("seen_at", Time, nullable=True, comment="when it said so; null: never"),
        sa.Column("sent", sa.Text(), nullable=True, comment="the value last asked for"),
        sa.Column("sent_at", Time, nullable=True, comment="when"),
        sa.Column("answer", sa.Text(), nullable=True, comment="to that"),
        sa.Column(
            "settled",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="asked on this firmware: not asked again with this value",
        ),
        sa.Column(
            "fallback",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="desired is the lesser value, since it refused the first",
        ),
        sa.CheckConstraint(
            "answer IN ('ACCEPTED', 'REBOOT_REQUIRED', 'REJECTED', 'NOT_SUPPORTED', 'ERROR', 'NO_ANSWER')",
            name=op.f("configuration_keys_answer_check"),
        ),
        sa.ForeignKeyConstraint(["charger_id"], ["charging.chargers.id"], name=op.f("configuration_keys_charger_id_fkey")),
        sa.PrimaryKeyConstraint("charger_id", "name", name=op.f("configuration_keys_pkey")),
        schema=SCHEMA,
    )
    op.add_column(
        "chargers",
        sa.Column(
            "previous_password_salt",
            sa.Text(),
            nullable=True,
            comment="of the password that is being replaced; null: none is",
        ),
        schema=SCHEMA,
    )
    op.add_column(
        "chargers",
        sa.Column(
            "previous_password_hash",
            sa.Text(),
            nullable=True,
            comment="accepted too until the charger has shown that it has the new one",
        ),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_column("chargers", "previous_password_hash", schema=SCHEMA)
    op.drop_column("chargers", "previous_password_salt", schema=SCHEMA)
    op.drop_table("configuration_keys", schema=SCHEMA)
    op.drop_table("configurations", schema=SCHEMA)
