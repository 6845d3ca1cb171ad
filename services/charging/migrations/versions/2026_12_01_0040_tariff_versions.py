"""Tariff versions: never changed, found by scope and time; a session keeps since when its version held, and where it ran.

Sessions from before keep nulls: their tariff can be looked up, and a place of supply that was not told is the seller's state.

Revision ID: 2026_12_01_0040
Revises: 2026_11_30_2100
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_12_01_0040"
down_revision = "2026_11_30_2100"
branch_labels = None
depends_on = None

SCHEMA = "charging"

REFUSE_CHANGE = """
CREATE FUNCTION charging.refuse_change_of_tariff() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a version of a tariff never changes: enter another' USING ERRCODE = 'restrict_violation';
END $$
"""


def upgrade() -> None:
    op.create_index(
        "tariffs_scope_effective_from_idx",
        "tariffs",
        [sa.text("coalesce(charger_id, 0)"), sa.text("coalesce(station_id, 0)"), "effective_from", "id"],
        schema=SCHEMA,
    )
    op.execute(REFUSE_CHANGE)
    op.execute(
        "CREATE TRIGGER tariffs_never_change BEFORE UPDATE ON charging.tariffs"
        " FOR EACH ROW EXECUTE FUNCTION charging.refuse_change_of_tariff()"
    )
    op.add_column(
        "transactions",
        sa.Column(
            "tariff_effective_from",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="snapshot: since when that version held; null: no tariff, or it began before this was kept",
        ),
        schema=SCHEMA,
    )
    op.add_column(
        "transactions",
        sa.Column(
            "station_name",
            sa.Text(),
            nullable=True,
            comment="snapshot, for the rider's invoice; null: it began before this was kept",
        ),
        schema=SCHEMA,
    )
    op.add_column(
        "transactions",
        sa.Column(
            "station_state_code",
            sa.Text(),
            nullable=True,
            comment="snapshot, GST code: place of supply; null: the station names none",
        ),
        schema=SCHEMA,
    )


def downgrade() -> None:
    for name in ("station_state_code", "station_name", "tariff_effective_from"):
        op.drop_column("transactions", name, schema=SCHEMA)
    op.execute("DROP TRIGGER tariffs_never_change ON charging.tariffs")
    op.execute("DROP FUNCTION charging.refuse_change_of_tariff()")
    op.drop_index("tariffs_scope_effective_from_idx", "tariffs", schema=SCHEMA)
