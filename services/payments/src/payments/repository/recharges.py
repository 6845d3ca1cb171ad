"""Recharges: orders of ours at Razorpay, and the payments on them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from payments.domain import fee
from payments.domain.errors import NotFoundError
from payments.domain.recharge import Capture, RechargeFeeSource, RechargeStatus
from payments.repository.rows import columns_of
from payments.wallet_tables import recharge_payments, wallet_recharges, wallets

_R, _P = wallet_recharges.c, recharge_payments.c


@dataclass(frozen=True, slots=True)
class Recharge:
    """A row of `wallet_recharges`."""

    id: int
    wallet_id: int
    amount_paise: int
    status: RechargeStatus
    body: Mapping[str, Any]
    razorpay_order_id: str | None
    calls: int
    last_error: str | None
    next_attempt_at: datetime | None
    created_at: datetime
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class RechargePayment:
    """A row of `recharge_payments` with its order and whose it is."""

    id: int
    recharge_id: int
    wallet_id: int
    rider_id: int
    razorpay_payment_id: str
    razorpay_order_id: str
    amount_paise: int
    fee_paise: int | None
    fee_tax_paise: int | None
    fee_source: RechargeFeeSource | None
    paid_at: datetime
    received_at: datetime
    credited_at: datetime


def recharge_from(row: Any) -> Recharge:
    """The recharge of a row of the table."""
    return Recharge(**{**columns_of(row, Recharge), "status": RechargeStatus(row.status)})


def payment_from(row: Any) -> RechargePayment:
    """The payment of a row of `payments`."""
    source = RechargeFeeSource(row.fee_source) if row.fee_source is not None else None
    return RechargePayment(**{**columns_of(row, RechargePayment), "fee_source": source})


async def add(connection: AsyncConnection, *, wallet_id: int, amount_paise: int, now: datetime) -> int:
    """A recharge that Razorpay is not asked for yet, without its body."""
    made = insert(wallet_recharges).values(
        wallet_id=wallet_id, amount_paise=amount_paise, status=RechargeStatus.CREATING.value, body={}, created_at=now
    )
    recharge_id: int = (await connection.execute(made.returning(_R.id))).scalar_one()
    return recharge_id


async def find(connection: AsyncConnection, recharge_id: int, *, lock: bool = False) -> Recharge | None:
    """One recharge; `lock` until the transaction ends."""
    query = select(wallet_recharges).where(_R.id == recharge_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else recharge_from(row)


async def get(connection: AsyncConnection, recharge_id: int, *, lock: bool = False) -> Recharge:
    """As `find`, of one that must be there. Raises NotFoundError."""
    recharge = await find(connection, recharge_id, lock=lock)
    if recharge is None:
        raise NotFoundError(f"There is no recharge rcg_{recharge_id}.")
    return recharge


async def find_by_order(connection: AsyncConnection, razorpay_order_id: str) -> Recharge | None:
    """One recharge by Razorpay's id of its order, locked."""
    query = select(wallet_recharges).where(_R.razorpay_order_id == razorpay_order_id).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else recharge_from(row)


async def set_values(connection: AsyncConnection, recharge_id: int, **values: object) -> None:
    """Change columns of one recharge."""
    await connection.execute(update(wallet_recharges).where(_R.id == recharge_id).values(**values))


async def claim(connection: AsyncConnection, recharge: Recharge, *, lapses_at: datetime) -> Recharge:
    """Count a call and keep others away until the claim lapses. Returns the row as it was before: `calls` were made earlier."""
    await set_values(connection, recharge.id, calls=recharge.calls + 1, next_attempt_at=lapses_at)
    return recharge


async def claim_due(connection: AsyncConnection, *, now: datetime, lapses_at: datetime) -> Recharge | None:
    """The recharge that has waited longest, claimed; others pass it over."""
    query = (
        select(wallet_recharges)
        .where(_R.next_attempt_at <= now)
        .order_by(_R.next_attempt_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else await claim(connection, recharge_from(row), lapses_at=lapses_at)


async def opened(connection: AsyncConnection, recharge_id: int, razorpay_order_id: str) -> None:
    """Razorpay has the order. One that was paid meanwhile stays paid."""
    made = update(wallet_recharges).where(_R.id == recharge_id, _R.status == RechargeStatus.CREATING.value)
    await connection.execute(
        made.values(status=RechargeStatus.OPEN.value, razorpay_order_id=razorpay_order_id, next_attempt_at=None, last_error=None)
    )


def of_wallet(wallet_id: int) -> Select[Any]:
    """A wallet's recharges."""
    return select(wallet_recharges).where(_R.wallet_id == wallet_id)


_PAYMENTS = (
    select(recharge_payments, _R.wallet_id, _R.razorpay_order_id, wallets.c.rider_id)
    .join(wallet_recharges, _R.id == _P.recharge_id)
    .join(wallets, wallets.c.id == _R.wallet_id)
)


def payments(*, wallet_id: int | None = None) -> Select[Any]:
    """Payments on recharges, of one wallet or of all."""
    return _PAYMENTS if wallet_id is None else _PAYMENTS.where(_R.wallet_id == wallet_id)


async def find_payment(connection: AsyncConnection, razorpay_payment_id: str) -> RechargePayment | None:
    """One payment by Razorpay's id."""
    row = (await connection.execute(_PAYMENTS.where(_P.razorpay_payment_id == razorpay_payment_id))).one_or_none()
    return None if row is None else payment_from(row)


async def payments_among(connection: AsyncConnection, razorpay_payment_ids: Collection[str]) -> set[str]:
    """Those of these payments that recharged a wallet."""
    query = select(_P.razorpay_payment_id).where(_P.razorpay_payment_id.in_(razorpay_payment_ids))
    return set(await connection.scalars(query))


async def orders_among(connection: AsyncConnection, razorpay_order_ids: Collection[str]) -> set[str]:
    """Those of these orders that are recharges."""
    query = select(_R.razorpay_order_id).where(_R.razorpay_order_id.in_(razorpay_order_ids))
    return {str(order_id) for order_id in await connection.scalars(query)}


async def add_payment(
    connection: AsyncConnection,
    *,
    recharge_id: int,
    capture: Capture,
    fee_paise: int | None,
    fee_tax_paise: int | None,
    fee_source: RechargeFeeSource | None,
    webhook_event_id: int,
    received_at: datetime,
    now: datetime,
) -> RechargePayment | None:
    """The payment; None where it is recorded already, also by somebody at this very moment."""
    made = (
        insert(recharge_payments)
        .values(
            recharge_id=recharge_id,
            razorpay_payment_id=capture.razorpay_payment_id,
            webhook_event_id=webhook_event_id,
            amount_paise=capture.amount_paise,
            fee_paise=fee_paise,
            fee_tax_paise=fee_tax_paise,
            fee_source=fee_source.value if fee_source is not None else None,
            paid_at=capture.paid_at,
            received_at=received_at,
            credited_at=now,
        )
        .on_conflict_do_nothing(index_elements=[_P.razorpay_payment_id])
        .returning(_P.id)
    )
    if (await connection.execute(made)).one_or_none() is None:
        return None
    return await find_payment(connection, capture.razorpay_payment_id)


async def claim_fee_due(connection: AsyncConnection, *, now: datetime) -> RechargePayment | None:
    """Of payments whose fee was not told, the one that waits longest to be asked for; it is again after a pause that grows."""
    query = (
        _PAYMENTS.where(_P.fee_paise.is_(None), or_(_P.fee_due_at.is_(None), _P.fee_due_at <= now))
        .order_by(_P.fee_due_at.nulls_first(), _P.id)
        .limit(1)
        .with_for_update(of=recharge_payments, skip_locked=True)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    again = fee.ask_again_at(row.paid_at, now)
    await connection.execute(update(recharge_payments).where(_P.id == row.id).values(fee_due_at=again))
    return payment_from(row)


async def tell_fee(connection: AsyncConnection, payment_id: int, *, fee_paise: int, tax_paise: int | None) -> bool:
    """Write down the fee; False where it has been told meanwhile."""
    told = (
        update(recharge_payments)
        .where(_P.id == payment_id, _P.fee_paise.is_(None))
        .values(fee_paise=fee_paise, fee_tax_paise=tax_paise, fee_source=RechargeFeeSource.API.value)
    )
    return bool((await connection.execute(told)).rowcount)
