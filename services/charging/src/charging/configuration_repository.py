"""SQL of charger configuration: the conversation's row, and the keys, read and written together."""

from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from charging.domain.configuration import Configuration, ConfigurationState, Key, KeyAnswer
from charging.repository import Charger
from charging.tables import configuration_keys, configurations
from chassis.database import UnitOfWork

_KEY_FIELDS = tuple(field.name for field in fields(Key))
_KEY_COLUMNS = tuple(configuration_keys.c[name] for name in _KEY_FIELDS)

OVERRIDES = frozenset({"override"})
"""A person's: written by the REST surface, read here."""


async def lock_configuration(uow: UnitOfWork, charger: Charger) -> "sa.Row[Any]":
    """The conversation's row, made on sight, locked until the commit."""
    await uow.connection.execute(
        insert(configurations)
        .values(
            charger_id=charger.id,
            charge_point_id=charger.charge_point_id,
            state=ConfigurationState.WAITING.value,
            due_at=uow.now,
        )
        .on_conflict_do_nothing()
    )
    return (
        await uow.connection.execute(sa.select(configurations).where(configurations.c.charger_id == charger.id).with_for_update())
    ).one()


async def set_configuration(uow: UnitOfWork, charger_id: int, **values: Any) -> None:
    """Columns of the conversation."""
    await uow.connection.execute(sa.update(configurations).where(configurations.c.charger_id == charger_id).values(**values))


async def load_keys(uow: UnitOfWork, charger_id: int) -> Configuration:
    """What is known of a charger's keys."""
    rows = await uow.connection.execute(sa.select(*_KEY_COLUMNS).where(configuration_keys.c.charger_id == charger_id))
    keys = {}
    for row in rows:
        key = Key(*row)
        key.answer = KeyAnswer(key.answer) if key.answer is not None else None
        keys[key.name] = key
    return Configuration(keys)


async def save_keys(uow: UnitOfWork, charger_id: int, keys: Iterable[Key]) -> None:
    """Write keys back, in one statement. Overrides are not ours to write."""
    rows = [{"charger_id": charger_id, **asdict(key)} for key in keys]
    if not rows:
        return
    statement = insert(configuration_keys).values(rows)
    written = [name for name in _KEY_FIELDS if name != "name" and name not in OVERRIDES]
    await uow.connection.execute(
        statement.on_conflict_do_update(
            index_elements=[configuration_keys.c.charger_id, configuration_keys.c.name],
            set_={name: statement.excluded[name] for name in written},
        )
    )
