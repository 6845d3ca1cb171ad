"""The migrations make what tables.py says, and go back."""

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

import settlement.statement_tables  # noqa: F401  (its tables are of the metadata, too)
from settlement.tables import metadata

STANDARD = {"outbox", "inbox", "inbox_other", "idempotency_keys", "alembic_version"}


async def test_the_migrated_schema_is_the_tables(database: tuple[str, str]) -> None:
    admin, _ = database
    engine = create_async_engine(
        admin.replace("postgresql://", "postgresql+asyncpg://"),
        connect_args={"server_settings": {"search_path": "settlement"}},
    )

    def differences(connection: Connection) -> list[object]:
        def ours(name: str | None, kind: str, _parent: object) -> bool:
            return not (kind == "table" and name is not None and (name in STANDARD or name.startswith("inbox_")))

        context = MigrationContext.configure(connection, opts={"include_name": ours, "compare_server_default": True})
        return list(compare_metadata(context, metadata))

    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()
    assert found == []


async def test_every_column_of_ours_says_what_it_is(database: tuple[str, str]) -> None:
    admin = await asyncpg.connect(database[0])
    bare = await admin.fetch(
        """SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
           JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = 'settlement' AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
             AND c.relname = ANY($1) AND col_description(c.oid, a.attnum) IS NULL""",
        list(metadata.tables),
    )
    await admin.close()
    assert [row[0] for row in bare] == []


async def test_the_services_role_sees_its_own_schema_and_changes_no_table(database: tuple[str, str]) -> None:
    service = await asyncpg.connect(database[1])
    try:
        assert await service.fetchval("SELECT count(*) FROM settlement.ledger_entries") is not None
        for statement in (
            "CREATE TABLE settlement.mine (id int)",
            "DROP TABLE settlement.transfers",
            "CREATE TABLE public.mine (id int)",
        ):
            try:
                await service.execute(statement)
            except asyncpg.InsufficientPrivilegeError:
                continue
            raise AssertionError(statement)
    finally:
        await service.close()
