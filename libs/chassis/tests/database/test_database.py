"""Schemas, roles, migrations, partitions and transactions over a real PostgreSQL."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest
import sqlalchemy as sa

from chassis.database import Database
from chassis.database.migrate import migrate
from chassis.database.tables import INBOX_DAYS_KEPT
from chassis.messaging import Received, is_transient
from chassis.runtime import Service, ServiceSettings, SystemClock, SystemIds
from chassis.telemetry import Telemetry

from .conftest import MIGRATIONS, Migrated


async def test_migrating_again_and_at_the_same_time_changes_nothing(migrated: Migrated) -> None:
    admin = await asyncpg.connect(migrated.admin)
    await admin.execute("INSERT INTO probe.things (name) VALUES ('kept')")
    await asyncio.gather(*(migrate(migrated.admin, schema="probe", password="probe", migrations=MIGRATIONS) for _ in range(3)))
    assert await admin.fetchval("SELECT name FROM probe.things") == "kept"
    await admin.close()


async def test_the_first_migrations_of_a_database_may_run_at_the_same_time(servers: object, migrated: Migrated) -> None:
    admin = await asyncpg.connect(migrated.admin)
    await admin.execute("DROP SCHEMA probe CASCADE")
    await asyncio.gather(*(migrate(migrated.admin, schema="probe", password="probe", migrations=MIGRATIONS) for _ in range(3)))
    assert await admin.fetchval("SELECT count(*) FROM probe.things") == 0
    await admin.close()


async def test_a_new_password_is_taken_over(migrated: Migrated) -> None:
    await migrate(migrated.admin, schema="probe", password="it's new, 100%\\", migrations=MIGRATIONS)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(migrated.role)
    connection = await asyncpg.connect(migrated.role, password="it's new, 100%\\")
    await connection.close()
    await migrate(migrated.admin, schema="probe", password="probe", migrations=MIGRATIONS)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM other.secrets",
        "SELECT other.tell()",
        "SELECT * FROM probe.alembic_version",
        "CREATE TABLE probe.mine (id int)",
        "CREATE TABLE public.mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "ALTER TABLE probe.things ADD COLUMN mine text",
        "DROP TABLE probe.things",
        "TRUNCATE probe.things",
        "CREATE FUNCTION probe.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE ROLE mine",
        "SET ROLE postgres",
        "SELECT * FROM pg_authid",
        "COPY probe.things TO '/tmp/things'",
    ],
)
async def test_a_services_role_sees_its_schema_alone_and_changes_no_structure(migrated: Migrated, statement: str) -> None:
    admin = await asyncpg.connect(migrated.admin)
    await admin.execute(
        "CREATE SCHEMA other; CREATE TABLE other.secrets (x int);"
        "CREATE FUNCTION other.tell() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    )
    await admin.close()
    role = await asyncpg.connect(migrated.role)
    await role.execute("INSERT INTO probe.things (name) VALUES ('mine')")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await role.execute(statement)
    await role.close()


async def partitions(migrated: Migrated) -> set[str]:
    """Names of the inbox's partitions."""
    admin = await asyncpg.connect(migrated.admin)
    rows = await admin.fetch(
        "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'probe.inbox'::regclass"
    )
    await admin.close()
    return {row["relname"] for row in rows}


async def keep(migrated: Migrated, today: date) -> None:
    """Housekeeping, as the service's role."""
    role = await asyncpg.connect(migrated.role)
    await role.execute("SELECT probe.keep_inbox_partitions($1, $2)", today, INBOX_DAYS_KEPT)
    await role.close()


def of(day: datetime, message_id: str = "m") -> Received:
    """An event that happened then."""
    return Received(type="x", message_id=message_id, data={}, occurred_at=day, queue="probe.events")


async def is_new(database: Database, event: Received) -> bool:
    """Note an event as handled; whether it was new."""
    async with database.transaction() as uow:
        return bool(await uow.take_from_inbox("probe.events", [event]))


TODAY = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)


async def test_partitions_are_made_ahead_and_old_days_dropped_whole(migrated: Migrated, database: Database) -> None:
    await asyncio.gather(*(keep(migrated, TODAY.date()) for _ in range(3)))  # replicas do so at the same time
    days = ("20260104", "20260105", "20260106", "20260107")
    assert await partitions(migrated) == {"inbox_other", *(f"inbox_{day}" for day in days)}
    await keep(migrated, TODAY.date())
    assert len(await partitions(migrated)) == 5, "again changes nothing"
    later = TODAY + timedelta(days=INBOX_DAYS_KEPT)
    await keep(migrated, later.date())
    kept = await partitions(migrated)
    assert "inbox_20260104" not in kept
    assert {"inbox_20260105", "inbox_20260107", f"inbox_{later:%Y%m%d}"} <= kept


@pytest.mark.parametrize("days", [0, -1, 1, 5, -30, -20_000], ids=lambda days: f"{days} days off")
async def test_a_repeat_is_known_whenever_its_message_happened(migrated: Migrated, database: Database, days: int) -> None:
    now = datetime.now(UTC)
    event = of(datetime(1970, 1, 1, tzinfo=UTC) if days < -1000 else now + timedelta(days=days))
    assert await is_new(database, event)
    for day in (now, now + timedelta(days=1)):  # housekeeping in between, when the day of the message has come too
        await keep(migrated, day.date())
        assert not await is_new(database, event)


async def test_days_are_utc_days(database: Database) -> None:
    assert await is_new(database, of(datetime.fromisoformat("2026-01-06T01:00:00+05:30")))
    assert not await is_new(database, of(datetime(2026, 1, 5, 19, 30, tzinfo=UTC)))


async def test_a_day_whose_rows_came_early_stays_where_it_is(migrated: Migrated, database: Database) -> None:
    early = of(TODAY + timedelta(days=2), "early")
    assert await is_new(database, early)
    await keep(migrated, TODAY.date())
    assert not await is_new(database, early)
    assert await is_new(database, of(TODAY + timedelta(days=2), "later"))


async def test_the_drivers_connection_is_inside_the_transaction(database: Database) -> None:
    with pytest.raises(RuntimeError):
        await store_past_sqlalchemy_and_fail(database)
    async with database.reading() as uow:
        assert await uow.connection.scalar(sa.text("SELECT count(*) FROM things")) == 0
    async with database.transaction() as uow:
        await uow.copy(sa.table("things", schema="probe"), ["name"], [("copied",)])  # type: ignore[arg-type]
        assert await uow.connection.scalar(sa.text("SELECT count(*) FROM things")) == 1, "both ways see one transaction"


async def store_past_sqlalchemy_and_fail(database: Database) -> None:
    """First statement of the transaction by the driver."""
    async with database.transaction() as uow:
        await (await uow.asyncpg()).execute("INSERT INTO things (name) VALUES ('gone')")
        raise RuntimeError


async def test_reading_is_one_snapshot_read_only_and_leaves_no_trace_on_its_connection(database: Database) -> None:
    async with database.reading() as reading:
        assert await reading.connection.scalar(sa.text("SELECT count(*) FROM things")) == 0
        async with database.transaction() as uow:
            await uow.connection.execute(sa.text("INSERT INTO things (name) VALUES ('meanwhile')"))
        assert await reading.connection.scalar(sa.text("SELECT count(*) FROM things")) == 0
    with pytest.raises(sa.exc.DBAPIError, match="read-only"):
        await write_while_reading(database)
    async with database.transaction() as uow:
        assert await uow.connection.scalar(sa.text("SHOW transaction_isolation")) == "read committed"
        assert await uow.connection.scalar(sa.text("SHOW transaction_read_only")) == "off"


async def write_while_reading(database: Database) -> None:
    """What a GET must not do."""
    async with database.reading() as uow:
        await uow.connection.execute(sa.text("INSERT INTO things (name) VALUES ('x')"))


async def test_a_sessions_settings_bound_what_it_can_do_to_others(database: Database) -> None:
    expected = {
        "search_path": "probe",
        "TimeZone": "UTC",
        "statement_timeout": "30s",
        "idle_in_transaction_session_timeout": "1min",
    }
    async with database.transaction() as uow:
        for name, value in expected.items():
            assert await uow.connection.scalar(sa.text(f"SHOW {name}")) == value


async def test_an_urgent_transaction_waits_for_none_of_the_others(migrated: Migrated, database: Database) -> None:
    with pytest.raises(RuntimeError, match="no urgent connections"):
        async with database.transaction(urgent=True):
            pass
    service = Service("urgent", clock=SystemClock())
    opened = Database(
        migrated.role,
        schema="probe",
        service=service,
        telemetry=Telemetry(ServiceSettings(amqp_url="amqp://nobody"), service="urgent"),  # type: ignore[arg-type]
        ids=SystemIds(),
        address_of=lambda _: None,  # type: ignore[arg-type, return-value]
        pool_size=1,
        urgent_connections=1,
    )
    async with opened.transaction(), opened.transaction(urgent=True) as uow:  # the only one there is, and yet
        assert await uow.connection.scalar(sa.text("SELECT current_schema()")) == "probe"
    await opened.stop()


async def test_a_migration_beneath_a_running_service_costs_at_most_one_retry(migrated: Migrated, database: Database) -> None:
    async with database.transaction() as uow:
        await uow.connection.execute(sa.text("SELECT * FROM things"))
    admin = await asyncpg.connect(migrated.admin)
    await admin.execute("ALTER TABLE probe.things ADD COLUMN colour text")
    await admin.close()
    failures = [error for _ in range(3) if (error := await failure_of_reading_all(database)) is not None]
    assert len(failures) <= 1
    assert all(is_transient(error) for error in failures), "parked for it, an event would wait for an operator"


async def failure_of_reading_all(database: Database) -> Exception | None:
    """Runs a statement whose plan was cached before the migration."""
    try:
        async with database.transaction() as uow:
            await uow.connection.execute(sa.text("SELECT * FROM things"))
    except sa.exc.DBAPIError as error:
        return error
    return None
