"""One request to Razorpay, sent once: the SDK's client with its transport replaced (razorpay.md §8).

The SDK drops an error's status, prints, follows redirects and breaks on HTML bodies; ours keeps status and body, has timeouts
always, never retries (our own jobs do), and says by its error what is certain.
"""

from typing import Any

import razorpay
import requests
from urllib3.exceptions import NewConnectionError

from razorpay_client.errors import Retryable, kind_of, without_answer
from razorpay_client.settings import RazorpaySettings

BODY_CHARACTERS_KEPT = 2000
"""Of an error's body: enough to see whose it was."""

REFUND_PATH = "/refund"
"""How the path ends that asks for a refund: `POST /v1/payments/:id/refund`."""


class Client(razorpay.Client):  # type: ignore[misc]
    """The SDK's client. Not safe to share between threads: its session is `requests`'."""

    def __init__(self, settings: RazorpaySettings) -> None:
        super().__init__(
            auth=(settings.razorpay_key_id, settings.razorpay_key_secret.get_secret_value()),
            base_url=settings.razorpay_api_url.rstrip("/"),
        )
        self._timeout = (settings.razorpay_connect_seconds, settings.razorpay_read_seconds)
        # A proxy of the environment is for the internet; it would swallow calls to a sandbox beside us.
        self.session.trust_env = settings.at_razorpay_itself

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
            kind = Retryable if never_sent else without_answer(reads=reads)
            raise kind(f"{type(error).__name__}: {error}") from error
        return _answer(response, reads=reads, refunds=path.endswith(REFUND_PATH))


def _refused(error: BaseException) -> bool:
    """Whether no connection came about, so that nothing can have been received."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectionError) and isinstance(reason, NewConnectionError)


def _answer(response: requests.Response, *, reads: bool, refunds: bool) -> dict[str, Any]:
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
    kind = kind_of(response.status_code, description, told=bool(details), reads=reads, refunds=refunds)
    raise kind(
        description,
        status=response.status_code,
        code=details.get("code"),
        field=details.get("field"),
        reason=details.get("reason"),
        body=response.text[:BODY_CHARACTERS_KEPT],
    )
