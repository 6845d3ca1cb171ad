"""Configuration that chargers should have, and what they say they have.

Revision ID: 2026_11_22_2102
Revises: 2026_11_22_2101
"""

revision = "2026_11_22_2102"
down_revision = "2026_11_22_2101"
branch_labels = None
depends_on = None

SCHEMA = "charging"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
