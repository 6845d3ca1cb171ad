"""The one door to Razorpay's API: its SDK, with what the SDK leaves out (razorpay.md 0a, §6, §8).

Timeouts always, no retries (our own jobs retry), fresh headers, one client per worker thread, the status and body of an error
kept. A call ends in an answer or in one of exactly three errors, which say what the caller may do:

    RazorpayError
    ├── Permanent         refused for what was asked: the same request fails again
    ├── Retryable         it had no effect: the same request, with the same key, may be sent later
    └── OutcomeUnknown    it may have had its effect: look before anything is sent again
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import razorpay
import requests
import structlog
from prometheus_client import Counter
from urllib3.exceptions import NewConnectionError

from chassis.runtime import Service
from chassis.telemetry import Telemetry
from payments.settings import LIVE_URL, PaymentsSettings

log = structlog.get_logger(__name__)

PAGE_SIZE = 100
"""The most that Razorpay lists at once."""
PAGES_MAX = 50
"""Where a listing is given up: five thousand QR codes made within the window of one unknown outcome are not ours."""

RETRYABLE_DESCRIPTIONS = (
    "does not have enough balance",
    "invalid request sent",
    "another payment operation is in progress",
    "still in progress",
    "too many requests",
)
"""400s that pass with time (razorpay.md §4): a low balance also comes as the bare "invalid request sent"."""

NO_EFFECT_STATUSES = frozenset({401, 403, 408, 429})
"""Refused before anything was done. Wrong keys (401) are ours to mend, and no reason to call a refund failed."""


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


class OutcomeUnknown(RazorpayError):
    """It may have had its effect."""


class _Client(razorpay.Client):  # type: ignore[misc]
    """The SDK's client with its transport replaced: the SDK drops an error's status, prints, and breaks on HTML bodies."""

    def __init__(self, settings: PaymentsSettings) -> None:
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
    """The JSON object of a good answer; else the error that the status and body mean (razorpay.md §6)."""
    try:
        document = response.json()
    except ValueError:
        document = None
    if response.ok and not response.is_redirect and isinstance(document, dict):
        return document
    details = document.get("error") if isinstance(document, dict) else None
    details = details if isinstance(details, dict) else {}
    description = str(details.get("description") or f"HTTP {response.status_code}")
    kind = _kind(response.status_code, description, told=bool(details), reads=reads)
    raise kind(
        description,
        status=response.status_code,
        code=details.get("code"),
        field=details.get("field"),
        reason=details.get("reason"),
        body=response.text[:2000],
    )


def _kind(status: int, description: str, *, told: bool, reads: bool) -> type[RazorpayError]:
    lowered = description.lower()
    if status in NO_EFFECT_STATUSES or any(text in lowered for text in RETRYABLE_DESCRIPTIONS):
        return Retryable
    if 400 <= status < 500 and told:
        return Permanent
    # 5xx, a proxy's HTML, a redirect, an answer that is no JSON: the effect may have happened behind it.
    return Retryable if reads else OutcomeUnknown


class Razorpay:
    """Razorpay's API, asynchronously. A Part: its threads live from start to stop."""

    def __init__(self, settings: PaymentsSettings, *, service: Service, telemetry: Telemetry) -> None:
        self._settings = settings
        self._service = service
        self._telemetry = telemetry
        self._local = threading.local()
        self._threads: ThreadPoolExecutor | None = None
        self.calls = Counter(
            "voltlync_payments_razorpay_calls_total",
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

    def _client(self) -> _Client:
        client = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = _Client(self._settings)
        return client

    async def _call(self, operation: str, send: Callable[[_Client], Any], *, reads: bool) -> dict[str, Any]:
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
                raise (Retryable if reads else OutcomeUnknown)("no whole answer in time") from error
            except RazorpayError as error:
                outcome = type(error).__name__
                span.set_attribute("razorpay.error", error.description)
                log.warning(
                    "razorpay.call_failed", operation=operation, outcome=outcome, status=error.status, error=error.description
                )
                raise
            finally:
                self.calls.labels(operation, outcome).inc()
        if not isinstance(answer, dict):
            raise (Retryable if reads else OutcomeUnknown)(f"an answer that is no object: {answer!r:.200}")
        return answer

    async def create_refund(self, razorpay_payment_id: str, *, key: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """`POST /v1/payments/:id/refund` with `X-Refund-Idempotency: key` → the refund entity. Amounts in paise."""
        return await self._call(
            "create_refund",
            lambda client: client.payment.refund(razorpay_payment_id, dict(body), headers={"X-Refund-Idempotency": key}),
            reads=False,
        )

    async def fetch_refund(self, razorpay_refund_id: str) -> dict[str, Any]:
        """`GET /v1/refunds/:id`."""
        return await self._call("fetch_refund", lambda client: client.refund.fetch(razorpay_refund_id), reads=True)

    async def refunds_of(self, razorpay_payment_id: str) -> list[dict[str, Any]]:
        """`GET /v1/payments/:id/refunds`, all pages, newest first."""
        return await self._all(
            "list_refunds", lambda client, page: client.payment.fetch_multiple_refund(razorpay_payment_id, page)
        )

    async def fetch_payment(self, razorpay_payment_id: str) -> dict[str, Any]:
        """`GET /v1/payments/:id`: `fee` there includes GST, and is null as long as it is unknown."""
        return await self._call("fetch_payment", lambda client: client.payment.fetch(razorpay_payment_id), reads=True)

    async def create_qr_code(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """`POST /v1/payments/qr_codes`. No idempotency at Razorpay: an unknown outcome is resolved by `qr_codes_since`."""
        return await self._call("create_qr_code", lambda client: client.qrcode.create(dict(body)), reads=False)

    async def fetch_qr_code(self, razorpay_qr_code_id: str) -> dict[str, Any]:
        """`GET /v1/payments/qr_codes/:id`."""
        return await self._call("fetch_qr_code", lambda client: client.qrcode.fetch(razorpay_qr_code_id), reads=True)

    async def close_qr_code(self, razorpay_qr_code_id: str) -> dict[str, Any]:
        """`POST /v1/payments/qr_codes/:id/close`. Sending it again does no harm."""
        return await self._call("close_qr_code", lambda client: client.qrcode.close(razorpay_qr_code_id), reads=False)

    async def qr_codes_since(self, unix_seconds: int) -> list[dict[str, Any]]:
        """`GET /v1/payments/qr_codes?from=`, all pages: every QR code of the account made since."""
        return await self._all("list_qr_codes", lambda client, page: client.qrcode.all({"from": unix_seconds, **page}))

    async def _all(self, operation: str, list_page: Callable[[_Client, dict[str, int]], Any]) -> list[dict[str, Any]]:
        """Every item of a collection. Raises Retryable where it does not end: half a list proves no absence."""
        items: list[dict[str, Any]] = []
        for page in range(PAGES_MAX):
            window = {"count": PAGE_SIZE, "skip": page * PAGE_SIZE}
            answer = await self._call(operation, lambda client, window=window: list_page(client, dict(window)), reads=True)  # type: ignore[misc]
            found = answer.get("items")
            if not isinstance(found, Sequence):
                raise Retryable(f"{operation}: an answer without items")
            items.extend(item for item in found if isinstance(item, dict))
            if len(found) < PAGE_SIZE:
                return items
        raise Retryable(f"{operation}: more than {PAGES_MAX * PAGE_SIZE} items")
