"""How the amounts of a session that a wallet paid came about."""

from dataclasses import replace

from chassis.database import UnitOfWork
from chassis.web import Principal
from contracts.charging import TransactionStopped
from money import explain_hold_released, explain_wallet_bill
from payments.domain.errors import ConflictError
from payments.domain.wallet_session import SessionState
from payments.repository import operator_refunds, wallet_sessions
from payments.repository.wallet_sessions import WalletSession
from payments.usecases.explain_amounts import explain_decision
from payments.usecases.whose import wallet_of
from payments.views import ExplanationView, SessionReadings, WalletSessionId


async def explain_wallet_session(uow: UnitOfWork, session_id: WalletSessionId) -> ExplanationView:
    """`GET /v1/wallets/sessions/{id}/explanation`: where every paisa of the hold went. 409 until that is decided."""
    return await _explained(uow, await wallet_sessions.get(uow.connection, session_id))


async def explain_my_session(uow: UnitOfWork, session_id: WalletSessionId, principal: Principal) -> ExplanationView:
    """`GET /v1/wallets/me/sessions/{id}/explanation`: the same. Raises NotFoundError for anybody else's."""
    wallet = await wallet_of(uow, principal)
    return await _explained(uow, await wallet_sessions.of_wallet(uow.connection, session_id, wallet_id=wallet.id))


async def _explained(uow: UnitOfWork, session: WalletSession) -> ExplanationView:
    name = f"wse_{session.id}"
    stopped = TransactionStopped.model_validate(session.stopped) if session.stopped is not None else None
    readings = SessionReadings.of(stopped) if stopped is not None else None
    held = f"{name}, wallet wlt_{session.wallet_id}"
    if session.state is SessionState.RELEASED:
        amounts = explain_hold_released(
            held_paise=session.hold_paise, because=session.release_detail or "", sources={"held_paise": held}
        )
        return ExplanationView.made(name, amounts, session=readings)
    bill = (await wallet_sessions.bills_of(uow.connection, [session.id])).get(session.id)
    if bill is None:
        raise ConflictError("Nothing is decided yet: the session is neither billed nor released.")
    transaction = f"transaction txn_{bill.transaction_id}"
    tariff_id = stopped.tariff_id if stopped is not None else 0
    terms = f"tariff trf_{tariff_id}, snapshotted by txn_{bill.transaction_id}" if tariff_id else f"snapshot of {transaction}"
    amounts = explain_wallet_bill(
        held_paise=bill.held_paise,
        energy_wh=bill.energy_wh,
        energy_charge_paise=bill.energy_charge_paise,
        gst_paise=bill.gst_paise,
        shortfall_paise=bill.shortfall_paise,
        tariff_paise_per_kwh=bill.tariff_paise_per_kwh,
        gst_bps=bill.gst_bps,
        sources={"held_paise": held, "energy_wh": transaction, "tariff_paise_per_kwh": terms, "gst_bps": terms},
    )
    for decision in (await operator_refunds.of_wallet_sessions(uow.connection, [session.id]))[session.id]:
        parts = explain_decision(decision, bill, lines=f"bill of {name}")
        amounts += tuple(replace(part, name=f"given_back_{decision.number}_{part.name}") for part in parts)
    return ExplanationView.made(name, amounts, session=readings)
