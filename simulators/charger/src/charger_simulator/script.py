"""Scripts in YAML: charge points, and what happens to each of them, step by step.

Every charge point is started, runs its own steps beside the others, and is stopped at the end. All waiting is on the clock.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, field_validator, model_validator

from charger_simulator.charge_point import ChargePoint
from charger_simulator.clock import Clock
from charger_simulator.frames import Exchange, SimulatorError
from charger_simulator.quirks import Quirks
from charger_simulator.settings import Settings

EXPECT_WITHIN_SECONDS = 60.0  # how long `expect` waits unless the step says otherwise

Report = Callable[[str], None]


class StepFailed(Exception):
    """A step that did not come out as the script says."""


class Step(BaseModel):
    """One step. In YAML it is `verb: {fields}`, `verb: value` for the field `short`, or the bare verb."""

    model_config = ConfigDict(extra="forbid")
    verb: ClassVar[str]
    short: ClassVar[str | None] = None

    async def run(self, cp: ChargePoint, report: Report) -> None:
        raise NotImplementedError


class Wait(Step):
    """Lets seconds pass."""

    verb, short = "wait", "seconds"
    seconds: float = Field(ge=0)

    async def run(self, cp: ChargePoint, report: Report) -> None:  # noqa: ARG002
        await cp.clock.sleep(self.seconds)


class OnConnector(Step):
    short = "connector"
    connector: int = 1


class Plug(OnConnector):
    verb = "plug"

    async def run(self, cp: ChargePoint, report: Report) -> None:  # noqa: ARG002
        await cp.plug(self.connector)


class Unplug(OnConnector):
    verb = "unplug"

    async def run(self, cp: ChargePoint, report: Report) -> None:  # noqa: ARG002
        await cp.unplug(self.connector)


class Power(OnConnector):
    """What the EV wants, in watts."""

    verb, short = "power", "watts"
    watts: int = Field(ge=0)

    async def run(self, cp: ChargePoint, report: Report) -> None:  # noqa: ARG002
        cp.set_power(self.connector, self.watts)


class Fault(OnConnector):
    verb, short = "fault", "error_code"
    error_code: str
    vendor_error_code: str | None = None
    info: str | None = None
    ends_transaction: bool = False

    async def run(self, cp: ChargePoint, report: Report) -> None:  # noqa: ARG002
        await cp.fault(
            self.connector, self.error_code, self.vendor_error_code, info=self.info, ends_transaction=self.ends_transaction
        )


class ClearFault(OnConnector):
    verb = "clear_fault"

    async def run(self, cp: ChargePoint, report: Report) -> None:  # noqa: ARG002
        await cp.clear_fault(self.connector)


class Swipe(OnConnector):
    """A tag at the reader: starts a transaction."""

    verb, short = "swipe", "id_tag"
    id_tag: str
    authorize: bool = True

    async def run(self, cp: ChargePoint, report: Report) -> None:
        started = await cp.start_transaction(self.id_tag, self.connector, authorize=self.authorize)
        report("started" if started else "not started")


class StopHere(OnConnector):
    """Ends the transaction at the station."""

    verb, short = "stop_transaction", "reason"
    reason: str = "Local"
    id_tag: str | None = None

    async def run(self, cp: ChargePoint, report: Report) -> None:  # noqa: ARG002
        if not await cp.stop_transaction(self.connector, reason=self.reason, id_tag=self.id_tag):
            raise StepFailed(f"no transaction on connector {self.connector}")


class Disconnect(Step):
    """Drops TCP; back after `seconds`, or on `connect`."""

    verb, short = "disconnect", "seconds"
    seconds: float | None = Field(None, ge=0)

    async def run(self, cp: ChargePoint, report: Report) -> None:  # noqa: ARG002
        await cp.disconnect(self.seconds)


class Connect(Step):
    verb = "connect"

    async def run(self, cp: ChargePoint, report: Report) -> None:  # noqa: ARG002
        await cp.connect()


class ConnectAgain(Step):
    """A second socket while the first stays open."""

    verb = "connect_again"

    async def run(self, cp: ChargePoint, report: Report) -> None:  # noqa: ARG002
        await cp.connect_again()


class CloseStaleSocket(Step):
    verb = "close_stale_socket"

    async def run(self, cp: ChargePoint, report: Report) -> None:  # noqa: ARG002
        await cp.close_stale_socket()


class Reboot(Step):
    verb, short = "reboot", "hard"
    hard: bool = False
    stop_reason: str | None = None

    async def run(self, cp: ChargePoint, report: Report) -> None:  # noqa: ARG002
        await cp.reboot(self.hard, stop_reason=self.stop_reason)


class Send(Step):
    """One raw frame: `text`, or `hex` for bytes (`as_text` puts them into a text frame)."""

    verb, short = "send", "text"
    text: str | None = None
    hex: str | None = None
    as_text: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Send:
        if (self.text is None) == (self.hex is None):
            raise ValueError("send takes either text or hex")
        return self

    async def run(self, cp: ChargePoint, report: Report) -> None:  # noqa: ARG002
        data = bytes.fromhex(self.hex) if self.hex is not None else self.text
        assert data is not None
        await cp.send_raw(data, as_text=self.as_text)


class Call(Step):
    """A CALL of the charge point; fails on an error unless `fails` is true."""

    verb, short = "call", "action"
    action: str
    payload: dict[str, Any] = {}
    fails: bool = False

    async def run(self, cp: ChargePoint, report: Report) -> None:
        try:
            report(f"answered {await cp.call(self.action, self.payload)}")
        except SimulatorError as error:
            if not self.fails:
                raise StepFailed(f"{self.action}: {error}") from error
            report(f"refused: {error}")
            return
        if self.fails:
            raise StepFailed(f"{self.action} was to fail")


class SetQuirks(Step):
    """Replaces the quirks from here on: names, or fields with `behaviours` beside them."""

    verb, short = "quirks", "quirks"
    quirks: Quirks

    @field_validator("quirks", mode="before")
    @classmethod
    def _from_names(cls, value: Any) -> Any:
        return quirks_of(value)

    async def run(self, cp: ChargePoint, report: Report) -> None:  # noqa: ARG002
        cp.quirks = self.quirks


class Expect(Step):
    """Waits for an exchange of `action` (with at least the given fields), or for a state; fails after `within` seconds."""

    verb, short = "expect", "action"
    action: str | None = None
    request: dict[str, Any] = {}
    response: dict[str, Any] = {}
    connector: int = 1
    status: str | None = None
    meter_wh_min: int | None = None
    connected: bool | None = None
    booted: bool | None = None
    within: float = Field(EXPECT_WITHIN_SECONDS, gt=0)

    @model_validator(mode="after")
    def _something(self) -> Expect:
        states = (self.status, self.meter_wh_min, self.connected, self.booted)
        if (self.action is None) == all(state is None for state in states):
            raise ValueError("expect takes either an action or a state")
        return self

    async def run(self, cp: ChargePoint, report: Report) -> None:
        try:
            if self.action is not None:
                found = await cp.wait_for(self.action, self._fits, within=self.within)
                report(f"{found.action} {found.request} -> {found.response if found.error is None else found.error}")
            else:
                await cp.wait_for(self._holds, within=self.within)
        except TimeoutError as error:
            raise StepFailed(f"expected {self.model_dump(exclude_unset=True)}: {error}") from error

    def _fits(self, exchange: Exchange) -> bool:
        response = exchange.response or {}
        return self.request.items() <= exchange.request.items() and self.response.items() <= response.items()

    def _holds(self, cp: ChargePoint) -> bool:
        connector = cp.connectors[self.connector]
        return (
            self.status in (None, connector.status)
            and (self.meter_wh_min is None or connector.meter_wh >= self.meter_wh_min)
            and self.connected in (None, cp.connected)
            and self.booted in (None, cp.booted)
        )


class Repeat(Step):
    verb = "repeat"
    times: int = Field(ge=1)
    steps: list[SerializeAsAny[Step]]

    @field_validator("steps", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        return parse_steps(value)

    async def run(self, cp: ChargePoint, report: Report) -> None:
        for _ in range(self.times):
            await run_steps(self.steps, cp, report)


_VERBS: dict[str, type[Step]] = {
    step.verb: step
    for step in (
        Wait, Plug, Unplug, Power, Fault, ClearFault, Swipe, StopHere, Disconnect, Connect, ConnectAgain, CloseStaleSocket,
        Reboot, Send, Call, SetQuirks, Expect, Repeat,
    )
}  # fmt: skip


def quirks_of(value: Any) -> Quirks:
    """From YAML: a list of behaviour names, or fields with a list `behaviours` beside them. Raises ValueError."""
    if isinstance(value, Quirks):
        return value
    fields = dict(value) if isinstance(value, dict) else {}
    names = fields.pop("behaviours", []) if isinstance(value, dict) else [value] if isinstance(value, str) else value
    try:
        return Quirks.of(*names, **fields)
    except KeyError as error:
        raise ValueError(f"no behaviour is named {error}; `charger-simulator quirks` lists them") from error


def parse_steps(value: Any) -> list[Step]:
    """Raises ValueError that names the step."""
    if not isinstance(value, list):
        raise ValueError("steps must be a list")  # noqa: TRY004  pydantic takes ValueError for a bad value
    steps: list[Step] = []
    for number, item in enumerate(value, start=1):
        if isinstance(item, Step):
            steps.append(item)
            continue
        verb, body = (
            (item, None) if isinstance(item, str) else next(iter(item.items())) if isinstance(item, dict) and item else ("", None)
        )
        kind = _VERBS.get(verb)
        if kind is None or (isinstance(item, dict) and len(item) != 1):
            raise ValueError(f"step {number}: one of {', '.join(_VERBS)} is wanted, not {item!r}")
        if body is None:
            body = {}
        elif not isinstance(body, dict) or kind is SetQuirks:
            if kind.short is None:
                raise ValueError(f"step {number}: {verb} takes fields, not {body!r}")
            body = {kind.short: body}
        try:
            steps.append(kind.model_validate(body))
        except ValueError as error:
            raise ValueError(f"step {number} ({verb}): {error}") from error
    return steps


class Station(BaseModel):
    """A charge point of a script."""

    model_config = ConfigDict(extra="forbid")

    id: str
    url: str | None = None
    password: str | None = None
    connectors: int = Field(1, ge=1)
    rated_power_w: int = Field(7400, gt=0)
    vendor: str = "VoltLync"
    model: str = "Sim-1"
    firmware_version: str = "1.0.0"
    meter_start_wh: int = Field(0, ge=0)
    settings: Settings = Settings()
    quirks: Quirks = Field(default_factory=Quirks)
    steps: list[SerializeAsAny[Step]] = []

    @field_validator("quirks", mode="before")
    @classmethod
    def _quirks(cls, value: Any) -> Any:
        return quirks_of(value)

    @field_validator("steps", mode="before")
    @classmethod
    def _steps(cls, value: Any) -> Any:
        return parse_steps(value)

    def make(self, url: str, password: str | None, clock: Clock, ssl_context: ssl.SSLContext | None = None) -> ChargePoint:
        return ChargePoint(
            self.id,
            self.url or url,
            password=self.password if self.password is not None else password,
            connectors=self.connectors,
            rated_power_w=self.rated_power_w,
            vendor=self.vendor,
            model=self.model,
            firmware_version=self.firmware_version,
            meter_start_wh=self.meter_start_wh,
            settings=self.settings,
            quirks=self.quirks,
            clock=clock,
            ssl_context=ssl_context,
        )


class Script(BaseModel):
    """A file. `url` and `password` hold for all charge points that have none of their own."""

    model_config = ConfigDict(extra="forbid")

    url: str = ""
    password: str | None = None
    charge_points: list[Station] = Field(min_length=1)


def load(path: Path) -> Script:
    """Raises ValueError (pydantic's ValidationError is one) for a file that is no script, OSError if it can't be read."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {error}") from error
    return Script.model_validate(content)


async def run_steps(steps: list[Step], cp: ChargePoint, report: Report) -> None:
    """Raises StepFailed at the first step that does not come out."""
    for step in steps:
        fields = " ".join(f"{name}={value}" for name, value in step.model_dump(exclude_unset=True, exclude={"steps"}).items())
        report(f"{step.verb} {fields}".rstrip())
        try:
            await step.run(cp, report)
        except (ValueError, KeyError, SimulatorError) as error:
            raise StepFailed(f"{step.verb}: {error}") from error


async def run(script: Script, clock: Clock, report: Report, *, ssl_context: ssl.SSLContext | None = None) -> list[str]:
    """Plays the script. Returns the failures, one sentence each; none is success. `ssl_context`: whom to trust for wss."""

    async def play(station: Station) -> str | None:
        cp = station.make(script.url, script.password, clock, ssl_context)

        def tell(text: str) -> None:
            report(f"{clock.now():%H:%M:%S} {cp.id} {text}")

        await cp.start()
        tell("booted" if cp.booted else f"not booted: connected={cp.connected} refused_status={cp.refused_status}")
        try:
            await run_steps(station.steps, cp, tell)
        except StepFailed as failure:
            tell(f"FAILED {failure}")
            return f"{cp.id}: {failure}"
        finally:
            await cp.stop()
        tell("done")
        return None

    results = await asyncio.gather(*(play(station) for station in script.charge_points))
    return [failure for failure in results if failure is not None]
