"""An operator gives a part of a session that a wallet paid back, and says why: it is in the wallet with the decision."""

import structlog

from chassis.database import UnitOfWork
from chassis.web import Principal
from contracts.wallets import WalletRefundDecided
from payments.domain.errors import ConflictError
from payments.domain.wallet_session import SessionState
from payments.repository import operator_refunds, wallet_sessions, wallets
from payments.usecases.audit import audit
from payments.usecases.context import Payments
from payments.usecases.refund_part import audited, decide_and_keep, decided
from payments.views import OperatorRefundCreate, OperatorRefundView, WalletSessionId

log = structlog.get_logger(__name__)


async def refund_wallet_session(
    app: Payments, uow: UnitOfWork, session_id: WalletSessionId, body: OperatorRefundCreate, principal: Principal
) -> OperatorRefundView:
    """`POST /v1/wallets/sessions/{id}/refunds`: of the energy and GST billed, into the wallet, however full it is.

    The wallet's row is locked, so that two operators at once are one after the other. Emits WalletRefundDecided.
    Raises NotFoundError, ConflictError.
    """
    found = await wallet_sessions.get(uow.connection, session_id)
    wallet = await wallets.get(uow.connection, found.wallet_id, lock=True)
    session = await wallet_sessions.get(uow.connection, session_id)
    bill = (await wallet_sessions.bills_of(uow.connection, [session.id])).get(session.id)
    if bill is None:
        raise ConflictError(f"It is {session.state}: only of a session that is {SessionState.BILLED} a part can be given back.")
    given = (await operator_refunds.of_wallet_sessions(uow.connection, [session.id]))[session.id]
    kept = await decide_and_keep(app, uow, principal, body, bill, given, wallet_session_id=session.id)
    await wallets.give_back(uow.connection, wallet, amount_paise=kept.amount_paise, operator_refund_id=kept.id, now=uow.now)
    uow.publish(
        WalletRefundDecided(
            operator_refund_id=kept.id,
            wallet_session_id=session.id,
            wallet_id=wallet.id,
            transaction_id=bill.transaction_id,
            franchisee_id=bill.franchisee_id,
            **decided(kept),
        ),
        subject=session.request_key,
    )
    audit(
        uow,
        principal,
        entity="wallet_session",
        entity_id=f"wse_{session.id}",
        action="refund_part",
        before={"given_back_paise": sum(refund.amount_paise for refund in given)},
        after=audited(kept),
    )
    log.info(
        "wallet_session.given_back",
        wallet_session_id=session.id,
        wallet_id=wallet.id,
        number=kept.number,
        amount_paise=kept.amount_paise,
        borne_by=kept.borne_by,
    )
    return OperatorRefundView.of(kept, credit_note_id=None)
