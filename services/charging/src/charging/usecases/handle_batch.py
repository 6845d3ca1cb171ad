"""A batch of lane events, in order per charger, with all neighbouring MeterValues and all neighbouring news taken together.

    charger A:  meter  boot  status  meter         round 0: A A B B meter values together, then A's and C's news together,
    charger B:  meter  meter  stop                          then B's stop
    charger C:  connected  boot  disconnected      round 1: A's last meter values

News is what all of a fleet's chargers say at once: connected, booted, this and that status, gone. Between chargers order means
nothing; within one it is kept.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import IntEnum
from typing import Any

from charging.repository import Charger
from charging.usecases.context import Charging
from charging.usecases.known_chargers import KnownChargers, know
from charging.usecases.observe_effects import SIGNS, awaited_of, observe
from charging.usecases.record_meter_values import record_meter_values
from chassis.database import UnitOfWork
from chassis.messaging import Received
from contracts.base import LaneEvent
from contracts.ocpp_gateway import StatusNotificationReceived, UnparsedMeterValuesReceived

LaneHandler = Callable[[Charging, UnitOfWork, Received], Awaitable[None]]
NewsRule = Callable[[Charging, UnitOfWork, KnownChargers, Charger, Any], Awaitable[None]]
"""`(app, uow, known, charger, event)`: judges one event in memory; what changed is written with the others."""
LaneBatchHandler = Callable[[Charging, UnitOfWork, Sequence[Received]], Awaitable[None]]


class _Kind(IntEnum):
    """Of an event, in the order of a round."""

    METER_VALUES = 0
    NEWS = 1
    OTHER = 2


def in_order_per_charger(
    news: Mapping[type[LaneEvent], NewsRule], handlers: Mapping[type[LaneEvent], LaneHandler]
) -> LaneBatchHandler:
    """The lane consumer's handler over the rules of news, and over use cases for all that is neither news nor MeterValues."""

    async def handle_batch(app: Charging, uow: UnitOfWork, batch: Sequence[Received]) -> None:
        # Before anything is handled: what is handed over in this batch leaves after its commit, so its effect is not in it.
        awaited = await awaited_of(uow, {r.model.charge_point_id for r in batch if type(r.model) in SIGNS})
        for meter_values, told, others in _rounds(batch, news):
            if meter_values:
                await record_meter_values(app, uow, meter_values)
                for received in meter_values:
                    if received.model.charge_point_id in awaited:
                        await observe(app, uow, received)
            if told:
                await _take_news(app, uow, told, news, awaited)
            for received in others:
                with _span(app, received):
                    await handlers[type(received.model)](app, uow, received)
                    if received.model.charge_point_id in awaited:
                        await observe(app, uow, received)

    return handle_batch


async def _take_news(
    app: Charging,
    uow: UnitOfWork,
    batch: Sequence[Received],
    rules: Mapping[type[LaneEvent], NewsRule],
    awaited: Collection[str],
) -> None:
    """Judge each event in its order, and write what came of all. A charger that is not registered has no news."""
    reporting = {r.model.charge_point_id for r in batch if type(r.model) is StatusNotificationReceived}
    known = await know(uow, {received.model.charge_point_id for received in batch}, reporting=reporting)
    for received in batch:
        event = received.model
        with _span(app, received):
            charger = known.chargers.get(event.charge_point_id)
            if charger is not None:
                await rules[type(event)](app, uow, known, charger, event)
            if event.charge_point_id in awaited:
                await known.write(uow)  # what is observed is in the rows
                await observe(app, uow, received)
    await known.write(uow)


def _span(app: Charging, received: Received) -> AbstractContextManager[Any]:
    return app.telemetry.span(f"handle {received.type}", traceparent=received.traceparent, message_id=received.message_id)


def _rounds(
    batch: Sequence[Received], news: Collection[type[LaneEvent]]
) -> list[tuple[list[Received], list[Received], list[Received]]]:
    """Rounds of (MeterValues, news, everything else): a charger's event is in a later round than what it must follow."""
    rounds: list[tuple[list[Received], list[Received], list[Received]]] = []
    reached: dict[str, tuple[int, _Kind]] = {}  # charger → (its current round, how far it is in that)
    for received in batch:
        event = received.model
        kind = _kind_of(event, news)
        number, passed = reached.get(event.charge_point_id, (0, _Kind.METER_VALUES))
        if kind < passed:
            number += 1
        reached[event.charge_point_id] = (number, kind)
        while len(rounds) <= number:
            rounds.append(([], [], []))
        rounds[number][kind].append(received)
    return rounds


def _kind_of(event: LaneEvent, news: Collection[type[LaneEvent]]) -> _Kind:
    if isinstance(event, UnparsedMeterValuesReceived):
        return _Kind.METER_VALUES
    return _Kind.NEWS if type(event) in news else _Kind.OTHER
