"""QR codes at Razorpay: our row first, then the call; after an unknown outcome the list is read before anything is sent again."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from chassis.database import UnitOfWork
from chassis.web import Principal
from payments.domain import qr_code
from payments.domain.errors import ConflictError, ProviderUnavailableError
from payments.domain.qr_code import QrCodeStatus
from payments.domain.refund import backoff_seconds
from payments.repository import qr_codes
from payments.repository.franchisees import Franchisee
from payments.repository.qr_codes import QrCode
from payments.usecases.audit import audit
from payments.usecases.choose_owner import collector_for, site_owner
from payments.usecases.context import Payments
from payments.views import Owner, QrCodeCreate, QrCodeId, QrCodeRegenerate, QrCodeView
from razorpay_client import Permanent, RazorpayError, Retryable

log = structlog.get_logger(__name__)

CLAIM_SECONDS = 120
"""How long a QR code that Razorpay is being asked about is left alone: longer than any call."""

LISTING_MARGIN_SECONDS = 300
"""Razorpay's clock and ours may differ by less than this; the listing begins so much before our row was made."""


async def create_qr_code(app: Payments, body: QrCodeCreate, principal: Principal) -> QrCodeView:
    """`POST /v1/qr-codes`. Answers CREATING where Razorpay's answer is still open; a sweep settles it.

    Raises ConflictError for a connector that has a live QR code, ProviderUnavailableError where Razorpay refused.
    """
    async with app.database.transaction() as uow:
        name = body.name or qr_code.default_name(body.charge_point_id, body.connector_id)
        row = await _add(app, uow, charge_point_id=body.charge_point_id, connector_id=body.connector_id, name=name)
        audit(uow, principal, entity="qr_code", entity_id=f"qrc_{row.id}", action="create", after=body.model_dump())
    await _ask(app, row)
    return await _made(app, row.id)


async def regenerate_qr_code(
    app: Payments, qr_code_id: QrCodeId, body: QrCodeRegenerate | None, principal: Principal
) -> QrCodeView:
    """`POST /v1/qr-codes/{id}/regenerate`. Answers the new code; payments on the old one are refunded from this moment.

    Our two rows change together, whatever Razorpay says to either call. A code is replaced once: the repetition answers what
    took its place, unless Razorpay refused that, and then makes another.
    Raises NotFoundError, ConflictError, UnansweredError where charging does not say whose site it is,
    ProviderUnavailableError where Razorpay refused the new one.
    """
    wanted = body.owner if body is not None else None
    owner_id = await _owner_wanted(app, qr_code_id, wanted)
    async with app.database.transaction() as uow:
        owner = await collector_for(uow, owner_id) if owner_id is not None else None
        old = await qr_codes.get(uow.connection, qr_code_id, lock=True)
        if old.status is QrCodeStatus.CREATING:
            raise ConflictError("It is still being created; regenerate it once it is active.")
        if old.status is QrCodeStatus.FAILED:
            raise ConflictError("Razorpay refused it, so there is nothing to replace; create a new one.")
        replacement = await qr_codes.find_replacement(uow.connection, old.id)
        if replacement is not None:
            if wanted is not None and replacement.owner_franchisee_id != owner_id:
                raise ConflictError(f"qrc_{replacement.id} took its place, and is another's: regenerate that one.")
            return QrCodeView.of(replacement)
        closing = await _begin_to_close(uow, old) if old.status is QrCodeStatus.ACTIVE else None
        row = await _add(
            app,
            uow,
            charge_point_id=old.charge_point_id,
            connector_id=old.connector_id,
            name=old.name,
            replaces_id=old.id,
            owner=owner,
        )
        audit(
            uow,
            principal,
            entity="qr_code",
            entity_id=f"qrc_{old.id}",
            action="regenerate",
            before={"status": old.status, "owner": old.owner},
            after={"status": (closing or old).status, "replaced_by": f"qrc_{row.id}", "owner": row.owner},
        )
    await asyncio.gather(*(_ask(app, wanted) for wanted in (row, closing) if wanted is not None))
    return await _made(app, row.id)


async def _add(
    app: Payments,
    uow: UnitOfWork,
    *,
    charge_point_id: str,
    connector_id: int,
    name: str,
    replaces_id: int | None = None,
    owner: Franchisee | None = None,
) -> QrCode:
    """A new row, claimed, with what Razorpay is asked for. Raises ConflictError for a connector that has a live QR code."""
    row_id = await qr_codes.add(
        uow.connection,
        charge_point_id=charge_point_id,
        connector_id=connector_id,
        name=name,
        replaces_id=replaces_id,
        owner=owner,
        now=uow.now,
    )
    if row_id is None:
        raise ConflictError(f"Connector {connector_id} of {charge_point_id} has a QR code already; close that first.")
    notes = qr_code.notes_for(
        environment=app.settings.qr_mark, qr_code_id=row_id, charge_point_id=charge_point_id, connector_id=connector_id
    )
    asked: dict[str, Any] = {"type": "upi_qr", "usage": "multiple_use", "fixed_amount": False, "name": name, "notes": notes}
    await qr_codes.set_values(uow.connection, row_id, body={**asked, "description": f"EV charging, {name}"})
    return await qr_codes.claim(uow.connection, await qr_codes.get(uow.connection, row_id), lapses_at=_lapse(uow.now))


async def _owner_wanted(app: Payments, qr_code_id: int, wanted: Owner | None) -> int | None:
    """The franchisee whose own the new code is to be; None: the platform's. Not said: whose the old one is."""
    old = await _read(app, qr_code_id)
    if wanted is Owner.PLATFORM or (wanted is None and old.owner_franchisee_id is None):
        return None
    return await site_owner(app, old.charge_point_id)


async def _made(app: Payments, qr_code_id: int) -> QrCodeView:
    made = await _read(app, qr_code_id)
    if made.status is QrCodeStatus.FAILED:
        raise ProviderUnavailableError(f"Razorpay refused the QR code: {made.last_error}")
    return QrCodeView.of(made)


async def _begin_to_close(uow: UnitOfWork, row: QrCode) -> QrCode:
    """From the commit on payments on it are refunded. Returns the claimed row, for Razorpay to be told."""
    await qr_codes.set_values(uow.connection, row.id, status=QrCodeStatus.CLOSING.value, closed_at=uow.now, calls=0)
    return await qr_codes.claim(uow.connection, await qr_codes.get(uow.connection, row.id), lapses_at=_lapse(uow.now))


async def close_qr_code(app: Payments, qr_code_id: QrCodeId, principal: Principal) -> QrCodeView:
    """`POST /v1/qr-codes/{id}/close`. From this moment payments on it are refunded, whether Razorpay has closed it yet or not.

    Closing what is closed changes nothing. Raises NotFoundError, ConflictError while it is still being created.
    """
    closing: QrCode | None = None
    async with app.database.transaction() as uow:
        row = await qr_codes.get(uow.connection, qr_code_id, lock=True)
        if row.status is QrCodeStatus.CREATING:
            raise ConflictError("It is still being created; close it once it is active.")
        if row.status is QrCodeStatus.ACTIVE:
            closing = await _begin_to_close(uow, row)
            audit(
                uow,
                principal,
                entity="qr_code",
                entity_id=f"qrc_{row.id}",
                action="close",
                before={"status": row.status},
                after={"status": QrCodeStatus.CLOSING},
            )
    if closing is not None:
        await _ask(app, closing)
    return QrCodeView.of(await _read(app, row.id))


async def settle_qr_codes(app: Payments) -> None:
    """The sweep: whatever is CREATING or CLOSING and due, one after the other."""
    while not app.stopping:
        async with app.database.transaction() as uow:
            row = await qr_codes.claim_due(uow.connection, now=uow.now, lapses_at=_lapse(uow.now))
        if row is None:
            return
        await _ask(app, row)


def _lapse(now: datetime) -> datetime:
    return now + timedelta(seconds=CLAIM_SECONDS)


async def _ask(app: Payments, row: QrCode) -> None:
    """Ask Razorpay for what a claimed row wants, and persist. The claim is committed; no transaction is open during the call."""
    try:
        if row.status is QrCodeStatus.CREATING:
            await _adopt(app, row, await _found_or_made(app, row))
        else:
            await _close(app, row)
    except RazorpayError as error:
        await _come_back(app, row, error)


async def _found_or_made(app: Payments, row: QrCode) -> Mapping[str, Any]:
    """The QR code that an earlier call made, else a new one. Permanent is raised for a refused creation alone."""
    if row.calls > 0:
        since = int(row.created_at.timestamp()) - LISTING_MARGIN_SECONDS
        try:
            listed = await app.razorpay.qr_codes_since(since, account=row.owner_account_id)
        except Permanent as error:
            raise Retryable(f"the list was refused, so nobody knows whether it exists: {error.description}") from error
        for entity in listed:
            mark = qr_code.read_mark(entity)
            if mark is not None and mark.environment == app.settings.qr_mark and mark.qr_code_id == row.id:
                return entity
    return await app.razorpay.create_qr_code(row.body, account=row.owner_account_id)


async def _adopt(app: Payments, row: QrCode, entity: Mapping[str, Any]) -> None:
    async with app.database.transaction() as uow:
        current = await qr_codes.get(uow.connection, row.id, lock=True)
        await qr_codes.adopt(uow.connection, row.id, entity, activate=current.status is QrCodeStatus.CREATING)
    log.info("qr_code.active", qr_code_id=row.id, razorpay_qr_code_id=entity.get("id"), charge_point_id=row.charge_point_id)


async def _close(app: Payments, row: QrCode) -> None:
    razorpay_id = str(row.razorpay_qr_code_id)
    try:
        await app.razorpay.close_qr_code(razorpay_id, account=row.owner_account_id)
    except Permanent:
        # Closed already, perhaps by an earlier call of ours: what it is now decides.
        entity = await app.razorpay.fetch_qr_code(razorpay_id, account=row.owner_account_id)
        if entity.get("status") != "closed":
            raise
    async with app.database.transaction() as uow:
        await qr_codes.set_values(uow.connection, row.id, status=QrCodeStatus.CLOSED.value, next_attempt_at=None, last_error=None)
    log.info("qr_code.closed", qr_code_id=row.id)


async def _come_back(app: Payments, row: QrCode, error: RazorpayError) -> None:
    refused = isinstance(error, Permanent) and row.status is QrCodeStatus.CREATING
    log.warning(
        "qr_code.refused" if refused else "qr_code.retry_later", qr_code_id=row.id, status=error.status, error=error.description
    )
    async with app.database.transaction() as uow:
        current = await qr_codes.get(uow.connection, row.id, lock=True)
        if current.status is not row.status:
            return  # an event has settled it meanwhile
        if refused:
            await qr_codes.set_values(
                uow.connection, row.id, status=QrCodeStatus.FAILED.value, last_error=error.description, next_attempt_at=None
            )
            uow.after_commit(app.metrics.qr_code_failed.inc)
            return
        pause = timedelta(seconds=backoff_seconds(f"qr_code_{row.id}", row.calls + 1))
        await qr_codes.set_values(uow.connection, row.id, last_error=error.description, next_attempt_at=uow.now + pause)


async def _read(app: Payments, qr_code_id: int) -> QrCode:
    async with app.database.reading() as uow:
        return await qr_codes.get(uow.connection, qr_code_id)
