"""Cars and chargers as the fleet simulation has them: power over time, what a meter shows of it, how a charger takes a stop."""

from bisect import bisect_right
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from random import Random

MS_PER_HOUR = 3_600_000
SOCKET_LOSS_MS = (10_000, 150_000)
"""How long a socket stays away: less than the 180 s after which a session would be finalized."""


class Behaviour(StrEnum):
    """How a charger takes a stop."""

    OBEYS = "obeys"
    REJECTS_ONCE = "rejects once"
    LOSES_SOCKET = "loses the socket"
    IGNORES = "ignores stops"


@dataclass(frozen=True)
class Power:
    """Power over time in straight pieces: `points` are (ms, W), the last value holds."""

    points: tuple[tuple[int, float], ...]
    energies: tuple[float, ...] = field(init=False)
    """W x ms up to each point."""

    def __post_init__(self) -> None:
        energies = [0.0]
        for (since, before), (until, after) in pairwise(self.points):
            energies.append(energies[-1] + (until - since) * (before + after) / 2)
        object.__setattr__(self, "energies", tuple(energies))

    def watts(self, ms: float) -> float:
        """Power at a time."""
        index = bisect_right(self.points, ms, key=lambda point: point[0]) - 1
        since, before = self.points[index]
        if index + 1 == len(self.points):
            return before
        until, after = self.points[index + 1]
        return before + (after - before) * (ms - since) / (until - since)

    def watt_ms(self, ms: float) -> float:
        """Energy up to a time, in W x ms."""
        index = bisect_right(self.points, ms, key=lambda point: point[0]) - 1
        since, before = self.points[index]
        return self.energies[index] + (ms - since) * (before + self.watts(ms)) / 2


@dataclass(frozen=True)
class Car:
    """One session: when it charges how much."""

    power: Power
    register_wh: float
    """The charger's lifetime register at its begin, fraction included."""
    budget_paise: int
    rate_paise: int

    def register(self, ms: float, grain_wh: int) -> int:
        """What the meter shows."""
        exact_wh = self.register_wh + self.power.watt_ms(ms) / MS_PER_HOUR
        return int(exact_wh // grain_wh) * grain_wh


@dataclass
class Box:
    """A charger: what it is, and what the platform has learned of it."""

    rated_w: int
    interval_ms: int
    grain_wh: int
    reports_power: bool
    network_ms: int
    contactor_ms: int
    behaviour: Behaviour
    stop_latency_ms: int | None = None
    """As charging keeps it."""

    def way(self, random: Random) -> int:
        """One way over its mobile network, in ms: mostly as always, at times much slower."""
        slow = random.expovariate(1 / 400) if random.random() < 0.1 else 0
        return int(self.network_ms * random.uniform(0.7, 1.5) + slow)

    def contactor(self, random: Random) -> int:
        """From taking a stop until the energy is off, in ms."""
        return int(self.contactor_ms * random.uniform(0.8, 1.2))


def make_box(random: Random, behaviour: Behaviour) -> Box:
    """Sockets and type 2 of 3.3 to 22 kW, DC up to 60 kW; a reading every 10 to 60 s."""
    return Box(
        rated_w=random.choice([3300, 7400, 7400, 11_000, 22_000, 30_000, 60_000]),
        interval_ms=random.choice([10_000, 15_000, 20_000, 30_000, 30_000, 60_000]),
        grain_wh=random.choice([1] * 9 + [10]),
        reports_power=random.random() < 0.8,
        network_ms=random.randint(40, 500),
        contactor_ms=random.randint(100, 1500),
        behaviour=behaviour,
    )


def make_car(random: Random, box: Box) -> Car:
    """Ramps up within seconds, then holds with a little noise, or is one of several at a shared connection, or tapers."""
    top_w = box.rated_w * random.uniform(0.4, 1.0)
    points: list[tuple[int, float]] = [(0, 0.0), (random.randint(500, 4000), 0.0)]
    at = points[-1][0] + random.randint(1000, 45_000)
    points.append((at, top_w))
    kind = random.choices(["steady", "taper", "steps"], weights=[6, 3, 1])[0]
    level = top_w
    while at < 4 * MS_PER_HOUR:
        stretch = random.randint(20_000, 400_000)
        if kind == "taper" and at > 200_000:
            level *= random.uniform(0.85, 1.0)
        elif kind == "steps" and random.random() < 0.3:
            # Another car leaves or comes: the shared connection's power moves within a second.
            level = box.rated_w * random.uniform(0.3, 1.0)
            at += 1000
            points.append((at, level))
        at += stretch
        points.append((at, level * random.uniform(0.98, 1.02)))
    return Car(
        power=Power(tuple(points)),
        register_wh=random.uniform(0, 9_000_000),
        budget_paise=random.choice([2000, 3000, 5000, 10_000, 20_000, 50_000]),
        rate_paise=random.choice([1200, 1500, 1800, 2400]),
    )
