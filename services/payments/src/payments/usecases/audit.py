"""Who changed what by hand: told to the journal in the transaction of the change."""

from typing import Any

from chassis.database import UnitOfWork
from chassis.web import Principal
from contracts.payments import AuditRecorded


def audit(
    uow: UnitOfWork,
    principal: Principal,
    *,
    entity: str,
    entity_id: str,
    action: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Emits AuditRecorded for an operator's action over the API."""
    uow.publish(
        AuditRecorded(
            entity=entity,
            entity_id=entity_id,
            action=action,
            actor=principal.subject,
            trigger="api",
            before=before,
            after=after,
            at=uow.now,
        ),
        subject=f"{entity}/{entity_id}",
    )
