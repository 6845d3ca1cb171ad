"""The migrations make exactly the tables of `payments.tables`, and the service's role can do no more than it needs."""

from datetime import UTC, datetime

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Insert, insert
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from chassis.database.tables import chassis_metadata
from payments.tables import bills, metadata, qr_payments, refunds, riders


def _engine(dsn: str) -> AsyncEngine:
    """As the owner, in our schema."""
    search_path = {"server_settings": {"search_path": "payments"}}
    return create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://"), connect_args=search_path)


async def test_the_migrated_tables_are_the_declared_ones(database: tuple[str, str]) -> None:
    admin_dsn, _ = database
    engine = _engine(admin_dsn)

    def differences(connection: Connection) -> list[object]:
        def ours(name: str | None, kind: str, parents: object) -> bool:
            return kind != "table" or name in metadata.tables

        context = MigrationContext.configure(connection, opts={"include_name": ours, "compare_type": True})
        return list(compare_metadata(context, metadata))

    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
        names = {
            row.tablename
            for row in (await connection.exec_driver_sql("SELECT tablename FROM pg_tables WHERE schemaname = 'payments'"))
        }
    await engine.dispose()
    assert found == []
    assert set(metadata.tables) | set(chassis_metadata.tables) <= names


async def test_every_column_says_what_it_is(database: tuple[str, str]) -> None:
    silent = [
        f"{table.name}.{column.name}" for table in metadata.tables.values() for column in table.columns if not column.comment
    ]
    assert silent == []


async def test_the_services_role_can_not_change_the_schema(database: tuple[str, str]) -> None:
    _, service_dsn = database
    connection = await asyncpg.connect(service_dsn, server_settings={"search_path": "payments"})
    try:
        for statement in ("DROP TABLE bills", "ALTER TABLE bills ADD COLUMN x int", "CREATE TABLE payments.x (y int)"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_the_database_itself_refuses_a_second_live_refund_and_a_bill_that_does_not_add_up(
    database: tuple[str, str],
) -> None:
    now = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)
    stamps = {"created_at": now, "updated_at": now}
    engine = _engine(database[0])
    async with engine.connect() as connection, connection.begin() as transaction:
        rider = (await connection.execute(insert(riders).values(created_at=now).returning(riders.c.id))).scalar_one()
        paid = {
            "razorpay_payment_id": "pay_x",
            "amount_paise": 500,
            "platform_fee_paise": 0,
            "fee_source": "WEBHOOK",
            "state": "REFUND_DUE",
        }
        times = {"paid_at": now, "received_at": now, "updated_at": now}
        row = (
            insert(qr_payments).values(**paid, **times, rider_id=rider, rider_resolved_by="UPI_GUEST").returning(qr_payments.c.id)
        )
        payment = (await connection.execute(row)).scalar_one()

        def refund(attempt: int) -> Insert:
            sent = {"amount_paise": 500, "body": {}, "status": "PENDING", "speed_requested": "normal", "subject_version": 1}
            return insert(refunds).values(qr_payment_id=payment, attempt=attempt, key=f"k{attempt}", **sent, **stamps)

        await connection.execute(refund(1))
        with pytest.raises(IntegrityError, match="one_live_per_payment"):
            async with connection.begin_nested():
                await connection.execute(refund(2))
        lines = {"paid_paise": 500, "energy_charge_paise": 100, "gst_paise": 18, "platform_fee_paise": 10, "refund_paise": 371}
        rest = {"residue_paise": 0, "shortfall_paise": 0, "fee_source": "WEBHOOK", "implausible": False}
        terms = {"transaction_id": 1, "station_id": 1, "energy_wh": 1, "tariff_paise_per_kwh": 1, "gst_bps": 1}
        ended = {"started_at": now, "stopped_at": now, "billed_at": now}
        with pytest.raises(IntegrityError, match="adds_up"):
            async with connection.begin_nested():
                await connection.execute(insert(bills).values(qr_payment_id=payment, **lines, **rest, **terms, **ended))
        await transaction.rollback()
    await engine.dispose()
