"""What can be seen of a charge point from outside: its log of frames, its exchanges, and waiting for either."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from charger_simulator.clock import Clock, Timer
from charger_simulator.frames import Direction, Exchange, Frame, SimulatorError


@dataclass(slots=True)
class _Waiter:
    future: asyncio.Future[Any]
    look: Callable[[], Any] | None = None
    action: str | None = None
    where: Callable[[Exchange], bool] | None = None


class Watched:
    """Records what happens and wakes those who wait for it."""

    def __init__(self, id: str, clock: Clock, log_size: int) -> None:  # noqa: A002  the field's own word
        self.id = id
        self.clock = clock
        self.log: deque[Frame] = deque(maxlen=log_size)
        self.exchanges: deque[Exchange] = deque(maxlen=log_size)
        self._exchange_number = 0
        self._seen: dict[str, int] = {}
        self._waiters: list[_Waiter] = []

    def _record(
        self, direction: Direction, text: str | bytes, kind: int | None, id_: str | None, action: str | None, payload: Any
    ) -> None:
        if self.log.maxlen:
            self.log.append(Frame(self.clock.now(), direction, text, kind, id_, action, payload))

    def _exchanged(
        self,
        direction: Direction,
        action: str,
        request: dict[str, Any],
        response: dict[str, Any] | None,
        error: SimulatorError | None,
    ) -> None:
        self._exchange_number += 1
        exchange = Exchange(self._exchange_number, direction, action, request, response, error, self.clock.now())
        self.exchanges.append(exchange)
        for waiter in self._waiters:
            if waiter.action == action and not waiter.future.done() and (waiter.where is None or waiter.where(exchange)):
                self._seen[action] = exchange.number
                waiter.future.set_result(exchange)

    def _changed(self) -> None:
        """Something that can be seen from outside may have changed."""
        for waiter in self._waiters:
            if waiter.look is not None and not waiter.future.done():
                try:
                    found = waiter.look()
                except Exception as error:  # noqa: BLE001  the watcher's own error belongs to the watcher
                    waiter.future.set_exception(error)
                    continue
                if found:
                    waiter.future.set_result(found)

    async def wait_for(
        self,
        condition: str | Callable[..., Any],
        where: Callable[[Exchange], bool] | None = None,
        *,
        within: float | None = None,
    ) -> Any:
        """Waits for an action or for a predicate; driven by events, never by polling.

        - An action's name waits for the next exchange of it, in either direction, that no earlier `wait_for` of this action has
          returned, once it is over; one that is over already counts. `where` narrows it. Returns the Exchange.
        - A predicate, called with the charge point (or with nothing, if it takes nothing), is tried now and after every change;
          its first truthy value is returned.

        `within` limits the wait to seconds on the clock and raises TimeoutError.
        """
        if isinstance(condition, str):
            for exchange in self.exchanges:
                new = exchange.number > self._seen.get(condition, 0)
                if exchange.action == condition and new and (where is None or where(exchange)):
                    self._seen[condition] = exchange.number
                    return exchange
            waiter = _Waiter(asyncio.get_running_loop().create_future(), action=condition, where=where)
        else:
            predicate = condition
            look: Callable[[], Any] = (lambda: predicate(self)) if inspect.signature(predicate).parameters else predicate
            found = look()
            if found:
                return found
            waiter = _Waiter(asyncio.get_running_loop().create_future(), look=look)
        timer = None
        if within is not None:
            what = condition if isinstance(condition, str) else "the condition"

            def give_up() -> None:
                if not waiter.future.done():
                    waiter.future.set_exception(TimeoutError(f"{self.id}: {what} did not come within {within} s"))

            timer = Timer(self.clock, within, give_up)
        self._waiters.append(waiter)
        try:
            return await waiter.future
        finally:
            self._waiters.remove(waiter)
            if timer is not None:
                timer.cancel()
