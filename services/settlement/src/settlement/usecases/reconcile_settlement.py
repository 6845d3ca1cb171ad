"""Razorpay settled: find the transfers of ours that are in it, and make their entries SETTLED, to the paisa."""

import structlog

from razorpay_client import Permanent, RazorpayError
from settlement.domain.due import backoff_seconds, later
from settlement.domain.settlement_event import SettlementStatus, observed_in_settlement
from settlement.repository import franchisees, matches, receivables, settlements, transfers
from settlement.repository.settlements import Settled
from settlement.usecases.context import Settlement
from settlement.usecases.follow_transfer import follow_transfer
from settlement.usecases.keep_books import book_own_settlement

log = structlog.get_logger(__name__)

LOOKUP_LEASE_SECONDS = 300
"""How long a settlement in hand is left alone: longer than the reading of all its pages takes."""

EMPTY_TRIES = 5
"""How often a settlement is asked for transfers before none found means none there, where Razorpay refused to list them or the
event bore a franchisee's account."""


async def take_up_settlement(app: Settlement) -> bool:
    """Claim the settlement that is due longest and reconcile it. False: nothing is due."""
    async with app.database.transaction() as uow:
        settled = await settlements.claim_due(uow.connection, now=uow.now, lapses_at=later(uow.now, LOOKUP_LEASE_SECONDS))
    if settled is None:
        return False
    with app.telemetry.span("settlement.reconcile", traceparent=settled.traceparent, settlement=settled.razorpay_settlement_id):
        await _reconcile(app, settled)
    return True


async def _reconcile(app: Settlement, settled: Settled) -> None:
    items, error = settled.listed, None
    if items is None:
        try:
            items = await app.razorpay.transfers_of_settlement(settled.razorpay_settlement_id)
        except Permanent as refused:
            items, error = [], refused.description  # another world's settlement, perhaps: asked again before that is believed
        except RazorpayError as failed:
            await _again(app, settled, failed.description)
            return
    try:
        collector_id = await _collector(app, settled) if not items else None
    except RazorpayError as failed:
        await _again(app, settled, failed.description)
        return
    async with app.database.transaction() as uow:
        matched, paise = [], 0
        for item in sorted(items, key=lambda item: str(item.get("id"))):
            seen = observed_in_settlement(item, settled.razorpay_settlement_id)
            transfer = await transfers.find_observed(uow.connection, seen, environment=app.settings.environment_mark)
            if transfer is not None:
                matched.append(await follow_transfer(app, uow, transfer, seen, utr=settled.utr))
                # What was taken back is not in it, whether or not we have looked into it by now.
                paise += transfer.amount_paise - max(transfer.reversed_paise, seen.reversed_paise or 0)
        doubtful = error is not None or collector_id is not None
        if not matched and doubtful and settled.calls < EMPTY_TRIES:
            pause = backoff_seconds(settled.razorpay_settlement_id, settled.calls)
            await settlements.set_values(
                uow.connection,
                settled.id,
                next_attempt_at=later(uow.now, pause),
                last_error=error or "no transfers in it yet",
            )
            return
        # What a franchisee collected itself goes to its bank along with what we transferred.
        collects = bool(matched) and await receivables.collects_itself(uow.connection, matched[0].franchisee_id)
        differs = settled.amount_paise < paise if collects else settled.amount_paise != paise
        if matched and len(matched) == len(items) and differs:
            app.metrics.settlement_mismatch.inc()
            log.error(
                "settlement.amount_differs",
                settlement=settled.razorpay_settlement_id,
                amount_paise=settled.amount_paise,
                transfers_paise=paise,
            )
        await settlements.set_values(
            uow.connection,
            settled.id,
            status=_status(matched=bool(matched), collector_id=collector_id).value,
            franchisee_id=matched[0].franchisee_id if matched else collector_id,
            transfers_count=len(matched),
            transfers_paise=paise,
            last_error=error,
            next_attempt_at=None,
        )
        await book_own_settlement(
            app,
            uow,
            razorpay_settlement_id=settled.razorpay_settlement_id,
            amount_paise=settled.amount_paise if settled.own_share_paise is None else settled.own_share_paise,
            processed_at=settled.processed_at,
            own=not matched and not doubtful and settled.own_share_paise != 0,
        )
        # What the statement says of it is judged by whether it is ours.
        if await matches.hurry(uow.connection, [settled.razorpay_settlement_id], now=uow.now):
            uow.after_commit(app.statement.wake)
    log.info("settlement.reconciled", settlement=settled.razorpay_settlement_id, transfers=len(matched), paise=paise)


def _status(*, matched: bool, collector_id: int | None) -> SettlementStatus:
    if matched:
        return SettlementStatus.MATCHED
    return SettlementStatus.OWN if collector_id is None else SettlementStatus.COLLECTED


async def _collector(app: Settlement, settled: Settled) -> int | None:
    """The franchisee whose a settlement without transfers of ours is; None: our own. Raises RazorpayError.

    By the event's account, where that is a linked one: the list of transfers may lag, or it is what the franchisee collected
    itself. Razorpay does not say whether such an event may bear our account (razorpay.md §5.6): then each who collects itself
    is asked, and only he sees it.
    """
    async with app.database.reading() as uow:
        account = settled.razorpay_account_id
        named = await franchisees.find_by_account(uow.connection, account) if account is not None else None
        if named is not None:
            return named.id
        collectors = await receivables.collectors(uow.connection)
    for franchisee_id, linked_account in collectors.items():
        try:
            await app.razorpay.fetch_settlement(settled.razorpay_settlement_id, account=linked_account)
        except Permanent:
            continue
        return franchisee_id
    return None


async def _again(app: Settlement, settled: Settled, error: str) -> None:
    log.warning("settlement.not_looked_up", settlement=settled.razorpay_settlement_id, calls=settled.calls, error=error)
    async with app.database.transaction() as uow:
        pause = backoff_seconds(settled.razorpay_settlement_id, settled.calls)
        await settlements.set_values(uow.connection, settled.id, last_error=error, next_attempt_at=later(uow.now, pause))
