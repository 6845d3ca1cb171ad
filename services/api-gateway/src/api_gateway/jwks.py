"""The issuer's keys: fetched seldom, never by a flood, and still there for a while when the issuer is not.

PyJWT's own client blocks the loop and refuses a just-rotated key for 30 s; so this is ours (ecosystem.md finding 3).
"""

import asyncio
from collections import OrderedDict
from typing import Any

import aiohttp
import jwt
import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from chassis.runtime import Service
from chassis.web import Problem

log = structlog.get_logger(__name__)

FETCH_SECONDS = 5.0
"""An issuer that has not answered by then is away."""

RETRY_SECONDS = 10.0
"""After a failed fetch the next is tried no sooner: a struggling issuer is not helped by more questions."""

FORCED_FETCHES = 3
"""So many fetches for unknown key ids may come in a row: keys that rotate are found at once."""

FORCED_REFILL_SECONDS = 10.0
"""Then one more each so often. A flood of invented key ids costs the issuer no more than that; and since each such fetch brings
all its keys, one that has really rotated is known within this time even during the flood."""

UNKNOWN_KID_SECONDS = 60.0
"""A key id that the issuer did not know is not asked for again for so long."""

UNKNOWN_KIDS_MAX = 1024
"""So many unknown key ids are remembered, the oldest forgotten first: inventing them costs an attacker nothing."""

MAX_DOCUMENT_BYTES = 256 * 1024
"""A discovery document or key set is a few kilobytes."""


class JwksUnavailable(Exception):
    """No key can be had just now: nobody can be let in, and nobody is refused for good."""


class Jwks:
    """`key(kid)` for verifying. A Part. Shared fetches, keys kept by `kid`, RS256 keys only."""

    def __init__(
        self,
        service: Service,
        *,
        issuer: str,
        jwks_url: str | None,
        refresh_seconds: float,
        stale_seconds: float,
        registry: CollectorRegistry,
    ) -> None:
        self._service = service
        self._clock = service.clock
        self._issuer = issuer
        self._url = jwks_url
        self._refresh_seconds = refresh_seconds
        self._stale_seconds = stale_seconds
        self._session: aiohttp.ClientSession | None = None
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._retry_at = 0.0
        self._failed = False
        self._forced_left = float(FORCED_FETCHES)
        self._forced_counted_at = 0.0
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._fetching: asyncio.Task[None] | None = None
        self._failures = Counter(
            "voltlync_api_gateway_jwks_fetch_failures_total",
            "The issuer's keys could not be fetched",
            registry=registry,
        )
        Gauge(
            "voltlync_api_gateway_jwks_age_seconds",
            "Since the issuer's keys were last fetched; -1 before the first",
            registry=registry,
        ).set_function(lambda: self.age if self.age is not None else -1)

    async def start(self) -> None:
        """Open the client. The keys are fetched with the first token, so that the door starts without its issuer."""
        timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
        self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())

    async def stop(self) -> None:
        """Close the client."""
        if self._session is not None:
            await self._session.close()

    @property
    def age(self) -> float | None:
        """Seconds since the keys were fetched; None before the first time."""
        return None if self._fetched_at is None else self._clock.monotonic() - self._fetched_at

    async def ready(self) -> str | None:
        """For /readyz: None when keys are at hand or can be had."""
        if self.age is not None and self.age < self._stale_seconds:
            return None
        try:
            await self._fetch()
        except JwksUnavailable as error:
            return str(error)
        return None

    async def key(self, kid: str) -> jwt.PyJWK | None:
        """The key, or None when the issuer has none of this id. Raises JwksUnavailable when that cannot be known."""
        age = self.age
        if age is None or age >= self._stale_seconds:
            await self._fetch()
        elif age >= self._refresh_seconds and self._clock.monotonic() >= self._retry_at:
            self._begin_fetch()  # what we have serves meanwhile
        key = self._keys.get(kid)
        if key is not None:
            return key
        now = self._clock.monotonic()
        if self._unknown.get(kid, 0.0) > now:
            return None
        if self._fetching is None and not self._take_forced(now):
            raise JwksUnavailable("too many unknown keys are asked for")
        await self._fetch()
        key = self._keys.get(kid)
        if key is None:
            if self._failed:
                raise JwksUnavailable("the identity provider's keys cannot be fetched")
            self._unknown[kid] = now + UNKNOWN_KID_SECONDS
            self._unknown.move_to_end(kid)
            while len(self._unknown) > UNKNOWN_KIDS_MAX:
                self._unknown.popitem(last=False)
        return key

    def _take_forced(self, now: float) -> bool:
        """A token bucket over fetches that unknown key ids ask for."""
        refilled = (now - self._forced_counted_at) / FORCED_REFILL_SECONDS
        self._forced_left = min(float(FORCED_FETCHES), self._forced_left + refilled)
        self._forced_counted_at = now
        if self._forced_left < 1:
            return False
        self._forced_left -= 1
        return True

    def _begin_fetch(self) -> asyncio.Task[None]:
        if self._fetching is None:
            self._fetching = self._service.tasks.start("jwks.fetch", self._fetch_once())
        return self._fetching

    async def _fetch(self) -> None:
        """Fetch, or wait for the fetch that is on its way. Raises JwksUnavailable when no keys are at hand afterwards."""
        if self._fetching is None and self._clock.monotonic() < self._retry_at and not self._usable:
            raise JwksUnavailable("the identity provider's keys could not be fetched a moment ago")
        # Shielded: a caller that goes away must not take the others' fetch with it.
        await asyncio.shield(self._begin_fetch())
        if not self._usable:
            raise JwksUnavailable("the identity provider's keys cannot be fetched")

    @property
    def _usable(self) -> bool:
        return self.age is not None and self.age < self._stale_seconds

    async def _fetch_once(self) -> None:
        try:
            with self._service.work.on("jwks"):
                keys = await self._download()
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            self._failures.inc()
            self._failed = True
            self._retry_at = self._clock.monotonic() + RETRY_SECONDS
            log.warning("jwks.fetch_failed", issuer=self._issuer, error=repr(error), age_seconds=self.age)
        else:
            if set(keys) != set(self._keys):
                log.info("jwks.changed", issuer=self._issuer, kids=sorted(keys))
            self._keys = keys
            self._fetched_at = self._clock.monotonic()
            self._retry_at, self._failed = 0.0, False
            for kid in keys:
                self._unknown.pop(kid, None)
        finally:
            self._fetching = None

    async def _download(self) -> dict[str, jwt.PyJWK]:
        """Raises ValueError for a document that is not what it should be."""
        if self._url is None:
            discovery = await self._get(self._issuer.rstrip("/") + "/.well-known/openid-configuration")
            if discovery.get("issuer") != self._issuer:
                raise ValueError(f"the discovery document is of another issuer: {discovery.get('issuer')!r}")
            if not isinstance(discovery.get("jwks_uri"), str):
                raise ValueError("the discovery document names no jwks_uri")
            self._url = discovery["jwks_uri"]
        document = await self._get(self._url)
        entries = document.get("keys")
        if not isinstance(entries, list):
            raise ValueError("the key set has no keys")  # noqa: TRY004  (the document is wrong, not a type of ours)
        keys: dict[str, jwt.PyJWK] = {}
        for entry in entries:
            # Keys for other uses may stand beside ours: what is no RS256 signing key is passed over.
            if not isinstance(entry, dict) or entry.get("kty") != "RSA" or entry.get("use", "sig") != "sig":
                continue
            if entry.get("alg", "RS256") != "RS256" or not isinstance(entry.get("kid"), str):
                continue
            try:
                keys[entry["kid"]] = jwt.PyJWK(entry, algorithm="RS256")
            except jwt.PyJWTError as error:
                log.warning("jwks.key_unusable", kid=entry["kid"], error=repr(error))
        if not keys:
            raise ValueError("the key set has no RS256 key")
        return keys

    async def _get(self, url: str) -> dict[str, Any]:
        assert self._session is not None, "started"  # noqa: S101
        async with self._session.get(url, allow_redirects=False) as response:
            if response.status != 200:
                raise ValueError(f"{url} answered {response.status}")
            raw = await response.content.read(MAX_DOCUMENT_BYTES)
            while len(raw) < MAX_DOCUMENT_BYTES and (chunk := await response.content.read(MAX_DOCUMENT_BYTES - len(raw))):
                raw += chunk
        document = orjson.loads(raw)
        if not isinstance(document, dict):
            raise ValueError(f"{url} answered no JSON object")  # noqa: TRY004
        return document


def unavailable() -> Problem:
    """503: neither let in nor refused."""
    return Problem(
        503,
        "Nobody can be signed in just now",
        "The identity provider does not answer.",
        type="identity-unavailable",
        headers={"Retry-After": str(int(RETRY_SECONDS))},
    )
