"""Riders and the UPI addresses they pay from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Select, Text, bindparam, cast, func, select, text, update
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from payments.domain.errors import NotFoundError
from payments.domain.rider import Identity, ResolvedBy
from payments.repository.rows import columns_of
from payments.tables import rider_vpas, riders

_MERGING = func.hashtextextended("payments.riders", 0)
"""Held shared while a payment's rider is resolved, alone while riders register and guests are merged."""


@dataclass(frozen=True, slots=True)
class Rider:
    """A row of `riders` with its UPI addresses."""

    id: int
    phone: str | None
    vpas: tuple[str, ...]
    merged_into_id: int | None
    created_at: datetime
    registered_at: datetime | None


async def resolve(connection: AsyncConnection, payer: Identity, *, now: datetime) -> tuple[int, ResolvedBy]:
    """The rider of a payment: by phone, else by VPA, else a new one who is known by both from now on: a guest, unless by phone.

    Whoever calls it has taken turns for the payer in this transaction.
    """
    if payer.phone is not None:
        known = await connection.scalar(select(riders.c.id).where(riders.c.phone == payer.phone))
        if known is not None:
            await _remember_vpa(connection, known, payer.vpa, now=now)
            return known, ResolvedBy.PHONE
    if payer.vpa is not None:
        known = await connection.scalar(select(rider_vpas.c.rider_id).where(rider_vpas.c.vpa == payer.vpa))
        if known is not None:
            await _remember_phone(connection, known, payer.phone)
            return known, ResolvedBy.VPA
    made = insert(riders).values(phone=payer.phone, created_at=now)
    made = made.on_conflict_do_update(index_elements=[riders.c.phone], set_={"phone": made.excluded.phone})
    rider_id: int = (await connection.execute(made.returning(riders.c.id))).scalar_one()
    await _remember_vpa(connection, rider_id, payer.vpa, now=now)
    return rider_id, ResolvedBy.PHONE if payer.phone is not None else ResolvedBy.UPI_GUEST


# In the order of the array, which is everybody's: nobody waits in a circle.
_TAKE_TURNS = text(
    "SELECT pg_advisory_xact_lock(hashtextextended('payments.rider/' || name, 0)) FROM unnest(:names) AS given (name)"
).bindparams(bindparam("names", type_=ARRAY(Text)))


async def take_turns(connection: AsyncConnection, payers: Sequence[Identity]) -> None:
    """Hold the phones and VPAs of all whose payments the transaction will record, until it ends.

    Payments of one payer at one moment wait for each other, or each would make a guest of its own; and all of them for a
    merge, which takes a guest's names away. All at once: a transaction that took them one by one would wait in a circle with
    another one.
    """
    await connection.execute(select(func.pg_advisory_xact_lock_shared(_MERGING)))
    names = sorted({name for payer in payers for name in (payer.phone, payer.vpa) if name is not None})
    await connection.execute(_TAKE_TURNS, {"names": names})


async def stop_resolving(connection: AsyncConnection) -> None:
    """Until the transaction ends nobody resolves a payer, and nobody else registers: who is whom may be changed."""
    await connection.execute(select(func.pg_advisory_xact_lock(_MERGING)))


async def _remember_vpa(connection: AsyncConnection, rider_id: int, vpa: str | None, *, now: datetime) -> None:
    if vpa is not None:
        await connection.execute(
            insert(rider_vpas)
            .values(vpa=vpa, rider_id=rider_id, created_at=now)
            .on_conflict_do_nothing(index_elements=[rider_vpas.c.vpa])
        )


async def _remember_phone(connection: AsyncConnection, rider_id: int, phone: str | None) -> None:
    """A guest known by VPA alone gets the phone that came with it. A phone that another rider took meanwhile stays there.

    A registered rider's phone is what the identity provider verified, and no other.
    """
    if phone is None:
        return
    taken = select(riders.c.id).where(riders.c.phone == phone).exists()
    guest = (riders.c.id == rider_id, riders.c.phone.is_(None), riders.c.registered_at.is_(None))
    await connection.execute(update(riders).where(*guest, ~taken).values(phone=phone))


def rider_from(row: Any) -> Rider:
    """The rider of a row of `listing`."""
    return Rider(**{**columns_of(row, Rider), "vpas": tuple(row.vpas)})


def listing() -> Select[Any]:
    """All riders, with their UPI addresses in order of first use."""
    used = (
        select(
            func.coalesce(func.array_agg(aggregate_order_by(rider_vpas.c.vpa, rider_vpas.c.created_at)), cast([], ARRAY(Text)))
        )
        .where(rider_vpas.c.rider_id == riders.c.id)
        .scalar_subquery()
    )
    return select(riders, used.label("vpas"))


async def find(connection: AsyncConnection, rider_id: int) -> Rider | None:
    """One rider."""
    row = (await connection.execute(listing().where(riders.c.id == rider_id))).one_or_none()
    return None if row is None else rider_from(row)


async def survivor_of(connection: AsyncConnection, rider_id: int) -> int:
    """Whom an id stands for: the registered rider who a merged guest turned out to be, else itself."""
    merged_into = await connection.scalar(select(riders.c.merged_into_id).where(riders.c.id == rider_id))
    return merged_into or rider_id


async def get(connection: AsyncConnection, rider_id: int) -> Rider:
    """As `find`, of one that must be there. Raises NotFoundError."""
    rider = await find(connection, rider_id)
    if rider is None:
        raise NotFoundError(f"There is no rider rdr_{rider_id}.")
    return rider
