"""Transfers that were taken back whole by hand and are paid again: status REVERSED, which lives no more.

Revision ID: 2026_12_01_0550
Revises: 2026_12_01_0520
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "2026_12_01_0550"
down_revision = "2026_12_01_0520"
branch_labels = None
depends_on = None

SCHEMA = "settlement"
CHECKED = ("CLAIMED", "UNKNOWN", "WAITING", "ACCEPTED", "FAILED", "PROCESSED", "SETTLED")
LISTED = "CLAIMED, UNKNOWN, WAITING, ACCEPTED, PROCESSED, SETTLED, FAILED"


def upgrade() -> None:
    _states((*CHECKED, "REVERSED"), "status not in ('FAILED', 'REVERSED')")
    op.execute(f"COMMENT ON COLUMN {SCHEMA}.transfers.status IS '{LISTED}, REVERSED'")
    op.execute(f"COMMENT ON COLUMN {SCHEMA}.transfers.attempt IS '1, and one more after each that failed or was taken back'")
    op.execute(
        f"COMMENT ON COLUMN {SCHEMA}.allocations.live IS 'false: it failed or was taken back, the entry is free for another'"
    )


def downgrade() -> None:
    _states(CHECKED, "status <> 'FAILED'")
    op.execute(f"COMMENT ON COLUMN {SCHEMA}.transfers.status IS '{LISTED}'")
    op.execute(f"COMMENT ON COLUMN {SCHEMA}.transfers.attempt IS '1, and one more after each definitive failure'")
    op.execute(f"COMMENT ON COLUMN {SCHEMA}.allocations.live IS 'false: the transfer failed, the entry is free for another'")


def _states(states: Sequence[str], lives: str) -> None:
    op.drop_constraint(op.f("transfers_status_check"), "transfers", schema=SCHEMA)
    listed = ", ".join(f"'{state}'" for state in states)
    op.create_check_constraint(op.f("transfers_status_check"), "transfers", f"status in ({listed})", schema=SCHEMA)
    op.drop_index("transfers_one_live_per_entry_idx", "transfers", schema=SCHEMA)
    op.create_index(
        "transfers_one_live_per_entry_idx",
        "transfers",
        ["lead_entry_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text(lives),
    )
