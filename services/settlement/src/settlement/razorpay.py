"""The one door to Razorpay's API: its SDK, with what the SDK leaves out (razorpay.md 0a, §6, §8).

Timeouts always, no retries (our own jobs retry), fresh headers, one client per worker thread, the status and body of an error
kept. A call ends in an answer or in one of exactly three errors, which say what the caller may do:

    RazorpayError
    ├── Permanent         refused for what was asked: the same request fails again
    ├── Retryable         it had no effect: the same request, with the same key, may be sent later
    └── OutcomeUnknown    it may have had its effect: look before anything else is sent
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import razorpay
import requests
import structlog
from prometheus_client import Counter
from urllib3.exceptions import NewConnectionError

from chassis.runtime import Service
from chassis.telemetry import Telemetry
from settlement.settings import LIVE_URL, SettlementSettings

log = structlog.get_logger(__name__)

PAGE_SIZE = 100
"""The most that Razorpay lists at once."""
PAGES_MAX = 200
"""Where a listing is given up: half a list proves no absence, and twenty thousand transfers in one window are not ours."""
BODY_CHARACTERS_KEPT = 2000
"""Of an error's body: enough to see whose it was."""

RETRYABLE_DESCRIPTIONS = (
    "insufficient balance",
    "does not have enough balance",
    "still in progress",
    "in progress with the same idempotency key",
    "too many requests",
)
"""Refusals that pass with time, whatever their status (razorpay.md §5.5)."""

NO_EFFECT_STATUSES = frozenset({401, 403, 408, 409, 429})
"""Refused before anything was done. Wrong keys (401) are ours to mend, and no reason to call a payout failed. 409: the key's
first request is still under way, and a repeat will get its answer."""


class RazorpayError(Exception):
    """A call that brought no answer. `status` is None where no HTTP answer came."""

    def __init__(
        self,
        description: str,
        *,
        status: int | None = None,
        code: str | None = None,
        field: str | None = None,
        reason: str | None = None,
        body: str = "",
    ) -> None:
        super().__init__(description)
        self.description = description
        self.status = status
        self.code = code
        self.field = field
        self.reason = reason
        self.body = body


class Permanent(RazorpayError):
    """Refused for what was asked."""


class Retryable(RazorpayError):
    """It had no effect, and may be sent again later."""

    @property
    def low_balance(self) -> bool:
        """Whether it waits for our balance at Razorpay."""
        return "balance" in self.description.lower()


class OutcomeUnknown(RazorpayError):
    """It may have had its effect."""


class _Client(razorpay.Client):  # type: ignore[misc]
    """The SDK's client with its transport replaced: the SDK drops an error's status, prints, and breaks on HTML bodies."""

    def __init__(self, settings: SettlementSettings) -> None:
        super().__init__(
            auth=(settings.razorpay_key_id, settings.razorpay_key_secret.get_secret_value()),
            base_url=settings.razorpay_api_url.rstrip("/"),
        )
        self._timeout = (settings.razorpay_connect_seconds, settings.razorpay_read_seconds)
        # A proxy of the environment is for the internet; it would swallow calls to a sandbox beside us.
        self.session.trust_env = settings.razorpay_api_url.startswith(LIVE_URL)

    def request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Send one request, once. Raises Permanent, Retryable, OutcomeUnknown."""
        # The SDK writes into the headers dict that it is given; ours is made anew for every call.
        options["headers"] = dict(options.get("headers") or {})
        options = self._update_user_agent_header(options)
        reads = method == "get"
        try:
            response = self.session.request(
                method.upper(),
                f"{self.base_url}{path}",
                auth=self.auth,
                verify=self.cert_path,
                timeout=self._timeout,
                allow_redirects=False,
                **options,
            )
        except requests.RequestException as error:
            never_sent = isinstance(error, requests.ConnectTimeout) or _refused(error)
            raise (Retryable if reads or never_sent else OutcomeUnknown)(f"{type(error).__name__}: {error}") from error
        return _answer(response, reads=reads)


def _refused(error: BaseException) -> bool:
    """Whether no connection came about, so that nothing can have been received."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectionError) and isinstance(reason, NewConnectionError)


def _answer(response: requests.Response, *, reads: bool) -> dict[str, Any]:
    """The JSON object of a good answer; else the error that status and body mean (razorpay.md §6)."""
    try:
        document = response.json()
    except ValueError:
        document = None
    if response.ok and not response.is_redirect and isinstance(document, dict):
        return document
    details = document.get("error") if isinstance(document, dict) else None
    details = details if isinstance(details, dict) else {}
    description = str(details.get("description") or f"HTTP {response.status_code}")
    kind = kind_of(response.status_code, description, told=bool(details), reads=reads)
    raise kind(
        description,
        status=response.status_code,
        code=details.get("code"),
        field=details.get("field"),
        reason=details.get("reason"),
        body=response.text[:BODY_CHARACTERS_KEPT],
    )


def kind_of(status: int, description: str, *, told: bool, reads: bool) -> type[RazorpayError]:
    """Which of the three an answer is. `told`: the body is an error of Razorpay's own; `reads`: the request changes nothing."""
    lowered = description.lower()
    if status < 500 and (status in NO_EFFECT_STATUSES or any(text in lowered for text in RETRYABLE_DESCRIPTIONS)):
        return Retryable
    if 400 <= status < 500 and told:
        return Permanent
    # 5xx, a proxy's HTML, a redirect, an answer that is no JSON: the effect may have happened behind it.
    return Retryable if reads else OutcomeUnknown


class Razorpay:
    """Razorpay's API, asynchronously. A Part: its threads live from start to stop."""

    def __init__(self, settings: SettlementSettings, *, service: Service, telemetry: Telemetry) -> None:
        self._settings = settings
        self._service = service
        self._telemetry = telemetry
        self._local = threading.local()
        self._threads: ThreadPoolExecutor | None = None
        self._calls = Counter(
            "voltlync_settlement_razorpay_calls_total",
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

    async def create_transfer(self, *, key: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """`POST /v1/transfers` with `X-Transfer-Idempotency: key` → the transfer entity. Amounts in paise."""
        return await self._call(
            "create_transfer",
            lambda client: client.transfer.create(dict(body), headers={"X-Transfer-Idempotency": key}),
            reads=False,
        )

    async def fetch_transfer(self, razorpay_transfer_id: str) -> dict[str, Any]:
        """`GET /v1/transfers/:id`."""
        return await self._call("fetch_transfer", lambda client: client.transfer.fetch(razorpay_transfer_id), reads=True)

    async def transfers_since(self, unix_seconds: int) -> list[dict[str, Any]]:
        """`GET /v1/transfers?from=`, all pages: every transfer of the account made since. Razorpay finds none by key or notes."""
        return await self._all("list_transfers", {"from": unix_seconds})

    async def transfers_of_settlement(self, razorpay_settlement_id: str) -> list[dict[str, Any]]:
        """`GET /v1/transfers?recipient_settlement_id=`, all pages."""
        return await self._all("list_settled_transfers", {"recipient_settlement_id": razorpay_settlement_id})

    async def fetch_settlement(self, razorpay_settlement_id: str, *, account: str) -> dict[str, Any]:
        """`GET /v1/settlements/:id` as the linked account sees it."""
        return await self._call(
            "fetch_settlement",
            lambda client: client.settlement.fetch(razorpay_settlement_id, headers={"X-Razorpay-Account": account}),
            reads=True,
        )

    async def create_account(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """`POST /v2/accounts`. No idempotency at Razorpay: a repeat is refused with the name of the account that exists."""
        return await self._call("create_account", lambda client: client.account.create(dict(body)), reads=False)

    async def fetch_account(self, account_id: str) -> dict[str, Any]:
        """`GET /v2/accounts/:id`."""
        return await self._call("fetch_account", lambda client: client.account.fetch(account_id), reads=True)

    async def create_stakeholder(self, account_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """`POST /v2/accounts/:id/stakeholders`: one only."""
        return await self._call(
            "create_stakeholder", lambda client: client.stakeholder.create(account_id, dict(body)), reads=False
        )

    async def stakeholders(self, account_id: str) -> list[dict[str, Any]]:
        """`GET /v2/accounts/:id/stakeholders`: there is at most one."""
        answer = await self._call("list_stakeholders", lambda client: client.stakeholder.all(account_id), reads=True)
        return _items("list_stakeholders", answer)

    async def request_product(self, account_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """`POST /v2/accounts/:id/products`."""
        return await self._call(
            "request_product", lambda client: client.product.requestProductConfiguration(account_id, dict(body)), reads=False
        )

    async def edit_product(self, account_id: str, product_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """`PATCH /v2/accounts/:id/products/:id`."""
        return await self._call(
            "edit_product", lambda client: client.product.edit(account_id, product_id, dict(body)), reads=False
        )

    async def fetch_product(self, account_id: str, product_id: str) -> dict[str, Any]:
        """`GET /v2/accounts/:id/products/:id`: bears `activation_status`."""
        return await self._call("fetch_product", lambda client: client.product.fetch(account_id, product_id), reads=True)

    async def _all(self, operation: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Every transfer of a collection. Raises Retryable where it does not end: half a list proves no absence."""
        items: list[dict[str, Any]] = []
        for page in range(PAGES_MAX):
            window = {**query, "count": PAGE_SIZE, "skip": page * PAGE_SIZE}
            answer = await self._call(operation, lambda client, window=window: client.transfer.all(window), reads=True)  # type: ignore[misc]
            found = _items(operation, answer)
            items.extend(found)
            if len(found) < PAGE_SIZE:
                return items
        raise Retryable(f"{operation}: more than {PAGES_MAX * PAGE_SIZE} items")

    def _client(self) -> _Client:
        client = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = _Client(self._settings)
        return client

    async def _call(self, operation: str, send: Callable[[_Client], Any], *, reads: bool) -> dict[str, Any]:
        assert self._threads is not None, "Razorpay is called before start()"  # noqa: S101
        outcome = "answered"
        with self._service.work.on("razorpay"), self._telemetry.span(f"razorpay.{operation}") as span:
            try:
                # Real time: an I/O guard. The thread can't be stopped, so what it was doing may still happen.
                async with asyncio.timeout(self._settings.razorpay_call_seconds):
                    answer = await asyncio.get_running_loop().run_in_executor(self._threads, lambda: send(self._client()))
            except TimeoutError as error:
                outcome = "timeout"
                raise (Retryable if reads else OutcomeUnknown)("no whole answer in time") from error
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
            raise (Retryable if reads else OutcomeUnknown)(f"an answer that is no object: {answer!r:.200}")
        return answer


def _items(operation: str, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = answer.get("items")
    if not isinstance(found, list):
        raise Retryable(f"{operation}: an answer without items")
    return [item for item in found if isinstance(item, dict)]
