"""Finance pays again what somebody took back whole at Razorpay: the same entries, the same amount, an attempt of its own.

All in one transaction, before any call: the old transfer lets its entries go and a new one has them, WAITING for the worker,
which sends it as it sends any other. So a process that dies leaves both or neither, and a payout has one transfer that lives.
"""

import structlog

from chassis.database import UnitOfWork
from chassis.web import Principal
from settlement.domain.errors import NoSuchTransfer, NotPaidAgain
from settlement.domain.ledger_entry import PAID_AGAIN_WORDS, EntryStatus, HoldKind
from settlement.domain.pay_again import TakenBack, why_not
from settlement.domain.transfer import TransferStatus, request_body, transfer_key
from settlement.repository import franchisees, ledger, reversals, transfers
from settlement.usecases.announce import audit, change_entry
from settlement.usecases.context import Settlement
from settlement.usecases.keep_books import book_claim
from settlement.usecases.see import get_transfer
from settlement.views.base import TransferId
from settlement.views.transfers import PayAgain, TransferView

log = structlog.get_logger(__name__)


async def pay_transfer_again(
    app: Settlement, uow: UnitOfWork, transfer_id: TransferId, body: PayAgain, principal: Principal
) -> TransferView:
    """`POST /v1/transfers/{id}/pay-again`: the new transfer. A franchisee's hold lets it wait like any other.

    Raises NoSuchTransfer; NotPaidAgain with the reason. Where less came back than was paid Razorpay is asked for what it has,
    since after a settlement nothing tells us of a reversal.
    """
    known = await transfers.find(uow.connection, transfer_id)
    if known is None:
        raise NoSuchTransfer(transfer_id)
    if known.status in (TransferStatus.PROCESSED, TransferStatus.SETTLED) and known.reversed_paise < known.amount_paise:
        await _ask_razorpay(app, transfer_id)
    # Locked in the order franchisee, transfer, entry, as everywhere.
    franchisee = await franchisees.find(uow.connection, known.franchisee_id, lock=True)
    old = await transfers.find(uow.connection, transfer_id, lock=True)
    assert franchisee is not None and old is not None  # noqa: S101, PT018  foreign keys
    back = await reversals.of_transfer(uow.connection, old.id)
    taken_back = TakenBack(
        status=old.status,
        amount_paise=old.amount_paise,
        reversed_paise=old.reversed_paise,
        made_good=any(reversal.ledger_entry_id is not None for reversal in back),
    )
    reason = why_not(taken_back)
    if reason is not None:
        raise NotPaidAgain(old.id, reason)
    entries = await transfers.entries_of(uow.connection, old.id)
    lead = next(entry for entry in entries if entry.id == old.lead_entry_id)
    attempt = len(await transfers.attempts_of(uow.connection, lead.id)) + 1
    await transfers.set_values(
        uow.connection,
        old.id,
        status=TransferStatus.REVERSED.value,
        last_error="Taken back whole at Razorpay, and paid again",
        next_attempt_at=None,
        updated_at=uow.now,
    )
    await transfers.free_entries(uow.connection, old.id)
    key = transfer_key(lead.transaction_id, attempt)
    again = await transfers.add(
        uow.connection,
        key=key,
        lead=lead,
        entries=entries,
        attempt=attempt,
        amount_paise=old.amount_paise,
        body=request_body(
            account=franchisee.razorpay_account_id or str(old.body["account"]),
            amount_paise=old.amount_paise,
            key=key,
            ledger_entry_id=lead.id,
            transaction_id=lead.transaction_id,
            environment=app.settings.environment_mark,
        ),
        status=TransferStatus.WAITING,
        now=uow.now,
        lapses_at=uow.now,
    )
    await book_claim(app, uow, again, entries)
    for entry in entries:
        await change_entry(
            uow, entry, EntryStatus.ON_HOLD, hold=(HoldKind.RAZORPAY, PAID_AGAIN_WORDS), transfer=again, due_at=None
        )
    # A correction that found nothing left in the old transfer is looked at again when the new one has arrived.
    await ledger.hurry_corrections(uow.connection, [entry.id for entry in entries], now=uow.now)
    audit(
        uow,
        entity="transfer",
        entity_id=f"xfr_{old.id}",
        action="pay_again",
        actor=principal.subject,
        trigger="api",
        before={"status": old.status.value, "reversed_paise": old.reversed_paise},
        after={"paid_again_by": f"xfr_{again.id}", "amount_paise": again.amount_paise, "reason": body.reason},
    )
    log.warning("transfer.paid_again", key=old.key, again=again.key, amount_paise=again.amount_paise, by=principal.subject)
    uow.after_commit(app.payouts.wake)
    return await get_transfer(uow, TransferId(again.id), principal)


async def _ask_razorpay(app: Settlement, transfer_id: int) -> None:
    """The worker looks the transfer up now, whatever the answer to the request: a transaction of its own."""
    async with app.database.transaction() as uow:
        await transfers.set_values(uow.connection, transfer_id, next_attempt_at=uow.now)
        uow.after_commit(app.payouts.wake)
