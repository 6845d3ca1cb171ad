"""Razorpay's endpoints that we use, asynchronously. Amounts are paise. Every call raises Permanent, Retryable, OutcomeUnknown."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import structlog
from prometheus_client import Counter

from chassis.runtime import Service
from chassis.telemetry import Telemetry
from razorpay_client.errors import RazorpayError, Retryable, without_answer
from razorpay_client.settings import RazorpaySettings
from razorpay_client.transport import Client

log = structlog.get_logger(__name__)

PAGE_SIZE = 100
"""The most that Razorpay lists at once."""
PAGES_MAX = 200
"""Where a listing is given up: half a list proves no absence, and twenty thousand items in one window are not ours."""

Entity = dict[str, Any]
"""A Razorpay entity as its JSON has it."""


class Razorpay:
    """A Part: its threads, each with a client of its own, live from start to stop. Nothing is retried here."""

    def __init__(self, settings: RazorpaySettings, *, service: Service, telemetry: Telemetry) -> None:
        self._settings = settings
        self._service = service
        self._telemetry = telemetry
        self._local = threading.local()
        self._threads: ThreadPoolExecutor | None = None
        self._calls = Counter(
            f"voltlync_{service.name}_razorpay_calls_total",
            "Calls to Razorpay's API by operation and by how they ended",
            ["operation", "outcome"],
            registry=telemetry.registry,
        )

    async def start(self) -> None:
        """Make the threads."""
        self._threads = ThreadPoolExecutor(self._settings.razorpay_workers, thread_name_prefix="razorpay")

    async def stop(self) -> None:
        """Drop what has not been sent. A call under way goes on in its thread; its claim says so, and a sweep resolves it."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    # Payments and refunds (razorpay.md §3, §4). `account`: as that linked account, whose money it is; None: as ourselves

    async def fetch_payment(self, razorpay_payment_id: str, *, account: str | None = None) -> Entity:
        """`GET /v1/payments/:id`: `fee` there includes GST, and is null as long as it is unknown."""
        return await self._call(
            "fetch_payment", lambda client: client.payment.fetch(razorpay_payment_id, headers=_as(account)), reads=True
        )

    async def payments_page(self, unix_seconds: int, *, until: int, skip: int, account: str | None = None) -> list[Entity]:
        """`GET /v1/payments?from=&to=`: up to `PAGE_SIZE` of the payments made between, newest first. Fewer: it is the last page.

        Both ends are included. A payment on a QR code says neither that nor which: `qr_codes_of_payment` does.
        """
        window = {"from": unix_seconds, "to": until, "count": PAGE_SIZE, "skip": skip}
        answer = await self._call(
            "list_payments", lambda client: client.payment.all(dict(window), headers=_as(account)), reads=True
        )
        return [item for item in _items("list_payments", answer) if isinstance(item, dict)]

    async def create_refund(
        self, razorpay_payment_id: str, *, key: str, body: Mapping[str, Any], account: str | None = None
    ) -> Entity:
        """`POST /v1/payments/:id/refund` with `X-Refund-Idempotency: key` → the refund entity."""
        return await self._call(
            "create_refund",
            lambda client: client.payment.refund(
                razorpay_payment_id, dict(body), headers={"X-Refund-Idempotency": key, **_as(account)}
            ),
        )

    async def fetch_refund(self, razorpay_refund_id: str, *, account: str | None = None) -> Entity:
        """`GET /v1/refunds/:id`."""
        return await self._call(
            "fetch_refund", lambda client: client.refund.fetch(razorpay_refund_id, headers=_as(account)), reads=True
        )

    async def refunds_of(self, razorpay_payment_id: str, *, account: str | None = None) -> list[Entity]:
        """`GET /v1/payments/:id/refunds`, all pages, newest first."""
        return await self._all(
            "list_refunds",
            lambda client, page: client.payment.fetch_multiple_refund(razorpay_payment_id, page, headers=_as(account)),
        )

    # Orders

    async def create_order(self, body: Mapping[str, Any]) -> Entity:
        """`POST /v1/orders`. No idempotency at Razorpay: an unknown outcome is resolved by `orders_with_receipt`."""
        return await self._call("create_order", lambda client: client.order.create(dict(body)))

    async def fetch_order(self, razorpay_order_id: str) -> Entity:
        """`GET /v1/orders/:id`."""
        return await self._call("fetch_order", lambda client: client.order.fetch(razorpay_order_id), reads=True)

    async def orders_with_receipt(self, receipt: str) -> list[Entity]:
        """`GET /v1/orders?receipt=`, all pages: receipts need not be unique."""
        return await self._all("list_orders", lambda client, page: client.order.all({"receipt": receipt, **page}))

    # QR codes (razorpay.md §1), likewise

    async def create_qr_code(self, body: Mapping[str, Any], *, account: str | None = None) -> Entity:
        """`POST /v1/payments/qr_codes`. No idempotency at Razorpay: an unknown outcome is resolved by `qr_codes_since`."""
        return await self._call("create_qr_code", lambda client: client.qrcode.create(dict(body), headers=_as(account)))

    async def fetch_qr_code(self, razorpay_qr_code_id: str, *, account: str | None = None) -> Entity:
        """`GET /v1/payments/qr_codes/:id`."""
        return await self._call(
            "fetch_qr_code", lambda client: client.qrcode.fetch(razorpay_qr_code_id, headers=_as(account)), reads=True
        )

    async def close_qr_code(self, razorpay_qr_code_id: str, *, account: str | None = None) -> Entity:
        """`POST /v1/payments/qr_codes/:id/close`. Sending it again does no harm."""
        return await self._call("close_qr_code", lambda client: client.qrcode.close(razorpay_qr_code_id, headers=_as(account)))

    async def qr_codes_since(self, unix_seconds: int, *, account: str | None = None) -> list[Entity]:
        """`GET /v1/payments/qr_codes?from=`, all pages: every QR code of the account made since."""
        return await self._all(
            "list_qr_codes", lambda client, page: client.qrcode.all({"from": unix_seconds, **page}, headers=_as(account))
        )

    async def qr_codes_of_payment(self, razorpay_payment_id: str, *, account: str | None = None) -> list[Entity]:
        """`GET /v1/payments/qr_codes?payment_id=`: the code that was paid on; none where it was no code."""
        answer = await self._call(
            "list_qr_codes",
            lambda client: client.qrcode.all({"payment_id": razorpay_payment_id}, headers=_as(account)),
            reads=True,
        )
        return [item for item in _items("list_qr_codes", answer) if isinstance(item, dict)]

    # Route: transfers and their settlements (razorpay.md §5.5, §5.6)

    async def create_transfer(self, *, key: str, body: Mapping[str, Any]) -> Entity:
        """`POST /v1/transfers` with `X-Transfer-Idempotency: key` → the transfer entity."""
        return await self._call(
            "create_transfer",
            lambda client: client.transfer.create(dict(body), headers={"X-Transfer-Idempotency": key}),
        )

    async def fetch_transfer(self, razorpay_transfer_id: str) -> Entity:
        """`GET /v1/transfers/:id`."""
        return await self._call("fetch_transfer", lambda client: client.transfer.fetch(razorpay_transfer_id), reads=True)

    async def transfers_since(self, unix_seconds: int, *, until: int) -> list[Entity]:
        """`GET /v1/transfers?from=&to=`, all pages: every transfer made between. Razorpay finds none by key."""
        window = {"from": unix_seconds, "to": until}
        return await self._all("list_transfers", lambda client, page: client.transfer.all({**window, **page}))

    async def reverse_transfer(self, razorpay_transfer_id: str, body: Mapping[str, Any]) -> Entity:
        """`POST /v1/transfers/:id/reversals` → the reversal. No idempotency: an unknown outcome is resolved by the list."""
        return await self._call("reverse_transfer", lambda client: client.transfer.reverse(razorpay_transfer_id, dict(body)))

    async def reversals_of(self, razorpay_transfer_id: str) -> list[Entity]:
        """`GET /v1/transfers/:id/reversals`: all of a transfer's, newest first."""
        answer = await self._call("list_reversals", lambda client: client.transfer.reversals(razorpay_transfer_id), reads=True)
        return [item for item in _items("list_reversals", answer) if isinstance(item, dict)]

    async def transfers_of_settlement(self, razorpay_settlement_id: str) -> list[Entity]:
        """`GET /v1/transfers?recipient_settlement_id=`, all pages."""
        wanted = {"recipient_settlement_id": razorpay_settlement_id}
        return await self._all("list_settled_transfers", lambda client, page: client.transfer.all({**wanted, **page}))

    async def fetch_settlement(self, razorpay_settlement_id: str, *, account: str | None = None) -> Entity:
        """`GET /v1/settlements/:id`: our own, or as the linked account sees it."""
        return await self._call(
            "fetch_settlement",
            lambda client: client.settlement.fetch(razorpay_settlement_id, headers=_as(account)),
            reads=True,
        )

    async def statement_page(self, day: date, *, count: int, skip: int) -> list[Entity]:
        """`GET /v1/settlements/recon/combined`: up to `count` (at most 1000) of the rows settled on a day of India's.

        A page that is shorter than `count` is the day's last.
        """
        query = {"year": f"{day.year:04}", "month": day.month, "day": day.day, "count": count, "skip": skip}
        answer = await self._call("read_statement", lambda client: client.settlement.report(dict(query)), reads=True)
        return _items("read_statement", answer)

    # Route: linked accounts (razorpay.md §5.1 to §5.3)

    async def create_account(self, body: Mapping[str, Any]) -> Entity:
        """`POST /v2/accounts`. No idempotency at Razorpay: a repeat is refused with the name of the account that exists."""
        return await self._call("create_account", lambda client: client.account.create(dict(body)))

    async def fetch_account(self, account_id: str) -> Entity:
        """`GET /v2/accounts/:id`."""
        return await self._call("fetch_account", lambda client: client.account.fetch(account_id), reads=True)

    async def create_stakeholder(self, account_id: str, body: Mapping[str, Any]) -> Entity:
        """`POST /v2/accounts/:id/stakeholders`: one only."""
        return await self._call("create_stakeholder", lambda client: client.stakeholder.create(account_id, dict(body)))

    async def stakeholders(self, account_id: str) -> list[Entity]:
        """`GET /v2/accounts/:id/stakeholders`: there is at most one."""
        answer = await self._call("list_stakeholders", lambda client: client.stakeholder.all(account_id), reads=True)
        return [item for item in _items("list_stakeholders", answer) if isinstance(item, dict)]

    async def edit_stakeholder(self, account_id: str, stakeholder_id: str, body: Mapping[str, Any]) -> Entity:
        """`PATCH /v2/accounts/:id/stakeholders/:id`. Sending it again does no harm."""
        return await self._call(
            "edit_stakeholder", lambda client: client.stakeholder.edit(account_id, stakeholder_id, dict(body))
        )

    async def request_product(self, account_id: str, body: Mapping[str, Any]) -> Entity:
        """`POST /v2/accounts/:id/products`."""
        return await self._call(
            "request_product", lambda client: client.product.requestProductConfiguration(account_id, dict(body))
        )

    async def edit_product(self, account_id: str, product_id: str, body: Mapping[str, Any]) -> Entity:
        """`PATCH /v2/accounts/:id/products/:id`."""
        return await self._call("edit_product", lambda client: client.product.edit(account_id, product_id, dict(body)))

    async def fetch_product(self, account_id: str, product_id: str) -> Entity:
        """`GET /v2/accounts/:id/products/:id`: bears `activation_status`."""
        return await self._call("fetch_product", lambda client: client.product.fetch(account_id, product_id), reads=True)

    async def _all(self, operation: str, list_page: Callable[[Client, dict[str, int]], Any]) -> list[Entity]:
        """Every item of a collection. Raises Retryable where it does not end: half a list proves no absence."""
        items: list[Entity] = []
        for page in range(PAGES_MAX):
            window = {"count": PAGE_SIZE, "skip": page * PAGE_SIZE}
            answer = await self._call(operation, lambda client, window=window: list_page(client, dict(window)), reads=True)  # type: ignore[misc]
            found = _items(operation, answer)
            items.extend(item for item in found if isinstance(item, dict))
            if len(found) < PAGE_SIZE:
                return items
        raise Retryable(f"{operation}: more than {PAGES_MAX * PAGE_SIZE} items")

    def _client(self) -> Client:
        client = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = Client(self._settings)
        return client

    async def _call(self, operation: str, send: Callable[[Client], Any], *, reads: bool = False) -> Entity:
        """Send in a thread, with span and count. `reads`: it changes nothing at Razorpay, so no answer means no effect."""
        if self._threads is None:
            raise RuntimeError("Razorpay is called before start()")
        outcome = "answered"
        with self._service.work.on("razorpay"), self._telemetry.span(f"razorpay.{operation}") as span:
            try:
                # Real time: an I/O guard. The thread can't be stopped, so what it was doing may still happen.
                async with asyncio.timeout(self._settings.razorpay_call_seconds):
                    answer = await asyncio.get_running_loop().run_in_executor(self._threads, lambda: send(self._client()))
            except TimeoutError as error:
                outcome = "timeout"
                raise without_answer(reads=reads)("no whole answer in time") from error
            except RazorpayError as error:
                outcome = type(error).__name__
                span.set_attribute("razorpay.error", error.description)
                log.warning(
                    "razorpay.call_failed", operation=operation, outcome=outcome, status=error.status, error=error.description
                )
                raise
            finally:
                self._calls.labels(operation, outcome).inc()
        if not isinstance(answer, dict):
            raise without_answer(reads=reads)(f"an answer that is no object: {answer!r:.200}")
        return answer


def _as(account: str | None) -> dict[str, str]:
    """The header that makes a call a linked account's; made anew for every call, as the SDK writes into it."""
    return {} if account is None else {"X-Razorpay-Account": account}


def _items(operation: str, answer: Mapping[str, Any]) -> list[Any]:
    found = answer.get("items")
    if not isinstance(found, list):
        raise Retryable(f"{operation}: an answer without items")
    return found
