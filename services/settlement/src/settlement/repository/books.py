"""The books: journals with their postings, added and read, never changed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Row, func, insert, literal, or_, select
from sqlalchemy.dialects.postgresql import insert as insert_or_not
from sqlalchemy.ext.asyncio import AsyncConnection

from settlement.domain.books import Journal, Posting
from settlement.tables import journals, postings

_J, _P = journals.c, postings.c


@dataclass(frozen=True, slots=True)
class Booked:
    """A journal as it stands in the books."""

    id: int
    key: str
    kind: str
    subject: str
    facts: Mapping[str, Any]
    occurred_at: datetime
    posted_at: datetime
    reverses_id: int | None
    reverses: str | None
    reversed_by_id: int | None
    reversed_by: str | None
    postings: tuple[Posting, ...]

    @property
    def journal(self) -> Journal:
        """As the rules have it. Raises UnbalancedJournal where somebody changed it."""
        return Journal(self.key, self.kind, self.subject, self.occurred_at, self.facts, self.postings, self.reverses)


_ORIGINAL, _REVERSAL = journals.alias("original"), journals.alias("reversal")

LISTING = (
    select(
        journals,
        _ORIGINAL.c.key.label("reverses_key"),
        _REVERSAL.c.id.label("reversed_by_id"),
        _REVERSAL.c.key.label("reversed_by_key"),
    )
    .outerjoin(_ORIGINAL, _ORIGINAL.c.id == _J.reverses)
    .outerjoin(_REVERSAL, _REVERSAL.c.reverses == _J.id)
)
"""Journals with the keys of what they take back and of what took them back, without their postings."""


async def add(connection: AsyncConnection, journal: Journal, *, posted_at: datetime) -> bool:
    """Book a journal; False where its key is booked. That it adds up, the database checks once more at the commit."""
    reverses = select(_J.id).where(_J.key == journal.reverses).scalar_subquery() if journal.reverses is not None else None
    made = (
        insert_or_not(journals)
        .values(
            key=journal.key,
            kind=journal.kind,
            subject=journal.subject,
            facts=dict(journal.facts),
            reverses=reverses,
            lines=len(journal.postings),
            total_paise=journal.total_paise,
            occurred_at=journal.occurred_at,
            posted_at=posted_at,
        )
        .on_conflict_do_nothing(index_elements=[_J.key])
        .returning(_J.id)
    )
    journal_id = (await connection.execute(made)).scalar_one_or_none()
    if journal_id is None:
        return False
    await connection.execute(
        insert(postings),
        [
            {
                "journal_id": journal_id,
                "line": number,
                "account": line.account,
                "occurred_at": journal.occurred_at,
                "debit_paise": line.debit_paise,
                "credit_paise": line.credit_paise,
            }
            for number, line in enumerate(journal.postings, 1)
        ],
    )
    return True


async def find(connection: AsyncConnection, key: str) -> Booked | None:
    """One journal by its key."""
    found = await with_postings(connection, (await connection.execute(LISTING.where(_J.key == key))).all())
    return found[0] if found else None


async def find_many(connection: AsyncConnection, keys: Iterable[str]) -> dict[str, Booked]:
    """Journals by their keys; those that are not booked are left out."""
    found = await with_postings(connection, (await connection.execute(LISTING.where(_J.key.in_(list(keys))))).all())
    return {booked.key: booked for booked in found}


async def tail_of(connection: AsyncConnection, booked: Booked) -> tuple[Booked, bool]:
    """(the last of a journal's chain of reversals, itself where there is none; whether the journal stands)."""
    tail, stands = booked, True
    while tail.reversed_by is not None:
        following = await find(connection, tail.reversed_by)
        assert following is not None  # noqa: S101  a foreign key
        tail, stands = following, not stands
    return tail, stands


async def versions_of(connection: AsyncConnection, *, subject: str, key: str) -> list[Booked]:
    """The journals of a figure that may be told anew, oldest first: `key`, `key#2`, ..."""
    query = LISTING.where(_J.subject == subject, or_(_J.key == key, _J.key.startswith(f"{key}#", autoescape=True))).order_by(
        _J.id
    )
    return await with_postings(connection, (await connection.execute(query)).all())


async def facts_of(
    connection: AsyncConnection, subjects: Iterable[str], kinds: Iterable[str]
) -> dict[str, list[tuple[str, Mapping[str, Any]]]]:
    """{subject: (kind, facts) of each of its journals of these kinds, as they were booked}."""
    query = select(_J.subject, _J.kind, _J.facts).where(_J.subject.in_(list(subjects)), _J.kind.in_(list(kinds))).order_by(_J.id)
    found: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.subject, []).append((row.kind, row.facts))
    return found


async def lock(connection: AsyncConnection, key: str) -> Booked | None:
    """One journal, which nobody else goes by until the transaction ends."""
    await connection.execute(select(_J.id).where(_J.key == key).with_for_update())
    return await find(connection, key)


async def after(connection: AsyncConnection, journal_id: int, *, limit: int) -> list[Booked]:
    """The journals booked after this one, in the order of their ids."""
    query = LISTING.where(_J.id > journal_id).order_by(_J.id).limit(limit)
    return await with_postings(connection, (await connection.execute(query)).all())


async def with_postings(connection: AsyncConnection, rows: Iterable[Row[Any]]) -> list[Booked]:
    """Rows of LISTING with their lines, in the rows' order."""
    kept = list(rows)
    lines: dict[int, list[Posting]] = {row.id: [] for row in kept}
    query = select(postings).where(_P.journal_id.in_(lines)).order_by(_P.journal_id, _P.line)
    for line in (await connection.execute(query)).all() if lines else ():
        lines[line.journal_id].append(Posting(line.account, line.debit_paise, line.credit_paise))
    return [
        Booked(
            id=row.id,
            key=row.key,
            kind=row.kind,
            subject=row.subject,
            facts=row.facts,
            occurred_at=row.occurred_at,
            posted_at=row.posted_at,
            reverses_id=row.reverses,
            reverses=row.reverses_key,
            reversed_by_id=row.reversed_by_id,
            reversed_by=row.reversed_by_key,
            postings=tuple(lines[row.id]),
        )
        for row in kept
    ]


async def sums(connection: AsyncConnection, *, before: datetime | None) -> dict[str, tuple[int, int, int]]:
    """{account: (debits, credits, postings)} of what happened before a time, or of all. One pass over one index."""
    zero = literal(0, BigInteger)
    query = select(
        _P.account,
        func.coalesce(func.sum(_P.debit_paise), zero).label("debits"),
        func.coalesce(func.sum(_P.credit_paise), zero).label("credits"),
        func.count().label("n"),
    ).group_by(_P.account)
    if before is not None:
        query = query.where(_P.occurred_at < before)
    return {row.account: (int(row.debits), int(row.credits), row.n) for row in await connection.execute(query)}
