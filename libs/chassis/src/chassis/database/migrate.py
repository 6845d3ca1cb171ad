"""Schemas, roles and migrations. Run by the owner (an administrator's URL), never by a service: a service's role has no DDL.

await migrate(admin_url, schema="payments", password="...", migrations=Path("services/payments/migrations"))
"""

from functools import partial
from pathlib import Path

import sqlalchemy as sa
import structlog
from alembic import command, context
from alembic.config import Config
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

log = structlog.get_logger(__name__)

LOCK_TIMEOUT = "5s"
"""Longest a migration waits for a lock: behind it every query of the table would queue."""


def role_of(schema: str) -> str:
    """The role of the service that owns a schema."""
    return f"voltlync_{schema}"


async def migrate(admin_url: str, *, schema: str, password: str, migrations: Path, revision: str = "head") -> None:
    """Create role and schema where missing, upgrade to `revision`, grant the role its own schema and nothing else. Repeatable."""
    engine = create_async_engine(admin_url.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.connect() as connection:
            # One migration of this database at a time, from the role to the grants; the lock goes with the connection.
            await connection.exec_driver_sql("SELECT pg_advisory_lock(hashtext('voltlync.migrate'))")
            await connection.commit()
            for step in (
                partial(_prepare, schema=schema, password=password),
                partial(_upgrade, schema=schema, migrations=migrations, revision=revision),
                partial(_grant, schema=schema),
            ):
                async with connection.begin():
                    await connection.run_sync(step)
    finally:
        await engine.dispose()
    log.info("migrate.done", schema=schema, revision=revision)


def _prepare(connection: Connection, schema: str, password: str) -> None:
    role = role_of(schema)
    literal = "'" + password.replace("'", "''") + "'"
    known = connection.execute(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).scalar()
    verb = "ALTER" if known else "CREATE"
    connection.exec_driver_sql(f"{verb} ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {literal}")
    connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    connection.exec_driver_sql("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    # PostgreSQL lets everybody make temporary tables; a service makes none of any kind.
    database = connection.execute(sa.text("SELECT quote_ident(current_database())")).scalar_one()
    connection.exec_driver_sql(f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")


def _upgrade(connection: Connection, schema: str, migrations: Path, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))  # % is ConfigParser's own
    config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    command.upgrade(config, revision)


def _grant(connection: Connection, schema: str) -> None:
    role = role_of(schema)
    for statement in (
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
        f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {role}",
        f"REVOKE ALL ON TABLE {schema}.alembic_version FROM {role}",
    ):
        connection.exec_driver_sql(statement)


def run_env() -> None:
    """The whole of a service's migrations/env.py: `from chassis.database.migrate import run_env; run_env()`."""
    connection: Connection = context.config.attributes["connection"]
    schema: str = context.config.attributes["schema"]
    connection.exec_driver_sql(f"SET LOCAL search_path = {schema}")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    context.configure(connection=connection, version_table_schema=schema, transactional_ddl=True, transaction_per_migration=False)
    with context.begin_transaction():
        context.run_migrations()
