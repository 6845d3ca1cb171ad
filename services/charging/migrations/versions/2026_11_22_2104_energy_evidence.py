"""Which readings a bill rests on.

Revision ID: 2026_11_22_2104
Revises: 2026_11_22_2103
"""

revision = "2026_11_22_2104"
down_revision = "2026_11_22_2103"
branch_labels = None
depends_on = None

SCHEMA = "charging"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
