"""Charging has answered for a wallet's session: it runs, or what was put aside is free again. And where it has not answered."""

from datetime import timedelta

import structlog

from chassis.database import UnitOfWork
from contracts.charging import StartRefused, TransactionStarted
from payments.domain.errors import ContradictionError, NotFoundError
from payments.domain.wallet_session import SessionState, SessionTrigger, next_session_state, session_of_request_key
from payments.repository import wallet_sessions, wallets
from payments.repository.wallet_sessions import WalletSession
from payments.repository.wallets import Wallet
from payments.usecases.context import Payments
from payments.usecases.start_wallet_session import cancel_request, lane_subject, start_request, stop_request

log = structlog.get_logger(__name__)

CHASED_AT_ONCE_MAX = 100
"""After a long outage there are many; each sweep takes some."""


async def session_for(uow: UnitOfWork, request_key: str | None) -> tuple[WalletSession, Wallet] | None:
    """The wallet's session of a request key and its wallet, both locked; None for a session that no wallet pays for.

    The wallet first: who starts a session holds it before there is one.
    Raises NotFoundError for a key of ours without a row: a message of another database, which must not be passed over.
    """
    session_id = session_of_request_key(request_key)
    if session_id is None:
        return None
    seen = await wallet_sessions.find(uow.connection, session_id)
    if seen is None:
        raise NotFoundError(f"there is no session {request_key}")
    wallet = await wallets.get(uow.connection, seen.wallet_id, lock=True)
    session = await wallet_sessions.find(uow.connection, session_id, lock=True)
    assert session is not None  # noqa: S101  (rows are never deleted)
    return session, wallet


def refuse_other_transaction(session: WalletSession, transaction_id: int) -> None:
    """One request is one transaction. Raises ContradictionError for a second, or for one that was never to run."""
    if session.transaction_id is not None and session.transaction_id != transaction_id:
        raise ContradictionError(f"{session.request_key} has transaction {session.transaction_id}, not {transaction_id}")
    if session.transaction_id is None and session.state is SessionState.RELEASED:
        raise ContradictionError(f"transaction {transaction_id} runs on {session.request_key}, which was released unstarted")


async def release_unstarted(app: Payments, uow: UnitOfWork, event: StartRefused) -> None:
    """`charging.start_refused` and `charging.start_expired`: the hold is free, with charging's reason."""
    found = await session_for(uow, event.request_key)
    if found is not None:
        await release(app, uow, *found, trigger=SessionTrigger.START_FAILED, reason=event.reason.value, detail=event.detail)


async def release(
    app: Payments,
    uow: UnitOfWork,
    session: WalletSession,
    wallet: Wallet,
    *,
    trigger: SessionTrigger,
    reason: str,
    detail: str,
    transaction_id: int | None = None,
) -> None:
    """Nothing is paid for the session. A repeat changes nothing. Raises ContradictionError where it was billed."""
    state = next_session_state(session.state, trigger)
    if state is None:
        return
    await wallets.release(uow.connection, wallet, held_paise=session.hold_paise, now=uow.now)
    await wallet_sessions.set_values(
        uow.connection,
        session.id,
        state=state.value,
        release_reason=reason,
        release_detail=detail,
        transaction_id=transaction_id,
        updated_at=uow.now,
    )
    uow.after_commit(lambda: app.metrics.not_served.labels(reason).inc())
    log.info("wallet_session.released", wallet_session_id=session.id, hold_paise=session.hold_paise, reason=reason)


async def link_wallet_transaction(_app: Payments, uow: UnitOfWork, event: TransactionStarted) -> None:
    """`charging.transaction_started`: the session runs. The rider who wanted it stopped meanwhile is heard now."""
    found = await session_for(uow, event.request_key)
    if found is None:
        return
    session, _ = found
    refuse_other_transaction(session, event.transaction_id)
    state = next_session_state(session.state, SessionTrigger.TRANSACTION_STARTED)
    if state is None:
        return
    await wallet_sessions.set_values(
        uow.connection, session.id, state=state.value, transaction_id=event.transaction_id, updated_at=uow.now
    )
    if session.stop_requested_at is not None:
        uow.publish(stop_request(session, event.transaction_id), subject=lane_subject(session))
    log.info("wallet_session.charging", wallet_session_id=session.id, transaction_id=event.transaction_id)


async def chase_unanswered_wallet_starts(app: Payments) -> None:
    """As for payments by QR code: alarm, the same wish again, a wish to cancel. The hold stands until charging has answered."""
    async with app.database.transaction() as uow:
        overdue = uow.now - timedelta(seconds=app.settings.start_answer_grace_seconds)
        chased_before = uow.now - timedelta(seconds=app.settings.retry_seconds)
        app.metrics.wallet_unanswered.set(await wallet_sessions.count_unanswered(uow.connection, due_before=overdue))
        waiting = await wallet_sessions.take_unanswered(
            uow.connection, due_before=overdue, chased_before=chased_before, limit=CHASED_AT_ONCE_MAX
        )
        for session in waiting:
            uow.publish(start_request(session), subject=lane_subject(session))
            uow.publish(cancel_request(session, actor="payments"), subject=lane_subject(session))
            await wallet_sessions.set_values(uow.connection, session.id, start_chased_at=uow.now)
            log.error(
                "wallet_session.unanswered",
                wallet_session_id=session.id,
                charge_point_id=session.charge_point_id,
                deadline=session.start_deadline,
            )
        uow.after_commit(lambda: app.metrics.start_unanswered.inc(len(waiting)))
