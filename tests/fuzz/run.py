"""Attackers send fuzzed frames, witnesses honest ones; what must hold is watched, and what does not hold becomes a finding."""

import asyncio
import itertools
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median

import orjson

from testkit.servers import Servers
from tests.fuzz import mutate, oracle
from tests.fuzz.mutate import Frame
from tests.fuzz.wire import TEXT, Refused, Wire, encode
from tests.fuzz.world import PASSWORD, Charging, Gateway, world

ATTACKERS = 50
WITNESSES = 5

WINDOW = 12
"""Answerable frames of one socket without their answer at once: this measures throughput, it is no memory bomb."""

GUARD_SECONDS = 90.0
"""An answer that has not come by then never comes."""

LOOK_SECONDS = 0.25

FINDINGS_MAX = 5
"""More tell nothing new: the run ends."""

WARM_UP = 0.10
"""The part of the frames after which memory is held to stay."""

GROWTH_MIB_MAX = 20.0
"""Resident memory, from the warm-up's end to the run's."""

WITNESS_PAUSE_SECONDS = 0.02

MEMORY_SAMPLES = 200

REMEMBERED = 4096
"""Answered ids per socket by which a second answer is recognised."""

FRAME_SHOWN_BYTES = 4000

SUSPECTS = 40
"""Frames that are named where a socket ends without cause."""


class Findings:
    """What did not hold."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.all: list[str] = []
        self.enough = asyncio.Event()
        self.over = False
        """The run has ended: what is closed from now on is closed by us."""

    def add(self, what: str, frame: Frame | None = None) -> None:
        """Note it, with what it takes to see it again."""
        if self.over or len(self.all) >= FINDINGS_MAX:
            return
        if frame is not None:
            shown = repr(frame.data[:FRAME_SHOWN_BYTES]) + (f" … {len(frame.data)} bytes" * (len(frame.data) > FRAME_SHOWN_BYTES))
            what += f"\n  --seed {self.seed} --only {frame.number}  ({frame.kind})\n  {shown}"
        self.all.append(what)
        print(f"FINDING {len(self.all)}: {what}", flush=True)
        if len(self.all) >= FINDINGS_MAX:
            self.enough.set()


@dataclass
class Tally:
    """What was sent and what came."""

    sent: Counter[str] = field(default_factory=Counter)
    """Frames by kind."""
    answers: Counter[str] = field(default_factory=Counter)
    """Those that had to come, by CALLRESULT or error code."""
    extra: int = 0
    """Answers to frames that may be answered and need not."""
    garbage: Counter[str] = field(default_factory=Counter)
    """Sockets ended, by what it was done with."""
    witnessed: int = 0
    witness_ms_max: float = 0.0
    memory: list[float] = field(default_factory=list)
    """Resident MiB of the gateway, about evenly spaced over the frames."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def frames(self) -> int:
        return self.sent.total()


class Attacker:
    """One charge point that sends what it is given, `WINDOW` answerable frames at a time."""

    def __init__(self, name: str, port: int, frames: Iterator[Frame], findings: Findings, tally: Tally) -> None:
        self.name = name
        self._port = port
        self._frames = frames
        self._findings = findings
        self._tally = tally
        self._open: dict[oracle.Key, deque[tuple[Frame, float]]] = {}
        self._open_count = 0
        self._answered: OrderedDict[oracle.Key, Frame] = OrderedDict()
        self._may = 0
        self._sent: deque[int] = deque(maxlen=SUSPECTS)
        self._garbage: Frame | None = None
        self._garbage_since: float | None = None
        self._dry = False
        self._filling = False
        self._reconnecting: asyncio.Task[None] | None = None
        self.wire: Wire

    async def connect(self) -> None:
        """Come in."""
        self._may = 0
        self._answered.clear()
        try:
            self.wire = await Wire.connect(self._port, self.name, PASSWORD, self._text, self._closed, self.fill)
        except (OSError, Refused) as error:
            self._findings.add(f"{self.name} is not let in again: {error!r}")
            self._dry = True

    @property
    def done(self) -> bool:
        """It has nothing more to send, and everything was answered."""
        return self._dry and not self._open_count and self._garbage is None

    def fill(self) -> None:
        """Send until the window or the socket is full."""
        if self._filling:
            return
        self._filling = True
        while self._open_count < WINDOW and self._garbage is None and not self._dry and self.wire.ready:
            frame = next(self._frames, None)
            if frame is None or self._findings.enough.is_set():
                self._dry = True
            elif frame.garbage:
                self._garbage = frame
            else:
                self._send(frame)
        self._filling = False
        if self._garbage is not None and not self._open_count and self._garbage_since is None:
            self._break(self._garbage)

    def _send(self, frame: Frame) -> None:
        self._tally.sent[frame.kind] += 1
        self._sent.append(frame.number)
        expected = oracle.expected(frame.data)
        if expected.key is not None:
            self._open.setdefault(expected.key, deque()).append((frame, time.monotonic()))
            self._open_count += 1
        self._may += expected.at_most
        self.wire.write(frame.wire)

    def _break(self, frame: Frame) -> None:
        self._tally.sent["garbage"] += 1
        self._tally.garbage[frame.kind] += 1
        self._garbage_since = time.monotonic()
        self.wire.write(frame.wire)
        if frame.kind.endswith("gone"):
            self.wire.drop()

    def _closed(self) -> None:
        if self._garbage_since is None:
            if not self._findings.enough.is_set():
                self._findings.add(
                    f"the gateway closed {self.name} without cause; the last that it got:\n"
                    f"  --seed {self._findings.seed} --only {' '.join(map(str, self._sent))}"
                )
            self._dry = True
            self._open.clear()
            self._open_count = 0
            return
        self._garbage = self._garbage_since = None
        self._reconnecting = asyncio.create_task(self._again())

    async def _again(self) -> None:
        await self.connect()
        if not self._dry:
            self.fill()

    def _text(self, data: bytes) -> None:
        try:
            answer = orjson.loads(data)
        except orjson.JSONDecodeError:
            self._findings.add(f"{self.name} got no JSON: {data[:FRAME_SHOWN_BYTES]!r}")
            return
        wrong = oracle.fault(answer)
        if wrong is not None:
            self._findings.add(f"{self.name} got {data[:FRAME_SHOWN_BYTES]!r}: {wrong}")
            return
        key = oracle.key_of(answer[1])
        waiting = self._open.get(key)
        if waiting:
            frame, _ = waiting.popleft()
            if not waiting:
                del self._open[key]
            self._open_count -= 1
            self._answered[key] = frame
            if len(self._answered) > REMEMBERED:
                self._answered.popitem(last=False)
            self._tally.answers["CALLRESULT" if answer[0] == 3 else answer[2]] += 1
            if frame.honest and answer[0] != 3:
                self._findings.add(f"a real frame was refused: {data[:FRAME_SHOWN_BYTES]!r}", frame)
            self.fill()
        elif (twice := self._answered.get(key)) is not None and twice.bears(answer[1]):
            self._findings.add(f"answered twice: {data[:FRAME_SHOWN_BYTES]!r}", twice)
        else:
            self._may -= 1
            self._tally.extra += 1
            if self._may < 0:
                self._findings.add(f"{self.name} got an answer to nothing: {data[:FRAME_SHOWN_BYTES]!r}")

    def look(self, now: float) -> None:
        """Give up what is overdue."""
        for key, waiting in list(self._open.items()):
            while waiting and now - waiting[0][1] > GUARD_SECONDS:
                self._findings.add(f"no answer within {GUARD_SECONDS:.0f} s", waiting.popleft()[0])
                self._open_count -= 1
            if not waiting:
                del self._open[key]
        if self._garbage is not None and self._garbage_since is not None and now - self._garbage_since > GUARD_SECONDS:
            self._findings.add(f"the socket of {self.name} outlives its garbage", self._garbage)
            self.wire.drop()
        elif not self._dry:
            self.fill()


class Witness:
    """An honest charge point, one CALL at a time for as long as the attack lasts."""

    SAYS: tuple[tuple[str, dict[str, object]], ...] = (
        ("Heartbeat", {}),
        ("MeterValues", {"connectorId": 1, "transactionId": 711, "meterValue": []}),
        ("StatusNotification", {"connectorId": 1, "status": "Charging", "errorCode": "NoError"}),
        ("Authorize", {"idTag": "5F00BAD1DEA500000001"}),
    )

    def __init__(self, name: str, port: int, findings: Findings, tally: Tally) -> None:
        self.name = name
        self._port = port
        self._findings = findings
        self._tally = tally
        self._heard: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.stopping = False

    async def connect(self) -> None:
        """Come in."""
        self.wire = await Wire.connect(
            self._port, self.name, PASSWORD, self._heard.put_nowait, lambda: self._heard.put_nowait(None)
        )

    async def talk(self) -> None:
        """Until `stopping`."""
        for number, (action, payload) in zip(itertools.count(), itertools.cycle(self.SAYS)):
            if self.stopping:
                return
            began = time.monotonic()
            self.wire.write(encode(TEXT, orjson.dumps([2, f"w{number}", action, payload])))
            try:
                async with asyncio.timeout(GUARD_SECONDS):
                    heard = await self._heard.get()
            except TimeoutError:
                self._findings.add(f"{self.name} got no answer to {action} within {GUARD_SECONDS:.0f} s")
                return
            if heard is None:
                self._findings.add(f"the honest socket {self.name} was closed")
                return
            if orjson.loads(heard)[:2] != [3, f"w{number}"]:
                self._findings.add(f"{self.name} asked w{number} {action} and got {heard!r}")
                return
            self._tally.witnessed += 1
            self._tally.witness_ms_max = max(self._tally.witness_ms_max, 1000 * (time.monotonic() - began))
            await asyncio.sleep(WITNESS_PAUSE_SECONDS)


def numbered(seed: int, numbers: Sequence[int], seconds_max: float, gateway: Gateway, tally: Tally) -> Iterator[Frame]:
    """The frames of a run, made when they are wanted; in between the gateway's memory is looked at."""
    until = time.monotonic() + seconds_max
    for place, number in enumerate(numbers):
        if time.monotonic() > until:
            return
        if place % max(1, len(numbers) // MEMORY_SAMPLES) == 0 and gateway.alive:
            tally.memory.append(gateway.resident_mib())
            if len(tally.memory) % 10 == 1:
                print(f"{place:>9,} frames, {tally.memory[-1]:.0f} MiB", flush=True)
        yield mutate.frame(seed, number)


async def attack(
    servers: Servers,
    seed: int,
    numbers: Sequence[int],
    *,
    attackers: int = ATTACKERS,
    growth_mib_max: float = GROWTH_MIB_MAX,
    seconds_max: float = float("inf"),
) -> tuple[Tally, list[str]]:
    """Send frames `numbers` of `seed`, or as many as `seconds_max` allows, to a fresh gateway; (what happened, findings)."""
    findings, tally = Findings(seed), Tally()
    names = [f"FUZZ-{number:02d}" for number in range(attackers)]
    honest = [f"WITNESS-{number}" for number in range(WITNESSES)]
    async with world(servers, [*names, *honest], findings.add) as (gateway, charging):
        frames = numbered(seed, numbers, seconds_max, gateway, tally)
        crowd = [Attacker(name, gateway.port, frames, findings, tally) for name in names]
        witnesses = [Witness(name, gateway.port, findings, tally) for name in honest]
        for witness in witnesses:
            await witness.connect()
        talks = [asyncio.create_task(witness.talk()) for witness in witnesses]
        began, cpu = time.monotonic(), gateway.cpu_seconds()
        try:
            for attacker in crowd:
                await attacker.connect()
            for attacker in crowd:
                attacker.fill()
            await _watch(gateway, crowd, findings)
            tally.seconds = time.monotonic() - began
            for witness in witnesses:
                witness.stopping = True
            await asyncio.gather(*talks)
            if gateway.alive:
                tally.cpu_seconds = gateway.cpu_seconds() - cpu
                await _afterwards(gateway, charging, tally, findings, growth_mib_max)
            else:
                findings.all.insert(0, f"the gateway's process ended; the end of its log:\n{gateway.end_of_log()}")
        finally:
            findings.over = True
            for talk in talks:
                talk.cancel()
    return tally, findings.all


async def _watch(gateway: Gateway, crowd: list[Attacker], findings: Findings) -> None:
    """Until all is sent and answered, or enough was found."""
    while not findings.enough.is_set() and not all(attacker.done for attacker in crowd):
        if not gateway.alive:
            findings.enough.set()
        now = time.monotonic()
        for attacker in crowd:
            attacker.look(now)
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await findings.enough.wait()


async def _afterwards(gateway: Gateway, charging: Charging, tally: Tally, findings: Findings, growth_mib_max: float) -> None:
    grown = growth_mib(tally.memory)
    if grown > growth_mib_max:
        findings.add(
            f"memory grew by {grown:.1f} MiB after the warm-up (at most {growth_mib_max} MiB):\n{memory_graph(tally.memory)}"
        )
    for name, value in (await gateway.metrics()).items():
        if name in {"voltlync_ocpp_gateway_frame_failures_total", "voltlync_ocpp_gateway_spool_failures_total"} and value:
            findings.add(f"{name} is {value:.0f}")
    for line in gateway.bad_log_lines()[:FINDINGS_MAX]:
        findings.add(f"in the gateway's log: {line[:FRAME_SHOWN_BYTES]}")
    if not any("meter_values" in kind for kind in charging.events):
        findings.add("no MeterValues reached charging: nothing was tested")


def growth_mib(memory: list[float]) -> float:
    """From the warm-up's end (a median over 5 % of the frames) to the end."""
    start = int(len(memory) * WARM_UP)
    part = max(1, len(memory) // 20)
    return median(memory[-part:]) - median(memory[start : start + part])


def memory_graph(memory: list[float], columns: int = 60, rows: int = 6) -> str:
    """Resident MiB over the frames, as text."""
    points = [memory[min(len(memory) - 1, column * len(memory) // columns)] for column in range(columns)]
    low, high = min(points), max(points)
    step = max((high - low) / rows, 0.001)
    lines = []
    for row in range(rows, 0, -1):
        marks = "".join("█" if point >= low + (row - 0.5) * step else " " for point in points)
        lines.append(f"{low + row * step:7.1f} MiB |{marks}")
    return "\n".join([*lines, f"{low:7.1f} MiB +{'-' * columns}> frames"])


def report(tally: Tally) -> str:
    """What happened, for people."""

    def listed(counts: Counter[str]) -> str:
        return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())

    return "\n".join(
        (
            f"frames     {tally.frames:,} in {tally.seconds:.0f} s: {tally.frames / max(tally.seconds, 0.001):,.0f} a second",
            f"           {1e6 * tally.cpu_seconds / max(tally.frames, 1):.0f} µs of the gateway's CPU each",
            f"  by kind  {listed(tally.sent)}",
            f"answers    {tally.answers.total():,} owed and given: {listed(tally.answers)}",
            f"           {tally.extra:,} to broken frames that need none",
            f"garbage    {tally.garbage.total():,} sockets ended: {listed(tally.garbage)}",
            f"witnesses  {tally.witnessed:,} honest CALLs, all answered; the slowest after {tally.witness_ms_max:.0f} ms",
            f"memory     {growth_mib(tally.memory):+.1f} MiB after the warm-up, peak {max(tally.memory):.1f} MiB",
            memory_graph(tally.memory),
        )
    )
