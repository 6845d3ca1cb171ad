"""What every part of the sandbox shares: time, ids, state, timers, the books, and the way to tell the world."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from razorpay_simulator.activity import Activity
from razorpay_simulator.clock import Clock
from razorpay_simulator.entities import Entry, JsonObject, Payment, QrCode, Record, Refund
from razorpay_simulator.errors import ApiError, invalid_id, unknown_id
from razorpay_simulator.ids import Ids, is_id
from razorpay_simulator.outcomes import Outcomes
from razorpay_simulator.settings import SandboxSettings
from razorpay_simulator.state import State
from razorpay_simulator.webhooks import Webhooks

DEFAULT_PAGE = 10
MAX_PAGE = 100

R = TypeVar("R", bound=Record)
O = TypeVar("O", QrCode, Payment, Refund)  # noqa: E741  what a linked account can own


class Core:
    """The shared ground of the nouns (QR codes, refunds, ...). All changes happen on one event loop."""

    def __init__(
        self, *, settings: SandboxSettings, clock: Clock, ids: Ids, state: State, activity: Activity, webhooks: Webhooks
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.ids = ids
        self.state = state
        self.activity = activity
        self.webhooks = webhooks
        self.outcomes = Outcomes()
        self.reserve = settings.reserve_balance
        """How far refunds and transfers may overdraw the parent's balance, in paise."""
        self.busy_payments: set[str] = set()
        """Payments with an operation under way: Razorpay refuses a second one meanwhile."""

    def timestamp(self) -> float:
        return self.clock.now().timestamp()

    def now(self) -> int:
        return int(self.timestamp())

    def save(self) -> None:
        if self.settings.state_file is not None:
            self.state.save(self.settings.state_file)

    def at(self, name: str, due: float, action: Callable[[], None]) -> None:
        """Run `action` at `due` (Unix seconds) on the clock. It must look at the state again: much may have changed."""

        async def work() -> None:
            await self.activity.sleep(due - self.timestamp())
            action()
            self.save()

        self.activity.run(name, work)

    def emit(self, event: str, payload: JsonObject, *, account_id: str | None = None, delay: float = 0) -> str:
        """Tell the receivers of webhooks. Returns the event's id."""
        return self.webhooks.emit(event, payload, account_id or self.settings.account_id, delay=delay)

    # -- the books

    @property
    def available(self) -> int:
        return self.state.balance(self.settings.account_id)

    def covers(self, amount: int, account_id: str | None = None) -> bool:
        """Whether the parent's balance, with its reserve, can pay `amount`; or a linked account's own, which has no reserve."""
        if account_id is not None:
            return self.state.balance(account_id) >= amount
        return self.available - amount >= -self.reserve

    def post(self, entry: Entry) -> None:
        self.state.post(entry)

    # -- looking things up

    def find_of(self, book: Mapping[str, O], record_id: str, prefix: str, account_id: str | None) -> O:
        """As `find`, of what belongs to this linked account, or to the parent: another's does not exist for it."""
        record = self.find(book, record_id, prefix)
        if record.account_id != account_id:
            raise unknown_id()
        return record

    def find(self, book: Mapping[str, R], record_id: str, prefix: str) -> R:
        """The record, or Razorpay's error for an id that has the wrong shape or doesn't exist."""
        if not is_id(record_id, prefix):
            raise invalid_id(record_id)
        record = book.get(record_id)
        if record is None:
            raise unknown_id()
        return record


def page(records: Iterable[R], query: Mapping[str, str], *, show: Callable[[R], JsonObject] | None = None) -> JsonObject:
    """A collection, newest first, by `from`, `to` (Unix seconds, inclusive), `count` (1 to 100, default 10) and `skip`."""
    count, skip = page_bounds(query, MAX_PAGE)
    earliest, latest = query_integer(query, "from"), query_integer(query, "to")
    matching: list[R] = []
    for record in records:
        created_at: int = getattr(record, "created_at", 0)
        if (earliest is None or created_at >= earliest) and (latest is None or created_at <= latest):
            matching.append(record)
    matching.reverse()
    chosen = matching[skip : skip + count]
    return collection([show(record) if show else record.view() for record in chosen])


def collection(items: list[JsonObject]) -> JsonObject:
    return {"entity": "collection", "count": len(items), "items": items}


def page_bounds(query: Mapping[str, str], largest: int) -> tuple[int, int]:
    """`count` and `skip`."""
    count = query_integer(query, "count")
    count = DEFAULT_PAGE if count is None else count
    if count < 1:
        raise ApiError("The count must be at least 1.", field="count")
    if count > largest:
        raise ApiError(f"The count may not be greater than {largest}.", field="count")
    return count, query_integer(query, "skip") or 0


def query_integer(query: Mapping[str, str], name: str) -> int | None:
    value = query.get(name)
    if value is None or value == "":
        return None
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise ApiError(f"The {name} must be an integer.", field=name)
    return int(value)
