"""What chargers should be configured to, and what they say they are."""

import sqlalchemy as sa

from charging.domain.configuration import ConfigurationState, KeyAnswer
from charging.tables.base import Time, metadata, one_of
from charging.tables.commands import commands
from charging.tables.network import chargers

configurations = sa.Table(
    "configurations",
    metadata,
    sa.Column("charger_id", sa.BigInteger, sa.ForeignKey(chargers.c.id), primary_key=True, comment="whose"),
    sa.Column("charge_point_id", sa.Text, nullable=False, comment="the same, as the lanes name it"),
    sa.Column("state", sa.Text, nullable=False, comment="where the conversation stands"),
    sa.Column("due_at", Time, comment="to begin (again) then; under way: stuck by then; null: not by itself"),
    sa.Column("started_at", Time, comment="when the conversation began"),
    sa.Column("finished_at", Time, comment="when one was last brought to its end"),
    sa.Column("epoch", sa.BigInteger, comment="the connection that it is held over"),
    sa.Column("command_id", sa.BigInteger, sa.ForeignKey(commands.c.id), comment="what is in flight"),
    sa.Column("key", sa.Text, comment="of the ChangeConfiguration in flight, lower case"),
    sa.Column("vendor", sa.Text, comment="what the charger was when it was last spoken to"),
    sa.Column("model", sa.Text, comment="likewise"),
    sa.Column("firmware_version", sa.Text, comment="likewise"),
    sa.Column(
        "desired_version", sa.Text, nullable=False, server_default="", comment="which desired values: a change begins it anew"
    ),
    sa.Column(
        "listing_refused",
        sa.Boolean,
        nullable=False,
        server_default=sa.text("false"),
        comment="GetConfiguration failed on this firmware: never asked again",
    ),
    sa.Column(
        "interruptions",
        sa.Integer,
        nullable=False,
        server_default="0",
        comment="conversations on this firmware in which it hung or dropped",
    ),
    sa.Column(
        "changed",
        sa.Boolean,
        nullable=False,
        server_default=sa.text("false"),
        comment="a key was set in this conversation: to be read back",
    ),
    sa.Column(
        "reboot_required",
        sa.Boolean,
        nullable=False,
        server_default=sa.text("false"),
        comment="a key takes effect with the next boot",
    ),
    sa.Column("drift", sa.Integer, nullable=False, server_default="0", comment="keys that are not as desired"),
    sa.Column("reason", sa.Text, comment="why it waits or was given up, in words"),
    one_of("state", ConfigurationState),
    sa.Index("configurations_due", "due_at"),
    sa.Index("configurations_drift", "charger_id", postgresql_where=sa.text("drift > 0")),
)
"""One row per charger that was ever online: the conversation with it, which only its lane moves."""


configuration_keys = sa.Table(
    "configuration_keys",
    metadata,
    sa.Column("charger_id", sa.BigInteger, sa.ForeignKey(chargers.c.id), primary_key=True, comment="whose"),
    sa.Column("name", sa.Text, primary_key=True, comment="lower case: keys are compared without regard to case"),
    sa.Column("key", sa.Text, nullable=False, comment="as the charger spells it, else as we do"),
    sa.Column("override", sa.Text, comment="desired for this charger alone, by a person"),
    sa.Column("override_by", sa.Text, comment="who"),
    sa.Column("override_at", Time, comment="when"),
    sa.Column("desired", sa.Text, comment="what it should be; null: we don't mind"),
    sa.Column("position", sa.Integer, comment="its turn among the desired"),
    sa.Column("reported", sa.Text, comment="as the charger said; *** for a secret"),
    sa.Column("readonly", sa.Boolean, comment="as the charger said"),
    sa.Column("seen_at", Time, comment="when it said so; null: never"),
    sa.Column("sent", sa.Text, comment="the value last asked for"),
    sa.Column("sent_at", Time, comment="when"),
    sa.Column("answer", sa.Text, comment="to that"),
    sa.Column(
        "settled",
        sa.Boolean,
        nullable=False,
        server_default=sa.text("false"),
        comment="asked on this firmware: not asked again with this value",
    ),
    sa.Column(
        "fallback",
        sa.Boolean,
        nullable=False,
        server_default=sa.text("false"),
        comment="desired is the lesser value, since it refused the first",
    ),
    one_of("answer", KeyAnswer),
)
"""Key by key: desired, reported, and what came of asking."""
