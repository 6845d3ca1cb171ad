"""What QR codes brought in, by one aggregate over payments, their bills, and what operators gave back of these."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Subquery, Text, case, func, select

from payments.domain.qr_payment import PaymentState
from payments.tables import bills, operator_refunds, qr_payments

_P = qr_payments.c

REFUNDED_WHOLE = (PaymentState.REFUND_DUE.value, PaymentState.REFUNDED.value)


class RevenueBy(StrEnum):
    """What a line of the revenue is of."""

    QR_CODE = "qr_code"
    CHARGER = "charger"
    STATION = "station"
    DAY = "day"
    """A calendar day in India, by when the rider paid."""


_KEYS: dict[RevenueBy, ColumnElement[Any]] = {
    # Nothing known is 0 or empty here, so that a cursor can compare it; no id is either.
    RevenueBy.QR_CODE: func.coalesce(_P.qr_code_id, 0, type_=BigInteger),
    RevenueBy.CHARGER: func.coalesce(_P.charge_point_id, "", type_=Text),
    RevenueBy.STATION: func.coalesce(_P.station_id, 0, type_=BigInteger),
    RevenueBy.DAY: func.to_char(func.timezone("Asia/Kolkata", _P.paid_at), "YYYY-MM-DD", type_=Text),
}


def revenue(by: RevenueBy, *, paid_from: datetime, paid_before: datetime, visible: ColumnElement[bool]) -> Select[Any]:
    """A line per `key`: paid = energy charge + gst + platform fee + refund + residue + undecided.

    A payment that went back whole has no bill: all of it is refund, or residue. What operators gave back later is refund, and
    less of the bill's lines; goodwill leaves them as they are and stands beside. `visible`: whose payments the caller may see.
    """
    later = _given_later()
    given_back = _P.state.in_(REFUNDED_WHOLE)
    residue_owed = _P.state == PaymentState.RESIDUE_OWED.value
    key = _KEYS[by].label("key")
    lines = (
        select(
            key,
            func.count().label("payments"),
            func.count(_P.transaction_id).label("sessions"),
            _sum(bills.c.energy_wh).label("energy_wh"),
            _sum(_P.amount_paise).label("paid_paise"),
            _sum(bills.c.energy_charge_paise - _or_nothing(later.c.energy_charge_paise)).label("energy_charge_paise"),
            _sum(bills.c.gst_paise - _or_nothing(later.c.gst_paise)).label("gst_paise"),
            _sum(bills.c.platform_fee_paise).label("platform_fee_paise"),
            _sum(
                case(
                    (given_back, _P.amount_paise),
                    else_=bills.c.refund_paise + _or_nothing(later.c.energy_charge_paise) + _or_nothing(later.c.gst_paise),
                )
            ).label("refund_paise"),
            _sum(case((residue_owed, _P.amount_paise), else_=bills.c.residue_paise)).label("residue_paise"),
            _sum(case((bills.c.id.is_(None) & ~given_back & ~residue_owed, _P.amount_paise))).label("undecided_paise"),
            _sum(later.c.goodwill_paise).label("goodwill_paise"),
        )
        .select_from(
            qr_payments.outerjoin(bills, bills.c.qr_payment_id == _P.id).outerjoin(later, later.c.qr_payment_id == _P.id)
        )
        .where(_P.paid_at >= paid_from, _P.paid_at < paid_before, visible)
        .group_by(key)
        .subquery("lines")
    )
    return select(lines)


def _given_later() -> Subquery:
    """What operators gave back after the bill, by payment."""
    o = operator_refunds.c
    sums = [func.sum(o[name]).label(name) for name in ("energy_charge_paise", "gst_paise", "goodwill_paise")]
    return select(o.qr_payment_id, *sums).group_by(o.qr_payment_id).subquery("given_later")


def _or_nothing(amount: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(amount, 0)


def _sum(amount: ColumnElement[Any]) -> ColumnElement[int]:
    """Of nothing it is 0; PostgreSQL's sum of bigints is numeric, and no amount of ours needs that."""
    return func.coalesce(func.sum(amount), 0).cast(BigInteger)
