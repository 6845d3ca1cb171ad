"""FirmwareStatusNotification and DiagnosticsStatusNotification (OCPP 1.6 §4.4, §4.5) in the lane."""

import structlog

from charging.repository import load_chargers
from charging.usecases import announce
from charging.usecases.connection import alive
from charging.usecases.context import Charging
from chassis.database import UnitOfWork
from chassis.messaging import Received
from contracts.ocpp_gateway import FirmwareStatusReceived

log = structlog.get_logger(__name__)


async def upkeep_reported(app: Charging, uow: UnitOfWork, received: Received) -> None:
    """For charging it is a sign of life; the journal keeps what was said. Campaigns are the firmware service's."""
    del app
    event = received.model
    charger = (await load_chargers(uow, [event.charge_point_id])).get(event.charge_point_id)
    if charger is None:
        return
    await alive(uow, charger, event)
    announce.audit(
        uow,
        entity="charger",
        entity_id=charger.id,
        action="firmware_status" if isinstance(event, FirmwareStatusReceived) else "diagnostics_status",
        trigger=event.TYPE,
        at=event.received_at,
        after={"status": event.status},
    )
