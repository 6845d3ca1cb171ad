"""QR codes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.settlement import DirectCollection
from payments.domain.errors import NotFoundError
from payments.domain.qr_code import QrCodeStatus
from payments.repository.franchisees import Franchisee
from payments.repository.rows import columns_of
from payments.tables import franchisees, qr_codes

_T = qr_codes.c


@dataclass(frozen=True, slots=True)
class QrCode:
    """A row of `qr_codes`."""

    id: int
    charge_point_id: str
    connector_id: int
    name: str
    status: QrCodeStatus
    body: Mapping[str, Any]
    replaces_id: int | None
    owner_franchisee_id: int | None
    owner_account_id: str | None
    razorpay_qr_code_id: str | None
    image_url: str | None
    image_content: str | None
    calls: int
    last_error: str | None
    next_attempt_at: datetime | None
    created_at: datetime
    closed_at: datetime | None

    @property
    def owner(self) -> str:
        """Whose it is, for people: platform, or the franchisee."""
        return "platform" if self.owner_franchisee_id is None else f"frn_{self.owner_franchisee_id}"


def qr_code_from(row: Any) -> QrCode:
    """The QR code of a row of the table."""
    return QrCode(**{**columns_of(row, QrCode), "status": QrCodeStatus(row.status)})


async def add(
    connection: AsyncConnection,
    *,
    charge_point_id: str,
    connector_id: int,
    name: str,
    replaces_id: int | None = None,
    owner: Franchisee | None = None,
    now: datetime,
) -> int | None:
    """A new row, CREATING, the platform's or `owner`'s; None where the connector has a live QR code already."""
    made = (
        insert(qr_codes)
        .values(
            charge_point_id=charge_point_id,
            connector_id=connector_id,
            name=name,
            status=QrCodeStatus.CREATING.value,
            body={},
            replaces_id=replaces_id,
            owner_franchisee_id=owner.id if owner is not None else None,
            owner_account_id=owner.razorpay_account_id if owner is not None else None,
            next_attempt_at=now,
            created_at=now,
        )
        .on_conflict_do_nothing()
        .returning(_T.id)
    )
    return (await connection.execute(made)).scalar_one_or_none()


async def set_values(connection: AsyncConnection, qr_code_id: int, **values: object) -> None:
    """Change columns of one row."""
    await connection.execute(update(qr_codes).where(_T.id == qr_code_id).values(**values))


async def find(connection: AsyncConnection, qr_code_id: int, *, lock: bool = False) -> QrCode | None:
    """One QR code by our id."""
    query = select(qr_codes).where(_T.id == qr_code_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else qr_code_from(row)


async def get(connection: AsyncConnection, qr_code_id: int, *, lock: bool = False) -> QrCode:
    """As `find`, of one that must be there. Raises NotFoundError."""
    row = await find(connection, qr_code_id, lock=lock)
    if row is None:
        raise NotFoundError(f"There is no QR code qrc_{qr_code_id}.")
    return row


async def find_by_razorpay_id(connection: AsyncConnection, razorpay_qr_code_id: str) -> QrCode | None:
    """One QR code by Razorpay's id."""
    row = (await connection.execute(select(qr_codes).where(_T.razorpay_qr_code_id == razorpay_qr_code_id))).one_or_none()
    return None if row is None else qr_code_from(row)


async def find_replacement(connection: AsyncConnection, qr_code_id: int) -> QrCode | None:
    """The QR code that was made in place of this one, if Razorpay has not refused it."""
    query = select(qr_codes).where(_T.replaces_id == qr_code_id, _T.status != QrCodeStatus.FAILED.value)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else qr_code_from(row)


async def lock_live_of(connection: AsyncConnection, franchisee_id: int) -> list[QrCode]:
    """The live codes that are a franchisee's own, locked."""
    live = (QrCodeStatus.CREATING.value, QrCodeStatus.ACTIVE.value)
    query = select(qr_codes).where(_T.owner_franchisee_id == franchisee_id, _T.status.in_(live)).order_by(_T.id)
    return [qr_code_from(row) for row in await connection.execute(query.with_for_update())]


async def owners_with_live_codes(connection: AsyncConnection, standing: DirectCollection) -> list[int]:
    """Franchisees of this standing who have live codes of their own."""
    query = (
        select(_T.owner_franchisee_id)
        .join(franchisees, franchisees.c.id == _T.owner_franchisee_id)
        .where(_T.status == QrCodeStatus.ACTIVE.value, franchisees.c.direct_collection == standing.value)
        .distinct()
        .order_by(_T.owner_franchisee_id)
    )
    return [int(franchisee_id) for franchisee_id in await connection.scalars(query)]


async def collecting_accounts(connection: AsyncConnection, *, open_since: datetime) -> list[str]:
    """Linked accounts with codes of their own on which somebody may have paid since."""
    query = (
        select(_T.owner_account_id)
        .where(_T.owner_franchisee_id.is_not(None), or_(_T.closed_at.is_(None), _T.closed_at >= open_since))
        .distinct()
        .order_by(_T.owner_account_id)
    )
    return [str(account_id) for account_id in await connection.scalars(query)]


async def claim(connection: AsyncConnection, row: QrCode, *, lapses_at: datetime) -> QrCode:
    """Nobody else asks Razorpay about it until the claim lapses. Returns the row as it was: `calls` counts earlier ones."""
    await set_values(connection, row.id, next_attempt_at=lapses_at, calls=row.calls + 1)
    return row


async def claim_due(connection: AsyncConnection, *, now: datetime, lapses_at: datetime) -> QrCode | None:
    """The QR code that has waited longest for Razorpay to be asked, claimed; others pass it over."""
    due = select(qr_codes).where(_T.next_attempt_at <= now).order_by(_T.next_attempt_at).limit(1)
    row = (await connection.execute(due.with_for_update(skip_locked=True))).one_or_none()
    return None if row is None else await claim(connection, qr_code_from(row), lapses_at=lapses_at)


def listing(*, charge_point_id: str | None, status: str | None, franchisee_id: int | None = None) -> Select[Any]:
    """QR codes by charger, status, and whose own they are."""
    query = select(qr_codes)
    if franchisee_id is not None:
        query = query.where(_T.owner_franchisee_id == franchisee_id)
    if charge_point_id is not None:
        query = query.where(_T.charge_point_id == charge_point_id)
    if status is not None:
        query = query.where(_T.status == status)
    return query


async def adopt(connection: AsyncConnection, qr_code_id: int, entity: Mapping[str, Any], *, activate: bool = True) -> None:
    """Razorpay has it: keep its id and what it encodes, and serve on it unless it was closed meanwhile.

    A webhook's entity may lack the content that the API's answer has.
    """
    values: dict[str, object] = {name: str(entity[name]) for name in ("image_url", "image_content") if entity.get(name)}
    if activate:
        values |= {
            "status": QrCodeStatus.ACTIVE.value,
            "razorpay_qr_code_id": str(entity["id"]),
            "last_error": None,
            "next_attempt_at": None,
        }
    if values:
        await set_values(connection, qr_code_id, **values)
