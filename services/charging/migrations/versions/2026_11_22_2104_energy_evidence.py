"""Which readings a bill rests on.

Revision ID: 2026_11_22_2104
Revises: 2026_11_22_2103
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "2026_11_22_2104"
down_revision = "2026_11_22_2103"
branch_labels = None
depends_on = None

SCHEMA = "charging"


def columns() -> tuple[sa.Column[object], ...]:
    """New columns of transactions: a Column belongs to one table, so they are made anew each time."""
    return (
        sa.Column(
            "read_epoch", sa.BigInteger, nullable=False, server_default="0", comment="last confirmed reading; 0: meterStart"
        ),
        sa.Column("read_seq", sa.BigInteger, nullable=False, server_default="0", comment="in which message"),
        sa.Column("read_n", sa.Integer, nullable=False, server_default="0", comment="which meterValue of it; -1: meterStop"),
        sa.Column("meter_trail", JSONB, comment="segments and doubtful readings so far; null: nothing out of the ordinary"),
        sa.Column("energy_evidence", JSONB, comment="what energy_wh rests on (EnergyEvidence), frozen with it"),
    )


def upgrade() -> None:
    for column in columns():
        op.add_column("transactions", column, schema=SCHEMA)
    op.add_column(
        "chargers",
        sa.Column("stop_latency_ms", sa.Integer, comment="learned: from deciding on a stop until its energy is off"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_column("chargers", "stop_latency_ms", schema=SCHEMA)
    for column in reversed(columns()):
        op.drop_column("transactions", column.name, schema=SCHEMA)
