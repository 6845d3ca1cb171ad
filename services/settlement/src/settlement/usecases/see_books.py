"""The books to read: balances at a time, the trial balance, journals with their lines."""

from typing import Any

import sqlalchemy as sa

from chassis.database import UnitOfWork
from chassis.web import Page, fetch_page, invalid_field
from settlement.domain.books import ACCOUNTS, CHART, Side
from settlement.domain.errors import NoSuchJournal
from settlement.repository import books
from settlement.tables import accounts, journals, postings
from settlement.views import AccountQuery, AccountView, JournalId, JournalQuery, JournalView, TrialBalanceView


async def list_accounts(uow: UnitOfWork, query: AccountQuery) -> Page[AccountView]:
    """`GET /v1/books/accounts`: the chart with its balances, backwards by the account's code."""
    sums = await books.sums(uow.connection, before=query.at)
    return await fetch_page(
        uow, sa.select(accounts.c.code), query, order=(accounts.c.code,), view=lambda row: _account(row.code, sums)
    )


async def show_trial_balance(uow: UnitOfWork, query: AccountQuery) -> TrialBalanceView:
    """`GET /v1/books/trial-balance`: every account in the order of the chart, and both sides' sums."""
    sums = await books.sums(uow.connection, before=query.at)
    counted = sa.select(sa.func.count()).select_from(journals)
    if query.at is not None:
        counted = counted.where(journals.c.occurred_at < query.at)
    debits, credits_, lines = (sum(column) for column in zip(*sums.values(), strict=True)) if sums else (0, 0, 0)
    return TrialBalanceView(
        at=query.at,
        debit_paise=debits,
        credit_paise=credits_,
        balanced=debits == credits_,
        journals=await uow.connection.scalar(counted) or 0,
        postings=lines,
        accounts=[_account(account.code, sums) for account in CHART],
    )


def _account(code: str, sums: dict[str, tuple[int, int, int]]) -> AccountView:
    account = ACCOUNTS[code]
    debits, credits_, lines = sums.get(code, (0, 0, 0))
    return AccountView(
        code=code,
        name=account.name,
        kind=account.kind,
        normal_side=account.normal_side,
        holds=account.holds,
        debit_paise=debits,
        credit_paise=credits_,
        balance_paise=debits - credits_ if account.normal_side is Side.DEBIT else credits_ - debits,
        postings=lines,
    )


async def list_journals(uow: UnitOfWork, query: JournalQuery) -> Page[JournalView]:
    """`GET /v1/books/journals`: by when it happened, newest first."""
    statement = books.LISTING
    if query.account is not None:
        if query.account not in ACCOUNTS:
            raise invalid_field("#/query/account", f"{query.account} is no account: see /v1/books/accounts")
        line = sa.exists().where(postings.c.journal_id == journals.c.id, postings.c.account == query.account)
        statement = statement.where(line)
    if query.subject is not None:
        statement = statement.where(journals.c.subject == query.subject)
    if query.key is not None:
        statement = statement.where(journals.c.key == query.key)
    if query.from_ is not None:
        statement = statement.where(journals.c.occurred_at >= query.from_)
    if query.to is not None:
        statement = statement.where(journals.c.occurred_at < query.to)
    order = (journals.c.occurred_at, journals.c.id)
    rows: Page[Any] = await fetch_page(uow, statement, query, order=order, view=lambda row: row)
    found = await books.with_postings(uow.connection, rows.items)
    return Page[JournalView](items=[JournalView.of(booked) for booked in found], next_cursor=rows.next_cursor)


async def show_journal(uow: UnitOfWork, journal_id: JournalId) -> JournalView:
    """`GET /v1/books/journals/{id}`. Raises NoSuchJournal."""
    statement = books.LISTING.where(journals.c.id == journal_id)
    found = await books.with_postings(uow.connection, (await uow.connection.execute(statement)).all())
    if not found:
        raise NoSuchJournal(journal_id)
    return JournalView.of(found[0])
