"""The clock door: what is looked at again, how often, and at start-up."""

from collections.abc import Awaitable, Callable

from chassis.runtime.sweeps import Sweep
from payments.settings import PaymentsSettings
from payments.usecases.ask_for_payments import ask_for_late_payments, ask_for_recent_payments
from payments.usecases.bill_session import retry_failed_bills
from payments.usecases.bill_wallet_session import retry_failed_wallet_bills
from payments.usecases.chase_starts import chase_unanswered_starts
from payments.usecases.context import Payments
from payments.usecases.count_wallets import count_wallets
from payments.usecases.follow_wallet_session import chase_unanswered_wallet_starts
from payments.usecases.issue_credit_notes import watch_documents
from payments.usecases.make_qr_code import settle_qr_codes
from payments.usecases.recharge_wallet import settle_recharges
from payments.usecases.record_fees import record_fees
from payments.usecases.record_recharge_fees import record_recharge_fees
from payments.usecases.stop_collection import close_ended_codes
from payments.usecases.watch_refunds import watch_refunds


async def wake_webhooks(app: Payments) -> None:
    """What a dead process left, or what is due again."""
    app.webhooks.wake_all()


async def wake_refunds(app: Payments) -> None:
    """The same for refunds."""
    app.refunds.wake_all()


async def wake_invoices(app: Payments) -> None:
    """The same for invoices and credit notes."""
    app.invoices.wake()


def sweeps(settings: PaymentsSettings) -> tuple[Sweep, ...]:
    """Commits wake the workers at once; these find what was left between."""
    table: tuple[tuple[str, float, Callable[[Payments], Awaitable[None]]], ...] = (
        ("webhooks", 5, wake_webhooks),
        ("recent-payments", 60, ask_for_recent_payments),
        ("late-payments", 900, ask_for_late_payments),
        ("refunds", 5, wake_refunds),
        ("qr-codes", 5, settle_qr_codes),
        ("ended-qr-codes", 60, close_ended_codes),
        ("recharges", 10, settle_recharges),
        ("unanswered-starts", 10, chase_unanswered_starts),
        ("unanswered-wallet-starts", 10, chase_unanswered_wallet_starts),
        ("fees", 60, record_fees),
        ("recharge-fees", 60, record_recharge_fees),
        ("refunds-overdue", 60, watch_refunds),
        ("invoices", 5, wake_invoices),
        ("invoices-waiting", 60, watch_documents),
        ("failed-bills", settings.retry_seconds, retry_failed_bills),
        ("failed-wallet-bills", settings.retry_seconds, retry_failed_wallet_bills),
        ("wallets", settings.wallet_count_seconds, count_wallets),
    )
    return tuple(Sweep(name, seconds, function) for name, seconds, function in table)
