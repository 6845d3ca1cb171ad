"""Failed proofs of payments, so that nobody guesses a bank reference's digits.

Revision ID: 2026_12_01_0012
Revises: 2026_12_01_0010
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_01_0012"
down_revision = "2026_12_01_0010"
branch_labels = None
depends_on = None

SCHEMA = "payments"


def upgrade() -> None:
    op.create_table(
        "proof_failures",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        sa.Column("vpa", sa.Text(), nullable=False, comment="whose payment was to be proved, lower-cased; personal"),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False, comment="when the digits did not fit"),
        sa.PrimaryKeyConstraint("id", name=op.f("proof_failures_pkey")),
        schema=SCHEMA,
        comment=(
            "Proofs of payments that failed, of the last hour: who guesses digits is stopped, whichever address it comes from."
        ),
    )
    op.create_index(op.f("proof_failures_vpa_failed_at_idx"), "proof_failures", ["vpa", "failed_at"], schema=SCHEMA)


def downgrade() -> None:
    op.drop_table("proof_failures", schema=SCHEMA)
