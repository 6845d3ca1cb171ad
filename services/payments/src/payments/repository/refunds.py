"""Refunds: claimed before Razorpay is called, persisted after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from payments.domain.errors import NotFoundError
from payments.domain.refund import AUTOMATIC, RefundStatus, Speed
from payments.repository.rows import columns_of
from payments.tables import qr_payments, refunds

_T = refunds.c

UNSENT = (RefundStatus.PENDING, RefundStatus.CALLING, RefundStatus.UNKNOWN)
"""Razorpay is not known to have it."""


@dataclass(frozen=True, slots=True)
class Refund:
    """A row of `refunds`, with its payment's id at Razorpay and who took that payment: it goes back from there."""

    id: int
    qr_payment_id: int
    number: int
    attempt: int
    key: str
    amount_paise: int
    body: Mapping[str, Any]
    status: RefundStatus
    speed_requested: Speed
    speed_processed: str | None
    razorpay_refund_id: str | None
    bank_reference: str | None
    reference_kind: str | None
    calls: int
    last_error: str | None
    traceparent: str | None
    subject_version: int
    next_attempt_at: datetime | None
    created_at: datetime
    updated_at: datetime
    processed_at: datetime | None
    razorpay_payment_id: str
    collected_by_franchisee_id: int | None
    collected_by_account_id: str | None
    replaced: bool
    """A later attempt took its place."""

    @property
    def is_automatic(self) -> bool:
        """What the payment gives back by itself, rather than an operator."""
        return self.number == AUTOMATIC


_LATER = refunds.alias("later")
_REPLACED = exists().where(
    _LATER.c.qr_payment_id == _T.qr_payment_id, _LATER.c.number == _T.number, _LATER.c.attempt > _T.attempt
)
_SELECT = select(
    refunds,
    qr_payments.c.razorpay_payment_id,
    qr_payments.c.collected_by_franchisee_id,
    qr_payments.c.collected_by_account_id,
    _REPLACED.label("replaced"),
).join(qr_payments, qr_payments.c.id == _T.qr_payment_id)


def refund_from(row: Any) -> Refund:
    """The refund of a row of `listing`."""
    return Refund(
        **{**columns_of(row, Refund), "status": RefundStatus(row.status), "speed_requested": Speed(row.speed_requested)}
    )


async def add(
    connection: AsyncConnection,
    *,
    qr_payment_id: int,
    number: int,
    attempt: int,
    key: str,
    amount_paise: int,
    body: Mapping[str, Any],
    speed: Speed,
    traceparent: str | None,
    now: datetime,
) -> Refund:
    """A refund, PENDING and due now. The table refuses a second live one of the same payment and number."""
    made = (
        insert(refunds)
        .values(
            qr_payment_id=qr_payment_id,
            number=number,
            attempt=attempt,
            key=key,
            amount_paise=amount_paise,
            body=dict(body),
            status=RefundStatus.PENDING.value,
            speed_requested=speed.value,
            traceparent=traceparent,
            subject_version=1,
            next_attempt_at=now,
            created_at=now,
            updated_at=now,
        )
        .returning(_T.id)
    )
    refund_id: int = (await connection.execute(made)).scalar_one()
    return await get(connection, refund_id)


async def find(connection: AsyncConnection, refund_id: int, *, lock: bool = False) -> Refund | None:
    """One refund; `lock` its row until the transaction ends."""
    query = _SELECT.where(_T.id == refund_id)
    row = (await connection.execute(query.with_for_update(of=refunds) if lock else query)).one_or_none()
    return None if row is None else refund_from(row)


async def get(connection: AsyncConnection, refund_id: int, *, lock: bool = False) -> Refund:
    """As `find`, of one that must be there. Raises NotFoundError."""
    refund = await find(connection, refund_id, lock=lock)
    if refund is None:
        raise NotFoundError(f"There is no refund rfd_{refund_id}.")
    return refund


async def find_for_event(
    connection: AsyncConnection, *, razorpay_refund_id: str, receipt: str | None, razorpay_payment_id: str | None
) -> Refund | None:
    """The refund that a Razorpay event speaks of, locked: by Razorpay's id, or by our key on our payment.

    The key serves when the event overtakes the answer to our own call. One condition for both: of two events at once the second
    waits for the row, and must find it also after the first has written Razorpay's id into it.
    """
    by_key = and_(_T.key == receipt, qr_payments.c.razorpay_payment_id == razorpay_payment_id)
    by_id = _T.razorpay_refund_id == razorpay_refund_id
    row = (await connection.execute(_SELECT.where(or_(by_id, by_key)).with_for_update(of=refunds))).one_or_none()
    return None if row is None else refund_from(row)


async def claim_due(connection: AsyncConnection, *, now: datetime, lapses_at: datetime) -> Refund | None:
    """The refund that has waited longest, as it was before the claim, ours until the claim lapses; others pass it over.

    One that Razorpay is not known to have becomes CALLING: whoever finds it like that after the lapse knows that a call may
    have been made.
    """
    query = (
        _SELECT.where(_T.next_attempt_at <= now)
        .order_by(_T.next_attempt_at)
        .limit(1)
        .with_for_update(of=refunds, skip_locked=True)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    refund = refund_from(row)
    values: dict[str, object] = {"next_attempt_at": lapses_at}
    if refund.status in UNSENT:
        values |= {"status": RefundStatus.CALLING.value, "calls": refund.calls + 1}
    await set_values(connection, refund.id, **values)
    return refund


async def set_values(connection: AsyncConnection, refund_id: int, **values: object) -> None:
    """Change columns of one refund."""
    await connection.execute(update(refunds).where(_T.id == refund_id).values(**values))


async def newest_attempt(connection: AsyncConnection, refund: Refund) -> int:
    """The last attempt of what this refund is an attempt of."""
    query = select(func.max(_T.attempt)).where(_T.qr_payment_id == refund.qr_payment_id, _T.number == refund.number)
    return (await connection.scalar(query)) or 0


async def known_of_others(connection: AsyncConnection, refund: Refund) -> frozenset[str]:
    """Razorpay's ids of what the payment's refunds of other numbers are: none of them is an attempt of this one."""
    query = select(_T.razorpay_refund_id).where(
        _T.qr_payment_id == refund.qr_payment_id, _T.number != refund.number, _T.razorpay_refund_id.is_not(None)
    )
    return frozenset((await connection.execute(query)).scalars())


async def count_overdue(connection: AsyncConnection, *, owed_before: datetime) -> int:
    """Refunds owed since before then that Razorpay is not known to have, failed ones without a later attempt among them."""
    open_statuses = [status.value for status in (*UNSENT, RefundStatus.FAILED)]
    query = select(func.count()).select_from(refunds).where(_T.status.in_(open_statuses), _T.created_at < owed_before, ~_REPLACED)
    return int((await connection.execute(query)).scalar_one())


async def count_processing(connection: AsyncConnection, *, since_before: datetime) -> int:
    """Refunds that Razorpay has since before then, and has not said how they ended."""
    query = select(func.count()).where(_T.status == RefundStatus.PROCESSING.value, _T.updated_at < since_before)
    return int((await connection.execute(query)).scalar_one())


async def of_payments(connection: AsyncConnection, qr_payment_ids: Sequence[int]) -> dict[int, list[Refund]]:
    """All refunds of these payments, by payment: the automatic one first, in order of attempt."""
    found: dict[int, list[Refund]] = {qr_payment_id: [] for qr_payment_id in qr_payment_ids}
    if found:
        rows = (await connection.execute(_SELECT.where(_T.qr_payment_id.in_(found)).order_by(_T.number, _T.attempt))).all()
        for row in rows:
            found[row.qr_payment_id].append(refund_from(row))
    return found


def listing(*, status: str | None, qr_payment_id: int | None, by_operators: bool | None) -> Select[Any]:
    """Refunds by status and payment, and by who decided them."""
    query = _SELECT
    if by_operators is not None:
        query = query.where(_T.number > AUTOMATIC if by_operators else _T.number == AUTOMATIC)
    if status is not None:
        query = query.where(_T.status == status)
    if qr_payment_id is not None:
        query = query.where(_T.qr_payment_id == qr_payment_id)
    return query
