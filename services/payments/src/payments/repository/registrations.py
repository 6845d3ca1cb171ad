"""Accounts and the riders who they are; guests, and what goes over when one is merged."""

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from payments.domain.rider import ResolvedBy
from payments.tables import qr_payments, rider_logins, rider_vpas, riders

_R, _V, _P = riders.c, rider_vpas.c, qr_payments.c


async def rider_of_login(connection: AsyncConnection, *, provider: str, subject: str) -> int | None:
    """The rider of an account, once it has registered."""
    wanted = select(rider_logins.c.rider_id).where(rider_logins.c.provider == provider, rider_logins.c.subject == subject)
    rider_id: int | None = await connection.scalar(wanted)
    return rider_id


async def add(connection: AsyncConnection, *, provider: str, subject: str, now: datetime) -> int:
    """A new registered rider of this account, without a phone yet."""
    made = insert(riders).values(created_at=now, registered_at=now).returning(_R.id)
    rider_id: int = (await connection.execute(made)).scalar_one()
    await connection.execute(insert(rider_logins).values(provider=provider, subject=subject, rider_id=rider_id, created_at=now))
    return rider_id


async def holder_of_phone(connection: AsyncConnection, phone: str) -> tuple[int, bool] | None:
    """(the rider who has this phone, whether registered); None where nobody has."""
    row = (await connection.execute(select(_R.id, _R.registered_at).where(_R.phone == phone))).one_or_none()
    return None if row is None else (row.id, row.registered_at is not None)


async def set_phone(connection: AsyncConnection, rider_id: int, phone: str) -> None:
    """What the provider verified. Nobody else may have it any more."""
    await connection.execute(update(riders).where(_R.id == rider_id).values(phone=phone))


async def guests_of_phones_payments(connection: AsyncConnection, rider_id: int) -> list[int]:
    """Guests without a phone of their own whose UPI address a payment by this rider's phone came from.

    Such a payment bore both, phone and address, by Razorpay's signed word: whoever has the phone pays from the address.
    """
    by_phone = select(func.lower(func.btrim(_P.vpa))).where(
        _P.rider_id == rider_id, _P.rider_resolved_by == ResolvedBy.PHONE.value, _P.vpa.is_not(None)
    )
    wanted = (
        select(_R.id)
        .join(rider_vpas, _V.rider_id == _R.id)
        .where(_V.vpa.in_(by_phone), _R.phone.is_(None), _R.registered_at.is_(None), _R.id != rider_id)
        .distinct()
    )
    return list((await connection.scalars(wanted.order_by(_R.id))).all())


async def merge(connection: AsyncConnection, *, guest_id: int, into_id: int, now: datetime) -> bool:
    """Everything of a guest is the registered rider's from now on; the guest's row stays and points there.

    False where it is no guest any more. The caller has stopped resolving: no payment finds the guest meanwhile.
    """
    gone = (
        update(riders)
        .where(_R.id == guest_id, _R.registered_at.is_(None), _R.merged_into_id.is_(None), _R.id != into_id)
        .values(phone=None, merged_into_id=into_id, merged_at=now)
    )
    if not (await connection.execute(gone)).rowcount:
        return False
    await connection.execute(update(rider_vpas).where(_V.rider_id == guest_id).values(rider_id=into_id))
    await connection.execute(update(qr_payments).where(_P.rider_id == guest_id).values(rider_id=into_id))
    return True
