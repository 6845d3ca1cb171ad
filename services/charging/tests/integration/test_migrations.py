"""The migrations make what tables.py says: columns, keys, indexes and comments."""

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.ext.asyncio import create_async_engine

from charging.tables import metadata

pytestmark = pytest.mark.servers

STANDARD = {"outbox", "idempotency_keys", "alembic_version"}


async def test_the_migrations_make_the_tables_as_the_code_has_them(database):
    def differences(connection):
        def ours(name, kind, _parents):
            if kind == "schema":
                return name == "charging"
            return kind != "table" or not (name in STANDARD or name.startswith("inbox"))

        options = {"include_schemas": True, "include_name": ours, "target_metadata": metadata}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    engine = create_async_engine(database[0].replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        uncommented = await connection.execute(
            sa.text(
                "SELECT c.table_name, c.column_name FROM information_schema.columns c JOIN pg_class t ON t.relname = c.table_name"
                " WHERE c.table_schema = 'charging' AND t.relnamespace = 'charging'::regnamespace AND c.column_name <> 'id'"
                " AND c.table_name = ANY(:ours) AND col_description(t.oid, c.ordinal_position) IS NULL"
            ),
            {"ours": [table.name for table in metadata.sorted_tables]},
        )
        assert uncommented.all() == []
    await engine.dispose()
