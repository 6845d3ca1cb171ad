"""The sweeps' memory, and the gateways as seen by their leases."""

import sqlalchemy as sa

from charging.tables.base import Time, metadata

gateways = sa.Table(
    "gateways",
    metadata,
    sa.Column("name", sa.Text, primary_key=True, comment="stable name of an ocpp-gateway"),
    sa.Column("process", sa.Text, comment="whose lease was seen last: another one has none of its sockets"),
    sa.Column("process_since", Time, comment="when this process was first seen"),
    sa.Column("missing_since", Time, comment="since when its lease is missing from a Redis that answers"),
)


deadline_notices = sa.Table(
    "deadline_notices",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True, comment="which column fell due"),
    sa.Column("subject_id", sa.Text, primary_key=True, comment="of which row"),
    sa.Column("due_at", Time, primary_key=True, comment="its value"),
    sa.Column("published_at", Time, nullable=False, comment="when the lane was told: not again every second"),
    sa.Index(None, "published_at"),
)


"""The sweeps' own memory: they may not write the rows whose deadlines they watch, the lane is those rows' only writer."""
