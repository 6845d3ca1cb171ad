"""A franchisee's month as a statement: one fold over what was booked and what was paid, which every form of it shows.

    opening balance + payouts earned - paid = closing balance, which is the next month's opening

What counts is when *we booked it*: an entry belongs to the month of its booking, a payment to the month in which we learnt that
the bank has it. Both are written once, so a closed month's statement never changes; a correction is a row of the month that it
comes in. Amounts are signed: a correction takes back with the sign turned.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Self

from settlement.domain.tax import INDIA, india_day

SETTLING = timedelta(hours=1)
"""A transaction that began before midnight may commit after it: so long after its end a month is closed."""


class RowKind(StrEnum):
    """What a booked row is."""

    SESSION = "SESSION"
    """A session's ledger entry."""
    CORRECTION = "CORRECTION"
    """What takes back, or adds to, what an entry said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Signed sums: gross = refund + residue + pg_fee + gst + commission + tds + payout. None exist without that identity."""

    sessions: int = 0
    energy_wh: int = 0
    gross_paise: int = 0
    refund_paise: int = 0
    residue_paise: int = 0
    pg_fee_paise: int = 0
    gst_paise: int = 0
    commission_paise: int = 0
    tds_paise: int = 0
    payout_paise: int = 0

    def __post_init__(self) -> None:
        deducted = self.refund_paise + self.residue_paise + self.pg_fee_paise + self.gst_paise
        assert self.gross_paise == deducted + self.commission_paise + self.tds_paise + self.payout_paise

    def __add__(self, other: Self) -> Self:
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in FIGURES})

    @property
    def net_paise(self) -> int:
        """What commission, TDS and payout divide: the energy without GST."""
        return self.commission_paise + self.tds_paise + self.payout_paise


FIGURES = tuple(item.name for item in fields(Figures))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Something that was booked; or, for the fold alone, all that was booked of one kind, day, charger and tax."""

    kind: RowKind
    reference: str
    """Our id of it: led_4."""
    booked_at: datetime
    transaction_id: int | None
    station_id: int | None
    charge_point_id: str | None
    connector_id: int | None
    started_at: datetime | None
    stopped_at: datetime | None
    tds_section: str | None
    tds_bps: int | None
    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """What reached the bank by one settlement; below zero where money came back."""

    paid_at: datetime
    settlement_id: str | None
    utr: str | None
    transfers: int
    amount_paise: int


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A charger on a day: what entries are summed up by."""

    day: date
    station_id: int
    """0: none."""
    charge_point_id: str


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month in India."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of "2026-11". Raises ValueError."""
        year, dash, month = text.partition("-")
        if not (dash and len(year) == 4 and len(month) == 2 and (year + month).isdecimal() and year >= "2000"):
            raise ValueError(f"{text} is no month such as 2026-11")
        return cls(int(year), date(int(year), int(month), 1).month)

    @classmethod
    def of(cls, at: datetime) -> Self:
        """The month of a time."""
        day = india_day(at)
        return cls(day.year, day.month)

    @property
    def start(self) -> datetime:
        """Its first moment."""
        return datetime(self.year, self.month, 1, tzinfo=INDIA)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return self.following.start

    @property
    def following(self) -> Self:
        """The month after."""
        return type(self)(self.year + self.month // 12, self.month % 12 + 1)

    def closed(self, now: datetime) -> bool:
        """Whether nothing can be booked in it any more."""
        return now >= self.end + SETTLING


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who the statement is for, with what is personal masked."""

    franchisee_id: int
    legal_business_name: str
    display_name: str
    address: str
    gstin: str | None
    pan_masked: str | None
    bank_masked: str


@dataclass(frozen=True, slots=True)
class Tax:
    """TDS under one section at one rate."""

    base_paise: int = 0
    """The sales without GST, before commission."""
    tds_paise: int = 0


@dataclass(slots=True)
class Statement:
    """The fold. Rows go by and are not kept: a month of any size takes the room of its days and chargers.

    Whether rows come one by one or summed up by kind, day, charger and tax is the same to it.
    """

    owner: Owner
    month: Month
    until: datetime
    """What is in it: everything before this time. The month's end, once it is closed."""
    closed: bool
    opening_paise: int
    totals: dict[RowKind, Figures] = field(default_factory=lambda: {kind: Figures() for kind in RowKind})
    places: dict[Place, Figures] = field(default_factory=dict)
    taxes: dict[tuple[str, int], Tax] = field(default_factory=dict)
    payments: list[Payment] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Something booked in the month."""
        assert self.month.start <= row.booked_at < self.until, row.reference
        self.totals[row.kind] += row.figures
        place = Place(india_day(row.booked_at), row.station_id or 0, row.charge_point_id or "")
        self.places[place] = self.places.get(place, Figures()) + row.figures
        if row.figures.tds_paise:
            key = (row.tds_section or "no section kept", row.tds_bps or 0)
            before = self.taxes.get(key, Tax())
            self.taxes[key] = Tax(before.base_paise + row.figures.net_paise, before.tds_paise + row.figures.tds_paise)

    def pay(self, payment: Payment) -> None:
        """Something that reached the bank in the month."""
        assert self.month.start <= payment.paid_at < self.until, payment.settlement_id
        self.payments.append(payment)

    @property
    def total(self) -> Figures:
        """All that was booked: sessions and corrections."""
        return sum(self.totals.values(), Figures())

    @property
    def paid_paise(self) -> int:
        """All that reached the bank."""
        return sum(payment.amount_paise for payment in self.payments)

    @property
    def closing_paise(self) -> int:
        """What the franchisee is owed at the end; below zero, where it owes us."""
        return self.opening_paise + self.total.payout_paise - self.paid_paise

    def by_day(self) -> Mapping[date, Figures]:
        """By day, in order."""
        found: dict[date, Figures] = {}
        for place in sorted(self.places):
            found[place.day] = found.get(place.day, Figures()) + self.places[place]
        return found

    def by_charger(self) -> Mapping[tuple[int, str], Figures]:
        """By (station, charger), in order."""
        found: dict[tuple[int, str], Figures] = {}
        for place in sorted(self.places, key=lambda place: (place.station_id, place.charge_point_id, place.day)):
            key = (place.station_id, place.charge_point_id)
            found[key] = found.get(key, Figures()) + self.places[place]
        return found

    def lines(self) -> tuple["TotalLine", ...]:
        """Its totals, the same in every form: what came in, what was taken of it, what is left, and the balance."""
        total = self.total
        return (
            TotalLine("opening", "Opening balance", self.opening_paise),
            TotalLine("gross", "Paid by riders", total.gross_paise),
            TotalLine("refund", "less: refunded to riders", -total.refund_paise),
            TotalLine("residue", "less: owed to riders, below ₹1 each", -total.residue_paise),
            TotalLine("pg_fee", "less: payment fees, borne by riders", -total.pg_fee_paise),
            TotalLine("gst", "less: GST on energy, for the state", -total.gst_paise),
            TotalLine("commission", "less: commission", -total.commission_paise),
            TotalLine("tds", "less: income tax withheld (TDS)", -total.tds_paise),
            TotalLine("earned", "Earned", total.payout_paise),
            TotalLine("corrections", "of it: corrections of earlier entries", self.totals[RowKind.CORRECTION].payout_paise),
            TotalLine("paid", "less: paid to the bank", -self.paid_paise),
            TotalLine("closing", "Closing balance", self.closing_paise),
        )


@dataclass(frozen=True, slots=True)
class TotalLine:
    """A line of the totals. Signed: opening + earned + paid = closing, and gross to tds come to earned."""

    name: str
    words: str
    paise: int


def masked(text: str | None, *, shown: int = 4) -> str | None:
    """As much of a number as its owner needs to recognise it: "••••3456"."""
    return None if text is None else "•" * max(len(text) - shown, 0) + text[-shown:]


def statement_of(
    owner: Owner, month: Month, *, now: datetime, opening_paise: int, rows: Iterable[Row], payments: Iterable[Payment]
) -> Statement:
    """The statement of a month from all its rows at once."""
    made = Statement(owner, month, until_of(month, now), month.closed(now), opening_paise)
    for row in rows:
        made.add(row)
    for payment in payments:
        made.pay(payment)
    return made


def until_of(month: Month, now: datetime) -> datetime:
    """Up to when a month is told now."""
    return max(min(month.end, now), month.start)
