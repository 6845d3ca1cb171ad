"""What the session guards need.

Revision ID: 2026_11_22_2105
Revises: 2026_11_22_2104
"""

revision = "2026_11_22_2105"
down_revision = "2026_11_22_2104"
branch_labels = None
depends_on = None

SCHEMA = "charging"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
