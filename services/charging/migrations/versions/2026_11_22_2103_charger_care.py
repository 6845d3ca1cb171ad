"""Quirk profiles, unknown charge points, error history, signal quality.

Revision ID: 2026_11_22_2103
Revises: 2026_11_22_2102
"""

revision = "2026_11_22_2103"
down_revision = "2026_11_22_2102"
branch_labels = None
depends_on = None

SCHEMA = "charging"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
