"""A rider starts and stops a session from the app: the wallet's money is put aside, and charging is asked."""

from datetime import timedelta

import structlog

from chassis.database import UnitOfWork
from chassis.web import Principal
from contracts.charging import SessionStopRequested, StartCancelRequested, StartRequested
from payments.domain.errors import ConflictError
from payments.domain.wallet import hold_of
from payments.domain.wallet_session import RUNNING, SessionState
from payments.repository import wallet_sessions, wallets
from payments.repository.wallet_sessions import WalletSession
from payments.usecases.audit import audit
from payments.usecases.context import Payments
from payments.usecases.whose import wallet_of
from payments.views import WalletSessionCreate, WalletSessionId, WalletSessionView

log = structlog.get_logger(__name__)


async def start_wallet_session(
    app: Payments, uow: UnitOfWork, body: WalletSessionCreate, principal: Principal
) -> WalletSessionView:
    """`POST /v1/wallets/me/sessions`. Held first, then asked: charging alone decides, and its no releases the hold.

    Raises ConflictError where a session of the wallet runs, or too little is in it. Emits StartRequested into the charger's lane.
    """
    wallet = await wallet_of(uow, principal, lock=True)
    hold_paise = hold_of(available_paise=wallet.available_paise, limit_paise=body.limit_paise, limits=app.settings.wallet_limits)
    session = await wallet_sessions.add(
        uow.connection,
        wallet_id=wallet.id,
        charge_point_id=body.charge_point_id,
        connector_id=body.connector_id,
        limit_paise=body.limit_paise,
        hold_paise=hold_paise,
        start_deadline=uow.now + timedelta(seconds=app.settings.start_deadline_seconds),
        now=uow.now,
    )
    if session is None:
        raise ConflictError("A session of this wallet runs already; stop it first.")
    await wallets.hold(uow.connection, wallet, amount_paise=hold_paise, now=uow.now)
    uow.publish(start_request(session), subject=lane_subject(session))
    audit(
        uow,
        principal,
        entity="wallet_session",
        entity_id=f"wse_{session.id}",
        action="start",
        after={"charge_point_id": body.charge_point_id, "connector_id": body.connector_id, "hold_paise": hold_paise},
    )
    log.info("wallet_session.requested", wallet_session_id=session.id, wallet_id=wallet.id, hold_paise=hold_paise)
    return WalletSessionView.of(session)


async def stop_wallet_session(uow: UnitOfWork, session_id: WalletSessionId, principal: Principal) -> WalletSessionView:
    """`POST /v1/wallets/me/sessions/{id}/stop`: the wish goes into the charger's lane; whether it ended, the session shows.

    A session that has not begun is cancelled. Should it begin all the same, it is stopped then: the wish is kept.
    Raises NotFoundError for anybody else's session, ConflictError for one that has ended.
    """
    wallet = await wallet_of(uow, principal)
    session = await wallet_sessions.of_wallet(uow.connection, session_id, wallet_id=wallet.id, lock=True)
    if session.state not in RUNNING:
        raise ConflictError("The session has ended already.")
    if session.state is SessionState.CHARGING and session.transaction_id is not None:
        uow.publish(stop_request(session, session.transaction_id), subject=lane_subject(session))
    else:
        uow.publish(cancel_request(session, actor=f"rdr_{session.rider_id}"), subject=lane_subject(session))
    await wallet_sessions.set_values(uow.connection, session.id, stop_requested_at=session.stop_requested_at or uow.now)
    audit(uow, principal, entity="wallet_session", entity_id=f"wse_{session.id}", action="stop")
    return WalletSessionView.of(await wallet_sessions.of_wallet(uow.connection, session.id, wallet_id=wallet.id))


def lane_subject(session: WalletSession) -> str:
    """The order of our wishes for one session."""
    return f"session/{session.request_key}"


def start_request(session: WalletSession) -> StartRequested:
    """The wish that charging gets; the same at every repetition. The recharge's fee is ours: none is in the budget."""
    return StartRequested(
        charge_point_id=session.charge_point_id,
        request_key=session.request_key,
        connector_id=session.connector_id,
        budget_paise=session.hold_paise,
        platform_fee_paise=0,
        payer_reference=f"rdr_{session.rider_id}",
        deadline=session.start_deadline,
    )


def cancel_request(session: WalletSession, *, actor: str) -> StartCancelRequested:
    """The wish to end it where it has not become a transaction."""
    return StartCancelRequested(charge_point_id=session.charge_point_id, request_key=session.request_key, actor=actor)


def stop_request(session: WalletSession, transaction_id: int) -> SessionStopRequested:
    """The rider's wish to end what runs."""
    return SessionStopRequested(
        charge_point_id=session.charge_point_id,
        transaction_id=transaction_id,
        actor=f"rdr_{session.rider_id}",
        trigger="app",
    )
