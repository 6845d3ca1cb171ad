"""The sandbox as one object: start it in any event loop, drive it over HTTP or by its methods."""

import asyncio
from typing import TypeVar

from aiohttp import web

from razorpay_simulator.accounts import Accounts
from razorpay_simulator.activity import Activity
from razorpay_simulator.clock import Clock, SystemClock
from razorpay_simulator.control import ControlApi
from razorpay_simulator.core import Core
from razorpay_simulator.entities import Entry, JsonObject
from razorpay_simulator.errors import ControlError
from razorpay_simulator.events import EventRecord
from razorpay_simulator.faults import FaultRule, Faults, RequestLog, RequestRecord
from razorpay_simulator.ids import Ids, RandomIds
from razorpay_simulator.kyc import Kyc, KycMove
from razorpay_simulator.outcomes import OutcomeRule
from razorpay_simulator.payments import PaymentPatch, Payments
from razorpay_simulator.products import Products
from razorpay_simulator.qr_codes import QrCodes, QrPayment
from razorpay_simulator.refunds import Refunds
from razorpay_simulator.rest import Nouns, RestApi
from razorpay_simulator.settings import SandboxSettings
from razorpay_simulator.settlements import Settlements
from razorpay_simulator.state import State
from razorpay_simulator.transfers import Transfers
from razorpay_simulator.webhook_rules import WebhookRule
from razorpay_simulator.webhooks import Attempt, Webhooks

T = TypeVar("T")

SHUTDOWN_SECONDS = 1.0
"""How long open connections may take to end after `stop`."""


class RazorpaySimulator:
    """A Razorpay account in a process.

    Between `start()` and `stop()` it serves Razorpay's REST API at `base_url` (`/v1`, `/v2`) and its own control API at
    `base_url/_sandbox`, and posts signed webhooks to the receivers in its settings. All time is the injected clock's.
    The methods below are what the control API calls; they raise `ControlError` for the impossible.
    """

    def __init__(self, settings: SandboxSettings | None = None, *, clock: Clock | None = None, ids: Ids | None = None) -> None:
        self.settings = settings or SandboxSettings()
        self._clock = clock or SystemClock()
        state = State.load(self.settings.state_file) if self.settings.state_file else State()
        self._activity = Activity(self._clock)
        ids = ids or RandomIds()
        webhooks = Webhooks(
            settings=self.settings, clock=self._clock, ids=ids, state=state, activity=self._activity, save=self._save
        )
        self._core = core = Core(
            settings=self.settings, clock=self._clock, ids=ids, state=state, activity=self._activity, webhooks=webhooks
        )
        self._faults = Faults()
        self._log = RequestLog(self.settings.log_size)
        self._kyc = Kyc(core)
        refunds, settlements, accounts = Refunds(core), Settlements(core), Accounts(core, self._kyc)
        self._nouns = Nouns(
            qr_codes=QrCodes(core, refunds),
            payments=Payments(core),
            refunds=refunds,
            accounts=accounts,
            products=Products(core, accounts, self._kyc),
            transfers=Transfers(core, settlements),
            settlements=settlements,
        )
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0

    # -- life

    async def start(self) -> None:
        """Take up what an earlier run left (`state_file`) and serve. Raises OSError when the port is taken."""
        self._stopping.clear()
        app = web.Application(client_max_size=self.settings.body_limit)
        RestApi(self._core, self._nouns, self._faults, self._log, self._never).add_routes(app.router)
        ControlApi(self).add_routes(app.router)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        await self._core.webhooks.start()
        if not self._core.state.entries:
            self._open_books()
        site = web.TCPSite(self._runner, self.settings.host, self.settings.port)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            await self._core.webhooks.stop()
            raise
        self._port = self._runner.addresses[0][1]
        self._take_up()
        self._save()

    async def stop(self) -> None:
        """Stop serving and end all background work. With a `state_file`, the next start takes it up again."""
        self._stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self._activity.cancel_all()
        await self._core.webhooks.stop()
        self._save()

    @property
    def base_url(self) -> str:
        """Where the API is: what to give a Razorpay client as its base URL."""
        return f"http://{self.settings.host}:{self._port}"

    def now(self) -> int:
        """The sandbox's time in Unix seconds."""
        return self._core.now()

    @property
    def pending(self) -> int:
        """Webhook deliveries and delayed transitions that execute right now, rather than sleep on the clock."""
        return self._activity.pending

    async def wait_idle(self) -> None:
        """Return once `pending` is 0."""
        await self._activity.wait_idle()

    async def reset(self) -> None:
        """Forget everything but the settings and the receivers of webhooks."""
        await self._activity.cancel_all()
        self._core.state.clear()
        self._core.webhooks.clear()
        self._core.outcomes.clear()
        self._core.busy_payments.clear()
        self._faults.clear()
        self._log.clear()
        self._open_books()
        self._save()

    # -- people and banks

    def pay(self, qr_id: str, payment: QrPayment) -> JsonObject:
        """A payer scans a QR code and pays: `{"payment": …, "event_ids": [qr_code.credited's, payment.captured's]}`."""
        return self._saved(self._nouns.qr_codes.pay(qr_id, payment))

    def move_kyc(self, account_id: str, move: KycMove, clarifications: list[JsonObject] | None = None) -> JsonObject:
        """A reviewer decides on a linked account. Returns the account and how it stands."""
        account = self._core.state.accounts.get(account_id)
        if account is None:
            raise ControlError(f"no linked account {account_id}")
        self._kyc.move(account, move, clarifications)
        return self._saved({"account": account.view(), "activation": account.activation, "hold_funds": account.hold_funds})

    def settle(self, account_id: str | None = None) -> list[JsonObject]:
        """Settle one linked account now, or all of them. Returns the settlements; an account with nothing due has none."""
        accounts = list(self._core.state.accounts) if account_id is None else [account_id]
        settled = [self._nouns.settlements.settle_linked(account) for account in accounts]
        return self._saved([settlement for settlement in settled if settlement is not None])

    def settle_own(self) -> JsonObject | None:
        """Settle the parent's balance to its own bank."""
        return self._saved(self._nouns.settlements.settle_own())

    def add_funds(self, amount: int) -> int:
        """Add to the parent's balance (or take from it, where negative). Returns the balance."""
        self._adjust(amount)
        return self._saved(self._core.available)

    def patch_payment(self, payment_id: str, patch: PaymentPatch) -> JsonObject:
        return self._saved(self._nouns.payments.patch(payment_id, patch))

    # -- what goes wrong

    def add_outcome(self, rule: OutcomeRule) -> None:
        self._core.outcomes.add(rule)

    def add_fault(self, rule: FaultRule) -> None:
        self._faults.add(rule)

    @property
    def faults(self) -> list[FaultRule]:
        return self._faults.rules

    def clear_faults(self) -> None:
        self._faults.clear()

    def add_webhook_rule(self, rule: WebhookRule) -> None:
        self._core.webhooks.rules.add(rule)

    @property
    def webhook_rules(self) -> list[WebhookRule]:
        return self._core.webhooks.rules.rules

    def clear_webhook_rules(self) -> None:
        """No more deviations; what reordering held back is let go."""
        self._core.webhooks.rules.clear()
        self._core.webhooks.release_held()

    # -- webhooks

    @property
    def webhooks(self) -> Webhooks:
        """Receivers, events, replays and the delivery log."""
        return self._core.webhooks

    def send_event(
        self,
        event: str,
        payload: JsonObject,
        *,
        account_id: str | None = None,
        event_id: str | None = None,
        secret: str | None = None,
    ) -> EventRecord:
        """Send any event, such as one of another environment on the same account."""
        body = {
            "entity": "event",
            "account_id": account_id or self.settings.account_id,
            "event": event,
            "contains": list(payload),
            "payload": payload,
            "created_at": self._core.now(),
        }
        return self._saved(self._core.webhooks.send(body, event_id=event_id, secret=secret))

    @property
    def events(self) -> list[EventRecord]:
        """The events that are remembered, oldest first."""
        known = [*self._core.webhooks.finished.values(), *self._core.state.events.values()]
        return sorted(known, key=lambda record: record.created_at)

    @property
    def attempts(self) -> list[Attempt]:
        """The delivery log, oldest first."""
        return list(self._core.webhooks.attempts)

    # -- what happened

    def requests(self, method: str = "*", path: str = "*") -> list[RequestRecord]:
        """The API requests so far whose method and path match the shell patterns, oldest first."""
        return self._log.find(method, path)

    @property
    def state(self) -> State:
        """The books, to look at: balances, entries, every entity."""
        return self._core.state

    def balances(self) -> dict[str, int]:
        """Account id → balance in paise: the parent's, and each linked account's that ever had money."""
        return self._core.state.balances()

    def save(self) -> None:
        """Write the state file, if there is one. The methods above do; direct changes must."""
        self._save()

    # -- inside

    def _saved(self, result: T) -> T:
        self._save()
        return result

    def _save(self) -> None:
        self._core.save()

    def _open_books(self) -> None:
        if self.settings.opening_balance:
            self._adjust(self.settings.opening_balance)

    def _adjust(self, amount: int) -> None:
        self._core.post(
            Entry(
                account_id=self.settings.account_id,
                type="adjustment",
                entity_id=self._core.ids.new("adj_"),
                amount=abs(amount),
                credit=max(amount, 0),
                debit=max(-amount, 0),
                created_at=self._core.now(),
            )
        )

    def _take_up(self) -> None:
        """Set the timers of what an earlier run left unfinished."""
        state, nouns = self._core.state, self._nouns
        self._core.webhooks.take_up()  # first: what is overdue below emits events of its own
        for qr in list(state.qr_codes.values()):
            nouns.qr_codes.watch(qr)
        for refund in list(state.refunds.values()):
            nouns.refunds.watch(refund)
        for transfer in list(state.transfers.values()):
            nouns.transfers.watch(transfer)
        for product in list(state.products.values()):
            self._kyc.watch(product)

    async def _never(self) -> None:
        """A hanging answer: until the sandbox stops."""
        await self._stopping.wait()
