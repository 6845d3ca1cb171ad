"""The three tables that every schema has: outbox, inbox, idempotency keys. Made by the first migration of each service.

from chassis.database.tables import create_standard_tables, drop_standard_tables
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

INBOX_DAYS_KEPT = 45
"""Longer than a dead letter waits for an operator: its replay must still find what was handled."""

OUTBOX_DAYS_KEPT = 7
"""Published rows kept for people who ask what was announced."""

chassis_metadata = sa.MetaData()

outbox = sa.Table(
    "outbox",
    chassis_metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("subject", sa.Text, nullable=False, comment="key of order: one message of a subject is on its way at a time"),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("exchange", sa.Text, nullable=False),
    sa.Column("routing_key", sa.Text, nullable=False),
    sa.Column("mandatory", sa.Boolean, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("subject_version", sa.BigInteger),
    sa.Column("correlation_id", sa.Text),
    sa.Column("traceparent", sa.Text),
    sa.Column("created_at", TIMESTAMP(timezone=True), nullable=False),
    sa.Column("published_at", TIMESTAMP(timezone=True), comment="when the broker confirmed it"),
)

inbox = sa.Table(
    "inbox",
    chassis_metadata,
    sa.Column(
        "occurred_on", sa.Date, nullable=False, comment="UTC day of the message: the partition, the same at every delivery"
    ),
    sa.Column("consumer", sa.Text, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("handled_at", TIMESTAMP(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint("occurred_on", "consumer", "message_id"),
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    chassis_metadata,
    sa.Column("scope", sa.Text, nullable=False, comment="route and principal"),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("request_hash", sa.Text, nullable=False),
    sa.Column("status", sa.Integer, comment="HTTP status of the first answer; null while it is being made"),
    sa.Column("response", JSONB),
    sa.Column("created_at", TIMESTAMP(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint("scope", "key"),
)

_STANDARD = """
CREATE TABLE {s}.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text NOT NULL,
    message_id text NOT NULL,
    type text NOT NULL,
    exchange text NOT NULL,
    routing_key text NOT NULL,
    mandatory boolean NOT NULL,
    body bytea NOT NULL,
    subject_version bigint,
    correlation_id text,
    traceparent text,
    created_at timestamptz NOT NULL,
    published_at timestamptz
);
CREATE INDEX outbox_unpublished ON {s}.outbox (id) WHERE published_at IS NULL;
CREATE INDEX outbox_published ON {s}.outbox (published_at) WHERE published_at IS NOT NULL;
CREATE TABLE {s}.inbox (
    occurred_on date NOT NULL,
    consumer text NOT NULL,
    message_id text NOT NULL,
    handled_at timestamptz NOT NULL,
    PRIMARY KEY (occurred_on, consumer, message_id)
) PARTITION BY RANGE (occurred_on);
CREATE TABLE {s}.inbox_other PARTITION OF {s}.inbox DEFAULT;
CREATE TABLE {s}.idempotency_keys (
    scope text NOT NULL,
    key text NOT NULL,
    request_hash text NOT NULL,
    status integer,
    response jsonb,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_keys_created_at ON {s}.idempotency_keys (created_at);
CREATE FUNCTION {s}.keep_inbox_partitions(today date, days_kept integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {s}, pg_temp AS $body$
DECLARE
    day date;
    part record;
BEGIN
    FOR day IN SELECT generate_series(today - 1, today + 2, interval '1 day')::date LOOP
        IF to_regclass(format('{s}.inbox_%s', to_char(day, 'YYYYMMDD'))) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE TABLE {s}.inbox_%s PARTITION OF {s}.inbox FOR VALUES FROM (%L) TO (%L)',
                               to_char(day, 'YYYYMMDD'), day, day + 1);
            EXCEPTION WHEN check_violation OR duplicate_table OR unique_violation THEN
                -- Rows of that day are in the default partition already (or another replica was quicker): they stay there.
                NULL;
            END;
        END IF;
    END LOOP;
    FOR part IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = '{s}.inbox'::regclass AND c.relname ~ '^inbox_[0-9]{{8}}$'
                AND to_date(right(c.relname, 8), 'YYYYMMDD') < today - days_kept LOOP
        EXECUTE format('DROP TABLE {s}.%I', part.relname);
    END LOOP;
    -- By when it was handled: what came very late, or from a wrong clock, is to be known as a repeat just as long.
    DELETE FROM {s}.inbox_other WHERE handled_at < (today - days_kept)::timestamptz;
END
$body$;
"""


def create_standard_tables(schema: str) -> list[str]:
    """Statements for a service's first migration."""
    head, _, function = _STANDARD.format(s=schema).partition("CREATE FUNCTION")
    return [*(statement.strip() for statement in head.split(";") if statement.strip()), f"CREATE FUNCTION {function.strip()}"]


def drop_standard_tables(schema: str) -> list[str]:
    """The reverse."""
    return [
        f"DROP FUNCTION {schema}.keep_inbox_partitions(date, integer)",
        f"DROP TABLE {schema}.idempotency_keys",
        f"DROP TABLE {schema}.inbox",
        f"DROP TABLE {schema}.outbox",
    ]
