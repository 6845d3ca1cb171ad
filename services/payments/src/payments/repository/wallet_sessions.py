"""Sessions that wallets pay, and their bills."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.charging import TransactionStopped
from money import Bill
from payments.domain.errors import NotFoundError
from payments.domain.wallet_session import SessionState
from payments.repository.rows import columns_of
from payments.wallet_tables import wallet_bills, wallet_sessions, wallets

_S, _B = wallet_sessions.c, wallet_bills.c


@dataclass(frozen=True, slots=True)
class WalletSession:
    """A row of `wallet_sessions` with whose it is."""

    id: int
    wallet_id: int
    rider_id: int
    request_key: str
    charge_point_id: str
    connector_id: int
    limit_paise: int | None
    hold_paise: int
    state: SessionState
    release_reason: str | None
    release_detail: str | None
    transaction_id: int | None
    stopped: Mapping[str, Any] | None
    requested_at: datetime
    start_deadline: datetime
    start_chased_at: datetime | None
    stop_requested_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class WalletBill:
    """A row of `wallet_bills`."""

    id: int
    wallet_session_id: int
    transaction_id: int
    station_id: int
    franchisee_id: int | None
    energy_wh: int
    tariff_paise_per_kwh: int
    gst_bps: int
    held_paise: int
    billed_paise: int
    energy_charge_paise: int
    gst_paise: int
    shortfall_paise: int
    implausible: bool
    started_at: datetime
    stopped_at: datetime
    billed_at: datetime


def session_from(row: Any) -> WalletSession:
    """The session of a row of `listing`."""
    return WalletSession(**{**columns_of(row, WalletSession), "state": SessionState(row.state)})


_SELECT = select(wallet_sessions, wallets.c.rider_id).join(wallets, wallets.c.id == _S.wallet_id)


async def add(
    connection: AsyncConnection,
    *,
    wallet_id: int,
    charge_point_id: str,
    connector_id: int,
    limit_paise: int | None,
    hold_paise: int,
    start_deadline: datetime,
    now: datetime,
) -> WalletSession | None:
    """A session that charging is about to be asked for; None where one of this wallet runs."""
    made = (
        insert(wallet_sessions)
        .values(
            wallet_id=wallet_id,
            charge_point_id=charge_point_id,
            connector_id=connector_id,
            limit_paise=limit_paise,
            hold_paise=hold_paise,
            state=SessionState.START_REQUESTED.value,
            requested_at=now,
            start_deadline=start_deadline,
            updated_at=now,
        )
        # As text: with parameters in it PostgreSQL finds the index only until it plans the statement for good.
        .on_conflict_do_nothing(index_elements=[_S.wallet_id], index_where=text("state in ('START_REQUESTED', 'CHARGING')"))
        .returning(_S.id)
    )
    session_id = (await connection.execute(made)).scalar_one_or_none()
    return None if session_id is None else await find(connection, session_id)


async def find(connection: AsyncConnection, session_id: int, *, lock: bool = False) -> WalletSession | None:
    """One session; `lock` until the transaction ends."""
    query = _SELECT.where(_S.id == session_id)
    row = (await connection.execute(query.with_for_update(of=wallet_sessions) if lock else query)).one_or_none()
    return None if row is None else session_from(row)


async def get(connection: AsyncConnection, session_id: int) -> WalletSession:
    """One session. Raises NotFoundError."""
    session = await find(connection, session_id)
    if session is None:
        raise NotFoundError(f"There is no session wse_{session_id}.")
    return session


async def of_wallet(connection: AsyncConnection, session_id: int, *, wallet_id: int, lock: bool = False) -> WalletSession:
    """A wallet's own session. Raises NotFoundError, whether there is none or it is somebody else's."""
    session = await find(connection, session_id, lock=lock)
    if session is None or session.wallet_id != wallet_id:
        raise NotFoundError(f"There is no session wse_{session_id}.")
    return session


async def set_values(connection: AsyncConnection, session_id: int, **values: object) -> None:
    """Change columns of one session."""
    await connection.execute(update(wallet_sessions).where(_S.id == session_id).values(**values))


def listing(*, wallet_id: int | None, state: str | None) -> Select[Any]:
    """Sessions by what is given."""
    query = _SELECT
    if wallet_id is not None:
        query = query.where(_S.wallet_id == wallet_id)
    if state is not None:
        query = query.where(_S.state == state)
    return query


async def take_unanswered(
    connection: AsyncConnection, *, due_before: datetime, chased_before: datetime, limit: int
) -> list[WalletSession]:
    """Sessions whose start charging has not answered, though the deadline passed before `due_before`; not those chased since."""
    query = (
        _SELECT.where(
            _S.state == SessionState.START_REQUESTED.value,
            _S.start_deadline < due_before,
            or_(_S.start_chased_at.is_(None), _S.start_chased_at < chased_before),
        )
        .order_by(_S.start_deadline)
        .limit(limit)
        .with_for_update(of=wallet_sessions, skip_locked=True)
    )
    return [session_from(row) for row in (await connection.execute(query)).all()]


async def count_unanswered(connection: AsyncConnection, *, due_before: datetime) -> int:
    """How many sessions wait for charging's answer past their deadline."""
    query = select(func.count()).where(_S.state == SessionState.START_REQUESTED.value, _S.start_deadline < due_before)
    return int((await connection.execute(query)).scalar_one())


async def ids_in_state(connection: AsyncConnection, state: SessionState, *, after_id: int, limit: int) -> list[int]:
    """Ids of sessions in a state, oldest first, from after this one."""
    query = select(_S.id).where(_S.state == state.value, _S.id > after_id).order_by(_S.id).limit(limit)
    return list((await connection.scalars(query)).all())


async def add_bill(
    connection: AsyncConnection, *, session: WalletSession, stopped: TransactionStopped, bill: Bill, now: datetime
) -> WalletBill:
    """The one bill. A second one of the session or of the transaction is refused by the table."""
    made = (
        insert(wallet_bills)
        .values(
            wallet_session_id=session.id,
            transaction_id=stopped.transaction_id,
            station_id=stopped.station_id,
            franchisee_id=stopped.franchisee_id,
            energy_wh=bill.energy_wh,
            tariff_paise_per_kwh=stopped.tariff_paise_per_kwh,
            gst_bps=stopped.gst_bps,
            held_paise=session.hold_paise,
            billed_paise=bill.energy_charge_paise + bill.gst_paise,
            energy_charge_paise=bill.energy_charge_paise,
            gst_paise=bill.gst_paise,
            shortfall_paise=bill.shortfall_paise,
            implausible=stopped.implausible,
            started_at=stopped.started_at,
            stopped_at=stopped.stopped_at,
            billed_at=now,
        )
        .returning(wallet_bills)
    )
    return WalletBill(**columns_of((await connection.execute(made)).one(), WalletBill))


async def bills_of(connection: AsyncConnection, session_ids: list[int]) -> dict[int, WalletBill]:
    """Bills by session, of those that have one."""
    rows = (await connection.execute(select(wallet_bills).where(_B.wallet_session_id.in_(session_ids)))).all()
    return {row.wallet_session_id: WalletBill(**columns_of(row, WalletBill)) for row in rows}
