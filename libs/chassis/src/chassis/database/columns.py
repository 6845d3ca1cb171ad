"""What services' tables are made with, so that keys, moments and states look the same in every schema."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Identity, MetaData

NAMES = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}
"""PostgreSQL's own names of constraints and indexes, said by us: migrations can name what they change."""


def tables_of_the_service() -> MetaData:
    """Of no schema: the role's search path holds its own and nothing else."""
    return MetaData(naming_convention=NAMES)


def identity(comment: str) -> Column[int]:
    """`id`, a bigint that the database counts."""
    return Column("id", BigInteger, Identity(always=True), primary_key=True, comment=comment)


def moment(name: str, comment: str, *, nullable: bool = False) -> Column[datetime]:
    """A time, aware UTC."""
    return Column(name, DateTime(timezone=True), nullable=nullable, comment=comment)


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """States are text with a CHECK: readable in psql, extended by a migration."""
    listed = ", ".join(f"'{value.value}'" for value in values)
    return CheckConstraint(f"{column} in ({listed})", name=column)
