"""One mode of a Razorpay account, test or live: a world of its own, and what people, banks and bad luck do in it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeVar

from razorpay_simulator.accounts import Accounts
from razorpay_simulator.activity import Activity
from razorpay_simulator.clock import Clock
from razorpay_simulator.core import Core
from razorpay_simulator.entities import Account, Entry, JsonObject
from razorpay_simulator.errors import ControlError
from razorpay_simulator.events import EventRecord
from razorpay_simulator.idempotency import IdempotencyKeys
from razorpay_simulator.ids import Ids
from razorpay_simulator.kyc import Kyc, KycMove
from razorpay_simulator.orders import OrderPayment, Orders
from razorpay_simulator.outcomes import OutcomeRule
from razorpay_simulator.payments import PaymentPatch, Payments
from razorpay_simulator.products import Products
from razorpay_simulator.qr_codes import QrCodes, QrPayment
from razorpay_simulator.receivers import Receivers
from razorpay_simulator.refunds import Refunds
from razorpay_simulator.settings import SandboxSettings
from razorpay_simulator.settlements import Adjustment, Settlements
from razorpay_simulator.state import State
from razorpay_simulator.transfers import Transfers
from razorpay_simulator.webhook_rules import WebhookRule
from razorpay_simulator.webhooks import Attempt, Webhooks

T = TypeVar("T")


@dataclass(frozen=True)
class Nouns:
    """The parts of a world behind the API."""

    orders: Orders
    qr_codes: QrCodes
    payments: Payments
    refunds: Refunds
    accounts: Accounts
    products: Products
    transfers: Transfers
    settlements: Settlements
    receivers: Receivers


class World:
    """The keys, books, codes, payments and receivers of webhooks of one mode.

    The methods are what the control API calls; they raise `ControlError` for the impossible. A second world shares the
    linked accounts of its `sibling`, as Razorpay's two modes do, and nothing else.
    """

    def __init__(
        self, settings: SandboxSettings, *, clock: Clock, ids: Ids, activity: Activity, sibling: Self | None = None
    ) -> None:
        self.settings = settings
        state = State.load(settings.state_file) if settings.state_file else State()
        if sibling is not None:
            state.share_accounts(sibling.state)
        webhooks = Webhooks(settings=settings, clock=clock, ids=ids, state=state, activity=activity, save=self.save)
        self.core = core = Core(settings=settings, clock=clock, ids=ids, state=state, activity=activity, webhooks=webhooks)
        self.keys = IdempotencyKeys(core)
        self.released: list[Callable[[Account], None]] = sibling.released if sibling else []
        self._kyc = Kyc(core, self.released)
        self._sibling = sibling
        settlements, accounts = Settlements(core), Accounts(core, self._kyc)
        transfers = Transfers(core, settlements)
        self.released.append(transfers.resume)
        refunds = Refunds(core, transfers)
        payments = Payments(core, refunds, settlements)
        self.nouns = Nouns(
            orders=Orders(core, payments),
            qr_codes=QrCodes(core, payments),
            payments=payments,
            refunds=refunds,
            accounts=accounts,
            products=Products(core, accounts, self._kyc),
            transfers=transfers,
            settlements=settlements,
            receivers=Receivers(core, accounts),
        )

    def now(self) -> int:
        """The sandbox's time in Unix seconds."""
        return self.core.now()

    # -- people and banks

    def pay(self, qr_id: str, payment: QrPayment) -> JsonObject:
        """A payer scans a QR code and pays: `{"payment": …, "event_ids": [qr_code.credited's, payment.captured's]}`."""
        paid = self.nouns.qr_codes.pay(qr_id, payment)
        self._watch_late(paid["payment"]["id"])
        return self._saved(paid)

    def pay_order(self, order_id: str, payment: OrderPayment) -> JsonObject:
        """A payer pays an order by UPI: `{"payment": …, "event_ids": […], "checkout": …}`."""
        paid = self.nouns.orders.pay(order_id, payment)
        self._watch_late(paid["payment"]["id"])
        return self._saved(paid)

    def authorize_payment(self, payment_id: str) -> JsonObject:
        """The bank authorises a failed payment after all; what follows is as if it had at once."""
        payment = self.state.payments.get(payment_id)
        if payment is None:
            raise ControlError(f"no payment {payment_id}")
        self.nouns.payments.authorise(payment)
        followed = self.nouns.orders.authorised if payment.order_id else self.nouns.qr_codes.authorised
        events = followed(payment)
        return self._saved({"payment": payment.view(), "event_ids": events})

    def move_kyc(self, account_id: str, move: KycMove, clarifications: list[JsonObject] | None = None) -> JsonObject:
        """A reviewer decides on a linked account. Returns the account and how it stands."""
        account = self._account(account_id)
        self._kyc.move(account, move, clarifications)
        return self._saved(_standing(account))

    def fail_penny_test(self, account_id: str) -> JsonObject:
        """The bank account of a linked account cannot be verified. Returns the account and how it stands."""
        account = self._account(account_id)
        self._kyc.fail_penny_test(account)
        return self._saved(_standing(account))

    def settle(self, account_id: str | None = None) -> list[JsonObject]:
        """Settle one linked account now, or all of them. Returns the settlements; an account with nothing due has none."""
        accounts = list(self.state.accounts) if account_id is None else [account_id]
        settled = [self.nouns.settlements.settle_linked(account) for account in accounts]
        return self._saved([settlement for settlement in settled if settlement is not None])

    def settle_own(self) -> JsonObject | None:
        """Settle the parent's balance to its own bank."""
        return self._saved(self.nouns.settlements.settle_own())

    def adjust(self, adjustment: Adjustment) -> JsonObject:
        """Razorpay adjusts the balance by hand: a chargeback, a correction, a credit. `{"adjustment": adj_…, "dispute": …}`."""
        if adjustment.payment is not None and adjustment.payment not in self.state.payments:
            raise ControlError(f"no payment {adjustment.payment}")
        dispute = self.core.ids.new("disp_") if adjustment.dispute else None
        entity_id = self._adjust(
            adjustment.amount, payment_id=adjustment.payment, description=adjustment.description, dispute_id=dispute
        )
        return self._saved({"adjustment": entity_id, "dispute": dispute, "balance": self.core.available})

    def add_funds(self, amount: int) -> int:
        """Add to the parent's balance (or take from it, where negative). Returns the balance."""
        self._adjust(amount)
        return self._saved(self.core.available)

    def set_reserve(self, amount: int) -> None:
        """How far refunds and transfers may overdraw the parent's balance, until a restart takes the settings' again."""
        if amount < 0:
            raise ControlError("a reserve is not negative")
        self.core.reserve = amount

    def patch_payment(self, payment_id: str, patch: PaymentPatch) -> JsonObject:
        return self._saved(self.nouns.payments.patch(payment_id, patch))

    # -- what goes wrong

    def add_outcome(self, rule: OutcomeRule) -> None:
        self.core.outcomes.add(rule)

    @property
    def outcomes(self) -> list[OutcomeRule]:
        return self.core.outcomes.rules

    def clear_outcomes(self) -> None:
        self.core.outcomes.clear()

    def add_webhook_rule(self, rule: WebhookRule) -> None:
        self.webhooks.rules.add(rule)

    @property
    def webhook_rules(self) -> list[WebhookRule]:
        return self.webhooks.rules.rules

    def clear_webhook_rules(self) -> None:
        """No more deviations; what reordering held back is let go."""
        self.webhooks.rules.clear()
        self.webhooks.release_held()

    # -- webhooks

    @property
    def webhooks(self) -> Webhooks:
        """Receivers, events, replays and the delivery log."""
        return self.core.webhooks

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
            "created_at": self.core.now(),
        }
        return self._saved(self.webhooks.send(body, event_id=event_id, secret=secret))

    @property
    def events(self) -> list[EventRecord]:
        """The events that are remembered, oldest first."""
        known = [*self.webhooks.finished.values(), *self.state.events.values()]
        return sorted(known, key=lambda record: record.created_at)

    @property
    def attempts(self) -> list[Attempt]:
        """The delivery log, oldest first."""
        return list(self.webhooks.attempts)

    # -- what happened

    @property
    def state(self) -> State:
        """The books, to look at: balances, entries, every entity."""
        return self.core.state

    def balances(self) -> dict[str, int]:
        """Account id → balance in paise: the parent's, and each linked account's that ever had money."""
        return self.state.balances()

    def save(self) -> None:
        """Write the state file, if there is one. The methods above do; direct changes must."""
        self.core.save()

    # -- life, which is the simulator's to give

    async def open(self) -> None:
        """Be ready to send webhooks, and open the books of an empty world."""
        await self.webhooks.start()
        if not self.state.entries:
            self._open_books()

    async def close(self) -> None:
        await self.webhooks.stop()
        self.save()

    def take_up(self) -> None:
        """Set the timers of what an earlier run left unfinished."""
        state, nouns = self.state, self.nouns
        self.webhooks.take_up()  # first: what is overdue below emits events of its own
        for qr in list(state.qr_codes.values()):
            nouns.qr_codes.watch(qr)
        for payment in list(state.payments.values()):
            nouns.payments.watch(payment)
            self._watch_late(payment.id)
        for refund in list(state.refunds.values()):
            nouns.refunds.watch(refund)
        for transfer in list(state.transfers.values()):
            nouns.transfers.watch(transfer)
        if self._sibling is None:  # linked accounts are shared, and one timer each is enough
            for product in list(state.products.values()):
                self._kyc.watch(product)
        self.save()

    def forget(self) -> None:
        """Forget everything but the settings and the receivers of webhooks. Background work must have been ended."""
        self.state.clear()
        self.webhooks.clear()
        self.core.outcomes.clear()
        self.core.busy_payments.clear()
        self.core.reserve = self.settings.reserve_balance
        self._open_books()
        self.save()

    # -- inside

    def _account(self, account_id: str) -> Account:
        account = self.state.accounts.get(account_id)
        if account is None:
            raise ControlError(f"no linked account {account_id}")
        return account

    def _watch_late(self, payment_id: str) -> None:
        """Let a payment that failed be authorised after all, when its time comes."""
        payment = self.state.payments[payment_id]
        if payment.status != "failed" or payment.late_at is None:
            return

        def authorise() -> None:
            if payment.status == "failed":  # the control API may have been there before
                self.authorize_payment(payment_id)

        self.core.at(f"late authorisation of {payment_id}", payment.late_at, authorise)

    def _saved(self, result: T) -> T:
        self.save()
        return result

    def _open_books(self) -> None:
        if self.settings.opening_balance:
            self._adjust(self.settings.opening_balance)

    def _adjust(
        self, amount: int, *, payment_id: str | None = None, description: str | None = None, dispute_id: str | None = None
    ) -> str:
        entity_id = self.core.ids.new("adj_")
        self.core.post(
            Entry(
                account_id=self.settings.account_id,
                type="adjustment",
                entity_id=entity_id,
                payment_id=payment_id,
                description=description,
                dispute_id=dispute_id,
                amount=abs(amount),
                credit=max(amount, 0),
                debit=max(-amount, 0),
                created_at=self.core.now(),
            )
        )
        return entity_id


def _standing(account: Account) -> JsonObject:
    return {"account": account.view(), "activation": account.activation, "hold_funds": account.hold_funds, "bank": account.bank}
