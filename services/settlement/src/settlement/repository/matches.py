"""Both sides of the statement: what we know of, what each of its movements is here, and what a person has to see."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, case, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_not
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement.domain.reconcile import MatchState, Move, MoveKind, Outcome, Problem
from settlement.statement_tables import moves, recon_exceptions, statement_matches

_E, _M, _V = recon_exceptions.c, statement_matches.c, moves.c

BY_ITSELF = "settlement"
"""Who resolved an exception that a later row or event explained."""


@dataclass(frozen=True, slots=True)
class Match:
    """What the worker needs of a row of `statement_matches`."""

    razorpay_id: str
    is_settlement: bool
    payment_id: str | None
    state: MatchState
    calls: int


async def note_move(connection: AsyncConnection, move: Move, *, version: int, occurred_at: datetime) -> None:
    """Know of a movement; an older word of it changes nothing."""
    told = insert_or_not(moves).values(
        razorpay_id=move.razorpay_id,
        kind=move.kind.value,
        subject=move.subject,
        amount_paise=move.amount_paise,
        outcome=move.outcome.value,
        version=version,
        occurred_at=occurred_at,
    )
    newer = {name: told.excluded[name] for name in ("amount_paise", "outcome", "version")}
    await connection.execute(
        told.on_conflict_do_update(index_elements=[_V.razorpay_id], set_=newer, where=_V.version < told.excluded.version)
    )


async def moves_of(connection: AsyncConnection, razorpay_ids: Iterable[str]) -> dict[str, Move]:
    """What we know of these."""
    query = select(_V.razorpay_id, _V.kind, _V.subject, _V.amount_paise, _V.outcome).where(_V.razorpay_id.in_(list(razorpay_ids)))
    return {row.razorpay_id: _move(row) for row in await connection.execute(query)}


async def mark_seen(connection: AsyncConnection, razorpay_ids: Iterable[str], *, now: datetime) -> None:
    """The statement has them."""
    seen = update(moves).where(_V.razorpay_id.in_(list(razorpay_ids)), _V.seen_at.is_(None))
    await connection.execute(seen.values(seen_at=now))


async def unseen(
    connection: AsyncConnection, *, since: datetime, before: datetime, after: tuple[datetime, str] | None, limit: int
) -> list[tuple[datetime, Move]]:
    """What went through in a time and the statement has not, oldest first, from `after` on."""
    query = select(_V.razorpay_id, _V.kind, _V.subject, _V.amount_paise, _V.outcome, _V.occurred_at).where(
        _V.seen_at.is_(None), _V.outcome == Outcome.DONE.value, _V.occurred_at >= since, _V.occurred_at < before
    )
    if after is not None:
        query = query.where(or_(_V.occurred_at > after[0], (_V.occurred_at == after[0]) & (_V.razorpay_id > after[1])))
    query = query.order_by(_V.occurred_at, _V.razorpay_id).limit(limit)
    return [(row.occurred_at, _move(row)) for row in await connection.execute(query)]


def _move(row: Any) -> Move:
    return Move(row.razorpay_id, MoveKind(row.kind), row.subject, row.amount_paise, Outcome(row.outcome))


async def look_at(connection: AsyncConnection, matches: Sequence[tuple[str, bool, str | None]], *, now: datetime | None) -> None:
    """(id, whether it is a settlement, the payment it is about): to be judged at `now`; None: not by this alone."""
    if not matches:
        return
    made = insert_or_not(statement_matches)
    values = [
        {
            "razorpay_id": razorpay_id,
            "is_settlement": is_settlement,
            "payment_id": payment_id,
            "state": MatchState.WAITING.value,
            "next_look_at": now,
        }
        for razorpay_id, is_settlement, payment_id in dict.fromkeys(matches)
    ]
    if now is None:
        await connection.execute(made.on_conflict_do_nothing(), values)
        return
    # One after the other in one order: two transactions that hurry the same ones must not wait for each other.
    values.sort(key=lambda value: str(value["razorpay_id"]))
    await connection.execute(
        made.on_conflict_do_update(index_elements=[_M.razorpay_id], set_={"next_look_at": made.excluded.next_look_at}), values
    )


async def known(connection: AsyncConnection, razorpay_ids: Iterable[str]) -> set[str]:
    """Those of these that were seen in the statement before."""
    query = select(_M.razorpay_id).where(_M.razorpay_id.in_(list(razorpay_ids)))
    return set((await connection.execute(query)).scalars())


async def is_matched(connection: AsyncConnection, razorpay_id: str) -> bool:
    """Whether the statement has it, and agrees with us."""
    query = select(_M.razorpay_id).where(_M.razorpay_id == razorpay_id, _M.state == MatchState.MATCHED.value)
    return (await connection.execute(query)).one_or_none() is not None


async def hurry(connection: AsyncConnection, razorpay_ids: Iterable[str], *, now: datetime) -> bool:
    """News of these: they, and what is about them, are judged anew. False: the statement has none of them."""
    ids = list(razorpay_ids)
    return await _hurry(connection, or_(_M.razorpay_id.in_(ids), _M.payment_id.in_(ids)), now=now)


async def hurry_open(connection: AsyncConnection, *, now: datetime) -> None:
    """Everything that is not at rest is judged anew: what was missed between two transactions is found by it."""
    await _hurry(connection, _M.state.in_((MatchState.WAITING.value, MatchState.EXCEPTION.value)), now=now)


async def _hurry(connection: AsyncConnection, which: ColumnElement[bool], *, now: datetime) -> bool:
    """Whether there were any. They are locked in the order of their ids, like everywhere: nobody waits in a circle."""
    await connection.execute(_locked(which))
    return (await connection.execute(update(statement_matches).where(which).values(next_look_at=now))).rowcount > 0


def _locked(which: ColumnElement[bool]) -> Select[Any]:
    return select(_M.razorpay_id).where(which).order_by(_M.razorpay_id).with_for_update()


async def lock(connection: AsyncConnection, razorpay_ids: Iterable[str]) -> None:
    """Ours until the transaction ends, taken before the first of them is changed."""
    await connection.execute(_locked(_M.razorpay_id.in_(list(razorpay_ids))))


async def claim_due(connection: AsyncConnection, *, now: datetime, lapses_at: datetime, limit: int) -> list[Match]:
    """What is to be judged, ours until the claim lapses; settlements after all that they took along."""
    query = (
        select(*(_M[name] for name in Match.__dataclass_fields__))
        .where(_M.next_look_at <= now)
        .order_by(_M.is_settlement, _M.next_look_at, _M.razorpay_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = [Match(**{**row._mapping, "state": MatchState(row.state)}) for row in await connection.execute(query)]  # noqa: SLF001
    claimed = update(statement_matches).where(_M.razorpay_id.in_([one.razorpay_id for one in found]))
    await connection.execute(claimed.values(next_look_at=lapses_at))
    return found


async def set_match(connection: AsyncConnection, razorpay_id: str, **values: Any) -> None:
    """Change columns of one match."""
    await connection.execute(update(statement_matches).where(_M.razorpay_id == razorpay_id).values(**values))


@dataclass(frozen=True, slots=True)
class Judged:
    """How a match stands now, and when it is looked at again."""

    razorpay_id: str
    state: MatchState
    subject: str | None
    next_look_at: datetime | None


async def set_judged(connection: AsyncConnection, judged: Sequence[Judged], *, lease: datetime, now: datetime) -> None:
    """Write down what came of looking, in the order of their ids. What had news since it was claimed is looked at again."""
    if not judged:
        return
    again = case((_M.next_look_at == lease, bindparam("again", type_=_M.next_look_at.type)), else_=_M.next_look_at)
    changed = update(statement_matches).where(_M.razorpay_id == bindparam("wanted"))
    changed = changed.values(
        state=bindparam("now_state"), subject=bindparam("now_subject"), next_look_at=again, judged_at=now, calls=0
    )
    values = [
        {"wanted": one.razorpay_id, "now_state": one.state.value, "now_subject": one.subject, "again": one.next_look_at}
        for one in sorted(judged, key=lambda one: one.razorpay_id)
    ]
    await connection.execute(changed, values)


async def hurry_settlements(connection: AsyncConnection, settlement_ids: Iterable[str], *, now: datetime) -> None:
    """Whose a row is has turned out otherwise: the settlements that took it along are judged anew."""
    await _hurry(connection, _M.razorpay_id.in_(list(settlement_ids)) & _M.is_settlement, now=now)


async def with_exceptions(connection: AsyncConnection, razorpay_ids: Iterable[str]) -> set[str]:
    """Those of these that ever had one."""
    query = select(_E.razorpay_id.distinct()).where(_E.razorpay_id.in_(list(razorpay_ids)))
    return set((await connection.execute(query)).scalars())


async def settle_exceptions(
    connection: AsyncConnection, razorpay_id: str, problems: Sequence[Problem], *, subject: str | None, now: datetime
) -> list[Problem]:
    """Let the queue say of an entity what is so now: new problems are opened, those that are no more resolved by themselves.

    What a person resolved stays resolved for as long as its figures do. Returns what was opened.
    """
    listed = (await connection.execute(select(recon_exceptions).where(_E.razorpay_id == razorpay_id).order_by(_E.id))).all()
    last = {row.kind: row for row in listed}
    wanted = {problem.kind.value: problem for problem in problems}
    opened = []
    for row in listed:
        if row.resolved_at is None and row.kind not in wanted:
            done = {"resolved_at": now, "resolved_by": BY_ITSELF, "reason": "A later row or event explained it."}
            await connection.execute(update(recon_exceptions).where(_E.id == row.id).values(**done))
    for kind, problem in wanted.items():
        figures = {"ours_paise": problem.ours_paise, "theirs_paise": problem.theirs_paise}
        before = last.get(kind)
        if before is not None and before.resolved_at is None:
            if (before.ours_paise, before.theirs_paise, before.words, before.subject) != (
                problem.ours_paise, problem.theirs_paise, problem.words, subject,
            ):  # fmt: skip
                news = {**figures, "words": problem.words, "subject": subject}
                await connection.execute(update(recon_exceptions).where(_E.id == before.id).values(**news))
            continue
        by_a_person = before is not None and before.resolved_by != BY_ITSELF
        if before is not None and by_a_person and (before.ours_paise, before.theirs_paise) == tuple(figures.values()):
            continue
        await connection.execute(
            insert(recon_exceptions).values(
                kind=kind, razorpay_id=razorpay_id, subject=subject, words=problem.words, opened_at=now, **figures
            )
        )
        opened.append(problem)
    return opened


async def tell(
    connection: AsyncConnection, razorpay_id: str, problem: Problem, *, subject: str, reason: str, now: datetime
) -> None:
    """Something that was dealt with by itself, listed for who wants to know."""
    await connection.execute(
        insert(recon_exceptions).values(
            kind=problem.kind.value,
            razorpay_id=razorpay_id,
            subject=subject,
            ours_paise=problem.ours_paise,
            theirs_paise=problem.theirs_paise,
            words=problem.words,
            opened_at=now,
            resolved_at=now,
            resolved_by=BY_ITSELF,
            reason=reason,
        )
    )


async def find_exception(connection: AsyncConnection, exception_id: int) -> Any:
    """One exception, locked; None where there is none."""
    return (await connection.execute(select(recon_exceptions).where(_E.id == exception_id).with_for_update())).one_or_none()


async def resolve(connection: AsyncConnection, exception_id: int, *, by: str, reason: str, now: datetime) -> None:
    """A person is done with it."""
    done = update(recon_exceptions).where(_E.id == exception_id)
    await connection.execute(done.values(resolved_at=now, resolved_by=by, reason=reason))


async def count_open(connection: AsyncConnection) -> dict[str, int]:
    """{kind: how many exceptions are open}."""
    query = select(_E.kind, func.count().label("n")).where(_E.resolved_at.is_(None)).group_by(_E.kind)
    return {row.kind: row.n for row in await connection.execute(query)}
