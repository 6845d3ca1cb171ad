"""The probe's table, and the chassis's three."""

from alembic import op

from chassis.database.tables import create_standard_tables, drop_standard_tables

revision = "2026_11_22_1800"
down_revision = None


def upgrade() -> None:
    """Create."""
    for statement in create_standard_tables("probe"):
        op.execute(statement)
    op.execute("CREATE TABLE probe.things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE)")


def downgrade() -> None:
    """Drop."""
    op.execute("DROP TABLE probe.things")
    for statement in drop_standard_tables("probe"):
        op.execute(statement)
