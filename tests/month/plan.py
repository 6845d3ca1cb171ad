"""The month, drawn from a seed: whose sites there are, who comes when, pays what, and what becomes of it. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Literal

from money import energy_affordable_wh

BEGIN = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)
"""When the stepping clock begins: Monday, 10:00 in India."""
DAYS = 30
DAY = 24 * 3600

Ends = Literal["served", "capped", "small", "not plugged in", "offline", "busy", "no energy"]
ENDS: dict[Ends, int] = {
    "served": 66,
    "capped": 14,
    "small": 5,
    "not plugged in": 5,
    "offline": 4,
    "busy": 2,
    "no energy": 4,
}
"""What becomes of a payment, by how often."""

BY_HOUR = (2, 1, 1, 1, 1, 2, 4, 8, 12, 12, 9, 7, 7, 7, 6, 6, 8, 11, 15, 16, 14, 10, 6, 4)
"""How many people come in each hour of India's day."""

AMOUNTS = (5_000, 10_000, 10_000, 15_000, 20_000, 20_000, 30_000, 50_000, 17_337, 9_999, 25_050)


@dataclass(frozen=True)
class Site:
    """A station."""

    franchisee: int | None
    """Which of the franchisees; None: our own."""
    boxes: int
    power_w: int
    kind: str
    paise_per_kwh: int


@dataclass(frozen=True)
class Franchisee:
    """Whose sites they are."""

    commission_bps: int
    activated_after: float
    """The part of the time after which its KYC comes through: payouts wait for it."""


FRANCHISEES = (Franchisee(1000, 0), Franchisee(1500, 0), Franchisee(1250, 0.5))

SITES = (
    Site(0, 6, 60_000, "ccs", 1900),
    Site(0, 4, 7_400, "type2", 1650),
    Site(0, 4, 3_300, "socket", 1200),
    Site(1, 6, 30_000, "ccs", 1850),
    Site(1, 6, 7_400, "type2", 1725),
    Site(2, 6, 60_000, "ccs", 2100),
    Site(2, 4, 7_400, "type2", 1700),
    Site(None, 6, 60_000, "ccs", 2000),
    Site(None, 4, 22_000, "type2", 1800),
    Site(None, 4, 3_300, "socket", 1333),
)
"""50 chargers at 10 stations."""

GST_BPS = 1800
FEE_BPS = 236
RIDERS = 400
"""How many people there are: most come more than once."""


@dataclass(frozen=True)
class Visit:
    """Somebody comes, pays, and something becomes of it."""

    number: int
    at: datetime
    box: int
    amount_paise: int
    ends: Ends
    energy_wh: int
    """What the car would take."""
    power_w: int
    fee_shown: Literal["webhook", "api", "never"]
    vpa: str

    @property
    def seconds(self) -> int:
        """How long it would charge: whole minutes."""
        return -(-self.energy_wh * 60 // self.power_w) * 60


@dataclass(frozen=True)
class Mishap:
    """Something goes wrong at Razorpay or on the way from it, once."""

    at: datetime
    what: Literal["refund fails", "refund slows", "transfer fails", "fault", "webhook"]
    how: str
    where: str = ""


@dataclass(frozen=True)
class Month:
    """All of it, by time."""

    visits: tuple[Visit, ...]
    mishaps: tuple[Mishap, ...]
    activations: tuple[datetime, ...]
    """When each franchisee's KYC comes through: at once, or in the middle of it."""


def boxes() -> tuple[Site, ...]:
    """Each charger's site, in the order of their numbers."""
    return tuple(site for site in SITES for _ in range(site.boxes))


def month(seed: int, sessions: int, *, days: int = DAYS) -> Month:
    """A month of so many payments. The same for the same seed."""
    random = Random(seed)
    places = boxes()
    free = [BEGIN] * len(places)
    visits = []
    for number, at in enumerate(sorted(_moment(random, days) for _ in range(sessions)), 1):
        open_boxes = [box for box, since in enumerate(free) if since <= at]
        if not open_boxes:
            continue
        box = random.choice(open_boxes)
        visit = _visit(random, number, at, box, places[box])
        free[box] = at + timedelta(seconds=visit.seconds + 900)
        visits.append(visit)
    mishaps = sorted((_mishap(random, days) for _ in range(max(10, sessions // 12))), key=lambda mishap: mishap.at)
    activations = tuple(BEGIN + timedelta(days=franchisee.activated_after * days) for franchisee in FRANCHISEES)
    return Month(tuple(visits), tuple(mishaps), activations)


def _moment(random: Random, days: int) -> datetime:
    """By the day's hours; every ten minutes, so that what happens at once is seen to at once."""
    bounds = list(accumulate(BY_HOUR))
    drawn = random.randrange(bounds[-1])
    hour = next(hour for hour, bound in enumerate(bounds) if drawn < bound)
    midnight_in_india = BEGIN - timedelta(hours=10)
    at = midnight_in_india + timedelta(days=random.randrange(days), hours=hour, minutes=random.randrange(0, 60, 10))
    return at if at > BEGIN + timedelta(minutes=30) else at + timedelta(days=1)


def _visit(random: Random, number: int, at: datetime, box: int, site: Site) -> Visit:
    ends = random.choices(list(ENDS), weights=list(ENDS.values()))[0]
    amount = random.choice(AMOUNTS)
    if ends == "small":
        amount = random.randrange(50, 900)
    affordable = energy_affordable_wh(
        budget_paise=amount,
        tariff_paise_per_kwh=site.paise_per_kwh,
        gst_bps=GST_BPS,
        platform_fee_paise=amount * FEE_BPS // 10_000,
    )
    share = random.uniform(0.15, 0.97) if ends == "served" else random.uniform(1.02, 1.6)
    return Visit(
        number=number,
        at=at,
        box=box,
        amount_paise=amount,
        ends=ends,
        energy_wh=max(20, int(affordable * share)) if ends in ("served", "capped", "small") else 0,
        power_w=int(site.power_w * random.uniform(0.45, 0.95)),
        fee_shown=random.choices(("webhook", "api", "never"), weights=(88, 9, 3))[0],  # type: ignore[arg-type]
        vpa=f"rider{random.randrange(RIDERS)}@okhdfcbank",
    )


def _mishap(random: Random, days: int) -> Mishap:
    at = BEGIN + timedelta(seconds=random.randrange(DAY * days))
    what = random.choice(("refund fails", "refund slows", "transfer fails", "fault", "fault", "webhook", "webhook"))
    if what == "fault":
        how = random.choice(("error", "html", "reset", "conflict", "throttle"))
        where = random.choice(("/v1/payments/*/refund", "/v1/transfers"))
        when = random.choice(("before_effect", "after_effect")) if how in ("error", "html", "reset") else "before_effect"
        return Mishap(at, "fault", how, f"{when} {where}")
    if what == "webhook":
        how = random.choice(("duplicate", "concurrent", "delay", "shuffle", "drop"))
        # A credit that is never told is no payment here: whether Razorpay's list knows more is reconciliation's to find.
        where = random.choice(("refund.*", "transfer.*", "settlement.*", "qr_code.credited")) if how != "drop" else "refund.*"
        return Mishap(at, "webhook", how, where)
    return Mishap(at, what, "")  # type: ignore[arg-type]
