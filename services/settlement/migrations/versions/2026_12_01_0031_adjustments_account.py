"""An account for what Razorpay adjusts by hand.

Revision ID: 2026_12_01_0031
Revises: 2026_12_01_0030
"""

from alembic import op

revision = "2026_12_01_0031"
down_revision = "2026_12_01_0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        INSERT INTO settlement.accounts (code, name, kind, normal_side, holds) VALUES
        ('adjustments', 'Adjustments and disputes', 'EXPENSE', 'DEBIT',
         'taken or given by Razorpay by hand, disputes lost among it, as accepted')
        """
    )


def downgrade() -> None:
    op.execute("ALTER TABLE settlement.accounts DISABLE TRIGGER accounts_never_change")
    op.execute("DELETE FROM settlement.accounts WHERE code = 'adjustments'")
    op.execute("ALTER TABLE settlement.accounts ENABLE TRIGGER accounts_never_change")
