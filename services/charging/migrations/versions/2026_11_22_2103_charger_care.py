"""Quirk profiles, unknown charge points, error history, signal quality.

Revision ID: 2026_11_22_2103
Revises: 2026_11_22_2102
"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_22_2103"
down_revision = "2026_11_22_2102"
branch_labels = None
depends_on = None

SCHEMA = "charging"


TIME = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.alter_column("chargers", "quirks", comment="overrides of its quirk profiles", schema=SCHEMA)
    op.add_column(
        "connectors",
        sa.Column(
            "operative",
            sa.Boolean,
            nullable=False,
            server_default=sa.text("true"),
            comment="the operator's will; apart from what it reports",
        ),
        schema=SCHEMA,
    )
    op.create_index("signal_quality_received_at", "signal_quality", ["received_at"], schema=SCHEMA)
    op.create_table(
        "charger_errors",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("charger_id", sa.BigInteger, nullable=False, comment="whose error"),
        sa.Column("connector_id", sa.Integer, nullable=False, comment="of which connector; 0 is the charger itself"),
        sa.Column("error_code", sa.Text, nullable=False, comment="as first reported, never NoError (OCPP 1.6 §7.6)"),
        sa.Column("vendor_id", sa.Text, nullable=False, server_default="", comment="of the vendor's code; empty: none"),
        sa.Column("vendor_error_code", sa.Text, nullable=False, server_default="", comment="the vendor's own; empty: none"),
        sa.Column("status", sa.Text, nullable=False, comment="the connector's, with the last report"),
        sa.Column("info", sa.Text, nullable=False, server_default="", comment="the charger's words, with the last report"),
        sa.Column("opened_at", TIME, nullable=False, comment="first report, our clock"),
        sa.Column("reported_at", TIME, comment="first report, the charger's clock"),
        sa.Column("last_seen_at", TIME, nullable=False, comment="last report, our clock"),
        sa.Column("occurrences", sa.Integer, nullable=False, server_default="1", comment="reports of it"),
        sa.Column("resolved_at", TIME, comment="when NoError was reported for its connector; null: open"),
        sa.Column("resolution", sa.Text, comment="what resolved it, in words"),
        sa.CheckConstraint("error_code <> 'NoError'", name="charger_errors_error_code_check"),
        sa.ForeignKeyConstraint(["charger_id"], [f"{SCHEMA}.chargers.id"], name="charger_errors_charger_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="charger_errors_pkey"),
        schema=SCHEMA,
    )
    op.create_index(
        "charger_errors_open_key",
        "charger_errors",
        ["charger_id", "connector_id", "error_code", "vendor_id", "vendor_error_code"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_index("charger_errors_charger_id_last_seen_at", "charger_errors", ["charger_id", "last_seen_at"], schema=SCHEMA)
    op.create_index("charger_errors_last_seen_at_id", "charger_errors", ["last_seen_at", "id"], schema=SCHEMA)
    op.create_table(
        "unknown_charge_points",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column(
            "charge_point_id", sa.Text, nullable=False, comment="the identity as it was last tried; one row whatever its case"
        ),
        sa.Column("first_seen_at", TIME, nullable=False, comment="the first refused handshake"),
        sa.Column("last_seen_at", TIME, nullable=False, comment="the last one; gateways tell of one a minute at most"),
        sa.Column("times", sa.Integer, nullable=False, server_default="1", comment="how often we were told"),
        sa.Column("network", sa.Text, comment="where it comes from: the address without its last part"),
        sa.Column("user_agent", sa.Text, comment="its WebSocket library, where it names one: a hint at the vendor"),
        sa.PrimaryKeyConstraint("id", name="unknown_charge_points_pkey"),
        schema=SCHEMA,
    )
    op.create_index(
        "unknown_charge_points_charge_point_id_key",
        "unknown_charge_points",
        [sa.text("lower(charge_point_id)")],
        unique=True,
        schema=SCHEMA,
    )
    op.create_index("unknown_charge_points_last_seen_at_id", "unknown_charge_points", ["last_seen_at", "id"], schema=SCHEMA)


def downgrade() -> None:
    op.drop_table("unknown_charge_points", schema=SCHEMA)
    op.drop_table("charger_errors", schema=SCHEMA)
    op.drop_index("signal_quality_received_at", "signal_quality", schema=SCHEMA)
    op.drop_column("connectors", "operative", schema=SCHEMA)
    op.alter_column("chargers", "quirks", comment="overrides: energy_unit, stop_escalation", schema=SCHEMA)
