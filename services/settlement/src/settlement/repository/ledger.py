"""The commission ledger: entries and where they stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement.domain.ledger_entry import CLAIMABLE, EntryKind, EntryStatus, HoldKind
from settlement.domain.transfer import MINIMUM_PAISE
from settlement.tables import allocations, ledger_entries

_E = ledger_entries.c


@dataclass(frozen=True, slots=True)
class Entry:
    """What the worker needs of a row of `ledger_entries`."""

    id: int
    kind: EntryKind
    key: str
    transaction_id: int
    corrects_id: int | None
    franchisee_id: int
    payout_paise: int
    implausible: bool
    released_by: str | None
    status: EntryStatus
    hold_kind: HoldKind | None
    hold_reason: str | None
    failed_attempts: int
    subject_version: int
    traceparent: str | None
    due_at: datetime | None
    created_at: datetime

    @property
    def needs_review(self) -> bool:
        """Whether a person has to look before anything is paid."""
        return self.implausible and self.released_by is None

    @property
    def subject(self) -> str:
        """The key of order of its events."""
        return f"ledger_entry/{self.id}"


_COLUMNS = [_E[name] for name in Entry.__dataclass_fields__]
_LIVE = exists().where(allocations.c.ledger_entry_id == _E.id, allocations.c.live)


def _entry(row: Any) -> Entry:
    kind = HoldKind(row.hold_kind) if row.hold_kind is not None else None
    return Entry(**{**row._mapping, "kind": EntryKind(row.kind), "status": EntryStatus(row.status), "hold_kind": kind})  # noqa: SLF001


async def add(connection: AsyncConnection, **values: Any) -> Entry | None:
    """A new entry; None where the session has one, or the refund its correction."""
    made = insert(ledger_entries).values(**values).on_conflict_do_nothing().returning(*_COLUMNS)
    row = (await connection.execute(made)).one_or_none()
    return None if row is None else _entry(row)


async def figures_of(connection: AsyncConnection, transaction_id: int) -> Any | None:
    """The whole row of a session's entry."""
    query = select(ledger_entries).where(_E.transaction_id == transaction_id, _E.kind == EntryKind.SESSION.value)
    return (await connection.execute(query)).one_or_none()


async def find(connection: AsyncConnection, entry_id: int, *, lock: bool = False) -> Entry | None:
    """One entry; `lock` its row until the transaction ends."""
    query = select(*_COLUMNS).where(_E.id == entry_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _entry(row)


async def claim_due(connection: AsyncConnection, *, now: datetime, lapses_at: datetime) -> Entry | None:
    """The entry that has waited longest, ours until the claim lapses; others pass it over."""
    query = select(*_COLUMNS).where(_E.due_at <= now).order_by(_E.due_at).limit(1).with_for_update(skip_locked=True)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    await connection.execute(update(ledger_entries).where(_E.id == row.id).values(due_at=lapses_at))
    return _entry(row)


async def lock_claimable(connection: AsyncConnection, entry_id: int) -> Entry | None:
    """The entry, locked, if a new transfer of it may begin: it is in none that lives."""
    query = select(*_COLUMNS).where(_E.id == entry_id, _E.status.in_(CLAIMABLE), ~_LIVE).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _entry(row)


async def lock_carried(connection: AsyncConnection, *, franchisee_id: int, but: int) -> list[Entry]:
    """What waits to go along with another payout of the franchisee's: payouts under ₹1, corrections, payouts used up by them.

    Ones in somebody's hand are passed over.
    """
    query = (
        select(*_COLUMNS)
        .where(
            _E.franchisee_id == franchisee_id,
            _E.id != but,
            _E.payout_paise != 0,
            or_(_E.payout_paise < MINIMUM_PAISE, _E.hold_kind == HoldKind.NETTED.value),
            _E.status.in_((EntryStatus.PENDING, EntryStatus.ON_HOLD)),
            or_(_E.implausible.is_(False), _E.released_by.is_not(None)),
            ~_LIVE,
        )
        .order_by(_E.id)
        .with_for_update(skip_locked=True)
    )
    return [_entry(row) for row in await connection.execute(query)]


async def hurry_corrections(connection: AsyncConnection, entry_ids: Sequence[int], *, now: datetime) -> int:
    """The corrections of these entries that wait are looked at now. Returns how many."""
    waiting = update(ledger_entries).where(
        _E.corrects_id.in_(entry_ids),
        _E.status == EntryStatus.ON_HOLD.value,
        _E.hold_kind == HoldKind.NETTED.value,
        ~_LIVE,
    )
    return (await connection.execute(waiting.values(due_at=now))).rowcount


async def hurry_used_up(connection: AsyncConnection, franchisee_id: int, *, now: datetime) -> int:
    """The franchisee owes less: payouts that were used up are looked at now. Returns how many."""
    waiting = update(ledger_entries).where(
        _E.franchisee_id == franchisee_id,
        _E.status == EntryStatus.ON_HOLD.value,
        _E.hold_kind == HoldKind.NETTED.value,
        _E.payout_paise >= MINIMUM_PAISE,
        ~_LIVE,
    )
    return (await connection.execute(waiting.values(due_at=now))).rowcount


async def session_of(connection: AsyncConnection, entry_id: int) -> list[Entry] | None:
    """A session's entry and all its corrections, locked; None where one of them is in a transfer, or was."""
    of_session = or_(_E.id == entry_id, _E.corrects_id == entry_id)
    tried = exists().where(allocations.c.ledger_entry_id == ledger_entries.c.id)
    if (await connection.execute(select(func.count()).select_from(ledger_entries).where(of_session, tried))).scalar_one():
        return None
    rows = await connection.execute(select(*_COLUMNS).where(of_session).order_by(_E.id).with_for_update())
    return [_entry(row) for row in rows]


async def open_corrections(connection: AsyncConnection, entry_ids: Sequence[int], *, payout_paise: int) -> list[Entry]:
    """The corrections of these entries that take exactly so much off and are not made good yet, oldest first, locked."""
    query = (
        select(*_COLUMNS)
        .where(
            _E.corrects_id.in_(entry_ids),
            _E.payout_paise == payout_paise,
            _E.status.in_((EntryStatus.PENDING, EntryStatus.ON_HOLD)),
            ~_LIVE,
        )
        .order_by(_E.id)
        .with_for_update()
    )
    return [_entry(row) for row in await connection.execute(query)]


async def owed_by_franchisees(connection: AsyncConnection) -> int:
    """What corrections took off and no payout or reversal has made good yet, in paise."""
    waiting = (EntryStatus.PENDING.value, EntryStatus.ON_HOLD.value, EntryStatus.TRANSFERRING.value, EntryStatus.UNKNOWN.value)
    query = select(func.coalesce(func.sum(-_E.payout_paise), 0)).where(
        _E.kind == EntryKind.CORRECTION.value, _E.payout_paise < 0, _E.status.in_(waiting)
    )
    return int((await connection.execute(query)).scalar_one())


async def set_values(connection: AsyncConnection, entry_id: int, **values: Any) -> Entry:
    """Change columns of one entry."""
    changed = update(ledger_entries).where(_E.id == entry_id).values(**values).returning(*_COLUMNS)
    return _entry((await connection.execute(changed)).one())


async def release_gated(connection: AsyncConnection, franchisee_id: int, *, now: datetime) -> int:
    """What waited for the franchisee's gate is due now. Returns how many."""
    waiting = update(ledger_entries).where(
        _E.franchisee_id == franchisee_id,
        _E.status == EntryStatus.ON_HOLD.value,
        _E.hold_kind == HoldKind.GATED.value,
        ~_LIVE,
    )
    return (await connection.execute(waiting.values(due_at=now))).rowcount


async def unsettled(connection: AsyncConnection) -> Sequence[Any]:
    """Count and sum of what is not settled, by status and what it waits for; and since when."""
    query = (
        select(
            _E.status,
            _E.hold_kind,
            func.count().label("n"),
            func.sum(_E.payout_paise).label("paise"),
            func.min(_E.created_at).label("oldest"),
        )
        .where(_E.status != EntryStatus.SETTLED.value)
        .group_by(_E.status, _E.hold_kind)
    )
    return (await connection.execute(query)).all()
