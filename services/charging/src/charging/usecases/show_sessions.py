"""Sessions as people see them: transactions, their meter values, start requests; and the wish to stop one."""

from typing import Any

import sqlalchemy as sa

from charging.domain.errors import ConflictError
from charging.domain.evidence import in_words
from charging.domain.states import TransactionState
from charging.tables import chargers, meter_values, start_requests, transactions
from charging.usecases.scope import at_own_stations, missing
from charging.views import (
    EnergyView,
    MeterValueView,
    StartRequestId,
    StartRequestQuery,
    StartRequestView,
    TransactionId,
    TransactionQuery,
    TransactionView,
)
from chassis.database import UnitOfWork
from chassis.web import STAFF, Page, PageQuery, Principal, fetch_page
from contracts.charging import EnergyEvidence, SessionStopRequested


def _own(principal: Principal) -> sa.ColumnElement[bool]:
    """A franchisee sees the sessions that were its own when they started, whoever owns the site today."""
    if principal.has(*STAFF):
        return sa.true()
    return transactions.c.franchisee_id == sa.literal(principal.franchisee_id, sa.BigInteger)


async def list_transactions(uow: UnitOfWork, query: TransactionQuery, principal: Principal) -> Page[TransactionView]:
    """`GET /v1/transactions`, newest first."""
    t = transactions.c
    statement = sa.select(transactions).where(_own(principal))
    filters: dict[Any, Any] = {
        t.charger_id: query.charger_id,
        t.station_id: query.station_id,
        t.charge_point_id: query.charge_point_id,
        t.state: query.state.value if query.state is not None else None,
        t.request_key: query.request_key,
    }
    for column, value in filters.items():
        if value is not None:
            statement = statement.where(column == value)
    if query.active is not None:
        stopped = t.state == TransactionState.STOPPED.value
        statement = statement.where(sa.not_(stopped) if query.active else stopped)
    return await fetch_page(uow, statement, query, order=(t.id,), view=TransactionView.model_validate)


async def show_transaction(uow: UnitOfWork, transaction_id: TransactionId, principal: Principal) -> TransactionView:
    """`GET /v1/transactions/{id}`."""
    return TransactionView.model_validate(await read_transaction(uow, transaction_id, principal))


async def list_meter_values(
    uow: UnitOfWork, transaction_id: TransactionId, query: PageQuery, principal: Principal
) -> Page[MeterValueView]:
    """`GET /v1/transactions/{id}/meter-values`, newest first."""
    await read_transaction(uow, transaction_id, principal)
    m = meter_values.c
    statement = sa.select(meter_values).where(m.transaction_id == transaction_id)
    return await fetch_page(uow, statement, query, order=(m.received_at, m.seq, m.n), view=MeterValueView.model_validate)


async def show_energy(uow: UnitOfWork, transaction_id: TransactionId, principal: Principal) -> EnergyView:
    """`GET /v1/transactions/{id}/energy`: which readings the bill rests on, and how sure it is. 409 while it runs."""
    row = await read_transaction(uow, transaction_id, principal)
    if row.state != TransactionState.STOPPED.value:
        raise ConflictError("The session still runs: its energy is not final yet.")
    proof = EnergyEvidence.model_validate(row.energy_evidence) if row.energy_evidence is not None else None
    readings = await uow.connection.scalar(
        sa.select(sa.func.count()).select_from(meter_values).where(meter_values.c.transaction_id == transaction_id)
    )
    return EnergyView(
        transaction_id=transaction_id,
        sentence=in_words(proof) if proof is not None else f"{row.energy_wh} Wh billed; nothing more is known of the readings.",
        meter_start_wh=row.meter_start_wh,
        meter_stop_wh=row.meter_stop_wh,
        billed_wh=row.energy_wh,
        late_wh=row.late_wh,
        readings=readings or 0,
        evidence=proof,
    )


async def stop_transaction_by_request(uow: UnitOfWork, transaction_id: TransactionId, principal: Principal) -> TransactionView:
    """`POST /v1/transactions/{id}/stop`: the wish goes into the charger's lane; whether the energy is off, the session shows."""
    row = await read_transaction(uow, transaction_id, principal)
    if row.state == TransactionState.STOPPED.value:
        raise ConflictError("The session has ended already.")
    uow.publish(
        SessionStopRequested(
            charge_point_id=row.charge_point_id, transaction_id=transaction_id, actor=principal.subject, trigger="api"
        ),
        subject=f"transaction/{transaction_id}/stop",
    )
    return TransactionView.model_validate(row)


async def read_transaction(uow: UnitOfWork, transaction_id: int, principal: Principal) -> Any:
    """The row. Raises NotFoundError where there is none, or where it is not the caller's."""
    row = (
        await uow.connection.execute(sa.select(transactions).where(transactions.c.id == transaction_id, _own(principal)))
    ).one_or_none()
    if row is None:
        raise missing("transaction", "txn", transaction_id)
    return row


async def list_start_requests(uow: UnitOfWork, query: StartRequestQuery, principal: Principal) -> Page[StartRequestView]:
    """`GET /v1/start-requests`, newest first."""
    s = start_requests.c
    statement = sa.select(start_requests).where(_own_requests(principal))
    if query.charge_point_id is not None:
        statement = statement.where(s.charge_point_id == query.charge_point_id)
    if query.request_key is not None:
        statement = statement.where(s.request_key == query.request_key)
    if query.state is not None:
        statement = statement.where(s.state == query.state.value)
    return await fetch_page(uow, statement, query, order=(s.id,), view=StartRequestView.model_validate)


async def show_start_request(uow: UnitOfWork, start_request_id: StartRequestId, principal: Principal) -> StartRequestView:
    """`GET /v1/start-requests/{id}`."""
    row = (
        await uow.connection.execute(
            sa.select(start_requests).where(start_requests.c.id == start_request_id, _own_requests(principal))
        )
    ).one_or_none()
    if row is None:
        raise missing("start request", "req", start_request_id)
    return StartRequestView.model_validate(row)


def _own_requests(principal: Principal) -> sa.ColumnElement[bool]:
    if principal.has(*STAFF):
        return sa.true()
    own = sa.select(chargers.c.id).where(at_own_stations(principal, chargers.c.station_id))
    return start_requests.c.charger_id.in_(own)
