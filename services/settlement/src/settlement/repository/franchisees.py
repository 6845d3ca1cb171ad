"""Franchisees, their terms, and what Razorpay said of their KYC."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.settlement import DirectCollection
from settlement.domain.direct_collection import direct_collection
from settlement.domain.franchisee import FranchiseeStatus, KycEvent, Standing, Terms, gate_reason
from settlement.domain.link import LinkStep
from settlement.tables import franchisee_terms, franchisees, kyc_events

_F = franchisees.c


@dataclass(frozen=True, slots=True)
class Franchisee:
    """A row of `franchisees`."""

    id: int
    legal_business_name: str
    display_name: str
    business_type: str
    email: str
    phone: str
    contact_name: str
    pan: str | None
    gstin: str | None
    address: Mapping[str, Any]
    stakeholder: Mapping[str, Any]
    bank: Mapping[str, Any]
    status: FranchiseeStatus
    status_detail: str | None
    transfers_enabled: bool
    funds_on_hold: bool
    operator_hold: bool
    operator_reason: str | None
    razorpay_account_id: str | None
    razorpay_stakeholder_id: str | None
    stakeholder_sent: Mapping[str, Any] | None
    razorpay_product_id: str | None
    link_step: LinkStep
    link_calls: int
    link_error: str | None
    link_due_at: datetime | None
    kyc_polled_at: datetime | None
    subject_version: int
    created_at: datetime
    updated_at: datetime

    @property
    def gate(self) -> str | None:
        """Why nothing is paid out just now, in words for them; None: payouts may go."""
        return gate_reason(
            self.status,
            transfers_enabled=self.transfers_enabled and self.razorpay_account_id is not None,
            funds_on_hold=self.funds_on_hold,
            operator_hold=self.operator_hold,
            operator_reason=self.operator_reason,
        )

    @property
    def direct_collection(self) -> tuple[DirectCollection, str | None]:
        """Whether it may take riders' money on QR codes of its own, and why not."""
        return direct_collection(
            self.status,
            linked=self.razorpay_account_id is not None,
            gstin=self.gstin,
            transfers_enabled=self.transfers_enabled,
            funds_on_hold=self.funds_on_hold,
            operator_hold=self.operator_hold,
            operator_reason=self.operator_reason,
        )


def franchisee_from(row: Any) -> Franchisee:
    """The franchisee of a row."""
    return Franchisee(**{**row._mapping, "status": FranchiseeStatus(row.status), "link_step": LinkStep(row.link_step)})  # noqa: SLF001


async def add(connection: AsyncConnection, **values: Any) -> Franchisee | None:
    """A new franchisee; None where another has its e-mail address."""
    made = (
        insert(franchisees).values(**values).on_conflict_do_nothing(index_elements=[func.lower(_F.email)]).returning(franchisees)
    )
    row = (await connection.execute(made)).one_or_none()
    return None if row is None else franchisee_from(row)


async def find(connection: AsyncConnection, franchisee_id: int, *, lock: bool = False) -> Franchisee | None:
    """One franchisee; `lock` its row until the transaction ends."""
    query = select(franchisees).where(_F.id == franchisee_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else franchisee_from(row)


async def get(connection: AsyncConnection, franchisee_id: int, *, lock: bool = False) -> Franchisee:
    """As `find`, of one that is there: none is ever deleted."""
    found = await find(connection, franchisee_id, lock=lock)
    assert found is not None, f"frn_{franchisee_id}"  # noqa: S101
    return found


async def find_by_account(connection: AsyncConnection, razorpay_account_id: str, *, lock: bool = False) -> Franchisee | None:
    """The franchisee of a linked account."""
    query = select(franchisees).where(_F.razorpay_account_id == razorpay_account_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else franchisee_from(row)


async def lock_untold(connection: AsyncConnection, *, limit: int) -> list[Franchisee]:
    """Linked franchisees that nobody was told of, locked; ones in somebody's hand are passed over."""
    query = (
        select(franchisees)
        .where(_F.subject_version == 0, _F.razorpay_account_id.is_not(None))
        .order_by(_F.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [franchisee_from(row) for row in await connection.execute(query)]


async def email_taken(connection: AsyncConnection, email: str, *, by_other_than: int) -> bool:
    """Whether another franchisee has this address."""
    query = select(_F.id).where(func.lower(_F.email) == email.lower(), _F.id != by_other_than)
    return (await connection.execute(query)).first() is not None


async def set_values(connection: AsyncConnection, franchisee_id: int, **values: Any) -> Franchisee:
    """Change columns of one franchisee."""
    changed = update(franchisees).where(_F.id == franchisee_id).values(**values).returning(franchisees)
    return franchisee_from((await connection.execute(changed)).one())


async def claim_link_due(connection: AsyncConnection, *, now: datetime, lapses_at: datetime) -> Franchisee | None:
    """The franchisee whose next step has waited longest, ours until the claim lapses."""
    query = select(franchisees).where(_F.link_due_at <= now).order_by(_F.link_due_at).limit(1).with_for_update(skip_locked=True)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    return await set_values(connection, row.id, link_due_at=lapses_at, link_calls=row.link_calls + 1)


async def kyc_poll_due(connection: AsyncConnection, *, before: datetime, limit: int) -> list[Franchisee]:
    """Linked franchisees that may not be paid yet and were not looked up since `before`."""
    query = (
        select(franchisees)
        .where(
            _F.link_step.in_([LinkStep.DONE.value, LinkStep.CORRECTION.value]),
            _F.transfers_enabled.is_(False),
            _F.status != FranchiseeStatus.REJECTED.value,
            or_(_F.kyc_polled_at.is_(None), _F.kyc_polled_at <= before),
        )
        .order_by(_F.kyc_polled_at.nulls_first(), _F.id)
        .limit(limit)
    )
    return [franchisee_from(row) for row in await connection.execute(query)]


async def add_terms(connection: AsyncConnection, **values: Any) -> Any | None:
    """New terms as a row; None where there are terms from that very moment."""
    made = insert(franchisee_terms).values(**values).on_conflict_do_nothing().returning(franchisee_terms)
    return (await connection.execute(made)).one_or_none()


async def terms_of(connection: AsyncConnection, franchisee_id: int) -> list[Terms]:
    """All terms of a franchisee, oldest first."""
    query = (
        select(franchisee_terms)
        .where(franchisee_terms.c.franchisee_id == franchisee_id)
        .order_by(franchisee_terms.c.effective_from)
    )
    return [Terms(row.commission_bps, row.tds_bps, row.tds_base, row.effective_from) for row in await connection.execute(query)]


async def add_kyc_event(connection: AsyncConnection, event: KycEvent, *, razorpay_account_id: str, now: datetime) -> bool:
    """Record a word on an account's KYC; False where it is known."""
    made = (
        insert(kyc_events)
        .values(
            razorpay_event_id=event.event_id,
            razorpay_account_id=razorpay_account_id,
            event=event.event,
            hold_funds=event.hold_funds,
            detail=event.detail,
            occurred_at=event.occurred_at,
            received_at=now,
        )
        .on_conflict_do_nothing()
        .returning(kyc_events.c.id)
    )
    return (await connection.execute(made)).one_or_none() is not None


async def kyc_events_of(connection: AsyncConnection, razorpay_account_id: str) -> Sequence[KycEvent]:
    """Every word on an account's KYC."""
    query = select(kyc_events).where(kyc_events.c.razorpay_account_id == razorpay_account_id).order_by(kyc_events.c.occurred_at)
    return [
        KycEvent(row.razorpay_event_id, row.event, row.occurred_at, row.hold_funds, row.detail)
        for row in await connection.execute(query)
    ]


async def set_standing(connection: AsyncConnection, franchisee_id: int, standing: Standing, *, now: datetime) -> Franchisee:
    """Keep what the fold of all KYC events says."""
    return await set_values(
        connection,
        franchisee_id,
        status=standing.status.value,
        status_detail=standing.detail,
        transfers_enabled=standing.transfers_enabled,
        funds_on_hold=standing.funds_on_hold,
        updated_at=now,
    )
