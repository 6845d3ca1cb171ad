"""The offline-safe cap of prepaid sessions (features.md B18): off unless the setting, or a charger's quirks, turn it on."""

from datetime import timedelta

import sqlalchemy as sa

from charging.domain.charging_profiles import HELD, ProfileState, capabilities_of, read_profile
from charging.domain.offline_cap import RENEW_SECONDS_MIN, cap_payload, offline_cap
from charging.domain.transaction import Transaction
from charging.repository import Charger, lock_transactions
from charging.tables import charging_profiles
from charging.usecases.announce import ACTOR
from charging.usecases.context import Charging
from charging.usecases.follow_charging_profiles import add_profile
from charging.usecases.request_command import reported_configuration
from charging.usecases.send_command import create_command
from chassis.database import UnitOfWork

TRIGGER = "offline_cap"


async def cap_offline(app: Charging, uow: UnitOfWork, charger: Charger, transaction: Transaction) -> None:
    """Send a TxProfile that falls to 0 A when the budget may be used up; only where the charger claims SmartCharging."""
    if transaction.affordable_wh is None or not _wanted(app, charger):
        return
    can = capabilities_of(await reported_configuration(uow, charger.id))
    if not can.smart_charging:
        return
    cap = offline_cap(
        affordable_wh=transaction.affordable_wh,
        used_wh=transaction.meter.confirmed_wh,
        rated_power_w=transaction.rated_power_w,
    )
    payload = cap_payload(
        cap,
        connector_id=transaction.connector_id,
        transaction_id=transaction.id,
        reported_transaction_id=transaction.reported_transaction_id,
        elapsed_seconds=int((uow.now - transaction.started_at).total_seconds()),
        rated_power_w=transaction.rated_power_w,
        can=can,
    )
    command_id = await create_command(
        app,
        uow,
        charger,
        action="SetChargingProfile",
        payload=payload,
        trigger=TRIGGER,
        deadline_at=uow.now + timedelta(seconds=app.settings.command_deadline_seconds),
        transaction_id=transaction.id,
    )
    again = cap.renew_after_seconds
    said = payload["csChargingProfiles"]
    await add_profile(
        uow,
        charger,
        read_profile(transaction.connector_id, said),
        said,
        command_id=command_id,
        actor=ACTOR,
        transaction_id=transaction.id,
        renew_at=uow.now + timedelta(seconds=again) if again is not None else None,
    )


def _wanted(app: Charging, charger: Charger) -> bool:
    quirks = app.quirk_profile_of(charger)
    return app.settings.offline_cap if quirks.offline_cap is None else quirks.offline_cap


async def cap_due(app: Charging, uow: UnitOfWork, charger: Charger, profile_row_id: int) -> None:
    """A cap is to be renewed: a car that draws less than the rated power has budget left when it would fall."""
    c = charging_profiles.c
    row = (
        await uow.connection.execute(
            sa.select(charging_profiles)
            .where(c.id == profile_row_id, c.charger_id == charger.id, c.renew_at <= uow.now)
            .with_for_update()
        )
    ).one_or_none()
    if row is None:
        return
    running = [t for t in await lock_transactions(uow, [charger.id]) if t.id == row.transaction_id and t.stop_intent is None]
    held = ProfileState(row.state) in HELD
    # A charger that is away keeps the cap that it has; it is renewed when it is back, should it have fallen meanwhile.
    away = bool(running) and held and not charger.online
    renew_at = uow.now + timedelta(seconds=RENEW_SECONDS_MIN) if away else None
    await uow.connection.execute(sa.update(charging_profiles).where(c.id == row.id).values(renew_at=renew_at))
    if running and held and not away:
        await cap_offline(app, uow, charger, running[0])
