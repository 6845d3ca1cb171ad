"""A wallet's session keeps what its bill was made of, so that it can be explained.

Revision ID: 2026_12_01_0500
Revises: 2026_12_01_0012
"""

from alembic import op

revision = "2026_12_01_0500"
down_revision = "2026_12_01_0012"
branch_labels = None
depends_on = None

SCHEMA = "payments"
BEFORE = "charging's transaction_stopped, kept while no bill could be made of it"
COMMENT = "charging's transaction_stopped: what the bill was made of, or could not be"


def upgrade() -> None:
    op.alter_column("wallet_sessions", "stopped", comment=COMMENT, existing_comment=BEFORE, schema=SCHEMA)


def downgrade() -> None:
    op.alter_column("wallet_sessions", "stopped", comment=BEFORE, existing_comment=COMMENT, schema=SCHEMA)
