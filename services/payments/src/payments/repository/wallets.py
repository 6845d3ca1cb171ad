"""Wallets and their entries. Every sum changes under the wallet's row lock, together with what says why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Select, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_not
from sqlalchemy.ext.asyncio import AsyncConnection

from payments.domain.errors import NotFoundError
from payments.domain.wallet import EntryKind
from payments.domain.wallet_session import HOLDING
from payments.repository.rows import columns_of
from payments.wallet_tables import wallet_entries, wallet_sessions, wallets

_W, _E, _S = wallets.c, wallet_entries.c, wallet_sessions.c


@dataclass(frozen=True, slots=True)
class Wallet:
    """A row of `wallets`."""

    id: int
    rider_id: int
    balance_paise: int
    held_paise: int
    created_at: datetime
    updated_at: datetime

    @property
    def available_paise(self) -> int:
        """What is neither spent nor put aside."""
        return self.balance_paise - self.held_paise


def wallet_from(row: Any) -> Wallet:
    """The wallet of a row of the table."""
    return Wallet(**columns_of(row, Wallet))


async def add(connection: AsyncConnection, *, rider_id: int, now: datetime) -> None:
    """An empty wallet; nothing where the rider has one."""
    made = insert_or_not(wallets).values(rider_id=rider_id, created_at=now, updated_at=now)
    await connection.execute(made.on_conflict_do_nothing(index_elements=[_W.rider_id]))


async def of_rider(connection: AsyncConnection, rider_id: int, *, lock: bool = False) -> Wallet:
    """A registered rider's wallet; `lock` until the transaction ends."""
    query = select(wallets).where(_W.rider_id == rider_id)
    return wallet_from((await connection.execute(query.with_for_update() if lock else query)).one())


async def get(connection: AsyncConnection, wallet_id: int, *, lock: bool = False) -> Wallet:
    """One wallet; `lock` until the transaction ends. Raises NotFoundError."""
    query = select(wallets).where(_W.id == wallet_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no wallet wlt_{wallet_id}.")
    return wallet_from(row)


async def put_in(connection: AsyncConnection, wallet: Wallet, *, amount_paise: int, payment_id: int, now: datetime) -> None:
    """Credit a payment to a locked wallet."""
    await _move(connection, wallet, EntryKind.RECHARGE, amount_paise, now=now, recharge_payment_id=payment_id)


async def hold(connection: AsyncConnection, wallet: Wallet, *, amount_paise: int, now: datetime) -> None:
    """Put an amount of a locked wallet aside."""
    await _set(connection, wallet, balance_paise=wallet.balance_paise, held_paise=wallet.held_paise + amount_paise, now=now)


async def release(connection: AsyncConnection, wallet: Wallet, *, held_paise: int, now: datetime) -> None:
    """All that was put aside is free again."""
    await _set(connection, wallet, balance_paise=wallet.balance_paise, held_paise=wallet.held_paise - held_paise, now=now)


async def pay(
    connection: AsyncConnection, wallet: Wallet, *, held_paise: int, billed_paise: int, bill_id: int, now: datetime
) -> None:
    """A bill takes its part of what was put aside; the rest is free again. A bill of nothing moves nothing."""
    await _move(connection, wallet, EntryKind.SESSION, -billed_paise, released_paise=held_paise, now=now, wallet_bill_id=bill_id)


async def give_back(
    connection: AsyncConnection, wallet: Wallet, *, amount_paise: int, operator_refund_id: int, now: datetime
) -> None:
    """What an operator gives back of a bill is in the locked wallet again, however full it is."""
    await _move(connection, wallet, EntryKind.REFUND, amount_paise, now=now, operator_refund_id=operator_refund_id)


async def _move(
    connection: AsyncConnection,
    wallet: Wallet,
    kind: EntryKind,
    amount_paise: int,
    *,
    now: datetime,
    released_paise: int = 0,
    **because: int,
) -> None:
    """An entry of a locked wallet with what it is of, and the sums that follow; what was put aside may be freed with it."""
    balance = wallet.balance_paise + amount_paise
    if amount_paise:
        entry = {"kind": kind.value, "amount_paise": amount_paise, "balance_after_paise": balance, "created_at": now}
        await connection.execute(insert(wallet_entries).values(wallet_id=wallet.id, **entry, **because))
    await _set(connection, wallet, balance_paise=balance, held_paise=wallet.held_paise - released_paise, now=now)


async def _set(connection: AsyncConnection, wallet: Wallet, *, balance_paise: int, held_paise: int, now: datetime) -> None:
    values = {"balance_paise": balance_paise, "held_paise": held_paise, "updated_at": now}
    await connection.execute(update(wallets).where(_W.id == wallet.id).values(**values))


def listing() -> Select[Any]:
    """All wallets."""
    return select(wallets)


def entries_of(wallet_id: int) -> Select[Any]:
    """A wallet's entries."""
    return select(wallet_entries).where(_E.wallet_id == wallet_id)


async def total(connection: AsyncConnection, *, before: datetime | None) -> tuple[int, int]:
    """(wallets made, sum of all entries) before a time, or of all."""
    zero = literal(0, BigInteger)
    entries, made = select(func.coalesce(func.sum(_E.amount_paise), zero)), select(func.count()).select_from(wallets)
    if before is not None:
        entries, made = entries.where(_E.created_at < before), made.where(_W.created_at < before)
    return int(await connection.scalar(made) or 0), int(await connection.scalar(entries) or 0)


async def that_differ(connection: AsyncConnection) -> list[tuple[int, str]]:
    """(wallet, what is wrong) of every wallet whose sums are not those of its entries and of its open sessions."""
    zero = literal(0, BigInteger)
    entries = select(func.coalesce(func.sum(_E.amount_paise), zero)).where(_E.wallet_id == _W.id).scalar_subquery()
    holds = (
        select(func.coalesce(func.sum(_S.hold_paise), zero))
        .where(_S.wallet_id == _W.id, _S.state.in_([state.value for state in HOLDING]))
        .scalar_subquery()
    )
    sums = select(_W.id, _W.balance_paise, _W.held_paise, entries.label("entries_paise"), holds.label("holds_paise")).subquery()
    wrong = select(sums).where((sums.c.balance_paise != sums.c.entries_paise) | (sums.c.held_paise != sums.c.holds_paise))
    return [
        (
            row.id,
            f"balance {row.balance_paise}, entries {row.entries_paise}; held {row.held_paise}, holds {row.holds_paise} paise",
        )
        for row in await connection.execute(wrong.order_by(sums.c.id))
    ]
