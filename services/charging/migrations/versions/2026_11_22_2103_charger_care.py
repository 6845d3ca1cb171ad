"""Quirk profiles, unknown charge points, error history, signal quality.

Revision ID: 2026_11_22_2103
Revises: 2026_11_22_2102
"""

from alembic import op

revision = "2026_11_22_2103"
down_revision = "2026_11_22_2102"
branch_labels = None
depends_on = None

SCHEMA = "charging"


def upgrade() -> None:
    op.alter_column("chargers", "quirks", comment="overrides of its quirk profiles", schema=SCHEMA)


def downgrade() -> None:
    op.alter_column("chargers", "quirks", comment="overrides: energy_unit, stop_escalation", schema=SCHEMA)
