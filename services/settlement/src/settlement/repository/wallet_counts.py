"""What payments counted in wallets, night by night."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement.tables import wallet_counts

_C = wallet_counts.c


@dataclass(frozen=True, slots=True)
class WalletCount:
    """A row of `wallet_counts`."""

    at: datetime
    wallets: int
    balance_paise: int


async def add(connection: AsyncConnection, *, at: datetime, wallets: int, balance_paise: int, received_at: datetime) -> None:
    """Keep a count; one of a moment is enough."""
    made = insert(wallet_counts).values(at=at, wallets=wallets, balance_paise=balance_paise, received_at=received_at)
    await connection.execute(made.on_conflict_do_nothing())


async def newest(connection: AsyncConnection, *, before: datetime) -> WalletCount | None:
    """The last count of a moment before this."""
    query = select(_C.at, _C.wallets, _C.balance_paise).where(_C.at < before).order_by(_C.at.desc()).limit(1)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else WalletCount(*row)
