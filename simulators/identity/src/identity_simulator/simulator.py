"""The issuer as one object: start it in any event loop, use it over HTTP or by its methods."""

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
from aiohttp import web

from identity_simulator.clock import Clock, SystemClock
from identity_simulator.keys import KeyRing, SigningKey
from identity_simulator.page import persona_picker
from identity_simulator.personas import PERSONAS, ROLES, Persona
from identity_simulator.tokens import FLAWS, LIFETIME_SECONDS, Flaw, claims_of, sign

AUDIENCE = "voltlync"
CLIENT_ID = "voltlync-web"

CODE_SECONDS = 60
"""RFC 6749 §4.1.2 recommends at most ten minutes; a redirect takes a second."""

SHUTDOWN_SECONDS = 1.0

LIFETIME_SECONDS_MAX = 366 * 24 * 3600
"""A test that lets a year pass still has a token."""

JWKS_DELAY_SECONDS_MAX = 3600
"""Slower than any verifier waits."""

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class NotInProduction(RuntimeError):
    """Raised where VOLTLYNC_ENVIRONMENT is production: whoever reaches this issuer is an administrator."""

    def __init__(self) -> None:
        super().__init__("the identity simulator gives anyone an administrator's token; it does not run in production")


@dataclass(frozen=True)
class _Code:
    """An authorization code that waits to be redeemed."""

    persona: Persona
    client_id: str
    redirect_uri: str
    challenge: str
    nonce: str | None
    expires_at: datetime


class _OAuthError(Exception):
    """An error of RFC 6749 §5.2."""

    def __init__(self, error: str, description: str) -> None:
        self.error = error
        self.description = description
        super().__init__(description)


class IdentitySimulator:
    """An OpenID provider with five personas.

    `issuer` defaults to the address it listens on. `state_file` keeps its keys over a restart, and with them tokens' validity.
    `redirect_origins` are where a sign-in may return to, beside this machine. All time is the injected clock's.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        issuer: str | None = None,
        audience: str = AUDIENCE,
        clock: Clock | None = None,
        state_file: Path | None = None,
        redirect_origins: tuple[str, ...] = (),
    ) -> None:
        if os.environ.get("VOLTLYNC_ENVIRONMENT", "").lower() == "production":
            raise NotInProduction
        self._host = host
        self._port = port
        self._issuer = issuer
        self._audience = audience
        self._clock = clock or SystemClock()
        self._state_file = state_file
        self._redirect_origins = redirect_origins
        self._keys = self._load_keys()
        self._save_keys()
        self._codes: dict[str, _Code] = {}
        self._runner: web.AppRunner | None = None
        self.jwks_requests = 0
        """How often the keys were fetched: a verifier that caches keeps this low."""
        self.jwks_available = True
        """False: the keys' endpoint answers 503."""
        self.jwks_delay_seconds = 0.0
        """The keys' endpoint answers after so long."""

    # -- life

    async def start(self) -> None:
        """Serve. Raises OSError when the port is taken."""
        application = web.Application(middlewares=[_allow_any_origin])
        application.add_routes(
            [
                web.get("/.well-known/openid-configuration", self._discovery),
                web.get("/.well-known/jwks.json", self._jwks),
                web.get("/authorize", self._authorize),
                web.post("/token", self._token),
                web.get("/userinfo", self._userinfo),
                web.post("/_sandbox/rotate", self._sandbox_rotate),
                web.post("/_sandbox/token", self._sandbox_token),
                web.post("/_sandbox/jwks", self._sandbox_jwks),
                web.get("/_sandbox/state", self._sandbox_state),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def base_url(self) -> str:
        """Where it listens."""
        host = "127.0.0.1" if self._host in ("0.0.0.0", "") else self._host  # noqa: S104  (compared, not bound)
        return f"http://{host}:{self._port}"

    @property
    def issuer(self) -> str:
        """The `iss` of its tokens, below which verifiers find its discovery document."""
        return self._issuer or self.base_url

    @property
    def jwks_url(self) -> str:
        return f"{self.issuer}/.well-known/jwks.json"

    # -- what tests and the control API use

    def token(
        self,
        role: str,
        *,
        lifetime_seconds: float = LIFETIME_SECONDS,
        flaw: Flaw | None = None,
        client_id: str = CLIENT_ID,
        **claims: Any,
    ) -> str:
        """An access token of the persona with this role; `claims` add to its own or replace them. Raises KeyError for no role."""
        return sign(self._keys, self._claims(PERSONAS[role], client_id, lifetime_seconds, claims), flaw)

    def rotate(self, *, keep_old: bool = True) -> SigningKey:
        """Sign with a new key from now on; see KeyRing.rotate."""
        key = self._keys.rotate(keep_old=keep_old)
        self._save_keys()
        return key

    @property
    def kids(self) -> list[str]:
        """The published keys' ids, the signing one last."""
        return [key.kid for key in self._keys.keys]

    def _claims(self, persona: Persona, client_id: str, lifetime_seconds: float, extra: dict[str, Any]) -> dict[str, Any]:
        return claims_of(
            persona,
            issuer=self.issuer,
            audience=self._audience,
            client_id=client_id,
            now=self._clock.now(),
            lifetime_seconds=lifetime_seconds,
            extra=extra,
        )

    def _load_keys(self) -> KeyRing:
        if self._state_file is None or not self._state_file.exists():
            return KeyRing()
        return KeyRing.load(json.loads(self._state_file.read_text())["keys"])

    def _save_keys(self) -> None:
        if self._state_file is None:
            return
        self._state_file.parent.mkdir(parents=True, exist_ok=True)
        self._state_file.touch(mode=0o600)
        self._state_file.write_text(json.dumps({"keys": self._keys.dump()}))

    # -- OpenID Connect

    async def _discovery(self, _request: web.Request) -> web.Response:
        issuer = self.issuer
        return web.json_response(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "userinfo_endpoint": f"{issuer}/userinfo",
                "jwks_uri": self.jwks_url,
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "client_credentials"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
                "scopes_supported": ["openid", "profile", "email"],
            }
        )

    async def _jwks(self, _request: web.Request) -> web.Response:
        self.jwks_requests += 1
        if self.jwks_delay_seconds:
            await self._clock.sleep(self.jwks_delay_seconds)
        if not self.jwks_available:
            return web.json_response({"error": "temporarily_unavailable"}, status=503)
        return web.json_response(self._keys.jwks())

    async def _authorize(self, request: web.Request) -> web.Response:
        """Code flow with PKCE (RFC 7636). Without `persona` the picker; with it, back to the application with a code."""
        query = dict(request.query)
        redirect_uri = query.get("redirect_uri", "")
        if not self._may_return_to(redirect_uri):
            # Never redirect to an address that is not trusted, not even with an error.
            return web.json_response({"error": "invalid_request", "error_description": "redirect_uri is not allowed"}, status=400)
        problem = None
        if query.get("response_type") != "code":
            problem = "unsupported_response_type"
        elif query.get("code_challenge_method") != "S256" or not query.get("code_challenge") or not query.get("client_id"):
            problem = "invalid_request"
        elif "persona" in query and query["persona"] not in PERSONAS:
            problem = "access_denied"
        answer = {"state": query["state"]} if "state" in query else {}
        if problem is not None:
            raise web.HTTPFound(_with_query(redirect_uri, {"error": problem, **answer}))
        if "persona" not in query:
            return web.Response(
                text=persona_picker(query),
                content_type="text/html",
                headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
            )
        code = secrets.token_urlsafe(24)
        self._codes[code] = _Code(
            PERSONAS[query["persona"]],
            query["client_id"],
            redirect_uri,
            query["code_challenge"],
            query.get("nonce"),
            self._clock.now() + timedelta(seconds=CODE_SECONDS),
        )
        raise web.HTTPFound(_with_query(redirect_uri, {"code": code, **answer}))

    def _may_return_to(self, uri: str) -> bool:
        try:
            parts = urlsplit(uri)
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            return False
        return parts.hostname in LOOPBACK_HOSTS or f"{parts.scheme}://{parts.netloc}" in self._redirect_origins

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        try:
            client_id = form.get("client_id") or _basic_user(request.headers.get("Authorization", ""))
            match form.get("grant_type"):
                case "client_credentials":
                    answer = self._by_client(client_id)
                case "authorization_code":
                    answer = self._by_code(form, client_id)
                case _:
                    raise _OAuthError("unsupported_grant_type", "authorization_code or client_credentials")
        except _OAuthError as error:
            return web.json_response({"error": error.error, "error_description": error.description}, status=400)
        return web.json_response(answer, headers={"Cache-Control": "no-store"})

    def _by_client(self, client_id: str | None) -> dict[str, Any]:
        if client_id not in PERSONAS:
            raise _OAuthError("invalid_client", f"client_id is a persona: {', '.join(ROLES)}")
        return {
            "access_token": self.token(client_id, client_id=CLIENT_ID),
            "token_type": "Bearer",
            "expires_in": LIFETIME_SECONDS,
        }

    def _by_code(self, form: dict[str, str], client_id: str | None) -> dict[str, Any]:
        code = self._codes.pop(form.get("code", ""), None)  # a code works once
        if code is None or code.expires_at < self._clock.now():
            raise _OAuthError("invalid_grant", "the code is unknown, used, or expired")
        if (client_id, form.get("redirect_uri")) != (code.client_id, code.redirect_uri):
            raise _OAuthError("invalid_grant", "the code is for another client or redirect_uri")
        verifier = form.get("code_verifier", "")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
        if not hmac.compare_digest(challenge, code.challenge.encode()):
            raise _OAuthError("invalid_grant", "the code_verifier does not fit the code_challenge")
        access = self._claims(code.persona, code.client_id, LIFETIME_SECONDS, {})
        identity = {**access, "aud": code.client_id, **({"nonce": code.nonce} if code.nonce else {})}
        return {
            "access_token": sign(self._keys, access),
            "id_token": sign(self._keys, identity),
            "token_type": "Bearer",
            "expires_in": LIFETIME_SECONDS,
        }

    async def _userinfo(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        public = {key.kid: key.private.public_key() for key in self._keys.keys}
        try:
            key = public[jwt.get_unverified_header(token)["kid"]]
            # Its time is this clock's, below.
            claims = jwt.decode(
                token,
                key,
                ["RS256"],
                issuer=self.issuer,
                options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
            if claims["exp"] <= self._clock.now().timestamp():
                raise jwt.ExpiredSignatureError
        except (jwt.InvalidTokenError, KeyError):
            return web.json_response({"error": "invalid_token"}, status=401, headers={"WWW-Authenticate": "Bearer"})
        return web.json_response({name: claims[name] for name in ("sub", "name", "email", "roles") if name in claims})

    # -- control API

    async def _sandbox_rotate(self, request: web.Request) -> web.Response:
        options = await _json_object(request)
        key = self.rotate(keep_old=bool(options.get("keep_old", True)))
        return web.json_response({"kid": key.kid, "kids": self.kids})

    async def _sandbox_token(self, request: web.Request) -> web.Response:
        options = await _json_object(request)
        role, flaw, claims = options.get("role"), options.get("flaw"), options.get("claims", {})
        lifetime = options.get("lifetime_seconds", LIFETIME_SECONDS)
        if role not in ROLES or flaw not in (None, *FLAWS) or not isinstance(claims, dict):
            raise _bad_request(f"role: {', '.join(ROLES)}; flaw: {', '.join(FLAWS)}; claims: an object")
        if not isinstance(lifetime, int | float) or not 0 < lifetime <= LIFETIME_SECONDS_MAX:
            raise _bad_request(f"lifetime_seconds: a number up to {LIFETIME_SECONDS_MAX}")
        token = sign(self._keys, self._claims(PERSONAS[role], CLIENT_ID, lifetime, claims), flaw)
        return web.json_response({"access_token": token, "token_type": "Bearer"})

    async def _sandbox_jwks(self, request: web.Request) -> web.Response:
        options = await _json_object(request)
        delay = options.get("delay_seconds", self.jwks_delay_seconds)
        if not isinstance(delay, int | float) or not 0 <= delay <= JWKS_DELAY_SECONDS_MAX:
            raise _bad_request(f"delay_seconds: a number from 0 to {JWKS_DELAY_SECONDS_MAX}")
        self.jwks_available = bool(options.get("available", self.jwks_available))
        self.jwks_delay_seconds = float(delay)
        return await self._sandbox_state(request)

    async def _sandbox_state(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.issuer,
                "kids": self.kids,
                "jwks": {
                    "requests": self.jwks_requests,
                    "available": self.jwks_available,
                    "delay_seconds": self.jwks_delay_seconds,
                },
                "personas": {
                    role: {"subject": persona.subject, "name": persona.name, **persona.claims}
                    for role, persona in PERSONAS.items()
                },
            }
        )


@web.middleware
async def _allow_any_origin(request: web.Request, handler: Any) -> web.StreamResponse:
    """The web app's development server is another origin; nothing here is secret."""
    response: web.StreamResponse = web.Response(status=204) if request.method == "OPTIONS" else await handler(request)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Headers"] = "authorization, content-type"
    return response


async def _json_object(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    try:
        value = json.loads(raw) if raw else {}
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _bad_request("the body must be a JSON object")
    return value


def _bad_request(description: str) -> web.HTTPBadRequest:
    body = json.dumps({"error": "invalid_request", "error_description": description})
    return web.HTTPBadRequest(text=body, content_type="application/json")


def _basic_user(header: str) -> str | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return None


def _with_query(uri: str, parameters: dict[str, str]) -> str:
    return f"{uri}{'&' if urlsplit(uri).query else '?'}{urlencode(parameters)}"
