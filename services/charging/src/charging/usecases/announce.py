"""What charging says of its transactions: events and audit records, through the outbox of the transaction that made them true."""

from datetime import datetime
from typing import Any

from charging.domain.states import TransactionState
from charging.domain.transaction import Transaction
from charging.usecases.context import Charging
from chassis.database import UnitOfWork
from contracts.charging import (
    AuditRecorded,
    EnergyEvidence,
    LateEnergyReported,
    TransactionStarted,
    TransactionStateChanged,
    TransactionStopped,
)

ACTOR = "charging"
"""The actor of what the service does by itself."""


def subject_of(transaction: Transaction) -> str:
    """The key of order of everything said about a transaction."""
    return f"transaction/{transaction.id}"


def _terms(transaction: Transaction) -> dict[str, Any]:
    return {
        "transaction_id": transaction.id,
        "charge_point_id": transaction.charge_point_id,
        "connector_id": transaction.connector_id,
        "station_id": transaction.station_id,
        "franchisee_id": transaction.franchisee_id,
        "station_name": transaction.station_name,
        "station_state_code": transaction.station_state_code,
        "request_key": transaction.request_key,
        "payer_reference": transaction.payer_reference,
        "tariff_id": transaction.tariff_id or 0,
        "tariff_paise_per_kwh": transaction.tariff_paise_per_kwh,
        "gst_bps": transaction.gst_bps,
        "tariff_effective_from": transaction.tariff_effective_from,
        "started_at": transaction.started_at,
    }


def audit(
    uow: UnitOfWork,
    *,
    entity: str,
    entity_id: object,
    action: str,
    actor: str = ACTOR,
    trigger: str,
    at: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    traceparent: str | None = None,
) -> None:
    """Record a material change for the journal."""
    uow.publish(
        AuditRecorded(
            entity=entity,
            entity_id=str(entity_id),
            action=action,
            actor=actor,
            trigger=trigger,
            before=before,
            after=after,
            at=at,
        ),
        subject=f"{entity}/{entity_id}",
        traceparent=traceparent,
    )


def started(uow: UnitOfWork, transaction: Transaction) -> None:
    """A session began."""
    uow.publish(
        TransactionStarted(**_terms(transaction), subject_version=transaction.subject_version),
        subject=subject_of(transaction),
        message_id=f"transaction_started/{transaction.id}",
        traceparent=transaction.traceparent,
    )
    audit(
        uow,
        entity="transaction",
        entity_id=transaction.id,
        action="started",
        trigger="StartTransaction",
        at=transaction.started_at,
        after={
            "state": transaction.state.value,
            "request_key": transaction.request_key,
            "id_tag": transaction.id_tag,
            "meter_start_wh": transaction.meter.start_wh,
            "affordable_wh": transaction.affordable_wh,
        },
        traceparent=transaction.traceparent,
    )


def stepped(uow: UnitOfWork, transaction: Transaction, before: TransactionState, *, trigger: str, at: datetime) -> None:
    """The state machine took a step (the last one, to STOPPED, is told by `stopped`)."""
    uow.publish(
        TransactionStateChanged(
            **_terms(transaction),
            subject_version=transaction.subject_version,
            before=before.value,
            after=transaction.state.value,
            trigger=trigger,
            at=at,
            energy_wh=transaction.meter.confirmed_wh,
        ),
        subject=subject_of(transaction),
        traceparent=transaction.traceparent,
    )
    audit(
        uow,
        entity="transaction",
        entity_id=transaction.id,
        action=f"state.{transaction.state.value.lower()}",
        trigger=trigger,
        at=at,
        before={"state": before.value},
        after={
            "state": transaction.state.value,
            "energy_wh": transaction.meter.confirmed_wh,
            "resume_count": transaction.resume_count,
        },
        traceparent=transaction.traceparent,
    )


def late_energy(app: Charging, uow: UnitOfWork, transaction: Transaction) -> None:
    """Energy came in after the end: kept apart, never billed."""
    uow.publish(
        LateEnergyReported(
            transaction_id=transaction.id, charge_point_id=transaction.charge_point_id, late_wh=transaction.late_wh
        ),
        subject=subject_of(transaction),
        traceparent=transaction.traceparent,
    )
    uow.after_commit(app.metrics.late_energy.inc)


def stopped(
    uow: UnitOfWork, transaction: Transaction, before: TransactionState, *, trigger: str, actor: str, charger_word: str | None
) -> None:
    """A session is final. Said once: payments bills on it."""
    stopped_at, reason, energy_wh = transaction.stopped_at, transaction.stop_reason, transaction.energy_wh
    if stopped_at is None or reason is None or energy_wh is None:
        raise RuntimeError(f"transaction {transaction.id} is announced before it is final")
    proof = transaction.energy_evidence
    evidence = EnergyEvidence.model_validate_json(proof) if proof is not None else None
    uow.publish(
        TransactionStopped(
            **_terms(transaction),
            subject_version=transaction.subject_version,
            stopped_at=stopped_at,
            stop_reason=reason,
            ocpp_stop_reason=transaction.ocpp_stop_reason,
            energy_wh=energy_wh,
            meter_start_wh=transaction.meter.start_wh,
            meter_stop_wh=transaction.meter_stop_wh,
            implausible=transaction.implausible,
            evidence=evidence,
        ),
        subject=subject_of(transaction),
        message_id=f"transaction_stopped/{transaction.id}",
        traceparent=transaction.traceparent,
    )
    audit(
        uow,
        entity="transaction",
        entity_id=transaction.id,
        action="stopped",
        actor=actor,
        trigger=trigger,
        at=stopped_at,
        before={"state": before.value},
        after={
            "state": transaction.state.value,
            "stop_reason": transaction.stop_reason,
            "ocpp_stop_reason": charger_word,
            "energy_wh": transaction.energy_wh,
            "implausible": transaction.implausible,
            "confidence": evidence.confidence if evidence is not None else None,
        },
        traceparent=transaction.traceparent,
    )
