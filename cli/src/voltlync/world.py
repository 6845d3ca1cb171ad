"""A running installation as the outside world sees it: the door's REST API, and the simulators' control APIs. Nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import aiohttp

from voltlync.workspace import STATE

Json = dict[str, Any]
SeenT = TypeVar("SeenT")

# Longest a call may take: the door itself gives up on a service before.
CALL_SECONDS_MAX = 40.0
POLL_SECONDS = 0.25


class Refused(RuntimeError):
    """A call was answered with another status than 2xx. The message is the problem's own (RFC 9457)."""

    def __init__(self, method: str, url: str, status: int, text: str) -> None:
        self.status = status
        try:
            problem = json.loads(text)
            reason = "; ".join(str(problem[key]) for key in ("title", "detail", "errors") if problem.get(key)) or text
        except (ValueError, AttributeError, TypeError):
            reason = text
        super().__init__(f"{method} {url} was answered {status}: {reason[:1000]}")


class NothingRuns(RuntimeError):
    """No `make run` runs in this checkout."""


@dataclass(frozen=True)
class Addresses:
    """Where a running installation listens. Kept for its owner alone: the broker's address bears a password."""

    door_url: str
    ocpp_url: str
    razorpay_url: str
    identity_url: str
    chargers_url: str
    admin_amqp_url: str

    @classmethod
    def of_running(cls, path: Path = STATE) -> Self:
        """Those of this checkout's `make run`. Raises NothingRuns."""
        if not path.exists():
            raise NothingRuns("Nothing runs here. Start it with `make run`, in another terminal.")
        return cls(**json.loads(path.read_text()))

    def keep(self, path: Path = STATE) -> None:
        """Tell other commands of this checkout."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self), indent=1))


class World:
    """Calls, with a token per role from the identity simulator."""

    def __init__(self, addresses: Addresses, http: aiohttp.ClientSession) -> None:
        self.addresses = addresses
        self._http = http
        self._tokens: dict[str, str] = {}

    @classmethod
    @asynccontextmanager
    async def at(cls, addresses: Addresses) -> AsyncIterator[Self]:
        """A world to act in."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS_MAX)) as http:
            yield cls(addresses, http)

    async def api(self, method: str, path: str, body: Json | None = None, *, role: str = "admin", key: str | None = None) -> Any:
        """The public REST API as one of the sandbox's people. `key`: Idempotency-Key. Raises Refused."""
        headers = {"Authorization": f"Bearer {await self.token(role)}"} | ({"Idempotency-Key": key} if key else {})
        return await self.call(method, self.addresses.door_url + path, body, headers=headers)

    async def all_of(self, path: str, *, role: str = "admin") -> list[Json]:
        """Every item of a cursor-paged list."""
        items: list[Json] = []
        cursor: str | None = None
        while True:
            separator = "&" if "?" in path else "?"
            page = await self.api("GET", f"{path}{separator}cursor={cursor}" if cursor else path, role=role)
            items += page["items"]
            cursor = page.get("next_cursor")
            if not cursor:
                return items

    async def razorpay(self, method: str, path: str, body: Json | None = None) -> Any:
        """The Razorpay sandbox's control API: what payers and reviewers do."""
        return await self.call(method, f"{self.addresses.razorpay_url}/_sandbox{path}", body)

    async def charger(self, charge_point_id: str, verb: str = "", body: Json | None = None) -> Any:
        """The demo network's charge points: what drivers do."""
        path = f"/chargers/{charge_point_id}/{verb}" if verb else f"/chargers/{charge_point_id}"
        return await self.call("POST" if verb else "PUT", self.addresses.chargers_url + path, body or {})

    async def chargers(self) -> dict[str, Json]:
        """What the charge points say of themselves."""
        seen: dict[str, Json] = await self.call("GET", self.addresses.chargers_url + "/chargers")
        return seen

    async def token(self, role: str) -> str:
        """An access token of the sandbox's person with this role (client_credentials)."""
        if role not in self._tokens:
            form = aiohttp.FormData({"grant_type": "client_credentials", "client_id": role})
            async with self._http.post(f"{self.addresses.identity_url}/token", data=form) as answer:
                if not answer.ok:
                    raise Refused("POST", "/token", answer.status, await answer.text())
                self._tokens[role] = (await answer.json())["access_token"]
        return self._tokens[role]

    async def call(self, method: str, url: str, body: Json | None = None, *, headers: dict[str, str] | None = None) -> Any:
        """Any JSON call. Raises Refused."""
        async with self._http.request(method, url, json=body, headers=headers) as answer:
            text = await answer.text()
            if not answer.ok:
                raise Refused(method, url, answer.status, text)
            return json.loads(text) if text else None


async def until(what: str, look: Callable[[], Awaitable[SeenT | None]], *, seconds_max: float) -> SeenT:
    """Look again and again until there is something to see. Raises TimeoutError, naming what was waited for."""
    try:
        async with asyncio.timeout(seconds_max):
            while (seen := await look()) is None:  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)  # the world is other processes: it can't set an event of ours
            return seen
    except TimeoutError:
        raise TimeoutError(f"waited {seconds_max:.0f} s in vain for: {what}") from None
