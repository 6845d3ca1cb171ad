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

from chassis.database.migrate import migrate
from chassis.database.tables import chassis_metadata
from payments.tables import bills, metadata, qr_payments, refunds, riders
from testkit.servers import Servers, fresh_database

from .conftest import MIGRATIONS


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
        with pytest.raises(IntegrityError, match="one_live_per_number"):
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


async def test_what_was_there_is_carried_over(servers: Servers) -> None:
    async with fresh_database(servers.postgres.dsn) as dsn:
        await migrate(dsn, schema="payments", password="payments", migrations=MIGRATIONS, revision="2026_11_22_1800")
        connection = await asyncpg.connect(dsn, server_settings={"search_path": "payments"})
        try:
            await connection.execute(
                """
                INSERT INTO webhook_events (razorpay_event_id, body_sha256, body, headers, verified_by, state, deliveries,
                                            created_at, received_at)
                VALUES ('evt_1', 'x', '', '{}', 'CURRENT', 'HANDLED', 3, now(), now()),
                       ('evt_2', 'x', '', '{}', 'CURRENT', 'HANDLED', 1, now(), now());
                INSERT INTO riders (created_at) VALUES (now());
                INSERT INTO qr_payments (razorpay_payment_id, amount_paise, platform_fee_paise, fee_source, rider_id,
                                         rider_resolved_by, state, paid_at, received_at, updated_at)
                SELECT 'pay_' || n, 500, 0, 'WEBHOOK', 1, 'UPI_GUEST', 'BILLED', now(), now(), now() FROM generate_series(1, 2) n;
                INSERT INTO bills (qr_payment_id, transaction_id, station_id, franchisee_id, energy_wh, tariff_paise_per_kwh,
                                   gst_bps, paid_paise, energy_charge_paise, gst_paise, platform_fee_paise, fee_source,
                                   refund_paise, residue_paise, shortfall_paise, implausible, started_at, stopped_at, billed_at)
                VALUES (1, 1, 3, 7, 1, 1, 0, 500, 500, 0, 0, 'WEBHOOK', 0, 0, 0, false, now(), now(), now());
                """
            )
            await migrate(dsn, schema="payments", password="payments", migrations=MIGRATIONS)
            repeats = await connection.fetch("SELECT webhook_event_id, count(*) FROM webhook_repeats GROUP BY 1")
            assert [tuple(row) for row in repeats] == [(1, 2)]
            sites = await connection.fetch("SELECT id, station_id, franchisee_id FROM qr_payments ORDER BY id")
            assert [tuple(row) for row in sites] == [(1, 3, 7), (2, None, None)]
        finally:
            await connection.close()
