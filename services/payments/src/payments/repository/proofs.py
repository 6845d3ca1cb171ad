"""Proofs of payments: does one fit, and how often did none?"""

from datetime import datetime

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from payments.tables import proof_failures, qr_payments, rider_vpas

_F, _P, _V = proof_failures.c, qr_payments.c, rider_vpas.c


async def failures(connection: AsyncConnection, vpa: str, *, since: datetime) -> int:
    """Wrong tries for an address since a time. Until the transaction ends nobody else tries it."""
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"payments.proof/{vpa}", 0))))
    counted = select(func.count()).where(_F.vpa == vpa, _F.failed_at >= since)
    return int((await connection.execute(counted)).scalar_one())


async def add_failure(connection: AsyncConnection, vpa: str, *, forget_before: datetime, now: datetime) -> None:
    """One more; those that don't count any more are forgotten."""
    await connection.execute(delete(proof_failures).where(_F.failed_at < forget_before))
    await connection.execute(insert(proof_failures).values(vpa=vpa, failed_at=now))


async def payer(connection: AsyncConnection, *, vpa: str, reference_ends: str, paid_since: datetime) -> int | None:
    """Who paid from this address, if one of the payments has a reference that ends like this."""
    paid = (
        select(_P.rider_id)
        .join(rider_vpas, _V.rider_id == _P.rider_id)
        .where(
            _V.vpa == vpa,
            func.lower(func.btrim(_P.vpa)) == vpa,
            _P.rrn.endswith(reference_ends, autoescape=True),
            _P.paid_at >= paid_since,
        )
    )
    rider_id: int | None = await connection.scalar(paid.limit(1))
    return rider_id
