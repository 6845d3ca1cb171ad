"""OCPP commands and what became of them."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from charging.domain.effects import Effect
from charging.domain.states import CommandStatus
from charging.tables.base import Time, identity, metadata, one_of
from charging.tables.network import chargers
from charging.tables.sessions import start_requests

command_batches = sa.Table(
    "command_batches",
    metadata,
    identity(),
    sa.Column("action", sa.Text, nullable=False, comment="OCPP operation"),
    sa.Column("payload", JSONB, nullable=False, comment="its request, the same for all"),
    sa.Column("station_id", sa.BigInteger, comment="whose chargers, where a station was named"),
    sa.Column("actor", sa.Text, nullable=False, comment="who wants it: a caller's subject"),
    sa.Column("requested", sa.Integer, nullable=False, comment="chargers asked for"),
    sa.Column(
        "refused", JSONB, nullable=False, server_default="[]", comment="those that got no command: charger_id, reason, detail"
    ),
    sa.Column("created_at", Time, nullable=False, comment="when it was wished for"),
)
"""One operation for many chargers; each has its own command, with its own answer and effect."""


commands = sa.Table(
    "commands",
    metadata,
    identity(),
    sa.Column("charger_id", sa.BigInteger, sa.ForeignKey(chargers.c.id), nullable=False, comment="to whom"),
    sa.Column("charge_point_id", sa.Text, nullable=False, comment="the same, as the lanes name it"),
    sa.Column("action", sa.Text, nullable=False, comment="OCPP operation"),
    sa.Column("payload", JSONB, nullable=False, comment="its request, in OCPP's words"),
    sa.Column("status", sa.Text, nullable=False, server_default="PENDING", comment="moved by compare-and-set"),
    sa.Column("actor", sa.Text, nullable=False, comment="who wants it: a caller's subject, or charging"),
    sa.Column("trigger", sa.Text, nullable=False, comment="what led to it: api, start, stop, escalation, configuration, ..."),
    sa.Column("batch_id", sa.BigInteger, sa.ForeignKey(command_batches.c.id), comment="of a command to many chargers"),
    sa.Column(
        "sealed", sa.Text, comment="fields of the payload that nobody may read here (a password), sealed; null once it ended"
    ),
    sa.Column("start_request_id", sa.BigInteger, sa.ForeignKey(start_requests.c.id), comment="of a RemoteStart"),
    sa.Column("transaction_id", sa.BigInteger, comment="of a stop attempt"),
    sa.Column("deadline_at", Time, nullable=False, comment="not sent after it"),
    sa.Column("timeout_seconds", sa.Integer, nullable=False, comment="how long the charger may take to answer"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0", comment="how often it was handed to a gateway"),
    sa.Column("epoch", sa.BigInteger, comment="for which connection, last"),
    sa.Column("gateway", sa.Text, comment="to which gateway, last"),
    sa.Column("response", JSONB, comment="the charger's answer"),
    sa.Column("error_code", sa.Text, comment="of a CALLERROR"),
    sa.Column("error_description", sa.Text, comment="of a CALLERROR"),
    sa.Column("late_response", JSONB, comment="an answer that came after TIMED_OUT: recorded, it changes no outcome"),
    sa.Column("created_at", Time, nullable=False, comment="when it was wished for"),
    sa.Column("dispatched_at", Time, comment="when it was handed to a gateway, last"),
    sa.Column("completed_at", Time, comment="when its outcome was known"),
    sa.Column("effect", sa.Text, nullable=False, server_default="NONE_EXPECTED", comment="whether it did what it is for"),
    sa.Column("effect_waits_for", sa.Text, comment="what would show it, in words"),
    sa.Column("effect_due_at", Time, comment="to be seen by then; null until the command ended"),
    sa.Column("effect_evidence", sa.Text, comment="what showed it, or why nothing is expected any more"),
    sa.Column("effect_at", Time, comment="when that was"),
    one_of("status", CommandStatus),
    one_of("effect", Effect),
    sa.Index(None, "charger_id", "id"),
    sa.Index("commands_open", "charger_id", postgresql_where=sa.text("status IN ('PENDING', 'DISPATCHED')")),
    sa.Index(None, "start_request_id"),
    sa.Index(None, "batch_id", "id", postgresql_where=sa.text("batch_id IS NOT NULL")),
    sa.Index("commands_effect_awaited", "charge_point_id", postgresql_where=sa.text("effect = 'AWAITED'")),
    sa.Index("commands_effect_due", "effect_due_at", postgresql_where=sa.text("effect = 'AWAITED'")),
)
