"""SQL for what the lane reads and writes: chargers, connectors and transactions, many at a time.

The hot path goes past SQLAlchemy's cursor to asyncpg itself: one statement each for all rows of a batch, by unnest.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, NamedTuple

import asyncpg
import orjson
import sqlalchemy as sa

from charging.domain.deadlines import SuspensionCause
from charging.domain.energy import Meter
from charging.domain.evidence import NO_TRAIL, Trail
from charging.domain.start import Tariff
from charging.domain.states import TransactionState
from charging.domain.transaction import Transaction
from charging.tables import chargers, connectors, tariffs
from chassis.database import UnitOfWork
from contracts.charging import StopReason
from contracts.ocpp_gateway import BootNotificationReceived, StatusNotificationReceived


@dataclass(slots=True)
class Charger:
    """What the lane needs to know of a charger."""

    id: int
    charge_point_id: str
    station_id: int
    enabled: bool
    operative: bool
    connector_kind: str
    rated_power_w: int
    quirks: dict[str, Any]
    """Its override; what holds for it is `app.quirk_profile_of(charger)`."""
    epoch: int
    gateway: str | None
    online: bool
    online_since: datetime | None
    offline_since: datetime | None
    last_seen_at: datetime | None
    boot_epoch: int
    boot_seq: int
    vendor: str | None
    model: str | None
    firmware_version: str | None
    stop_latency_ms: int | None
    """Learned of its stops so far: see `domain.stopping.learn_latency`."""


_CHARGER_COLUMNS = tuple(chargers.c[field.name] for field in fields(Charger))
_LOAD_CHARGERS = (
    f"SELECT {', '.join(field.name for field in fields(Charger))}"  # noqa: S608  (names of our own fields)
    " FROM chargers WHERE charge_point_id = ANY($1::text[])"
)


async def load_chargers(uow: UnitOfWork, charge_point_ids: Collection[str]) -> dict[str, Charger]:
    """Chargers by charge_point_id, as spelled in the table. What is not there is left out."""
    driver = await uow.asyncpg()
    rows = await driver.fetch(_LOAD_CHARGERS, list(charge_point_ids))
    return {row["charge_point_id"]: Charger(*row.values()) for row in rows}


_LOCK_CHARGERS = f"{_LOAD_CHARGERS} ORDER BY id FOR NO KEY UPDATE"


async def lock_chargers(uow: UnitOfWork, charge_point_ids: Collection[str]) -> dict[str, Charger]:
    """The same, locked until the commit, for whoever writes them back from memory. Rows that refer to them can be written."""
    driver = await uow.asyncpg()
    rows = await driver.fetch(_LOCK_CHARGERS, list(charge_point_ids))
    return {row["charge_point_id"]: Charger(*row.values()) for row in rows}


async def charger_by_id(uow: UnitOfWork, charger_id: int) -> Charger | None:
    """One charger."""
    row = (await uow.connection.execute(sa.select(*_CHARGER_COLUMNS).where(chargers.c.id == charger_id))).one_or_none()
    return Charger(*row) if row is not None else None


async def update_charger(uow: UnitOfWork, charger_id: int, **values: Any) -> None:
    """Set columns of one charger."""
    await uow.connection.execute(sa.update(chargers).where(chargers.c.id == charger_id).values(**values))


async def note_seen(uow: UnitOfWork, seen: Mapping[int, datetime]) -> None:
    """Set last_seen_at of many chargers, in one statement."""
    if seen:
        driver = await uow.asyncpg()
        await driver.execute(
            "UPDATE chargers c SET last_seen_at = u.at"
            " FROM unnest($1::bigint[], $2::timestamptz[]) AS u(id, at) WHERE c.id = u.id",
            list(seen.keys()),
            list(seen.values()),
        )


_CONNECTION = (
    ("epoch", "bigint"),
    ("gateway", "text"),
    ("online", "boolean"),
    ("online_since", "timestamptz"),
    ("offline_since", "timestamptz"),
    ("last_seen_at", "timestamptz"),
)
_BOOT = (
    ("vendor", "text", "charge_point_vendor"),
    ("model", "text", "charge_point_model"),
    ("serial_number", "text", "charge_point_serial_number"),
    ("box_serial_number", "text", "charge_box_serial_number"),
    ("firmware_version", "text", "firmware_version"),
    ("iccid", "text", "iccid"),
    ("imsi", "text", "imsi"),
    ("meter_type", "text", "meter_type"),
    ("meter_serial_number", "text", "meter_serial_number"),
    ("booted_at", "timestamptz", "received_at"),
    ("boot_epoch", "bigint", "epoch"),
    ("boot_seq", "bigint", "seq"),
)
"""Column, PostgreSQL's type, field of BootNotificationReceived."""


def _update_from_arrays(table: str, columns: Sequence[tuple[str, str]]) -> str:
    """UPDATE of these columns from one array each; the first array is of ids."""
    sets = ", ".join(f"{name} = u.{name}" for name, _ in columns)
    arrays = ", ".join(f"${index}::{kind}[]" for index, (_, kind) in enumerate((("id", "bigint"), *columns), start=1))
    names = ", ".join(("id", *(name for name, _ in columns)))
    return f"UPDATE {table} t SET {sets} FROM unnest({arrays}) AS u({names}) WHERE t.id = u.id"  # noqa: S608


_SAVE_CONNECTIONS = _update_from_arrays("chargers", _CONNECTION)
_SAVE_BOOTS = _update_from_arrays("chargers", [(name, kind) for name, kind, _ in _BOOT])
_connection_of: Callable[[Charger], tuple[Any, ...]] = attrgetter("id", *(name for name, _ in _CONNECTION))
_boot_of: Callable[[BootNotificationReceived], tuple[Any, ...]] = attrgetter(*(field for _, _, field in _BOOT))


async def save_connections(uow: UnitOfWork, changed: Collection[Charger]) -> None:
    """Write back what is known of these chargers' connections, in one statement. The caller is their lane."""
    if changed:
        driver = await uow.asyncpg()
        await driver.execute(_SAVE_CONNECTIONS, *zip(*map(_connection_of, changed), strict=True))


async def save_boots(uow: UnitOfWork, boots: Mapping[int, BootNotificationReceived]) -> None:
    """Write what each of these chargers said of itself at boot, in one statement."""
    if boots:
        driver = await uow.asyncpg()
        await driver.execute(_SAVE_BOOTS, list(boots), *zip(*map(_boot_of, boots.values()), strict=True))


@dataclass(slots=True)
class Connector:
    """What the lane needs to know of a connector."""

    charger_id: int
    connector_id: int
    kind: str | None
    rated_power_w: int | None
    operative: bool
    status: str
    epoch: int
    seq: int
    late_transaction_id: int | None


_CONNECTOR_COLUMNS = tuple(connectors.c[field.name] for field in fields(Connector))
_LOAD_CONNECTORS = (
    f"SELECT {', '.join(field.name for field in fields(Connector))}"  # noqa: S608  (names of our own fields)
    " FROM connectors WHERE charger_id = ANY($1::bigint[])"
)
_WITH_OPEN_ERRORS = (
    "SELECT DISTINCT charger_id, connector_id FROM charger_errors WHERE resolved_at IS NULL AND charger_id = ANY($1::bigint[])"
)


async def load_connectors(uow: UnitOfWork, charger_id: int) -> dict[int, Connector]:
    """A charger's connectors by number, connector 0 (the charger itself) included."""
    statement = sa.select(*_CONNECTOR_COLUMNS).where(connectors.c.charger_id == charger_id)
    return {row.connector_id: Connector(*row) for row in await uow.connection.execute(statement)}


_STATUS = (
    ("status", "text"),
    ("error_code", "text"),
    ("info", "text"),
    ("vendor_id", "text"),
    ("vendor_error_code", "text"),
    ("timestamp", "timestamptz"),
    ("received_at", "timestamptz"),
    ("epoch", "bigint"),
    ("seq", "bigint"),
)
"""Field of StatusNotificationReceived, PostgreSQL's type of its column."""
_STATUS_COLUMNS = tuple({"timestamp": "status_at", "received_at": "status_received_at"}.get(field, field) for field, _ in _STATUS)
_status_of: Callable[[StatusNotificationReceived], tuple[Any, ...]] = attrgetter(*(field for field, _ in _STATUS))
_SAVE_STATUSES = (
    f"INSERT INTO connectors (charger_id, connector_id, late_transaction_id, {', '.join(_STATUS_COLUMNS)})"  # noqa: S608
    " SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[], "
    + ", ".join(f"${index}::{kind}[]" for index, (_, kind) in enumerate(_STATUS, start=4))
    + ") ON CONFLICT (charger_id, connector_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in ("late_transaction_id", *_STATUS_COLUMNS))
)


async def load_connectors_of(uow: UnitOfWork, charger_ids: Collection[int]) -> dict[tuple[int, int], Connector]:
    """Connectors of many chargers by (charger, number), connectors 0 included."""
    driver = await uow.asyncpg()
    rows = await driver.fetch(_LOAD_CONNECTORS, list(charger_ids))
    return {(row["charger_id"], row["connector_id"]): Connector(*row.values()) for row in rows}


async def save_statuses(uow: UnitOfWork, told: Collection[tuple[Connector, StatusNotificationReceived]]) -> None:
    """Write what these connectors, made on sight, last said of themselves, in one statement. The caller is their lane."""
    if told:
        driver = await uow.asyncpg()
        rows = [(c.charger_id, c.connector_id, c.late_transaction_id, *_status_of(event)) for c, event in told]
        await driver.execute(_SAVE_STATUSES, *zip(*rows, strict=True))


async def with_open_errors(uow: UnitOfWork, charger_ids: Collection[int]) -> set[tuple[int, int]]:
    """(charger, connector number) of what these chargers reported and did not resolve."""
    driver = await uow.asyncpg()
    return {tuple(row) for row in await driver.fetch(_WITH_OPEN_ERRORS, list(charger_ids))}


async def only_connectors(uow: UnitOfWork, charger_ids: Collection[int]) -> dict[int, int]:
    """For chargers with exactly one connector: its number. Connector 0 of such a box means it (ocpp.md row 60)."""
    statement = (
        sa.select(connectors.c.charger_id, sa.func.min(connectors.c.connector_id))
        .where(connectors.c.charger_id.in_(charger_ids), connectors.c.connector_id > 0)
        .group_by(connectors.c.charger_id)
        .having(sa.func.count() == 1)
    )
    return {row[0]: row[1] for row in await uow.connection.execute(statement)}


async def tariffs_for(uow: UnitOfWork, *, charger_id: int, station_id: int) -> list[Tariff]:
    """All versions that may hold for a charger; `domain.start.tariff_in_force` picks."""
    t = tariffs.c
    statement = sa.select(t.id, t.station_id, t.charger_id, t.paise_per_kwh, t.gst_bps, t.effective_from).where(
        sa.or_(
            t.charger_id == charger_id,
            t.station_id == station_id,
            sa.and_(t.charger_id.is_(None), t.station_id.is_(None)),
        )
    )
    return [Tariff(*row) for row in await uow.connection.execute(statement)]


# --- transactions -----------------------------------------------------------------------------------------------------

# Column → how a Transaction gives it. Terms never change after the insert.
_TERMS: tuple[tuple[str, str], ...] = (
    ("id", "bigint"),
    ("charger_id", "bigint"),
    ("charge_point_id", "text"),
    ("connector_id", "integer"),
    ("station_id", "bigint"),
    ("franchisee_id", "bigint"),
    ("station_name", "text"),
    ("station_state_code", "text"),
    ("start_request_id", "bigint"),
    ("request_key", "text"),
    ("payer_reference", "text"),
    ("id_tag", "text"),
    ("tariff_id", "bigint"),
    ("tariff_paise_per_kwh", "bigint"),
    ("gst_bps", "integer"),
    ("tariff_effective_from", "timestamptz"),
    ("budget_paise", "bigint"),
    ("rated_power_w", "integer"),
    ("connector_kind", "text"),
    ("started_at", "timestamptz"),
    ("traceparent", "text"),
)

# Column of the meter, PostgreSQL's type, name in `Meter`. meterStart is a term.
_METER: tuple[tuple[str, str, str], ...] = (
    ("confirmed_wh", "bigint", "confirmed_wh"),
    ("register_wh", "bigint", "register_wh"),
    ("read_at", "timestamptz", "read_at"),
    ("charger_read_at", "timestamptz", "charger_read_at"),
    ("offset_wh", "bigint", "offset_wh"),
    ("held_wh", "bigint", "held_wh"),
    ("held_at", "timestamptz", "held_at"),
    ("held_charger_at", "timestamptz", "held_charger_at"),
    ("segment_open", "boolean", "segment_open"),
    ("meter_implausible", "boolean", "implausible"),
    ("power_w", "bigint", "power_w"),
    ("rate_w", "bigint", "rate_w"),
    ("power_mwh", "bigint", "power_mwh"),
    ("read_epoch", "bigint", "read_epoch"),
    ("read_seq", "bigint", "read_seq"),
    ("read_n", "integer", "read_n"),
    ("meter_trail", "jsonb", "trail"),
)

_LIFE: tuple[tuple[str, str], ...] = (
    ("platform_fee_paise", "bigint"),
    ("affordable_wh", "bigint"),
    ("state", "text"),
    ("subject_version", "integer"),
    ("suspended_at", "timestamptz"),
    ("resumed_at", "timestamptz"),
    ("resume_count", "integer"),
    ("suspension_cause", "text"),
    ("suspension_deadline_at", "timestamptz"),
    ("availability_deadline_at", "timestamptz"),
    ("availability_reason", "text"),
    ("last_activity_at", "timestamptz"),
    ("last_progress_at", "timestamptz"),
    ("disconnect_count", "integer"),
    ("disconnect_energy_wh", "bigint"),
    ("applied_epoch", "bigint"),
    ("applied_seq", "bigint"),
    ("reported_transaction_id", "bigint"),
    ("stop_due_at", "timestamptz"),
    ("stop_intent", "text"),
    ("stop_attempt", "integer"),
    ("stop_confirm_due_at", "timestamptz"),
    ("stop_attempt_energy_wh", "bigint"),
    ("stop_attempt_at", "timestamptz"),
    ("charger_stopped_at", "timestamptz"),
    ("stopped_at", "timestamptz"),
    ("stop_reason", "text"),
    ("ocpp_stop_reason", "text"),
    ("energy_wh", "bigint"),
    ("meter_stop_wh", "bigint"),
    ("implausible", "boolean"),
    ("late_wh", "bigint"),
    ("energy_evidence", "jsonb"),
)

_SELECTED = ", ".join(
    [f"t.{name}" for name, _ in _TERMS]
    + ["t.meter_start_wh"]
    + [f"t.{name}" for name, _, _ in _METER]
    + [f"t.{name}" for name, _ in _LIFE]
)
_METER_AT = len(_TERMS)
_LIFE_AT = _METER_AT + 1 + len(_METER)
_TRAIL_AT = _LIFE_AT - 1
_EVIDENCE_AT = [name for name, _ in _LIFE].index("energy_evidence")
_WORDS: Mapping[str, type[StrEnum]] = {
    "state": TransactionState,
    "suspension_cause": SuspensionCause,
    "availability_reason": StopReason,
    "stop_intent": StopReason,
    "stop_reason": StopReason,
}
_WORDS_AT: tuple[tuple[int, Mapping[str, StrEnum]], ...] = tuple(
    (index, {word.value: word for word in _WORDS[name]}) for index, (name, _) in enumerate(_LIFE) if name in _WORDS
)


def _transaction(row: Sequence[Any]) -> Transaction:
    """Column order is the field order of Transaction and Meter: terms, meter, life."""
    values = tuple(row)
    life = list(values[_LIFE_AT:])
    for index, words in _WORDS_AT:
        if life[index] is not None:
            life[index] = words[life[index]]
    if life[_EVIDENCE_AT] is not None:
        life[_EVIDENCE_AT] = orjson.dumps(life[_EVIDENCE_AT]).decode()  # read as JSON, kept and written as text
    meter = Meter(*(*values[_METER_AT:_TRAIL_AT], _trail(values[_TRAIL_AT])))
    return Transaction(*(*values[:_METER_AT], meter, *life))


def _trail(value: Any) -> Trail:
    return NO_TRAIL if value is None else Trail.model_validate(value)


def _trail_text(transaction: Transaction) -> str | None:
    trail = transaction.meter.trail
    return None if trail is NO_TRAIL else trail.model_dump_json()


async def lock_transactions(
    uow: UnitOfWork, charger_ids: Collection[int], *, ids: Collection[int] = (), unstopped: bool = False
) -> list[Transaction]:
    """Locked until the commit, by id: the active transactions of these chargers, and those of `ids` that are theirs.

    `unstopped`: also those that are final but whose energy a stop is still wanted for. A foreign id is never touched.
    """
    driver = await uow.asyncpg()
    rows = await driver.fetch(_LOCK_UNSTOPPED if unstopped else _LOCK, list(charger_ids), list(ids))
    return [_transaction(row) for row in rows]


_WANTED = """
        SELECT a.id FROM transactions a WHERE a.charger_id = ANY($1::bigint[]) AND a.state <> 'STOPPED'
        UNION SELECT b.id FROM transactions b WHERE b.id = ANY($2::bigint[]) AND b.charger_id = ANY($1::bigint[])
"""
_WANTED_UNSTOPPED = """
        UNION SELECT c.id FROM transactions c
        WHERE c.charger_id = ANY($1::bigint[]) AND c.stop_intent IS NOT NULL AND c.charger_stopped_at IS NULL
"""
_LOCK = f"SELECT {_SELECTED} FROM transactions t WHERE t.id IN ({_WANTED}) ORDER BY t.id FOR UPDATE"  # noqa: S608
_LOCK_UNSTOPPED = _LOCK.replace(_WANTED, _WANTED + _WANTED_UNSTOPPED)


# What an ordinary reading changes. The rest changes at the few turns of a session's life: most updates need not carry it.
_STEADY: tuple[tuple[str, str, str], ...] = (
    ("confirmed_wh", "bigint", "meter.confirmed_wh"),
    ("register_wh", "bigint", "meter.register_wh"),
    ("read_at", "timestamptz", "meter.read_at"),
    ("charger_read_at", "timestamptz", "meter.charger_read_at"),
    ("power_w", "bigint", "meter.power_w"),
    ("rate_w", "bigint", "meter.rate_w"),
    ("power_mwh", "bigint", "meter.power_mwh"),
    ("read_epoch", "bigint", "meter.read_epoch"),
    ("read_seq", "bigint", "meter.read_seq"),
    ("read_n", "integer", "meter.read_n"),
    ("last_activity_at", "timestamptz", "last_activity_at"),
    ("last_progress_at", "timestamptz", "last_progress_at"),
    ("applied_epoch", "bigint", "applied_epoch"),
    ("applied_seq", "bigint", "applied_seq"),
    ("stop_due_at", "timestamptz", "stop_due_at"),
)
_ALL: tuple[tuple[str, str, str], ...] = (
    *((column, kind, f"meter.{name}") for column, kind, name in _METER),
    *((name, kind, name) for name, kind in _LIFE),
)
_STEADY_COLUMNS = frozenset(column for column, _, _ in _STEADY)

turns_of: Callable[[Transaction], Any] = attrgetter(*(path for column, _, path in _ALL if column not in _STEADY_COLUMNS))
"""Everything of a transaction that an ordinary reading leaves alone, to be compared."""


def _update(columns: Sequence[tuple[str, str, str]]) -> tuple[str, Callable[[Transaction], Any]]:
    """(UPDATE of these columns from one array each, what gives a transaction's values in that order)."""
    statement = _update_from_arrays("transactions", [(name, kind) for name, kind, _ in columns])
    return statement, attrgetter("id", *(path for _, _, path in columns))


_SAVE_STEADY = _update(_STEADY)
_SAVE_ALL = _update(_ALL)
_TRAIL_IN_ALL = 1 + [column for column, _, _ in _ALL].index("meter_trail")  # after the id


async def save_transactions(
    uow: UnitOfWork, transactions: Iterable[Transaction], *, turns_before: Mapping[int, Any] | None = None
) -> None:
    """Write back what may change of these transactions, in one statement; in two where some took a turn and some did not.

    `turns_before` is `turns_of` each as it was loaded: those of which it still holds are written by their readings alone.
    """
    known = turns_before or {}
    steady: list[Transaction] = []
    turned: list[Transaction] = []
    for transaction in transactions:
        unturned = transaction.id in known and known[transaction.id] == turns_of(transaction)
        (steady if unturned else turned).append(transaction)
    for (statement, values), saved in ((_SAVE_STEADY, steady), (_SAVE_ALL, turned)):
        if saved:
            driver = await uow.asyncpg()
            columns = list(zip(*map(values, saved), strict=True))
            if saved is turned:
                columns[_TRAIL_IN_ALL] = tuple(map(_trail_text, saved))
            await driver.execute(statement, *columns)


class MeterRow(NamedTuple):
    """One row of meter_values. Its key is the message's place and the meterValue's within it: a repeat is not stored again."""

    charger_id: int
    epoch: int
    seq: int
    n: int
    connector_id: int
    transaction_id: int | None
    received_at: datetime
    charger_at: datetime | None
    energy_wh: int | None
    confirmed_wh: int | None
    power_w: int | None
    soc_percent: int | None
    sampled_value: str


_INSERT_METER_VALUES = """
    INSERT INTO meter_values (charger_id, epoch, seq, n, connector_id, transaction_id, received_at, charger_at,
                              energy_wh, confirmed_wh, power_w, soc_percent, sampled_value)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::integer[], $5::integer[], $6::bigint[], $7::timestamptz[],
                         $8::timestamptz[], $9::bigint[], $10::bigint[], $11::bigint[], $12::integer[], $13::jsonb[])
    ON CONFLICT DO NOTHING
"""

COPY_ROWS_MIN = 16
"""From so many rows on COPY is cheaper than INSERT, on both sides; below, its savepoint is not worth it."""


async def insert_meter_values(uow: UnitOfWork, rows: Sequence[MeterRow], *, repeated: bool = False) -> None:
    """Store samples; what is stored already stays as it is.

    Many new rows go in by COPY. It knows no ON CONFLICT: a repeat among them, which is rare, undoes it, and all are inserted one
    by one. `repeated`: some of them are known to have come before.
    """
    if not rows:
        return
    driver = await uow.asyncpg()
    if len(rows) >= COPY_ROWS_MIN and not repeated:
        try:
            async with driver.transaction():  # a savepoint of ours
                await driver.copy_records_to_table("meter_values", records=rows, columns=MeterRow._fields)
        except asyncpg.UniqueViolationError:
            pass
        else:
            return
    await driver.execute(_INSERT_METER_VALUES, *zip(*rows, strict=True))
