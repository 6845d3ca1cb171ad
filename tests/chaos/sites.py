"""Places where riders come and go: each plays session after session, whatever happens to VoltLync meanwhile.

A rider knows nothing of kills: pays, plugs in, waits as long as people wait, leaves. Every payment is remembered.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from charger_simulator import ChargePoint, Settings
from tests.chaos.installation import DISCONNECT_SECONDS, START_DEADLINE_SECONDS, Running
from voltlync.seed import BENGALURU, FRANCHISEE, TARIFF
from voltlync.world import Json, World, until

# A rider waits so long for power, and then drives on: longer than the start's deadline and a webhook's way round a kill.
PATIENCE_SECONDS = START_DEADLINE_SECONDS + 15
# The longest session: a budget lasts half a minute at 120 kW; the rest is for stops that have to be repeated.
SESSION_SECONDS_MAX = 120.0
# Seeding: nothing is killed yet, so this guards I/O only.
READY_SECONDS_MAX = 120.0

RATED_POWER_W = 120_000

# The least that a rider pays; the fee is 2.36 % of it, and a kWh costs 21.24 rupees with GST.
PAID_PAISE_MIN, PAID_PAISE_MAX = 800, 3000

HARDWARE = Settings(
    # Far more than a run can fill: the charge points' memory is evidence.
    log_size=200_000,
    configuration={
        "MeterValueSampleInterval": "1",
        "TransactionMessageAttempts": "1000",
        "TransactionMessageRetryInterval": "1",
        "ConnectionTimeOut": str(START_DEADLINE_SECONDS),
    },
    call_timeout_seconds=6,
    boot_retry_seconds=2,
    reconnect_seconds_min=0.5,
    reconnect_seconds_max=3,
)


class Scene(StrEnum):
    """What a visit is about."""

    LEAVES_EARLY = "leaves early"
    RUNS_OUT = "stays until the money is used"
    NEVER_PLUGGED = "pays and never plugs in"
    NETWORK_DROPS = "loses its network on the way"


FREQUENCY = {Scene.LEAVES_EARLY: 4, Scene.RUNS_OUT: 4, Scene.NEVER_PLUGGED: 1, Scene.NETWORK_DROPS: 3}


@dataclass
class Site:
    """A charger with its QR code and its simulated charge point."""

    point: ChargePoint
    razorpay_qr_code_id: str
    world: World
    rng: random.Random
    paid: dict[str, int] = field(default_factory=dict)
    """Razorpay payment id → paise."""
    played: Counter[Scene] = field(default_factory=Counter)
    scene: Scene | None = None
    """What is being played; None between two visits."""

    @property
    def charging(self) -> bool:
        return self.point.connectors[1].transaction is not None

    @property
    def doing(self) -> str:
        """In words, for the log of kills."""
        if self.scene is None:
            return "between riders"
        state = "charging" if self.charging else "not charging"
        return f"{self.scene} ({state}{'' if self.point.connected else ', offline'})"

    async def keep_playing(self, closing: asyncio.Event) -> None:
        """Visit after visit until the site closes; the last one is played to its end."""
        await asyncio.sleep(self.rng.uniform(0, 5))
        while not closing.is_set():
            scene = self.rng.choices(list(FREQUENCY), list(FREQUENCY.values()))[0]
            self.scene = scene
            await self._play(scene)
            self.played[scene] += 1
            self.scene = None
            await self._is_free_again()

    async def _play(self, scene: Scene) -> None:
        if scene is Scene.NEVER_PLUGGED:
            await self._pay()
            # Until nothing can start any more; else the next rider's car would charge on this one's money, as in life.
            await asyncio.sleep(START_DEADLINE_SECONDS)
            return
        await self.point.plug()
        try:
            await self._pay()
            if await self._charges(PATIENCE_SECONDS):
                await self._charge(scene)
        finally:
            await self.point.unplug()

    async def _charge(self, scene: Scene) -> None:
        match scene:
            case Scene.LEAVES_EARLY:
                await self._over(self.rng.uniform(3, 15))
            case Scene.RUNS_OUT:
                await self._over(SESSION_SECONDS_MAX)
            case Scene.NETWORK_DROPS:
                await self._over(self.rng.uniform(1, 6))
                # One in four stays away for longer than its session may.
                away = DISCONNECT_SECONDS + self.rng.uniform(3, 10) if self.rng.random() < 0.25 else self.rng.uniform(0.5, 8)
                await self.point.disconnect(away)
                await self._over(away + self.rng.uniform(2, 10))

    async def _pay(self) -> None:
        amount_paise = self.rng.randrange(PAID_PAISE_MIN, PAID_PAISE_MAX)
        rider = self.rng.randrange(1, 20)
        paid = await self.world.razorpay(
            "POST", f"/qr/{self.razorpay_qr_code_id}/pay", {"amount": amount_paise, "vpa": f"rider{rider}@okaxis"}
        )
        self.paid[paid["payment"]["id"]] = amount_paise

    async def _charges(self, within: float) -> bool:
        return await self._becomes(charging=True, within=within)

    async def _over(self, within: float) -> bool:
        """Whether the session ended by itself within so many seconds."""
        return await self._becomes(charging=False, within=within)

    async def _becomes(self, *, charging: bool, within: float) -> bool:
        try:
            await self.point.wait_for(lambda: self.charging is charging, within=within)
        except TimeoutError:
            return False
        return True

    async def _is_free_again(self) -> None:
        """The next rider comes when the display says so: the last session is reported. After a while one comes anyway."""
        try:
            await self.point.wait_for(
                lambda: self.point.connected and not self.point.outbox.transactional, within=PATIENCE_SECONDS
            )
        except TimeoutError:
            return


async def open_sites(running: Running, count: int, seed: int) -> list[Site]:
    """`count` sites: two franchisees' by turns, the last one the platform's own."""
    world = running.world
    await world.api("POST", "/v1/tariffs", TARIFF)
    franchisees = await asyncio.gather(*(_franchisee(world, number) for number in (1, 2)))
    owners = [None if number == count else franchisees[number % 2]["id"] for number in range(1, count + 1)]
    return await asyncio.gather(*(_open_site(running, number, owner, seed) for number, owner in enumerate(owners, 1)))


async def _franchisee(world: World, number: int) -> Json:
    made = await world.api("POST", "/v1/franchisees", {**FRANCHISEE, "email": f"owner{number}@site.example"})

    async def activated() -> Json | None:
        seen: Json = await world.api("GET", f"/v1/franchisees/{made['id']}")
        return seen if seen["status"] == "ACTIVATED" else None

    return await until(f"{made['id']} to be activated", activated, seconds_max=READY_SECONDS_MAX)


async def _open_site(running: Running, number: int, franchisee_id: str | None, seed: int) -> Site:
    world = running.world
    place = {"name": f"Site {number}", "address": f"{number}, MG Road", "postal_code": "560001", **BENGALURU}
    station = await world.api("POST", "/v1/stations", {**place, "franchisee_id": franchisee_id})
    name = f"CHAOS-{number:02d}"
    charger = await world.api(
        "POST",
        "/v1/chargers",
        {
            "charge_point_id": name,
            "station_id": station["id"],
            "name": name,
            "connector_kind": "ccs",
            "rated_power_w": RATED_POWER_W,
        },
    )
    code = await world.api("POST", "/v1/qr-codes", {"charge_point_id": name, "connector_id": 1})

    async def active() -> Json | None:
        seen: Json = await world.api("GET", f"/v1/qr-codes/{code['id']}")
        return seen if seen["status"] == "ACTIVE" else None

    code = await until(f"the QR code of {name}", active, seconds_max=READY_SECONDS_MAX)
    point = ChargePoint(
        name,
        running.installation.ocpp_url,
        password=charger["password"],
        rated_power_w=RATED_POWER_W,
        meter_start_wh=number * 1_000_000,
        settings=HARDWARE,
    )
    await point.start()

    async def online() -> Json | None:
        seen: Json = await world.api("GET", f"/v1/chargers/{charger['id']}")
        return seen if seen["online"] else None

    await until(f"{name} to come online", online, seconds_max=READY_SECONDS_MAX)
    return Site(point, code["razorpay_qr_code_id"], world, random.Random(f"{seed} {name}"))
