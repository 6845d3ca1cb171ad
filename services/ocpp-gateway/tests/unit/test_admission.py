"""Who comes in next, and whose command goes out next, when all want to at once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from contracts.ocpp_gateway import CommandOutcome, CommandSendRequested
from ocpp_gateway.admission import Admission
from ocpp_gateway.calls import Calls, Command, Outcome
from ocpp_gateway.metrics import Metrics
from ocpp_gateway.turns import TURN_SECONDS, Turns
from testkit.clock import SteppingClock


class Line:
    """Visitors at an `Admission`; `inside` is the order in which they came in."""

    def __init__(self, at_once: int) -> None:
        self.admission = Admission(at_once, Metrics(CollectorRegistry()))
        self.inside: list[str] = []
        self.leave: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def knock(self, name: str, *, first: bool = False) -> None:
        self.leave[name] = asyncio.Event()
        self.tasks[name] = asyncio.ensure_future(self._visit(name, first))
        await asyncio.sleep(0)

    async def _visit(self, name: str, first: bool) -> None:
        async with self.admission.place(first=first):
            self.inside.append(name)
            await self.leave[name].wait()

    async def goes(self, name: str) -> None:
        self.leave[name].set()
        await self.tasks[name]
        await asyncio.sleep(0)


async def test_chargers_with_a_session_come_in_first_and_everyone_comes_in():
    line = Line(at_once=2)
    for name in ("a", "b", "c", "d"):
        await line.knock(name)
    for name in ("E", "F"):
        await line.knock(name, first=True)
    assert line.inside == ["a", "b"]
    for name in ("a", "b", "E", "F", "c", "d"):
        await line.goes(name)
    assert line.inside == ["a", "b", "E", "F", "c", "d"]


async def test_who_gives_up_in_line_takes_no_place_with_it():
    line = Line(at_once=1)
    for name in ("a", "b", "c"):
        await line.knock(name)
    line.tasks["b"].cancel()
    await line.goes("a")
    assert line.inside == ["a", "c"]
    # Given a place and cancelled in the same moment: the place goes on to the next.
    await line.knock("d")
    await line.knock("e")
    line.leave["c"].set()
    await line.tasks["c"]
    line.tasks["d"].cancel()
    await asyncio.gather(line.tasks["d"], return_exceptions=True)
    await asyncio.sleep(0)
    assert line.inside[-1] == "e"
    await line.goes("e")
    await line.knock("f")
    assert line.inside[-1] == "f"
    await line.goes("f")


class Fleet:
    """Connections' CALLs that share one `Turns`; what goes out is in `wire`, outcomes in `outcomes`."""

    def __init__(self, at_once: int, count: int) -> None:
        self.clock = SteppingClock()
        self.turns = Turns(at_once)
        self.wire: list[str] = []
        self.outcomes: list[tuple[str, CommandOutcome]] = []
        self.broken: set[str] = set()
        self.points = [Point(self, f"CP-{number}") for number in range(count)]

    def sweep(self) -> None:
        for point in self.points:
            point.calls.sweep(self.clock.monotonic())
        self.turns.sweep(self.clock.monotonic())


class Point:
    """A connection, as far as its CALLs need it."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.fleet = fleet
        self.charge_point_id = name
        self.spoken = True
        self.calls = Calls(
            self,
            clock=fleet.clock,
            new_id=lambda: "never used",
            complete=self._completed,
            turns=fleet.turns,
            waiting_max=32,
            timeouts_max=3,
        )

    def _completed(self, command: Command, outcome: Outcome) -> None:
        self.fleet.outcomes.append((command.model.command_id, outcome.outcome))

    def settled(self, _now: float) -> bool:
        return True

    def send(self, data: bytes) -> bool:
        if self.charge_point_id in self.fleet.broken:
            return False
        self.fleet.wire.append(data.decode().split('"')[1])
        return True

    def unresponsive(self) -> None:
        self.calls.close()

    def push(self, command_id: str, action: str = "ChangeConfiguration", priority: int = 5, **fields: Any) -> None:
        model = CommandSendRequested(
            command_id=command_id,
            charge_point_id=self.charge_point_id,
            epoch=1,
            action=action,
            payload={},
            priority=priority,
            deadline=self.fleet.clock.now() + timedelta(minutes=5),
            **fields,
        )
        self.calls.push(Command(model, None, None, len(self.fleet.wire)))

    def answer(self, command_id: str) -> None:
        assert self.calls.result(command_id, {"status": "Accepted"})


def test_ordinary_commands_take_turns_and_stops_and_starts_do_not_wait_for_one():
    fleet = Fleet(at_once=2, count=6)
    for number, point in enumerate(fleet.points):
        point.push(f"config-{number}")
    assert fleet.wire == ["config-0", "config-1"]
    fleet.points[4].push("stop", "RemoteStopTransaction", 0)
    fleet.points[5].push("start", "RemoteStartTransaction", 1)
    assert fleet.wire[2:] == ["stop", "start"]
    # An urgent answer frees nobody's turn: it had none.
    fleet.points[4].answer("stop")
    assert fleet.wire[4:] == []
    fleet.points[0].answer("config-0")
    fleet.points[1].answer("config-1")
    assert fleet.wire[4:] == ["config-2", "config-3"]
    fleet.points[5].answer("start")
    for number in (2, 3, 4, 5):
        fleet.points[number].answer(f"config-{number}")
    assert {outcome for _, outcome in fleet.outcomes} == {CommandOutcome.ANSWERED}
    assert len(fleet.outcomes) == 8


def test_one_charger_with_much_to_be_told_does_not_keep_the_turn():
    fleet = Fleet(at_once=1, count=2)
    for number in range(3):
        fleet.points[0].push(f"a{number}")
    fleet.points[1].push("b")
    fleet.points[0].answer("a0")
    assert fleet.wire == ["a0", "b"]
    fleet.points[1].answer("b")
    fleet.points[0].answer("a1")
    assert fleet.wire == ["a0", "b", "a1", "a2"]


@pytest.mark.parametrize("how", ["closed", "silent", "broken", "past its deadline"])
async def test_no_turn_is_lost(how):
    fleet = Fleet(at_once=1, count=40)
    if how == "broken":
        fleet.broken = {point.charge_point_id for point in fleet.points[1:39]}
    for number, point in enumerate(fleet.points):
        point.push(f"c{number}")
    assert fleet.wire == ["c0"]
    if how == "closed":
        for point in fleet.points[:39]:
            point.calls.close()
    elif how == "silent":
        for _ in range(39):
            await fleet.clock.advance(TURN_SECONDS)
            fleet.sweep()
    elif how == "broken":
        fleet.points[0].answer("c0")
    else:
        await fleet.clock.advance(301)
        fleet.points[39].push("c39-again")
        fleet.sweep()
    assert fleet.wire[-1] == ("c39-again" if how == "past its deadline" else "c39")
