"""What is known of the chargers of a batch: read once for all of them, judged in memory event by event, written once.

The rules are in `connection` and `report_status`, the same for one event and for hundreds. Every read here is under the
chargers' locks, and whatever a rule reads from the database is nothing that waits here to be written: `write` comes first.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from charging.domain.transaction import Transaction
from charging.repository import (
    Charger,
    Connector,
    load_connectors_of,
    lock_chargers,
    lock_transactions,
    save_boots,
    save_connections,
    save_statuses,
    save_transactions,
    with_open_errors,
)
from charging.usecases.send_command import dispatch, with_waiting_commands
from charging.usecases.sync_local_list import local_lists_of_returned
from chassis.database import UnitOfWork
from contracts.ocpp_gateway import BootNotificationReceived, StatusNotificationReceived


@dataclass
class KnownChargers:
    """Chargers with their sessions, and what of them is still to be written. Made by `know`."""

    chargers: dict[str, Charger]
    """By charge_point_id; who is not registered is not here."""
    connectors: dict[tuple[int, int], Connector]
    """By (charger, number). Only of chargers that report a status."""
    open_errors: set[tuple[int, int]]
    """(charger, connector number) with errors that are open, or may be. Only of chargers that report a status."""
    _transactions: dict[int, list[Transaction]]
    _with_waiting_commands: set[int] | None = None
    _connections: dict[int, Charger] = field(default_factory=dict)
    _boots: dict[int, BootNotificationReceived] = field(default_factory=dict)
    _statuses: dict[tuple[int, int], tuple[Connector, StatusNotificationReceived]] = field(default_factory=dict)
    _touched: dict[int, Transaction] = field(default_factory=dict)
    _returned: set[int] = field(default_factory=set)
    _booted: set[int] = field(default_factory=set)

    def transactions_of(self, charger: Charger) -> Sequence[Transaction]:
        """Its transactions, by id: those that were active, and those that a stop was still wanted for. Taken as to be written."""
        own = self._transactions.get(charger.id, ())
        self._touched.update((transaction.id, transaction) for transaction in own)
        return own

    def active_of(self, charger: Charger) -> Sequence[Transaction]:
        """Its transactions that are active now."""
        return [transaction for transaction in self.transactions_of(charger) if transaction.active]

    def connection_changed(self, charger: Charger) -> None:
        """Its connection, or when it was last seen, is to be written."""
        self._connections[charger.id] = charger

    def connected(self, charger: Charger) -> None:
        """Its local list is to be compared."""
        self._returned.add(charger.id)

    def booted(self, charger: Charger, event: BootNotificationReceived) -> None:
        """What it said of itself is to be written, and its local list, which a boot may have emptied, to be compared."""
        self._boots[charger.id] = event
        self._booted.add(charger.id)

    def reported(self, connector: Connector, event: StatusNotificationReceived) -> None:
        """A connector, perhaps a new one, is to be written with this status."""
        place = (connector.charger_id, connector.connector_id)
        self.connectors[place] = connector
        self._statuses[place] = (connector, event)

    async def hand_over(self, uow: UnitOfWork, charger: Charger) -> None:
        """Dispatch what waits for this charger, where something may.

        A command that is written meanwhile is announced to the lane behind this batch. A stop's, written by the batch itself,
        belongs to a session: whoever has one is asked.
        """
        if self._with_waiting_commands is None:
            self._with_waiting_commands = await with_waiting_commands(uow, [known.id for known in self.chargers.values()])
        if charger.id in self._with_waiting_commands or charger.id in self._transactions:
            await dispatch(uow, charger)

    async def write(self, uow: UnitOfWork) -> None:
        """Write everything that is to be written: a handful of statements, however many chargers."""
        await save_connections(uow, self._connections.values())
        await save_boots(uow, self._boots)
        await save_statuses(uow, self._statuses.values())
        await save_transactions(uow, self._touched.values())
        await local_lists_of_returned(uow, self._returned, booted=False)
        await local_lists_of_returned(uow, self._booted, booted=True)
        for written in (self._connections, self._boots, self._statuses, self._touched, self._returned, self._booted):
            written.clear()


async def know(uow: UnitOfWork, charge_point_ids: Collection[str], *, reporting: Collection[str] = ()) -> KnownChargers:
    """Read and lock. `reporting`: those of them that report a status."""
    chargers = await lock_chargers(uow, charge_point_ids)
    transactions: dict[int, list[Transaction]] = {}
    for transaction in await lock_transactions(uow, [charger.id for charger in chargers.values()], unstopped=True):
        transactions.setdefault(transaction.charger_id, []).append(transaction)
    connectors: dict[tuple[int, int], Connector] = {}
    open_errors: set[tuple[int, int]] = set()
    ids = [chargers[name].id for name in set(reporting) if name in chargers]
    if ids:
        connectors = await load_connectors_of(uow, ids)
        open_errors = await with_open_errors(uow, ids)
    return KnownChargers(chargers, connectors, open_errors, transactions)
