"""The one finalizer: every end of a session, whatever brought it about, goes through here, once."""

from datetime import datetime

from charging.budget_cache import drop_budget
from charging.domain.transaction import Transaction
from charging.grace_cache import cache_grace
from charging.usecases import announce
from charging.usecases.context import Charging
from chassis.database import UnitOfWork
from contracts.charging import StopReason


def finalize(
    app: Charging,
    uow: UnitOfWork,
    transaction: Transaction,
    reason: StopReason,
    *,
    at: datetime,
    trigger: str,
    actor: str = announce.ACTOR,
    ocpp_stop_reason: str | None = None,
    meter_stop_wh: int | None = None,
) -> bool:
    """Freeze energy and reason and announce them. False, and nothing done, if the transaction is final already.

    The caller holds the row's lock, and saves the transaction afterwards.
    """
    if not transaction.active:
        return False
    before, graced = transaction.state, transaction.availability_reason is StopReason.GRACE_EXPIRED
    transaction.finalize(reason, at, ocpp_stop_reason=ocpp_stop_reason, meter_stop_wh=meter_stop_wh)
    announce.stopped(uow, transaction, before, trigger=trigger, actor=actor, charger_word=ocpp_stop_reason)
    uow.after_commit(lambda: _count(app, transaction))
    drop_budget(app.redis, app.service.tasks, uow, transaction.id)
    if graced:
        cache_grace(app.redis, app.service.tasks, uow, transaction)
    return True


def _count(app: Charging, transaction: Transaction) -> None:
    reason = transaction.stop_reason
    app.metrics.sessions_stopped.labels(reason).inc()
    if reason is StopReason.DISCONNECT_TIMEOUT:
        app.metrics.disconnect_stopped.inc()
    elif reason is StopReason.FLAP_LIMIT:
        app.metrics.flap_stopped.inc()
    elif reason is StopReason.SWEPT:
        app.metrics.stale_suspended_swept.inc()
    if transaction.energy_wh == 0 and transaction.request_key is not None:
        app.metrics.zero_energy_stopped.inc()
    if transaction.implausible:
        app.metrics.meter_implausible.inc()
