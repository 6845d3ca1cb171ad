"""Every call to the provider against everything that can happen to it: a service's rows are run through all faults at once.

A row is a call that a use case makes, and how a world gets there. For each row and fault there is a cell: an own payment,
franchisee or QR code. All cells live in one world and are told apart by a token, a text that the call says (an id, a key):
the sandbox's fault rules and our failpoints look for it. Then processes die and are begun anew and the clock is stepped, and
each cell has to come to its end by itself: once, with the right amount.

A killed process is a task that ends where it stands (CancelledError: no `except Exception` sees it, transactions roll back as
those of a lost connection do), and later a new application over the same database. No line of production code knows of it.
"""

import ast
import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from chassis.database import Database
from chassis.runtime import Service, Worker
from razorpay_client import Razorpay
from razorpay_simulator import FaultRule, RazorpaySimulator
from razorpay_simulator.faults import RequestRecord
from testkit.clock import SteppingClock

NETWORK: dict[str, dict[str, str]] = {
    "timeout, no effect": {"kind": "hang"},
    "timeout after the effect": {"kind": "hang", "when": "after_effect"},
    "500, no effect": {"kind": "error"},
    "500 after the effect": {"kind": "error", "when": "after_effect"},
    "409": {"kind": "conflict"},
    "429": {"kind": "throttle"},
    "HTML 502, no effect": {"kind": "html"},
    "HTML 502 after the effect": {"kind": "html", "when": "after_effect"},
    "reset, no effect": {"kind": "reset"},
    "reset after the effect": {"kind": "reset", "when": "after_effect"},
}
"""What the sandbox does to the first call of a cell."""

BEFORE_CLAIM = "killed before the claim"
BEFORE_CALL = "killed between claim and call"
AFTER_EFFECT = "killed between effect and answer"
WHILE_KEEPING = "killed before the answer's commit"
AFTER_KEEPING = "killed after the answer's commit"
KILLS = (BEFORE_CLAIM, BEFORE_CALL, AFTER_EFFECT, WHILE_KEEPING, AFTER_KEEPING)
"""Where the process ends, from step to step."""

FAULTS = (*NETWORK, *KILLS)
LANES = 8
"""Rows that a worker has in hand at a time here, so that a hanging call keeps no other cell waiting."""

W = TypeVar("W")


class Stage(Protocol):
    """The world of a service's tests, as far as the matrix needs it."""

    clock: SteppingClock

    @property
    def service(self) -> Service:
        """The process that runs now."""


@dataclass(eq=False)
class Cell(Generic[W]):
    """One row under one fault."""

    row: "Row[W]"
    fault: str
    number: int
    token: str = ""
    """What the call says and no other cell's does."""
    argument: str | None = None
    """The same as the adapter's method is told it, where it goes another way than onto the wire: a day."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the row's functions remember of it."""
    hit: bool = False
    """Whether the fault came about."""
    begun_at: float = 0.0
    earlier: int = 0
    """Calls like it that `prepare` has seen."""
    ended_at: float | None = None
    """When it came to its end, on the stepped clock; None while something is missing."""
    wrong: str | None = "nothing has happened"
    asked: list[RequestRecord] = field(default_factory=list)
    """The calls of this cell."""

    @property
    def minutes(self) -> float:
        """From the beginning until nothing was missing any more."""
        return ((self.ended_at or 0.0) - self.begun_at) / 60

    @property
    def keys(self) -> set[str]:
        """The idempotency keys of its calls."""
        return {request.idempotency_key for request in self.asked if request.idempotency_key is not None}


@dataclass(frozen=True)
class End(Generic[W]):
    """How it should end."""

    makes: str
    """What there must be one of, in words."""
    wrong: Callable[[W, Cell[W]], str | None]
    """What is missing or not as it should be, in words; None where all is well."""
    count: Callable[[W, Cell[W]], int]
    """How many there are now: never more than one, at the end just one."""


@dataclass(frozen=True)
class Row(Generic[W]):
    """A call of a use case. To add one: a line in the service's `ROWS`, and how the world gets there."""

    call: str
    """The adapter's method."""
    site: str
    """The module of the use case."""
    http: tuple[str, str]
    """The request: method and path, a shell pattern."""
    prepare: Callable[[W, Cell[W]], Awaitable[None]]
    """Brings the world to just before the call, with nothing wrong yet. It or `begin` sets the cell's token."""
    begin: Callable[[W, Cell[W]], Awaitable[None]]
    """Lets it come, and does not wait for it."""
    end: End[W]
    claims: bool = True
    """Whether it is claimed; else the intent is the claim, or it is a sweep's look, and nothing lies before it."""

    @property
    def name(self) -> str:
        """As the page and messages have it."""
        return f"{self.call} ({self.site})"


class Killed(asyncio.CancelledError):
    """The process ended here."""


class Failpoints(Generic[W]):
    """Ends a process at a cell's step. Installed on a service's own adapter and database, before or after its start."""

    def __init__(self) -> None:
        self.waiting: list[Cell[W]] = []
        """Cells whose process is still to be killed."""
        self._armed: dict[asyncio.Task[Any], str] = {}

    def install(self, service: Service) -> None:
        """Watch this process's calls and commits."""
        for part in service._parts:  # noqa: SLF001  (tests look inside)
            if isinstance(part, Razorpay):
                for name in calls_of_the_adapter():
                    setattr(part, name, self._watched(name, getattr(part, name)))
            if isinstance(part, Database):
                part.transaction = self._transaction(part.transaction)  # type: ignore[method-assign]
            if isinstance(part, Worker):
                part._width = max(part._width, LANES)  # noqa: SLF001

    def _watched(self, name: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def watched(*args: Any, **options: Any) -> Any:
            cell = self._cell_of(name, f"{args!r} {options!r}")
            if cell is None:
                return await call(*args, **options)
            if cell.fault == BEFORE_CALL:
                self._hit(cell)
                raise Killed(cell.fault)
            answer = await call(*args, **options)
            self._hit(cell)
            if cell.fault == AFTER_EFFECT:
                raise Killed(cell.fault)
            task = asyncio.current_task()
            assert task is not None
            self._armed[task] = cell.fault
            return answer

        return watched

    def _cell_of(self, name: str, said: str) -> Cell[W] | None:
        return next((each for each in self.waiting if each.row.call == name and (each.argument or each.token) in said), None)

    def _hit(self, cell: Cell[W]) -> None:
        self.waiting.remove(cell)
        cell.hit = True

    def _transaction(self, begin: Callable[..., Any]) -> Callable[..., Any]:
        @asynccontextmanager
        async def transaction(**options: Any) -> AsyncIterator[Any]:
            task = asyncio.current_task()
            assert task is not None
            async with begin(**options) as uow:
                yield uow
                if self._armed.get(task) == WHILE_KEEPING:
                    del self._armed[task]
                    raise Killed(WHILE_KEEPING)
            if self._armed.pop(task, None) == AFTER_KEEPING:
                raise Killed(AFTER_KEEPING)

        return transaction


@dataclass
class FaultMatrix(Generic[W]):
    """A service's rows, each under every fault, in one world."""

    world: W
    clock: SteppingClock
    sandbox: RazorpaySimulator
    rows: Sequence[Row[W]]
    restart: Callable[[bool], Awaitable[None]]
    """Ends the process and begins a new one over the same database. True: with its workers asleep until the next."""
    look: Callable[[], Awaitable[None]]
    """Reads what the rows' `wrong` and `count` judge by: once per moment, for all cells."""
    failpoints: Failpoints[W]
    moves: Sequence[tuple[float, float]]
    """How the clock goes on: (seconds, seconds to a step); a process dies and is begun anew after each."""
    cells: list[Cell[W]] = field(default_factory=list)

    async def run(self, *, one_in: int = 1) -> list[Cell[W]]:
        """Every cell, come to its end or with what is wrong. Raises AssertionError the moment something is doubled.

        `one_in`: of the cells, always the same ones, so that each row and each fault is among them.
        """
        pairs = [
            (row, fault)
            for place, row in enumerate(self.rows)
            for number, fault in enumerate(FAULTS)
            if (place + number) % one_in == 0 and (fault != BEFORE_CLAIM or row.claims)
        ]
        self.cells = [Cell(row, fault, number) for number, (row, fault) in enumerate(pairs, start=101)]
        for cell in self.cells:
            await cell.row.prepare(self.world, cell)
        await self.clock.settle()
        for cell in self.cells:
            if cell.fault != BEFORE_CLAIM:
                await self._begin(cell)
        await self.clock.settle()
        await self.restart(True)
        for cell in self.cells:
            if cell.fault == BEFORE_CLAIM:
                await self._begin(cell)
                cell.hit = True
        await self.clock.settle()
        for seconds, step in self.moves:
            await self.restart(False)
            await self.clock.settle()
            await self._note()
            for _ in range(round(seconds / step)):
                self.clock._elapsed += step - min(step, 6)  # noqa: SLF001  (what slept on the way wakes at its end, once)
                await self.clock.advance(min(step, 6))
                await self._note()
        for cell in self.cells:
            if not cell.hit and cell.fault in NETWORK:
                cell.hit = any(request.fault for request in self._calls_of(cell))
        return self.cells

    async def _begin(self, cell: Cell[W]) -> None:
        """Arm, and let it come. A row that knows its token only then has nothing to fear before the clock moves."""
        if cell.token:
            self._arm(cell)
        cell.begun_at = self.clock.monotonic()
        armed = bool(cell.token)
        cell.earlier = len(self._calls_of(cell)) if armed else 0
        await cell.row.begin(self.world, cell)
        assert cell.token, f"{cell.row.name}: neither `prepare` nor `begin` set the cell's token"
        if not armed:
            self._arm(cell)

    def _arm(self, cell: Cell[W]) -> None:
        if cell.fault in NETWORK:
            method, path = cell.row.http
            self.sandbox.add_fault(
                FaultRule.model_validate({**NETWORK[cell.fault], "method": method, "path": path, "having": cell.token})
            )
        elif cell.fault != BEFORE_CLAIM:
            self.failpoints.waiting.append(cell)

    async def _note(self) -> None:
        """Who has come to the end by now. Whoever was there and no longer is has not."""
        await self.look()
        for cell in self.cells:
            count = cell.row.end.count(self.world, cell)
            assert count <= 1, f"{cell.row.name}, {cell.fault}: {count} of {cell.row.end.makes}"
            cell.wrong = cell.row.end.wrong(self.world, cell)
            if cell.wrong is None and count != 1:
                cell.wrong = f"{count} of {cell.row.end.makes}"
            if cell.wrong is not None:
                cell.ended_at = None
            elif cell.ended_at is None:
                cell.ended_at = self.clock.monotonic()
                cell.asked = self._calls_of(cell)

    def _calls_of(self, cell: Cell[W]) -> list[RequestRecord]:
        """Since it was begun."""
        found = [request for request in self.sandbox.requests(*cell.row.http) if cell.token in request.said()]
        return found[cell.earlier :]


def unfinished(cells: Iterable[Cell[Any]]) -> list[str]:
    """What is wrong, a line per cell; empty where all is well."""
    found = [f"{cell.row.name} × {cell.fault}: {cell.wrong}" for cell in cells if cell.wrong is not None]
    found += [f"{cell.row.name} × {cell.fault}: the fault never came about" for cell in cells if not cell.hit]
    found += [f"{cell.row.name} × {cell.fault}: keys {sorted(cell.keys)}" for cell in cells if len(cell.keys) > 1]
    return found


def calls_of_the_adapter() -> list[str]:
    """The adapter's methods that call Razorpay."""
    return [
        name
        for name, method in vars(Razorpay).items()
        if inspect.iscoroutinefunction(method) and not name.startswith("_") and name not in ("start", "stop")
    ]


def calls_in(source: Path) -> set[tuple[str, str]]:
    """(call, module) of every call to the adapter in a service's sources: `app.razorpay.create_refund(...)`."""
    known, found = set(calls_of_the_adapter()), set()
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in known and ast.unparse(node.value).endswith("razorpay"):
                found.add((node.attr, path.stem))
    return found


def rows_missing(rows: Iterable[Row[Any]], source: Path, untried: Iterable[tuple[str, str]] = ()) -> list[str]:
    """A message per call that no row tries, with how to mend that; and per row whose call is gone."""
    made, tried = calls_in(source), {*((row.call, row.site) for row in rows), *untried}
    return [
        f"{site}.py calls razorpay.{call}() and no fault has been tried on it: add Row({call!r}, {site!r}, ...) to ROWS"
        for call, site in sorted(made - tried)
    ] + [
        f"the row {call} ({site}) tries a call that is no longer made: take it out of ROWS" for call, site in sorted(tried - made)
    ]


def as_table(cells: Iterable[Cell[Any]]) -> list[dict[str, Any]]:
    """For the page: a JSON object per cell."""
    return [
        {
            "call": cell.row.call,
            "site": cell.row.site,
            "http": " ".join(cell.row.http),
            "makes": cell.row.end.makes,
            "fault": cell.fault,
            "wrong": cell.wrong,
            "calls": len(cell.asked),
            "keys": len(cell.keys),
            "minutes": round(cell.minutes, 1),
        }
        for cell in cells
    ]
