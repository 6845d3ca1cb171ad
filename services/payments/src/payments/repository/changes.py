"""What a transaction writes, row by row and as the tables themselves have it: for a look at an effect without having it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Insert, Table, Update, event, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

_OURS = text("xmin = pg_current_xact_id()::xid AS ours")
"""Whether this very transaction wrote the row as it stands."""

Row = Mapping[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row that was made (`before` is None) or changed."""

    table: str
    key: Key
    before: Row | None
    after: Row


class Changes:
    """What is written while `watching`: by UPDATE, and by INSERT of one row. Nothing else writes in a webhook's work."""

    def __init__(self) -> None:
        self._before: dict[Table, dict[Key, Row | None]] = {}
        """What each touched row was when it was touched first; None where it was made."""
        self._newest: dict[Table, int] = {}
        """The greatest id of a table before our first INSERT into it: what we made lies beyond."""

    def note(self, connection: Connection, statement: object) -> None:
        """Before each statement."""
        if isinstance(statement, Update) and isinstance(statement.table, Table):
            # By its own WHERE: what it is about to change is what it finds.
            where = [statement.whereclause] if statement.whereclause is not None else []
            for row in connection.execute(select(statement.table, _OURS).where(*where)).mappings():
                before = {column.name: row[column] for column in statement.table.columns}
                self._touched(statement.table).setdefault(_key(statement.table, before), None if row["ours"] else before)
        elif isinstance(statement, Insert) and isinstance(statement.table, Table):
            table = statement.table
            if "id" in table.c:
                if table not in self._newest:
                    self._newest[table] = connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()
                return
            given = statement.compile(dialect=connection.dialect).params
            key = tuple(given[column.name] for column in table.primary_key.columns)
            there = connection.execute(select(table).where(*_is(table, key))).one_or_none()
            if there is None:
                self._touched(table).setdefault(key, None)

    async def read(self, connection: AsyncConnection) -> list[RowChange]:
        """Every row that is not what it was, by table and key."""
        for table, newest in self._newest.items():
            made = select(table.c.id).where(table.c.id > newest, text("xmin = pg_current_xact_id()::xid"))
            for row_id in await connection.scalars(made):
                self._touched(table).setdefault((row_id,), None)
        changes = []
        for table, touched in self._before.items():
            for key, before in touched.items():
                after = dict((await connection.execute(select(table).where(*_is(table, key)))).mappings().one())
                if after != before:
                    changes.append(RowChange(table.name, key, before, after))
        return sorted(changes, key=lambda change: (change.table, change.key))

    def _touched(self, table: Table) -> dict[Key, Row | None]:
        return self._before.setdefault(table, {})


@contextmanager
def watching(connection: AsyncConnection) -> Iterator[Changes]:
    """Everything that is written on this connection within the block."""
    changes = Changes()

    def before_execute(sync: Connection, statement: object, *_arguments: object) -> None:
        changes.note(sync, statement)

    assert connection.sync_connection is not None  # noqa: S101  (a unit of work has begun)
    event.listen(connection.sync_connection, "before_execute", before_execute)
    try:
        yield changes
    finally:
        event.remove(connection.sync_connection, "before_execute", before_execute)


def _key(table: Table, row: Row) -> Key:
    return tuple(row[column.name] for column in table.primary_key.columns)


def _is(table: Table, key: Sequence[Any]) -> list[Any]:
    return [column == value for column, value in zip(table.primary_key.columns, key, strict=True)]
