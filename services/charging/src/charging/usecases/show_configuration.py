"""Charger configuration over REST: shown, overridden for one charger, read anew. The lane does the talking."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from charging.configuration_repository import load_keys
from charging.domain.commands import CARE
from charging.domain.configuration import UNDER_WAY, ConfigurationState, desired_of
from charging.domain.errors import InvalidCommandError
from charging.domain.redaction import is_secret
from charging.tables import chargers, configuration_keys, configurations
from charging.usecases import announce
from charging.usecases.context import Charging
from charging.usecases.scope import at_own_stations, missing, of_own_chargers
from charging.views import (
    ChargerId,
    ConfigurationOverride,
    ConfigurationQuery,
    ConfigurationView,
    ConfigurationWithKeys,
)
from charging.views.configuration import ConfigurationKeyView
from chassis.database import UnitOfWork
from chassis.web import Page, Principal, fetch_page

KEY_LENGTH_MAX = 50
"""CiString50."""


async def show_configuration(
    app: Charging, uow: UnitOfWork, charger_id: ChargerId, principal: Principal
) -> ConfigurationWithKeys:
    """`GET /v1/chargers/{id}/configuration`: every key that the charger has or should have, the desired first."""
    charger = await _charger(uow, charger_id, principal)
    return await _view(app, uow, charger)


async def list_configurations(uow: UnitOfWork, query: ConfigurationQuery, principal: Principal) -> Page[ConfigurationView]:
    """`GET /v1/configurations?drift=true`: chargers that are not as they should be."""
    statement = sa.select(configurations).where(of_own_chargers(principal, configurations.c.charger_id))
    if query.drift is not None:
        statement = statement.where(configurations.c.drift > 0 if query.drift else configurations.c.drift == 0)
    if query.state is not None:
        statement = statement.where(configurations.c.state == query.state.value)
    return await fetch_page(uow, statement, query, order=(configurations.c.charger_id,), view=ConfigurationView.model_validate)


async def override_key(
    app: Charging, uow: UnitOfWork, charger_id: ChargerId, key: str, body: ConfigurationOverride, principal: Principal
) -> ConfigurationWithKeys:
    """`PUT /v1/chargers/{id}/configuration/{key}`: desired for this charger alone, and sent when it is free."""
    charger = await _charger(uow, charger_id, principal)
    spelled = key.strip()
    if not spelled or len(spelled) > KEY_LENGTH_MAX:
        raise InvalidCommandError(f"A configuration key has 1 to {KEY_LENGTH_MAX} characters.")
    if is_secret(spelled):
        raise InvalidCommandError(
            f"{spelled} is a secret and is not kept: set a password by POST /v1/chargers/{{id}}/credentials, any other secret "
            "once by POST /v1/chargers/{id}/commands ChangeConfiguration."
        )
    values = {"override": body.value, "override_by": principal.subject, "override_at": uow.now, "settled": False}
    await uow.connection.execute(
        insert(configuration_keys)
        .values(charger_id=charger_id, name=spelled.casefold(), key=spelled, **values)
        .on_conflict_do_update(
            index_elements=[configuration_keys.c.charger_id, configuration_keys.c.name],
            set_=values | {"fallback": False},
        )
    )
    await _ask_for(uow, charger)
    _audit(uow, charger_id, "configuration.overridden", principal, {"key": spelled, "value": body.value})
    return await _view(app, uow, charger)


async def drop_override(app: Charging, uow: UnitOfWork, charger_id: ChargerId, key: str, principal: Principal) -> None:
    """`DELETE /v1/chargers/{id}/configuration/{key}`: back to what its model and the platform say."""
    del app
    charger = await _charger(uow, charger_id, principal)
    k = configuration_keys.c
    dropped = await uow.connection.scalar(
        sa.update(configuration_keys)
        .where(k.charger_id == charger_id, k.name == key.strip().casefold(), k.override.is_not(None))
        .values(override=None, override_by=None, override_at=None, settled=False, fallback=False)
        .returning(k.key)
    )
    if dropped is None:
        raise missing(f"override of {key} for charger", "chg", charger_id)
    await _ask_for(uow, charger)
    _audit(uow, charger_id, "configuration.override_dropped", principal, {"key": dropped})


async def refresh_configuration(
    app: Charging, uow: UnitOfWork, charger_id: ChargerId, principal: Principal
) -> ConfigurationWithKeys:
    """`POST /v1/chargers/{id}/configuration/refresh`: read anew, and every key tried once more, whatever it answered before."""
    charger = await _charger(uow, charger_id, principal)
    await uow.connection.execute(
        sa.update(configuration_keys).where(configuration_keys.c.charger_id == charger_id).values(settled=False, fallback=False)
    )
    await _ask_for(uow, charger, listing_refused=False, interruptions=0)
    _audit(uow, charger_id, "configuration.refresh_requested", principal, {})
    return await _view(app, uow, charger)


async def _ask_for(uow: UnitOfWork, charger: Any, **more: Any) -> None:
    """Due at once; a conversation that is under way comes to its end first, and begins anew: its desired_version is gone."""
    f = configurations.c
    idle = f.state.not_in([state.value for state in UNDER_WAY])
    await uow.connection.execute(
        insert(configurations)
        .values(
            charger_id=charger.id,
            charge_point_id=charger.charge_point_id,
            state=ConfigurationState.WAITING.value,
            due_at=uow.now,
            reason="asked for",
        )
        .on_conflict_do_update(
            index_elements=[f.charger_id],
            set_={
                "desired_version": "",
                "due_at": sa.case((idle, uow.now), else_=f.due_at),
                "state": sa.case((idle, ConfigurationState.WAITING.value), else_=f.state),
                "reason": sa.case((idle, "asked for"), else_=f.reason),
                **more,
            },
        )
    )


async def _view(app: Charging, uow: UnitOfWork, charger: Any) -> ConfigurationWithKeys:
    row = (await uow.connection.execute(sa.select(configurations).where(configurations.c.charger_id == charger.id))).one_or_none()
    known = await load_keys(uow, charger.id)
    overrides = {name: (key.key, key.override) for name, key in known.keys.items() if key.override is not None}
    known.wish(desired_of(app.configuration.keys, app.quirk_profile_of(charger), overrides))
    by = dict(
        (
            await uow.connection.execute(
                sa.select(configuration_keys.c.name, configuration_keys.c.override_by).where(
                    configuration_keys.c.charger_id == charger.id
                )
            )
        )
        .tuples()
        .all()
    )
    keys = sorted(known.keys.values(), key=lambda key: (key.position is None, key.position or 0, key.name))
    told = (
        row._mapping  # noqa: SLF001  (SQLAlchemy's public name)
        if row is not None
        else {
            "charger_id": charger.id,
            "charge_point_id": charger.charge_point_id,
            "state": ConfigurationState.WAITING,
            "reason": "it has not been configured yet",
            "due_at": None,
            "drift": 0,
            "reboot_required": False,
            "listing_refused": False,
            "interruptions": 0,
            "firmware_version": charger.firmware_version,
            "command_id": None,
            "started_at": None,
            "finished_at": None,
        }
    )
    return ConfigurationWithKeys.model_validate(
        {
            **told,
            "drift": known.drift,
            "keys": [
                ConfigurationKeyView(
                    key=key.key,
                    desired=key.desired,
                    reported=key.reported,
                    drift=known.drifting(key),
                    readonly=key.readonly,
                    override=key.override,
                    override_by=by.get(key.name),
                    fallback=key.fallback,
                    answer=key.answer,
                    sent=key.sent,
                    sent_at=key.sent_at,
                    seen_at=key.seen_at,
                )
                for key in keys
            ],
        }
    )


async def _charger(uow: UnitOfWork, charger_id: int, principal: Principal) -> Any:
    own = at_own_stations(principal, chargers.c.station_id)
    row = (await uow.connection.execute(sa.select(chargers).where(chargers.c.id == charger_id, own))).one_or_none()
    if row is None:
        raise missing("charger", "chg", charger_id)
    return row


def _audit(uow: UnitOfWork, charger_id: int, action: str, principal: Principal, after: dict[str, Any]) -> None:
    announce.audit(
        uow,
        entity="charger",
        entity_id=charger_id,
        action=action,
        actor=principal.subject,
        trigger=f"api: {CARE}",
        at=uow.now,
        after=after,
    )
