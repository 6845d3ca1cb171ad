"""What a charge point has yet to send, and in which order (OCPP 1.6 sections 3.7 and 3.7.1). Pure: no I/O, no clock.

Transaction messages (StartTransaction, StopTransaction, MeterValues) keep their order, are kept while offline and are tried
again when refused; other messages may overtake them while they wait, and are lost with the connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from charger_simulator.frames import SimulatorError


@dataclass(slots=True, eq=False)
class Outgoing:
    """A CALL to be sent."""

    action: str
    build: Callable[[], dict[str, Any]]
    """Makes the payload when it is sent: a transactionId may have been learned since the message was queued."""
    done: Callable[[dict[str, Any] | None, SimulatorError | None], None] | None = None
    """Told the result, or the error once there will be no further attempt."""
    transactional: bool = False
    before_boot: bool = False
    """May go out before BootNotification was accepted."""
    not_before: float = 0.0
    """Monotonic second before which it must wait."""
    attempts: int = 0
    number: int = 0


class Outbox:
    """The two queues of one charge point."""

    __slots__ = ("_limit", "_number", "_transactional", "_volatile", "dropped")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._transactional: deque[Outgoing] = deque()
        self._volatile: deque[Outgoing] = deque()
        self._number = 0
        self.dropped = 0
        """MeterValues that found the queue full, and transaction messages given up after their attempts."""

    @property
    def transactional(self) -> tuple[Outgoing, ...]:
        return tuple(self._transactional)

    def holds(self, action: str) -> bool:
        return any(item.action == action for item in self._volatile)

    def add(self, item: Outgoing) -> None:
        """A full queue drops MeterValues only: Start and Stop are the bill."""
        if item.transactional and item.action == "MeterValues" and len(self._transactional) >= self._limit:
            self.dropped += 1
            return
        self._number += 1
        item.number = self._number
        (self._transactional if item.transactional else self._volatile).append(item)

    def next(self, now: float, *, booted: bool, reorder: bool = False) -> Outgoing | None:
        """The message whose turn it is, left in place until `remove`; None if none may go now."""
        heads = [item for item in self._heads(booted=booted, reorder=reorder) if item.not_before <= now]
        return min(heads, key=lambda item: item.number, default=None)

    def seconds_to_next(self, now: float, *, booted: bool, reorder: bool = False) -> float | None:
        """How long until `next` may have something without anybody adding to it; None: never."""
        return min((item.not_before - now for item in self._heads(booted=booted, reorder=reorder)), default=None)

    def _heads(self, *, booted: bool, reorder: bool) -> list[Outgoing]:
        heads = []
        volatile = self._volatile if booted else [item for item in self._volatile if item.before_boot]
        if volatile:
            heads.append(volatile[0])
        if booted and self._transactional:
            heads.append(self._transactional[1 if reorder and len(self._transactional) > 1 else 0])
        return heads

    def remove(self, item: Outgoing) -> None:
        queue = self._transactional if item.transactional else self._volatile
        if item in queue:
            queue.remove(item)

    def failed(self, item: Outgoing, now: float, *, attempts_max: int, interval_seconds: float) -> bool:
        """Books a failed attempt. True when it was the last one and the message is given up.

        A transaction message waits `interval x number of attempts so far` before the next (section 3.7.1); others have one.
        """
        item.attempts += 1
        if item.transactional and item.attempts < attempts_max:
            item.not_before = now + interval_seconds * item.attempts
            return False
        self.remove(item)
        self.dropped += item.transactional
        return True

    def lose_volatile(self) -> list[Outgoing]:
        """The connection is gone: so are the messages that are not queued offline. Waits for a retry end with it."""
        lost = list(self._volatile)
        self._volatile.clear()
        for item in self._transactional:
            if item.attempts:
                item.not_before = 0.0
        return lost

    def lose_transactional(self) -> None:
        self._transactional.clear()
