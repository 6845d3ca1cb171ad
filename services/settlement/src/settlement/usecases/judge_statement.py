"""What the statement shows is compared with what we know, as often as either changes; what it proves is booked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from chassis.database import UnitOfWork
from razorpay_client import RazorpayError
from settlement.domain.books import AdjustmentBooked
from settlement.domain.due import backoff_seconds, later
from settlement.domain.errors import FeeStillOpen, NotInTheBooks
from settlement.domain.reconcile import (
    Fee,
    Finding,
    MatchState,
    Move,
    MoveKind,
    assess,
    assess_settlement,
    fee_problem,
    own_share,
)
from settlement.domain.settlement_event import SettlementStatus, read_settlement
from settlement.domain.statement import StatementRow, day_of
from settlement.domain.transfer import TransferStatus
from settlement.repository import books, matches, settlements, statement, transfers
from settlement.repository.matches import Judged, Match
from settlement.usecases.context import Settlement
from settlement.usecases.correct_fee import END_KINDS, FEE_KINDS, charge_refund, correct_payment_fee, fee_in
from settlement.usecases.keep_books import book_own_settlement, book_transfer, unbook

log = structlog.get_logger(__name__)

MATCHES_AT_ONCE = 100
"""Movements judged in one transaction: bounds its memory and how long it holds their rows."""

LEASE_SECONDS = 120
"""How long what is being judged is left alone, and a settlement that Razorpay is being asked for."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What a batch is judged by, read at once."""

    rows: Mapping[str, Sequence[StatementRow]]
    moves: Mapping[str, Move]
    environments: Mapping[str, str]
    """Of payments, by their notes."""
    booked: Mapping[str, list[tuple[str, Mapping[str, Any]]]]
    """Fees of payments, and whether they have ended, by subject."""
    excepted: set[str]


async def judge_due(app: Settlement) -> bool:
    """Judge the movements, then the settlements, that are due. False: none is."""
    async with app.database.transaction() as uow:
        lease = later(uow.now, LEASE_SECONDS)
        due = await matches.claim_due(uow.connection, now=uow.now, lapses_at=lease, limit=MATCHES_AT_ONCE)
    if not due:
        return False
    async with app.database.transaction() as uow:
        # Events lock a record first and then have its match judged anew: in this order here, too, or both would wait for ever.
        await _judge_movements(app, uow, [one for one in due if not one.is_settlement], lease)
    async with app.database.transaction() as uow:
        unknown = await _judge_settlements(app, uow, [one for one in due if one.is_settlement], lease)
    for match in unknown:
        await _ask_for_settlement(app, match)
    return True


async def _judge_movements(app: Settlement, uow: UnitOfWork, due: Sequence[Match], lease: datetime) -> None:
    if not due:
        return
    known = await _known(uow, due)
    marks = frozenset((app.settings.environment_mark, app.settings.payment_mark))
    wait = timedelta(days=app.settings.recon_overdue_days)
    judged, changed_sides = [], set()
    for match in due:
        rows = known.rows.get(match.razorpay_id, [])
        move, payment = known.moves.get(match.razorpay_id), known.moves.get(match.payment_id or "")
        overdue_at = max((row.settled_at or row.moved_at for row in rows), default=uow.now) + wait
        finding = assess(
            rows,
            move,
            marks=marks,
            payment=payment,
            payment_environment=known.environments.get(match.payment_id or ""),
            overdue=overdue_at <= uow.now,
        )
        if move is not None:
            finding = await _book(app, uow, match, move, finding, known)
        if match.razorpay_id in known.excepted and (move is not None or finding.state is MatchState.FOREIGN):
            taken_for_unknown = AdjustmentBooked(occurred_at=uow.now, razorpay_id=match.razorpay_id, net_paise=0)
            await unbook(uow, taken_for_unknown, reason="whose it is was told after all")
        subject = move.subject if move is not None else payment.subject if payment is not None else None
        if finding.problems or match.razorpay_id in known.excepted:
            await _list(uow, match.razorpay_id, finding, subject)
        again = overdue_at if finding.state is MatchState.WAITING and overdue_at > uow.now else None
        judged.append(Judged(match.razorpay_id, finding.state, subject, again))
        if (finding.state is MatchState.FOREIGN) is not (match.state is MatchState.FOREIGN):
            changed_sides |= {row.settlement_id for row in rows if row.settlement_id is not None}
    await matches.mark_seen(uow.connection, [one.razorpay_id for one in due if one.razorpay_id in known.moves], now=uow.now)
    await matches.lock(uow.connection, [*(one.razorpay_id for one in judged), *changed_sides])
    await matches.set_judged(uow.connection, judged, lease=lease, now=uow.now)
    if changed_sides:
        await matches.hurry_settlements(uow.connection, changed_sides, now=uow.now)


async def _known(uow: UnitOfWork, due: Sequence[Match]) -> _Known:
    ids = [match.razorpay_id for match in due]
    payments = [match.payment_id for match in due if match.payment_id is not None]
    moves = await matches.moves_of(uow.connection, [*ids, *payments])
    subjects = [move.subject for move in moves.values() if move.kind is MoveKind.PAYMENT]
    return _Known(
        rows=await statement.rows_of(uow.connection, ids),
        moves=moves,
        environments=await statement.environments_of_payments(uow.connection, payments),
        booked=await books.facts_of(uow.connection, subjects, FEE_KINDS + END_KINDS),
        excepted=await matches.with_exceptions(uow.connection, ids),
    )


async def _list(uow: UnitOfWork, razorpay_id: str, finding: Finding, subject: str | None) -> None:
    opened = await matches.settle_exceptions(uow.connection, razorpay_id, finding.problems, subject=subject, now=uow.now)
    for problem in opened:
        log.warning("statement.differs", razorpay_id=razorpay_id, subject=subject, kind=problem.kind.value)


async def _book(app: Settlement, uow: UnitOfWork, match: Match, move: Move, finding: Finding, known: _Known) -> Finding:
    """Bring the books to what the statement proves of our record; where the record has not come so far yet, it waits."""
    name, _, number = move.subject.partition("_")
    if finding.fee is not None and move.kind is MoveKind.PAYMENT:
        return await _book_payment_fee(app, uow, move, finding, finding.fee, known.booked.get(move.subject, []))
    if finding.fee is not None and name == "rfd":
        await _book_refund_charge(app, uow, int(number), finding.fee)
    if name == "xfr":
        await _heal_transfer(app, uow, match, int(number), finding)
    return finding


async def _book_payment_fee(
    app: Settlement,
    uow: UnitOfWork,
    move: Move,
    finding: Finding,
    fee: Fee,
    booked: list[tuple[str, Mapping[str, Any]]],
) -> Finding:
    kinds = {kind for kind, _ in booked}
    if not kinds.isdisjoint(("payment_captured", "recharge_captured")) and fee_in(booked) == fee:
        return finding
    try:
        key, before = await correct_payment_fee(app, uow, move.subject, fee_paise=fee.fee_paise, tax_paise=fee.tax_paise)
    except (NotInTheBooks, FeeStillOpen):
        # Its capture or its end is still on its way: either will have it judged anew.
        return replace(finding, state=MatchState.WAITING) if finding.state is MatchState.MATCHED else finding
    if key is not None:
        problem = fee_problem(move.subject, before=before, now=fee, key=key)
        await matches.tell(
            uow.connection, move.razorpay_id, problem, subject=move.subject, reason=f"Booked as {key}.", now=uow.now
        )
        app.metrics.statement_fees_corrected.inc()
        log.info("statement.fee_corrected", subject=move.subject, before_paise=before.fee_paise, now_paise=fee.fee_paise)
    return finding


async def _book_refund_charge(app: Settlement, uow: UnitOfWork, refund_id: int, fee: Fee) -> None:
    try:
        await charge_refund(app, uow, refund_id, fee_paise=fee.fee_paise, tax_paise=fee.tax_paise)
    except NotInTheBooks:
        log.info("statement.refund_moved_nothing", refund_id=refund_id)  # it failed: nothing was charged


async def _heal_transfer(app: Settlement, uow: UnitOfWork, match: Match, transfer_id: int, finding: Finding) -> None:
    """Razorpay's charge as the statement has it; and where the transfer is not known to be in the bank, Razorpay is asked.

    The row's settlement is ours, which the transfer was taken out of, never the franchisee's: that one only the transfer tells.
    """
    transfer = await transfers.find(uow.connection, transfer_id, lock=True)
    if transfer is None:
        return
    fee = finding.fee
    if fee is not None and (fee.fee_paise, fee.tax_paise) != (transfer.fee_paise, transfer.tax_paise):
        transfer = await transfers.set_values(
            uow.connection, transfer.id, fee_paise=fee.fee_paise, tax_paise=fee.tax_paise, updated_at=uow.now
        )
        await book_transfer(app, uow, transfer)
    first_time = match.state is not MatchState.MATCHED
    if finding.look_up and first_time and transfer.status in (TransferStatus.ACCEPTED, TransferStatus.PROCESSED):
        await transfers.set_values(uow.connection, transfer.id, next_attempt_at=uow.now)
        uow.after_commit(app.payouts.wake)


async def _judge_settlements(app: Settlement, uow: UnitOfWork, due: Sequence[Match], lease: datetime) -> list[Match]:
    """Judge those whose day was read whole. Returns those that nobody told us of: Razorpay is to be asked."""
    if not due:
        return []
    ids = [match.razorpay_id for match in due]
    seen = await statement.settlements_seen(uow.connection, ids)
    known = await settlements.known(uow.connection, ids)
    excepted = await matches.with_exceptions(uow.connection, ids)
    first = min((day_of(at) for at, _ in seen.values() if at is not None), default=day_of(uow.now))
    read = set(await statement.days_read(uow.connection, since=first))
    unknown, judged = [], []
    for match in due:
        at, sums = seen.get(match.razorpay_id, (None, None))
        settled = known.get(match.razorpay_id)
        finding = Finding(MatchState.WAITING)
        if at is None or sums is None or day_of(at) not in read:
            pass  # the end of that day's reading has it judged
        elif settled is None:
            await matches.set_match(uow.connection, match.razorpay_id, calls=match.calls + 1)
            unknown.append(replace(match, calls=match.calls + 1))
            continue
        elif settled.status != SettlementStatus.RECEIVED.value:
            finding = assess_settlement(settled.amount_paise, sums)
            await _book_share(app, uow, settled, own_share(settled.amount_paise, sums))
        if finding.problems or match.razorpay_id in excepted:
            await _list(uow, match.razorpay_id, finding, match.razorpay_id)
        judged.append(Judged(match.razorpay_id, finding.state, match.razorpay_id, None))
    await matches.set_judged(uow.connection, judged, lease=lease, now=uow.now)
    return unknown


async def _book_share(app: Settlement, uow: UnitOfWork, settled: Any, share: int) -> None:
    """What of a settlement of our balance is this environment's went to our bank."""
    if settled.own_share_paise != share:
        await settlements.set_values(uow.connection, settled.id, own_share_paise=share)
    if settled.status == SettlementStatus.OWN.value:
        await book_own_settlement(
            app,
            uow,
            razorpay_settlement_id=settled.razorpay_settlement_id,
            amount_paise=share,
            processed_at=settled.processed_at,
            own=share != 0,
        )


async def _ask_for_settlement(app: Settlement, match: Match) -> None:
    """A settlement whose event was lost: recorded like an announced one."""
    error, entity = None, None
    try:
        entity = await app.razorpay.fetch_settlement(match.razorpay_id)
    except RazorpayError as failed:
        error = failed.description
    async with app.database.transaction() as uow:
        if entity is None or entity.get("status") != "processed":
            pause = backoff_seconds(match.razorpay_id, match.calls)
            await matches.set_match(uow.connection, match.razorpay_id, next_look_at=later(uow.now, pause))
            log.warning("statement.settlement_not_found", settlement=match.razorpay_id, error=error)
            return
        await settlements.add(
            uow.connection,
            read_settlement({"settlement": {"entity": entity}}),
            razorpay_account_id=None,
            processed_at=_settled_at(entity, uow.now),
            traceparent=None,
            now=uow.now,
        )
        await matches.set_match(uow.connection, match.razorpay_id, next_look_at=uow.now)
        uow.after_commit(app.settlements.wake)
        uow.after_commit(app.statement.wake)


def _settled_at(entity: Mapping[str, Any], now: datetime) -> datetime:
    created_at = entity.get("created_at")
    return datetime.fromtimestamp(created_at, now.tzinfo) if isinstance(created_at, int) else now
