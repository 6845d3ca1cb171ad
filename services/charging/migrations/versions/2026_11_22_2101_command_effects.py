"""What a command is expected to bring about, and bulk commands.

Revision ID: 2026_11_22_2101
Revises: 2026_11_22_2100
"""

revision = "2026_11_22_2101"
down_revision = "2026_11_22_2100"
branch_labels = None
depends_on = None

SCHEMA = "charging"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
