"""A rider has paid by scanning a QR code: record the payment once, then ask charging to start, or give the money back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from chassis.database import UnitOfWork
from contracts.charging import StartCancelRequested, StartRequested
from contracts.payments import FeeSource, PaymentReceived
from contracts.settlement import DirectCollection
from money import resolve_fee
from payments.domain import qr_code, rider, webhook
from payments.domain.credit import QrBinding, RefundReason, refusal
from payments.domain.qr_code import QrCodeStatus
from payments.domain.qr_payment import Trigger, moved
from payments.domain.webhook import Credit, Envelope, Secret
from payments.repository import franchisees, qr_codes, qr_payments, riders
from payments.repository.franchisees import Franchisee
from payments.repository.qr_codes import QrCode
from payments.repository.qr_payments import QrPayment
from payments.repository.webhook_events import WebhookEvent
from payments.usecases.context import Payments
from payments.usecases.give_back import give_back_all
from payments.usecases.lookups import Lookups
from payments.usecases.outcome import Ignored, Later

log = structlog.get_logger(__name__)

QR_LOOKUP_PAUSE = timedelta(seconds=15)
"""How often a credit for a QR code of ours whose row we can't see is looked at again."""


@dataclass(frozen=True, slots=True)
class _Ours:
    """The credit is of our environment. `qr` is None where its row never turned up."""

    qr_code_id: int
    qr: QrCode | None


async def accept_qr_credit(
    app: Payments, uow: UnitOfWork, event: WebhookEvent, envelope: Envelope, lookups: Lookups
) -> Ignored | Later | None:
    """`qr_code.credited`: the one event that starts a session. The Razorpay payment id makes it one, whatever is repeated.

    Emits PaymentReceived, and StartRequested into the charger's lane or PaymentRefundedInFull.
    """
    credit = webhook.read_credit(envelope)
    if await qr_payments.find_by_razorpay_id(uow.connection, credit.razorpay_payment_id) is not None:
        return None
    collector = await franchisees.find_by_account(uow.connection, envelope.account_id) if envelope.account_id else None
    found = await _whose(app, uow, event, credit, collector, lookups)
    if isinstance(found, Ignored | Later):
        return found
    payment = await _record(uow, app, event, credit, found, collector, lookups)
    if payment is None:
        return None  # somebody recorded it at this very moment
    uow.publish(
        PaymentReceived(
            qr_payment_id=payment.id,
            razorpay_payment_id=payment.razorpay_payment_id,
            qr_code_id=found.qr_code_id,
            charge_point_id=payment.charge_point_id,
            connector_id=payment.connector_id,
            amount_paise=payment.amount_paise,
            platform_fee_paise=payment.platform_fee_paise,
            platform_fee_tax_paise=payment.platform_fee_tax_paise,
            fee_source=payment.fee_source,
            received_at=payment.received_at,
            collected_by_franchisee_id=payment.collected_by_franchisee_id,
            collected_by_account=payment.collected_by_account_id,
        ),
        subject=payment.request_key,
    )
    reason = refusal(
        _binding(found.qr, collector),
        collected_by=payment.collected_by_franchisee_id,
        paid_at=credit.paid_at,
        now=uow.now,
        stale_after=app.settings.stale_after,
    )
    if reason is RefundReason.WRONG_ACCOUNT:
        uow.after_commit(app.metrics.wrong_account.inc)
        log.error("payment.wrong_account", qr_payment_id=payment.id, qr_code_id=found.qr_code_id, account_id=envelope.account_id)
    if reason is not None:
        await give_back_all(app, uow, payment, trigger=Trigger.NOT_SERVED, reason=reason, detail=_WORDS[reason])
        return None
    await _ask_to_start(app, uow, payment)
    return None


_WORDS = {
    RefundReason.STALE: "The payment reached us too late to start charging.",
    RefundReason.QR_CODE_CLOSED: "This QR code is no longer in use.",
    RefundReason.QR_CODE_UNKNOWN: "We could not find the charger of this QR code.",
    RefundReason.NO_CONNECTOR: "This QR code belongs to no charger.",
    RefundReason.WRONG_ACCOUNT: "The payment reached another account than this charger's.",
    RefundReason.COLLECTION_STOPPED: "This charger takes no payments just now.",
}


def _binding(qr: QrCode | None, collector: Franchisee | None) -> QrBinding | None:
    """What of the code decides. A collector who is not its owner is refused whatever he may."""
    if qr is None:
        return None
    may_collect = collector is None or collector.direct_collection is DirectCollection.ALLOWED
    return QrBinding(qr.status, qr.charge_point_id, qr.connector_id, qr.owner_franchisee_id, may_collect)


async def _whose(
    app: Payments, uow: UnitOfWork, event: WebhookEvent, credit: Credit, collector: Franchisee | None, lookups: Lookups
) -> _Ours | Ignored | Later:
    """Whose QR code was paid on: by Razorpay's id; else by our mark in the notes, which was there before Razorpay knew the code.

    Every environment on the same account gets every event: what bears another's mark, or none, is none of our business.
    """
    known = await qr_codes.find_by_razorpay_id(uow.connection, credit.razorpay_qr_code_id)
    if known is not None:
        return _Ours(known.id, known)
    mark = qr_code.read_mark(credit.qr_code_entity) or qr_code.read_mark(credit.payment_entity)
    if mark is None:
        mark = qr_code.read_mark(lookups.qr_code(credit.razorpay_qr_code_id, account=_account_of(collector)))
    if mark is None:
        return Ignored("UNKNOWN_QR_CODE: it bears no mark of ours")
    if mark.environment != app.settings.qr_mark:
        return Ignored(f"OTHER_ENVIRONMENT: {webhook.storable(mark.environment)}")
    row = await qr_codes.find(uow.connection, mark.qr_code_id, lock=True)
    if row is not None:
        if row.status is QrCodeStatus.CREATING and row.razorpay_qr_code_id is None:
            # Money came before the answer to our own create call: the event settles what the call left open.
            await qr_codes.adopt(uow.connection, row.id, credit.qr_code_entity)
        return _Ours(row.id, row)
    if uow.now - event.received_at < timedelta(seconds=app.settings.qr_lookup_seconds):
        return Later("QR_CODE_UNKNOWN: of our environment, and no such row yet", QR_LOOKUP_PAUSE)
    return _Ours(mark.qr_code_id, None)


async def _record(
    uow: UnitOfWork,
    app: Payments,
    event: WebhookEvent,
    credit: Credit,
    found: _Ours,
    collector: Franchisee | None,
    lookups: Lookups,
) -> QrPayment | None:
    """The payment's row with its fee (webhook, API, estimate), rider and who has the money; None where it exists already."""
    asked = event.verified_by == Secret.ASKED
    # Where we asked for the payment the event is the API's answer: asked again, it would say the same.
    api: Mapping[str, Any] | None = credit.payment_entity if asked else None
    if credit.fee_paise is None and not asked:
        api = lookups.payment(credit.razorpay_payment_id, account=_account_of(collector))
    fee = resolve_fee(
        webhook_fee_paise=None if asked else credit.fee_paise,
        api_fee_paise=webhook.read_paise(api.get("fee")) if api is not None else None,
        paid_paise=credit.amount_paise,
        fee_bps=app.settings.fee_estimate_bps,
    )
    source = FeeSource(fee.source.value)
    taxes = {FeeSource.WEBHOOK: credit.tax_paise, FeeSource.API: webhook.read_paise(api.get("tax")) if api is not None else None}
    payer = rider.identity(contact=credit.contact, vpa=credit.vpa)
    rider_id, resolved_by = await riders.resolve(uow.connection, payer, now=uow.now)
    payment = await qr_payments.add(
        uow.connection,
        credit=credit,
        webhook_event_id=event.id,
        qr_code_id=found.qr.id if found.qr is not None else None,
        charge_point_id=found.qr.charge_point_id if found.qr is not None else None,
        connector_id=found.qr.connector_id if found.qr is not None else None,
        fee_paise=fee.fee_paise,
        tax_paise=taxes.get(source),
        fee_source=source,
        rider_id=rider_id,
        resolved_by=resolved_by,
        collected_by=collector,
        received_at=event.received_at,
        now=uow.now,
    )
    if payment is not None:
        if asked:
            uow.after_commit(app.metrics.payment_found.labels("qr_code.credited").inc)
        log.info(
            "payment.received",
            qr_payment_id=payment.id,
            razorpay_payment_id=payment.razorpay_payment_id,
            amount_paise=payment.amount_paise,
            fee_paise=payment.platform_fee_paise,
            fee_source=source,
            charge_point_id=payment.charge_point_id,
            rider_id=rider_id,
            resolved_by=resolved_by,
            collected_by=_account_of(collector),
        )
    return payment


def _account_of(collector: Franchisee | None) -> str | None:
    return collector.razorpay_account_id if collector is not None else None


async def _ask_to_start(app: Payments, uow: UnitOfWork, payment: QrPayment) -> None:
    """Charging is asked once, with an absolute deadline from the payment's receipt; from here on it alone decides."""
    deadline = payment.received_at + timedelta(seconds=app.settings.start_deadline_seconds)
    await qr_payments.set_values(
        uow.connection, payment.id, state=moved(payment.state, Trigger.START).value, start_deadline=deadline, updated_at=uow.now
    )
    uow.publish(start_request(payment, deadline=deadline), subject=lane_subject(payment))


def lane_subject(payment: QrPayment) -> str:
    """The order of our wishes for one session; of its own, so that a start waits for no announcement to be confirmed."""
    return f"session/{payment.request_key}"


def start_request(payment: QrPayment, *, deadline: object) -> StartRequested:
    """The wish that charging gets; the same at every repetition."""
    return StartRequested.model_validate(
        {
            "charge_point_id": payment.charge_point_id,
            "request_key": payment.request_key,
            "connector_id": payment.connector_id,
            "budget_paise": payment.amount_paise,
            "platform_fee_paise": payment.platform_fee_paise,
            "payer_reference": f"rdr_{payment.rider_id}",
            "deadline": deadline,
        }
    )


def cancel_request(payment: QrPayment) -> StartCancelRequested:
    """The wish to end it where it has not become a transaction."""
    return StartCancelRequested.model_validate(
        {"charge_point_id": payment.charge_point_id, "request_key": payment.request_key, "actor": "payments"}
    )
