"""The sandbox as one object: start it in any event loop, drive it over HTTP or by its methods."""

import asyncio
from collections.abc import Sequence

from aiohttp import web

from razorpay_simulator.activity import Activity
from razorpay_simulator.clock import Clock, SystemClock
from razorpay_simulator.control import ControlApi
from razorpay_simulator.errors import ControlError
from razorpay_simulator.faults import FaultRule, Faults, RequestLog, RequestRecord
from razorpay_simulator.ids import Ids, RandomIds
from razorpay_simulator.payer import PayerPages
from razorpay_simulator.rest import RestApi
from razorpay_simulator.settings import SandboxSettings
from razorpay_simulator.world import World

SHUTDOWN_SECONDS = 1.0
"""How long open connections may take to end after `stop`."""


class RazorpaySimulator(World):
    """A Razorpay account in a process.

    Between `start()` and `stop()` it serves Razorpay's REST API at `base_url` (`/v1`, `/v2`), its own control API at
    `base_url/_sandbox` and a page for payers at `base_url/pay`, and posts signed webhooks to the receivers in its settings.
    All time is the injected clock's.

    It is the world of its settings' keys. Where they have keys of the other mode too, that is a second world,
    `simulator.world("live")`, with the same methods.
    """

    def __init__(self, settings: SandboxSettings | None = None, *, clock: Clock | None = None, ids: Ids | None = None) -> None:
        settings, self._clock, ids = settings or SandboxSettings(), clock or SystemClock(), ids or RandomIds()
        self._activity = Activity(self._clock)
        super().__init__(settings, clock=self._clock, ids=ids, activity=self._activity)
        self.worlds: Sequence[World] = (self,)
        other = settings.other_mode()
        if other is not None:
            self.worlds = (self, World(other, clock=self._clock, ids=ids, activity=self._activity, sibling=self))
        self._faults = Faults()
        self._log = RequestLog(settings.log_size)
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0

    # -- life

    async def start(self) -> None:
        """Take up what an earlier run left (`state_file`) and serve. Raises OSError when the port is taken."""
        self._stopping.clear()
        app = web.Application(client_max_size=self.settings.body_limit)
        RestApi(self.worlds, self._faults, self._log, self._never).add_routes(app.router)
        ControlApi(self).add_routes(app.router)
        PayerPages(self).add_routes(app.router)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        for world in self.worlds:
            await world.open()
        site = web.TCPSite(self._runner, self.settings.host, self.settings.port)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            for world in self.worlds:
                await world.webhooks.stop()
            raise
        self._port = self._runner.addresses[0][1]
        for world in self.worlds:
            world.take_up()

    async def stop(self) -> None:
        """Stop serving and end all background work. With a `state_file`, the next start takes it up again."""
        self._stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self._activity.cancel_all()
        for world in self.worlds:
            await world.close()

    @property
    def base_url(self) -> str:
        """Where the API is: what to give a Razorpay client as its base URL."""
        return f"http://{self.settings.host}:{self._port}"

    @property
    def pending(self) -> int:
        """Webhook deliveries and delayed transitions that execute right now, rather than sleep on the clock."""
        return self._activity.pending

    async def wait_idle(self) -> None:
        """Return once `pending` is 0."""
        await self._activity.wait_idle()

    async def reset(self) -> None:
        """Forget everything, in both modes, but the settings and the receivers of webhooks."""
        await self._activity.cancel_all()
        self._faults.clear()
        self._log.clear()
        for world in self.worlds:
            world.forget()

    def world(self, mode: str) -> World:
        """The world of `test` or `live`."""
        for world in self.worlds:
            if world.settings.mode == mode:
                return world
        raise ControlError(f"this sandbox has no keys for the mode {mode}")

    def set_clock_forward(self, seconds: float) -> int:
        """Skip time, where the clock is the machine's own. Returns the new time in Unix seconds.

        What falls due on the way happens at its end. A webhook that is being posted meanwhile counts as timed out.
        """
        if not isinstance(self._clock, SystemClock):
            raise ControlError("this sandbox runs on the clock of its test: step that one")
        self._clock.set_forward(seconds)
        return self.now()

    # -- what goes wrong, in whichever mode

    def add_fault(self, rule: FaultRule) -> None:
        self._faults.add(rule)

    @property
    def faults(self) -> list[FaultRule]:
        return self._faults.rules

    def clear_faults(self) -> None:
        self._faults.clear()

    def requests(self, method: str = "*", path: str = "*") -> list[RequestRecord]:
        """The API requests so far whose method and path match the shell patterns, oldest first."""
        return self._log.find(method, path)

    @property
    def requests_seen(self) -> int:
        """How many API requests there were so far, forgotten ones among them."""
        return self._log.added

    async def _never(self) -> None:
        """A hanging answer: until the sandbox stops."""
        await self._stopping.wait()
