"""The management of webhooks by API: /v1/webhooks for the own account, /v2/accounts/:id/webhooks for a linked one."""

import re
from collections.abc import Mapping

from razorpay_simulator import fields
from razorpay_simulator.accounts import Accounts
from razorpay_simulator.business import EMAIL
from razorpay_simulator.core import Core, page
from razorpay_simulator.entities import JsonObject
from razorpay_simulator.errors import TOO_MANY_WEBHOOKS, ApiError, invalid_id, unknown_id
from razorpay_simulator.events import EVENTS, Endpoint
from razorpay_simulator.ids import is_id

MOST_RECEIVERS = 30
LONGEST_URL = 255
_URL = re.compile(r"https?://(?P<host>[^/:?#\s]+)(:(?P<port>[0-9]{1,5}))?([/?#]\S*)?\Z")
_PRIVATE = re.compile(r"(localhost|.*\.local|.*\.ngrok\.io|127\..*|10\..*|192\.168\..*|\[.*)\Z")
_FIELDS = {"url", "alert_email", "secret", "events", "active"}


class Receivers:
    """Creates, shows, changes and removes receivers of webhooks."""

    def __init__(self, core: Core, accounts: Accounts) -> None:
        self._core = core
        self._accounts = accounts

    def create(self, raw: object, account_id: str | None) -> JsonObject:
        body, owner = fields.object_body(raw), self._owner(account_id)
        fields.refuse_unknown(body, _FIELDS)
        fields.required(body, "url")
        fields.required(body, "events")
        if len(self._of(owner)) >= MOST_RECEIVERS:
            raise ApiError(TOO_MANY_WEBHOOKS)
        endpoint = Endpoint(
            id=self._core.ids.new(""), url="", secret="", owner_id=owner, created_at=self._core.now(), updated_at=self._core.now()
        )
        self._apply(endpoint, body)
        self._core.state.endpoints[endpoint.id] = endpoint
        return self._shown(endpoint)

    def fetch(self, endpoint_id: str, account_id: str | None) -> JsonObject:
        return self._shown(self._find(endpoint_id, account_id))

    def fetch_all(self, query: Mapping[str, str], account_id: str | None) -> JsonObject:
        return page(self._of(self._owner(account_id)), query, show=self._shown)

    def update(self, endpoint_id: str, raw: object, account_id: str | None) -> JsonObject:
        body, endpoint = fields.object_body(raw), self._find(endpoint_id, account_id)
        fields.refuse_unknown(body, _FIELDS)
        changed = endpoint.model_copy()
        self._apply(changed, body)
        changed.updated_at = self._core.now()
        self._core.state.endpoints[endpoint.id] = changed
        return self._shown(changed)

    def delete(self, endpoint_id: str, account_id: str) -> list[object]:
        """Razorpay answers with an empty array. Only a linked account's can be removed by API."""
        del self._core.state.endpoints[self._find(endpoint_id, account_id).id]
        return []

    def _owner(self, account_id: str | None) -> str | None:
        return None if account_id is None else self._accounts.find(account_id).id

    def _of(self, owner: str | None) -> list[Endpoint]:
        return [endpoint for endpoint in self._core.state.endpoints.values() if endpoint.owner_id == owner]

    def _find(self, endpoint_id: str, account_id: str | None) -> Endpoint:
        owner = self._owner(account_id)
        if not is_id(endpoint_id, ""):
            raise invalid_id(endpoint_id)
        endpoint = self._core.state.endpoints.get(endpoint_id)
        if endpoint is None or endpoint.owner_id != owner:
            raise unknown_id()
        return endpoint

    def _apply(self, endpoint: Endpoint, body: JsonObject) -> None:
        if "url" in body:
            endpoint.url = self._url(body)
        if "events" in body:
            endpoint.events = self._events(fields.required(body, "events"), own=endpoint.owner_id is None)
        endpoint.secret = fields.text(body, "secret") or endpoint.secret
        if (email := fields.text(body, "alert_email")) is not None:
            if not EMAIL.match(email):
                raise ApiError("The alert email must be a valid email address.", field="alert_email")
            endpoint.alert_email = email
        if "active" in body:
            active = fields.boolean(body, "active")
            endpoint.disabled_at = None if active else endpoint.disabled_at or self._core.now()

    def _url(self, body: JsonObject) -> str:
        url = fields.text(body, "url", longest=LONGEST_URL, needed=True) or ""
        form = _URL.match(url)
        if form is None:
            raise ApiError("The url format is invalid.", field="url")
        public = form["port"] in (None, "80", "443") and not _PRIVATE.match(form["host"])
        if self._core.settings.webhook_urls == "public" and not public:
            raise ApiError("The url format is invalid.", field="url")
        return url

    def _events(self, wanted: object, *, own: bool) -> list[str]:
        """The names. /v1 takes an object of name → 1 (and reads an array's positions as names), /v2 an array as well."""
        if isinstance(wanted, list):
            names = [str(number) for number in range(len(wanted))] if own else [str(name) for name in wanted]
            chosen = names
        elif isinstance(wanted, dict):
            names = list(wanted)
            chosen = [name for name, on in wanted.items() if on in (1, "1", True)]
        else:
            raise ApiError("The events must be an array.", field="events")
        unknown = [name for name in names if name not in EVENTS]
        if unknown:
            raise ApiError(f"Invalid event name/names: {', '.join(unknown)}", field="events")
        return chosen

    def _shown(self, endpoint: Endpoint) -> JsonObject:
        owner = endpoint.owner_id or self._core.settings.account_id
        return {
            "id": endpoint.id,
            "entity": "webhook",
            "created_at": endpoint.created_at,
            "updated_at": endpoint.updated_at,
            "service": f"beta-api-{self._core.settings.mode}",
            "owner_id": owner.removeprefix("acc_"),
            "owner_type": "merchant",
            "context": [],
            "disabled_at": endpoint.disabled_at or 0,
            "url": endpoint.url,
            "alert_email": endpoint.alert_email,
            "secret_exists": bool(endpoint.secret),
            "active": endpoint.disabled_at is None,
            "events": sorted(EVENTS) if endpoint.events is None else endpoint.events,
        }
