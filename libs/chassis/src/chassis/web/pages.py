"""Lists in pages: a cursor names the last row seen, so a page costs the same however deep it lies, and new rows shift nothing."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, Protocol, Self, TypeVar

import orjson
import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.web.ids import BIGINT_MAX
from chassis.web.problems import Problem, invalid_field

PAGE_SIZE = 50
"""What a list gives unless asked otherwise."""

PAGE_SIZE_MAX = 100
"""The most it gives: a page is one quick query and one answer of moderate size. Who wants all, follows the cursors."""

CURSOR_CHARACTERS_MAX = 400
"""Longer than any cursor we hand out."""

T = TypeVar("T")


class Reads(Protocol):
    """The part of a unit of work that a list needs."""

    @property
    def connection(self) -> AsyncConnection: ...


class PageQuery(BaseModel):
    """The query of every list; a list with filters derives its own from it."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=PAGE_SIZE_MAX, description="how many items at most")] = PAGE_SIZE
    cursor: Annotated[
        str | None, Field(max_length=CURSOR_CHARACTERS_MAX, description="`next_cursor` of the page before; opaque")
    ] = None


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None = Field(description="pass it as `cursor` for the page after; null on the last one")

    @classmethod
    def of(cls, rows: Sequence[Any], query: PageQuery, *, key: Callable[[Any], Sequence[Any]], view: Callable[[Any], T]) -> Self:
        """From `query.limit + 1` rows: the one too many shows that there is a further page. `key` gives a row's position."""
        shown = rows[: query.limit]
        further = len(rows) > query.limit
        return cls(items=[view(row) for row in shown], next_cursor=encode_cursor(key(shown[-1])) if further else None)


async def fetch_page(
    uow: Reads, statement: sa.Select[Any], query: PageQuery, *, order: Sequence[sa.ColumnElement[Any]], view: Callable[[Any], T]
) -> Page[T]:
    """A page of `statement`, newest (greatest) first by `order`: columns that are selected, unique together, and have an index.

    `order=(transactions.c.started_at, transactions.c.id)`. The cursor only says where to go on. What the caller may see is the
    statement's own WHERE, so a forged cursor shows nothing more; one that is nonsense is a 422 problem.
    """
    if query.cursor is not None:
        position = decode_cursor(query.cursor, order)
        statement = statement.where(sa.tuple_(*order) < sa.tuple_(*position))
    statement = statement.order_by(*(column.desc() for column in order)).limit(query.limit + 1)
    rows = (await uow.connection.execute(statement)).all()
    return Page[T].of(rows, query, key=lambda row: [row._mapping[column] for column in order], view=view)  # noqa: SLF001  (SQLAlchemy's public name)


def encode_cursor(position: Sequence[Any]) -> str:
    """Opaque text of a row's position: ints, texts and datetimes."""
    return base64.urlsafe_b64encode(orjson.dumps(list(position))).rstrip(b"=").decode()


def decode_cursor(cursor: str, order: Sequence[sa.ColumnElement[Any]]) -> list[sa.BindParameter[Any]]:
    """The position as parameters of the columns' types. Raises Problem 422 for anything that `encode_cursor` did not write."""
    try:
        values = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise _no_cursor() from error
    if not isinstance(values, list) or len(values) != len(order):
        raise _no_cursor()
    return [sa.bindparam(None, _typed(value, column), type_=column.type) for value, column in zip(values, order, strict=True)]


def _typed(value: Any, column: sa.ColumnElement[Any]) -> Any:
    python_type = column.type.python_type
    if python_type is datetime and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise _no_cursor() from error
        if moment.tzinfo is None:
            raise _no_cursor()
        return moment
    if type(value) is not python_type or (python_type is int and not -BIGINT_MAX <= value <= BIGINT_MAX):
        raise _no_cursor()
    if isinstance(value, str) and "\0" in value:
        raise _no_cursor()
    return value


def _no_cursor() -> Problem:
    return invalid_field("#/query/cursor", "This is no cursor of this list; leave it out to begin at the first page")
