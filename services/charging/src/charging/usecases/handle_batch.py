"""A batch of lane events, in order per charger, with all neighbouring MeterValues taken together.

    charger A:  meter  meter  status  meter        round 0: A A B B meter values together, then A's status and B's stop
    charger B:  meter  meter  stop                 round 1: A's last meter values

Between chargers order means nothing; within one it is kept.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from charging.usecases.context import Charging
from charging.usecases.observe_effects import SIGNS, awaited_of, observe
from charging.usecases.record_meter_values import record_meter_values
from chassis.database import UnitOfWork
from chassis.messaging import Received
from contracts.base import LaneEvent
from contracts.ocpp_gateway import UnparsedMeterValuesReceived

LaneHandler = Callable[[Charging, UnitOfWork, Received], Awaitable[None]]
LaneBatchHandler = Callable[[Charging, UnitOfWork, Sequence[Received]], Awaitable[None]]


def in_order_per_charger(handlers: Mapping[type[LaneEvent], LaneHandler]) -> LaneBatchHandler:
    """The lane consumer's handler over a table of use cases for everything but MeterValues."""

    async def handle_batch(app: Charging, uow: UnitOfWork, batch: Sequence[Received]) -> None:
        # Before anything is handled: what is handed over in this batch leaves after its commit, so its effect is not in it.
        awaited = await awaited_of(uow, {r.model.charge_point_id for r in batch if type(r.model) in SIGNS})
        for meter_values, others in _rounds(batch):
            if meter_values:
                await record_meter_values(app, uow, meter_values)
                for received in meter_values:
                    if received.model.charge_point_id in awaited:
                        await observe(app, uow, received)
            for received in others:
                with app.telemetry.span(
                    f"handle {received.type}", traceparent=received.traceparent, message_id=received.message_id
                ):
                    await handlers[type(received.model)](app, uow, received)
                    if received.model.charge_point_id in awaited:
                        await observe(app, uow, received)

    return handle_batch


def _rounds(batch: Sequence[Received]) -> list[tuple[list[Received], list[Received]]]:
    """Rounds of (MeterValues, everything else): a charger's event is in a later round than what it must follow."""
    rounds: list[tuple[list[Received], list[Received]]] = []
    reached: dict[str, tuple[int, bool]] = {}  # charger → (its current round, whether that has passed to the others)
    for received in batch:
        event = received.model
        number, past_meter_values = reached.get(event.charge_point_id, (0, False))
        is_meter_values = isinstance(event, UnparsedMeterValuesReceived)
        if is_meter_values and past_meter_values:
            number, past_meter_values = number + 1, False
        elif not is_meter_values:
            past_meter_values = True
        reached[event.charge_point_id] = (number, past_meter_values)
        while len(rounds) <= number:
            rounds.append(([], []))
        if is_meter_values:
            rounds[number][0].append(received)
        else:
            rounds[number][1].append(received)
    return rounds
