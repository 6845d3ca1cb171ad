"""Wallets to read: by riders their own and nothing else, by staff all."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from chassis.database import UnitOfWork
from chassis.web import Page, PageQuery, Principal, fetch_page
from payments import wallet_tables as tables
from payments.domain.errors import NotFoundError
from payments.repository import credit_notes, operator_refunds, qr_payments, recharges, wallet_sessions, wallets
from payments.repository.wallet_sessions import WalletSession, session_from
from payments.tables import operator_refunds as operator_refunds_table
from payments.tables import qr_payments as qr_payments_table
from payments.usecases.context import Payments
from payments.usecases.whose import rider_of, wallet_of
from payments.views import (
    OperatorRefundView,
    QrPaymentView,
    RechargeId,
    RechargePaymentQuery,
    RechargePaymentView,
    RechargeView,
    RiderMeView,
    WalletEntryView,
    WalletId,
    WalletSessionDetail,
    WalletSessionId,
    WalletSessionQuery,
    WalletSessionView,
    WalletView,
)


async def show_me(uow: UnitOfWork, principal: Principal) -> RiderMeView:
    """`GET /v1/riders/me`. Raises ConflictError for an account that has not registered."""
    return RiderMeView.of(await rider_of(uow, principal))


async def list_my_payments(uow: UnitOfWork, query: PageQuery, principal: Principal) -> Page[QrPaymentView]:
    """`GET /v1/riders/me/payments`: what the caller paid by QR code, newest first, what came with merged guests included."""
    rider = await rider_of(uow, principal)
    own = sa.select(qr_payments_table).where(qr_payments_table.c.rider_id == rider.id)
    order = (qr_payments_table.c.id,)
    return await fetch_page(uow, own, query, order=order, view=lambda row: QrPaymentView.of(qr_payments.payment_from(row)))


async def show_my_wallet(uow: UnitOfWork, principal: Principal) -> WalletView:
    """`GET /v1/wallets/me`."""
    return WalletView.of(await wallet_of(uow, principal))


async def list_my_entries(uow: UnitOfWork, query: PageQuery, principal: Principal) -> Page[WalletEntryView]:
    """`GET /v1/wallets/me/entries`, newest first."""
    return await _entries(uow, (await wallet_of(uow, principal)).id, query)


async def list_my_recharges(app: Payments, uow: UnitOfWork, query: PageQuery, principal: Principal) -> Page[RechargeView]:
    """`GET /v1/wallets/me/recharges`, newest first."""
    statement = recharges.of_wallet((await wallet_of(uow, principal)).id)

    def view(row: Any) -> RechargeView:
        return RechargeView.of(recharges.recharge_from(row), key_id=app.settings.razorpay_key_id)

    return await fetch_page(uow, statement, query, order=(tables.wallet_recharges.c.id,), view=view)


async def show_my_recharge(app: Payments, uow: UnitOfWork, recharge_id: RechargeId, principal: Principal) -> RechargeView:
    """`GET /v1/wallets/me/recharges/{id}`: what the app looks at after the checkout. Raises NotFoundError for anybody else's."""
    wallet = await wallet_of(uow, principal)
    row = await recharges.find(uow.connection, recharge_id)
    if row is None or row.wallet_id != wallet.id:
        raise NotFoundError(f"There is no recharge rcg_{recharge_id}.")
    return RechargeView.of(row, key_id=app.settings.razorpay_key_id)


async def list_my_sessions(uow: UnitOfWork, query: PageQuery, principal: Principal) -> Page[WalletSessionView]:
    """`GET /v1/wallets/me/sessions`, newest first, with their bills."""
    statement = wallet_sessions.listing(wallet_id=(await wallet_of(uow, principal)).id, state=None)
    rows: Page[Any] = await fetch_page(uow, statement, query, order=(tables.wallet_sessions.c.id,), view=session_from)
    items = [WalletSessionView(**fields) for fields in await _fields_of(uow, rows.items)]
    return Page[WalletSessionView](items=items, next_cursor=rows.next_cursor)


async def show_my_session(uow: UnitOfWork, session_id: WalletSessionId, principal: Principal) -> WalletSessionView:
    """`GET /v1/wallets/me/sessions/{id}`. Raises NotFoundError for anybody else's."""
    wallet = await wallet_of(uow, principal)
    session = await wallet_sessions.of_wallet(uow.connection, session_id, wallet_id=wallet.id)
    [item] = await _fields_of(uow, [session])
    return WalletSessionView(**item)


async def list_wallets(uow: UnitOfWork, query: PageQuery) -> Page[WalletView]:
    """`GET /v1/wallets`, newest first."""
    order = (tables.wallets.c.id,)
    return await fetch_page(uow, wallets.listing(), query, order=order, view=lambda row: WalletView.of(wallets.wallet_from(row)))


async def show_wallet(uow: UnitOfWork, wallet_id: WalletId) -> WalletView:
    """`GET /v1/wallets/{id}`."""
    return WalletView.of(await wallets.get(uow.connection, wallet_id))


async def list_entries(uow: UnitOfWork, wallet_id: WalletId, query: PageQuery) -> Page[WalletEntryView]:
    """`GET /v1/wallets/{id}/entries`, newest first."""
    return await _entries(uow, (await wallets.get(uow.connection, wallet_id)).id, query)


async def list_recharge_payments(uow: UnitOfWork, query: RechargePaymentQuery) -> Page[RechargePaymentView]:
    """`GET /v1/wallets/recharge-payments`, newest first."""
    return await fetch_page(
        uow,
        recharges.payments(wallet_id=query.wallet_id),
        query,
        order=(tables.recharge_payments.c.id,),
        view=lambda row: RechargePaymentView.of(recharges.payment_from(row)),
    )


async def list_sessions(uow: UnitOfWork, query: WalletSessionQuery) -> Page[WalletSessionDetail]:
    """`GET /v1/wallets/sessions`, newest first, with their bills and what operators gave back of them."""
    state = query.state.value if query.state is not None else None
    statement = wallet_sessions.listing(wallet_id=query.wallet_id, state=state)
    rows: Page[Any] = await fetch_page(uow, statement, query, order=(tables.wallet_sessions.c.id,), view=session_from)
    given = await operator_refunds.of_wallet_sessions(uow.connection, [session.id for session in rows.items])
    notes = await credit_notes.ids_of(uow.connection, [refund for refunds in given.values() for refund in refunds])
    items = []
    for fields in await _fields_of(uow, rows.items):
        decided = given[fields["id"]]
        bill = fields["bill"]
        items.append(
            WalletSessionDetail(
                **fields,
                operator_refunds=[OperatorRefundView.of(one, credit_note_id=notes.get(one.id)) for one in decided],
                refundable_paise=0 if bill is None else bill.billed_paise - fields["given_back_paise"],
            )
        )
    return Page[WalletSessionDetail](items=items, next_cursor=rows.next_cursor)


async def _entries(uow: UnitOfWork, wallet_id: int, query: PageQuery) -> Page[WalletEntryView]:
    bills, given = tables.wallet_bills.c, operator_refunds_table.c
    statement = (
        wallets.entries_of(wallet_id)
        .add_columns(bills.wallet_session_id, bills.transaction_id, given.reason)
        .outerjoin(operator_refunds_table, given.id == tables.wallet_entries.c.operator_refund_id)
        .outerjoin(
            tables.wallet_bills,
            sa.or_(bills.id == tables.wallet_entries.c.wallet_bill_id, bills.wallet_session_id == given.wallet_session_id),
        )
    )
    order = (tables.wallet_entries.c.id,)
    return await fetch_page(uow, statement, query, order=order, view=WalletEntryView.model_validate)


async def _fields_of(uow: UnitOfWork, sessions: Sequence[WalletSession]) -> list[dict[str, Any]]:
    """What everybody sees of these sessions: their bills, and what was given back of them, read together."""
    ids = [session.id for session in sessions]
    bills = await wallet_sessions.bills_of(uow.connection, ids)
    given = await operator_refunds.of_wallet_sessions(uow.connection, ids)
    return [WalletSessionView.fields_of(session, bills.get(session.id), given[session.id]) for session in sessions]
