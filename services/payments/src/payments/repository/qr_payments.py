"""QR payments and their bills."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.charging import TransactionStopped
from contracts.payments import FeeSource
from money import Bill
from payments.domain import fee
from payments.domain.errors import NotFoundError
from payments.domain.qr_payment import PaymentState
from payments.domain.rider import ResolvedBy
from payments.domain.webhook import Credit
from payments.repository.franchisees import Franchisee
from payments.repository.rows import columns_of
from payments.tables import bills, qr_payments, residues

_P = qr_payments.c


@dataclass(frozen=True, slots=True)
class QrPayment:
    """A row of `qr_payments`."""

    id: int
    razorpay_payment_id: str
    request_key: str
    webhook_event_id: int | None
    qr_code_id: int | None
    charge_point_id: str | None
    connector_id: int | None
    amount_paise: int
    platform_fee_paise: int
    platform_fee_tax_paise: int | None
    fee_source: FeeSource
    rider_id: int
    rider_resolved_by: str
    vpa: str | None
    contact: str | None
    rrn: str | None
    state: PaymentState
    refund_reason: str | None
    refund_detail: str | None
    transaction_id: int | None
    station_id: int | None
    franchisee_id: int | None
    collected_by_franchisee_id: int | None
    collected_by_account_id: str | None
    stopped: Mapping[str, Any] | None
    paid_at: datetime
    received_at: datetime
    start_deadline: datetime | None
    start_chased_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class BillRow:
    """A row of `bills`."""

    id: int
    qr_payment_id: int
    transaction_id: int
    station_id: int
    franchisee_id: int | None
    energy_wh: int
    tariff_paise_per_kwh: int
    gst_bps: int
    paid_paise: int
    energy_charge_paise: int
    gst_paise: int
    platform_fee_paise: int
    fee_source: str
    refund_paise: int
    residue_paise: int
    shortfall_paise: int
    implausible: bool
    started_at: datetime
    stopped_at: datetime
    billed_at: datetime


def payment_from(row: Any) -> QrPayment:
    """The payment of a row of the table."""
    return QrPayment(**{**columns_of(row, QrPayment), "state": PaymentState(row.state), "fee_source": FeeSource(row.fee_source)})


async def add(
    connection: AsyncConnection,
    *,
    credit: Credit,
    webhook_event_id: int,
    qr_code_id: int | None,
    charge_point_id: str | None,
    connector_id: int | None,
    fee_paise: int,
    tax_paise: int | None,
    fee_source: FeeSource,
    rider_id: int,
    resolved_by: ResolvedBy,
    collected_by: Franchisee | None,
    received_at: datetime,
    now: datetime,
) -> QrPayment | None:
    """The payment, RECEIVED; None where this Razorpay payment is recorded already, also by somebody at this very moment."""
    made = (
        insert(qr_payments)
        .values(
            razorpay_payment_id=credit.razorpay_payment_id,
            webhook_event_id=webhook_event_id,
            qr_code_id=qr_code_id,
            charge_point_id=charge_point_id,
            connector_id=connector_id,
            amount_paise=credit.amount_paise,
            platform_fee_paise=fee_paise,
            platform_fee_tax_paise=tax_paise,
            fee_source=fee_source.value,
            rider_id=rider_id,
            rider_resolved_by=resolved_by.value,
            vpa=credit.vpa,
            contact=credit.contact,
            rrn=credit.rrn,
            collected_by_franchisee_id=collected_by.id if collected_by is not None else None,
            collected_by_account_id=collected_by.razorpay_account_id if collected_by is not None else None,
            state=PaymentState.RECEIVED.value,
            paid_at=credit.paid_at,
            received_at=received_at,
            updated_at=now,
        )
        .on_conflict_do_nothing(index_elements=[_P.razorpay_payment_id])
        .returning(qr_payments)
    )
    row = (await connection.execute(made)).one_or_none()
    return None if row is None else payment_from(row)


async def set_values(connection: AsyncConnection, qr_payment_id: int, **values: object) -> None:
    """Change columns of one payment."""
    await connection.execute(update(qr_payments).where(_P.id == qr_payment_id).values(**values))


async def find(connection: AsyncConnection, qr_payment_id: int, *, lock: bool = False) -> QrPayment | None:
    """One payment; `lock` until the transaction ends."""
    query = select(qr_payments).where(_P.id == qr_payment_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else payment_from(row)


async def get(connection: AsyncConnection, qr_payment_id: int, *, lock: bool = False) -> QrPayment:
    """As `find`, of one that must be there. Raises NotFoundError."""
    payment = await find(connection, qr_payment_id, lock=lock)
    if payment is None:
        raise NotFoundError(f"There is no payment qrp_{qr_payment_id}.")
    return payment


async def find_by_razorpay_id(connection: AsyncConnection, razorpay_payment_id: str) -> QrPayment | None:
    """One payment by Razorpay's id."""
    row = (await connection.execute(select(qr_payments).where(_P.razorpay_payment_id == razorpay_payment_id))).one_or_none()
    return None if row is None else payment_from(row)


async def among(connection: AsyncConnection, razorpay_payment_ids: Collection[str]) -> set[str]:
    """Those of these payments that are recorded."""
    query = select(_P.razorpay_payment_id).where(_P.razorpay_payment_id.in_(razorpay_payment_ids))
    return set(await connection.scalars(query))


def listing(
    *,
    state: str | None,
    charge_point_id: str | None,
    rider_id: int | None,
    qr_code_id: int | None,
    transaction_id: int | None,
    razorpay_payment_id: str | None,
) -> Select[Any]:
    """Payments by what is given."""
    query = select(qr_payments)
    wanted = {
        _P.state: state,
        _P.charge_point_id: charge_point_id,
        _P.rider_id: rider_id,
        _P.qr_code_id: qr_code_id,
        _P.transaction_id: transaction_id,
        _P.razorpay_payment_id: razorpay_payment_id,
    }
    for column, value in wanted.items():
        if value is not None:
            query = query.where(column == value)
    return query


async def take_unanswered(
    connection: AsyncConnection, *, due_before: datetime, chased_before: datetime, limit: int
) -> list[QrPayment]:
    """Payments whose start charging has not answered, though the deadline passed before `due_before`; not those chased since."""
    query = (
        select(qr_payments)
        .where(
            _P.state == PaymentState.START_REQUESTED.value,
            _P.start_deadline < due_before,
            or_(_P.start_chased_at.is_(None), _P.start_chased_at < chased_before),
        )
        .order_by(_P.start_deadline)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [payment_from(row) for row in (await connection.execute(query)).all()]


async def count_unanswered(connection: AsyncConnection, *, due_before: datetime) -> int:
    """How many payments wait for charging's answer past their deadline."""
    query = select(func.count()).where(_P.state == PaymentState.START_REQUESTED.value, _P.start_deadline < due_before)
    return int((await connection.execute(query)).scalar_one())


async def ids_in_state(connection: AsyncConnection, state: PaymentState, *, after_id: int, limit: int) -> list[int]:
    """Ids of payments in a state, oldest first, from after this one."""
    query = select(_P.id).where(_P.state == state.value, _P.id > after_id).order_by(_P.id).limit(limit)
    return list((await connection.scalars(query)).all())


async def claim_fee_due(connection: AsyncConnection, *, now: datetime) -> QrPayment | None:
    """Of payments of running sessions whose fee is an estimate, the one that waits longest to be asked for.

    It is asked for again after a pause that grows, whatever comes of it now: none keeps the others from being asked for.
    """
    open_states = (PaymentState.START_REQUESTED.value, PaymentState.CHARGING.value)
    query = (
        select(qr_payments)
        .where(
            _P.fee_source == FeeSource.ESTIMATE.value,
            _P.state.in_(open_states),
            or_(_P.fee_due_at.is_(None), _P.fee_due_at <= now),
        )
        .order_by(_P.fee_due_at.nulls_first(), _P.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    await set_values(connection, row.id, fee_due_at=fee.ask_again_at(row.paid_at, now))
    return payment_from(row)


async def add_bill(
    connection: AsyncConnection, *, payment: QrPayment, stopped: TransactionStopped, bill: Bill, now: datetime
) -> None:
    """The one bill. A second one of the payment or of the transaction is refused by the table."""
    await connection.execute(
        insert(bills).values(
            qr_payment_id=payment.id,
            transaction_id=stopped.transaction_id,
            station_id=stopped.station_id,
            franchisee_id=stopped.franchisee_id,
            energy_wh=bill.energy_wh,
            tariff_paise_per_kwh=stopped.tariff_paise_per_kwh,
            gst_bps=stopped.gst_bps,
            paid_paise=bill.paid_paise,
            energy_charge_paise=bill.energy_charge_paise,
            gst_paise=bill.gst_paise,
            platform_fee_paise=bill.platform_fee_paise,
            fee_source=payment.fee_source.value,
            refund_paise=bill.refund_paise,
            residue_paise=bill.residue_paise,
            shortfall_paise=bill.shortfall_paise,
            implausible=stopped.implausible,
            started_at=stopped.started_at,
            stopped_at=stopped.stopped_at,
            billed_at=now,
        )
    )


async def bill_of(connection: AsyncConnection, qr_payment_id: int) -> BillRow | None:
    """The payment's bill, once made."""
    row = (await connection.execute(select(bills).where(bills.c.qr_payment_id == qr_payment_id))).one_or_none()
    return None if row is None else BillRow(**columns_of(row, BillRow))


async def add_residue(connection: AsyncConnection, *, qr_payment_id: int, amount_paise: int, reason: str, now: datetime) -> None:
    """Book what is owed and too small to send."""
    await connection.execute(
        insert(residues).values(qr_payment_id=qr_payment_id, amount_paise=amount_paise, reason=reason, created_at=now)
    )


async def residue_of(connection: AsyncConnection, qr_payment_id: int) -> int:
    """What of the payment is residue, in paise."""
    return (await connection.scalar(select(residues.c.amount_paise).where(residues.c.qr_payment_id == qr_payment_id))) or 0
