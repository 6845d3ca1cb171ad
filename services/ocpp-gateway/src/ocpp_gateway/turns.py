"""How many CALLs of ours are on the wire at once, over all sockets: what a returned fleet is told must not bury it, or us.

RemoteStop and RemoteStart never wait here and take no turn: money runs, or a rider stands there.
"""

from collections import OrderedDict
from typing import Protocol

URGENT_PRIORITY_MAX = 1
"""`CommandSendRequested.priority`: 0 stop, 1 start."""

TURN_SECONDS = 5.0
"""A turn is given back after so long without an answer: silent chargers must not hold up those that answer."""


class Waiting(Protocol):
    """The CALLs of one connection."""

    def pump(self) -> None:
        """Send what may go."""
        ...


class Turns:
    """The turns of one gateway, first come, first served. Everything happens on the event loop, nothing waits."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._taken: OrderedDict[Waiting, float] = OrderedDict()
        self._line: OrderedDict[Waiting, None] = OrderedDict()
        self._handing_on = False

    def take(self, calls: Waiting, now: float) -> bool:
        """A turn for the next CALL of this connection, taken at `now` (monotonic); False: it is pumped when its turn comes."""
        if calls in self._taken or len(self._taken) < self._at_once:
            self._line.pop(calls, None)
            self._taken[calls] = now
            return True
        self._line[calls] = None
        return False

    def give_back(self, calls: Waiting) -> None:
        """Its CALL is over, or it has nothing more to send. Without a turn nothing happens."""
        self._line.pop(calls, None)
        if self._taken.pop(calls, None) is not None:
            self._hand_on()

    def sweep(self, now: float) -> None:
        """Take back what has been held for TURN_SECONDS."""
        for calls in [calls for calls, since in self._taken.items() if now - since >= TURN_SECONDS]:
            del self._taken[calls]
        self._hand_on()

    def _hand_on(self) -> None:
        # A loop, not a recursion: who is pumped may give its turn back at once.
        if self._handing_on:
            return
        self._handing_on = True
        try:
            while self._line and len(self._taken) < self._at_once:
                calls, _ = self._line.popitem(last=False)
                calls.pump()
        finally:
            self._handing_on = False
