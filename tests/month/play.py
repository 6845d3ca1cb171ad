"""Let a month happen: people pay, things go wrong, franchisees are activated, banks settle, Razorpay's statement is read."""

import heapq
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from money import energy_affordable_wh
from razorpay_simulator import QrPayment
from razorpay_simulator.faults import FaultRule
from razorpay_simulator.outcomes import OutcomeRule
from razorpay_simulator.webhook_rules import WebhookRule
from settlement.domain.statement import day_of
from tests.month.field import Box
from tests.month.plan import BEGIN, FEE_BPS, GST_BPS, Mishap, Month, Site, Visit, boxes
from tests.month.world import Network

STRIDE = timedelta(minutes=30)
"""The longest the clock is moved at once: what falls due meanwhile happens at its end, as on a machine that slept."""
SAMPLE = timedelta(minutes=10)
"""Clock-aligned, so that all meters are read at once (OCPP ClockAlignedDataInterval), and well within the 15 minutes after which
a session counts as stale."""
PLUGGED_AFTER = timedelta(minutes=1)
OWN_SETTLEMENTS = 10
"""So often our own balance goes to our own bank, to the last paisa: until others pay again, refunds and transfers wait."""
STRIDE_AFTERWARDS = timedelta(hours=3)
AFTERWARDS = timedelta(days=5)
"""What is on its way arrives: refunds retried, transfers settled at T+2."""
LAST_SECONDS = (-3, -2, -1, 1)
"""Around the moment in which a budget is used up, charging looks at its deadlines as often as it really does."""


@dataclass
class Played:
    """What happened."""

    payments: int = 0
    by_end: Counter[str] = field(default_factory=Counter)
    mishaps: Counter[str] = field(default_factory=Counter)
    corrections: int = 0
    charges: int = 0


class Player:
    """One month over one network."""

    def __init__(self, network: Network, month: Month, *, tell: Callable[[str], None] = lambda _: None) -> None:
        """`tell`: hears of each day that begins."""
        self._network = network
        self._month = month
        self._tell = tell
        self._events: list[tuple[datetime, int, Callable[[], Awaitable[None]]]] = []
        self._numbers = itertools.count()
        self._places = boxes()
        self._quiet_from = BEGIN
        """When the last guest has left."""
        self._sampled_until = BEGIN
        """The next moment at which meters are read, as far as one is planned."""
        self.played = Played()

    def _at(self, at: datetime, happens: Callable[[], Awaitable[None]]) -> None:
        heapq.heappush(self._events, (at, next(self._numbers), happens))

    async def play(self) -> Played:
        """All of it, until nothing is on its way."""
        for visit in self._month.visits:
            self._at(visit.at, lambda visit=visit: self._pay(visit))
        for mishap in self._month.mishaps:
            self._at(mishap.at, lambda mishap=mishap: self._goes_wrong(mishap))
        for number, at in enumerate(self._month.activations):
            self._at(at, lambda number=number: self._activate(number))
        end = max(*(visit.at for visit in self._month.visits), *self._month.activations) + timedelta(hours=6)
        for number in range(1, OWN_SETTLEMENTS + 1):
            self._at(BEGIN + number * (end - BEGIN) / OWN_SETTLEMENTS, self._settle_own)
        self._at(end + AFTERWARDS, self._nothing)
        self._quiet_from = end
        day = -1
        while self._events:
            at, _, happens = heapq.heappop(self._events)
            await self._move_to(at)
            if (at - BEGIN).days > day:
                day = (at - BEGIN).days
                self._network.spans.clear()  # nobody looks at them, and a month of them is gigabytes
                self._tell(f"day {day + 1} of {(end + AFTERWARDS - BEGIN).days + 1}, {self.played.payments} payments so far")
            await happens()
            if not self._events or self._events[0][0] > self._network.clock.now():
                await self._network.rest()
        return self.played

    async def _move_to(self, at: datetime) -> None:
        clock = self._network.clock
        while (left := at - clock.now()) > timedelta(0):
            stride = STRIDE if clock.now() < self._quiet_from else STRIDE_AFTERWARDS
            clock.jump(min(left, stride).total_seconds())
            await self._network.rest()

    async def _nothing(self) -> None:
        """Only time passes."""

    # -- people

    async def _pay(self, visit: Visit) -> None:
        box, field_ = self._network.boxes[visit.box], self._network.field
        if visit.ends == "offline":
            await field_.disconnect(box)
            await self._network.rest()
            self._at(visit.at + timedelta(minutes=10), lambda: field_.connect(box))
        self._count(visit.ends)
        self._scan(visit, box)
        if visit.ends in ("offline", "not plugged in"):
            return
        self._at(visit.at + PLUGGED_AFTER, lambda: self._plug(visit, box))

    def _scan(self, visit: Visit, box: Box) -> None:
        how = QrPayment(amount=visit.amount_paise, vpa=visit.vpa, fee_shown=visit.fee_shown)
        self._network.razorpay.pay(self._network.codes[box.name], how)
        self.played.payments += 1

    def _count(self, ends: str) -> None:
        self.played.by_end[ends] += 1

    async def _plug(self, visit: Visit, box: Box) -> None:
        field_ = self._network.field
        await field_.plug(box, 0 if visit.ends == "no energy" else visit.power_w)
        began = visit.at + PLUGGED_AFTER
        leaves = began + (timedelta(seconds=visit.seconds) if visit.energy_wh else SAMPLE)
        self._sample_next()
        if visit.ends in ("capped", "small"):
            used_up = began + timedelta(seconds=_seconds_affordable(visit, self._places[visit.box]))
            for second in LAST_SECONDS:
                self._at(used_up + timedelta(seconds=second), self._nothing)
        if visit.ends == "busy":
            self._at(began + timedelta(seconds=30), lambda: self._barge_in(visit, box))
        self._at(leaves, lambda: field_.stop_charging(box, reason="EVDisconnected"))

    def _sample_next(self) -> None:
        """Plan the next reading of all meters, once."""
        now = self._network.clock.now()
        if self._sampled_until <= now:
            self._sampled_until = now + SAMPLE - (now - BEGIN) % SAMPLE
            self._at(self._sampled_until, self._sample)

    async def _sample(self) -> None:
        """Every meter of a running session is read; while there is one, again."""
        running = [box for box in self._network.boxes if box.transaction_id is not None]
        for box in running:
            await self._network.field.sample(box)
        if running:
            self._sample_next()

    async def _barge_in(self, visit: Visit, box: Box) -> None:
        """Somebody else pays while a car charges there."""
        self._scan(visit, box)

    # -- Razorpay and the bank

    async def _goes_wrong(self, mishap: Mishap) -> None:
        razorpay = self._network.razorpay
        self.played.mishaps[f"{mishap.what} {mishap.how}".strip()] += 1
        match mishap.what:
            case "refund fails":
                razorpay.add_outcome(OutcomeRule(of="refund", outcome="failed"))
            case "refund slows":
                razorpay.add_outcome(OutcomeRule(of="refund", outcome="speed_changed"))
            case "transfer fails":
                razorpay.add_outcome(OutcomeRule(of="transfer", outcome="failed"))
            case "fault":
                when, _, path = mishap.where.partition(" ")
                razorpay.add_fault(FaultRule(kind=mishap.how, when=when, method="POST", path=path))  # type: ignore[arg-type]
            case "webhook":
                rule = WebhookRule(kind=mishap.how, event=mishap.where, seconds=45)  # type: ignore[arg-type]
                razorpay.add_webhook_rule(rule)

    async def _activate(self, number: int) -> None:
        self._network.razorpay.move_kyc(self._network.franchisees[number]["razorpay_account_id"], "activated")

    async def _settle_own(self) -> None:
        self._network.razorpay.settle_own()

    # -- the statement

    async def close_the_month(self) -> None:
        """Our balance is settled a last time, and settlement reads Razorpay's statement of all days.

        It books what the statement shows: fees that were never told, charges for speedy refunds.
        """
        network = self._network
        network.razorpay.settle_own()
        await network.rest()
        days = {"from": str(day_of(BEGIN)), "to": str(day_of(network.clock.now()))}
        await network.api("POST", "/v1/reconciliations", days, role="finance")
        await network.rest()
        kinds = Counter(journal["kind"] for journal in await self._all("books/journals"))
        self.played.corrections, self.played.charges = kinds["payment_fee_corrected"], kinds["refund_charged"]

    async def _all(self, noun: str) -> list[dict[str, object]]:
        items, cursor = [], ""
        while True:
            page = await self._network.api("GET", f"/v1/{noun}?limit=100{cursor}")
            items += page["items"]
            if not page["next_cursor"]:
                return items
            cursor = f"&cursor={page['next_cursor']}"


def _seconds_affordable(visit: Visit, site: Site) -> int:
    wh = energy_affordable_wh(
        budget_paise=visit.amount_paise,
        tariff_paise_per_kwh=site.paise_per_kwh,
        gst_bps=GST_BPS,
        platform_fee_paise=visit.amount_paise * FEE_BPS // 10_000,
    )
    return wh * 3600 // visit.power_w
