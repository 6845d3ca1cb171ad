"""A bearer token → who it is. Strict: one issuer, one algorithm, our audience, our clock."""

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import jwt
from prometheus_client import CollectorRegistry, Counter

from api_gateway.jwks import Jwks, JwksUnavailable, unavailable
from api_gateway.settings import ApiGatewaySettings
from chassis.runtime import Clock
from chassis.web import BIGINT_MAX, GuestVerifier, PrefixedId, Principal, Role
from chassis.web.guest import ALGORITHM as GUEST_ALGORITHM
from chassis.web.principal import unauthenticated

ALGORITHM = "RS256"
"""The only one. Never taken from the token: `none`, or HS256 keyed with the public key, would pass for signed."""

MAX_TOKEN_CHARACTERS = 8000
MAX_KID_CHARACTERS = 256
MAX_SUBJECT_CHARACTERS = 255
MAX_NAME_CHARACTERS = 200
MAX_PHONE_CHARACTERS = 32

VERIFIED_TOKENS_MAX = 4096
"""A console asks several times a second with one token: its signature is checked once per fetch of the issuer's keys (so a
withdrawn key ends its tokens as before), its times at every request."""

FRANCHISEE_ID = PrefixedId("frn")


class _Rejected(Exception):
    """Why a token is not accepted: a word for the metric, and what the caller is told."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(detail)


class Authenticator:
    """Verifies tokens: the issuer's against its keys, and guests' against payments'. Either becomes a Principal."""

    def __init__(self, settings: ApiGatewaySettings, jwks: Jwks, *, clock: Clock, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._jwks = jwks
        self._clock = clock
        self._guests = GuestVerifier(settings.guest_public_key) if settings.guest_public_key else None
        self._verified: OrderedDict[str, tuple[jwt.PyJWK, dict[str, Any]]] = OrderedDict()
        self._rejected = Counter(
            "voltlync_api_gateway_rejected_tokens_total", "Tokens answered 401, by reason", ["reason"], registry=registry
        )

    async def principal(self, authorization: str | None) -> Principal:
        """Raises Problem 401 for no or no good token, 503 when the issuer's keys cannot be had."""
        try:
            token = _bearer(authorization)
            header = _header(token)
            if self._guests is not None and header.get("alg") == GUEST_ALGORITHM:
                return self._guest(self._guests, token)
            claims = await self._claims(token, header)
        except _Rejected as rejected:
            self._rejected.labels(rejected.reason).inc()
            raise unauthenticated(rejected.detail) from rejected
        except JwksUnavailable as error:
            raise unavailable() from error
        return self._principal(claims)

    def _guest(self, guests: GuestVerifier, token: str) -> Principal:
        """Which provider's a token is, its algorithm says; by which key and for whom it is good, nothing in it decides."""
        principal = guests.verify(token, now=self._clock.now())
        if principal is None:
            raise _Rejected("guest", "The guest's token is not valid, or no more: prove the payment again.")
        return principal

    async def _claims(self, token: str, header: Mapping[str, Any]) -> dict[str, Any]:
        if header.get("alg") != ALGORITHM:
            raise _Rejected("algorithm", f"Tokens are signed with {ALGORITHM}.")
        kid = header.get("kid")
        if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_CHARACTERS:
            raise _Rejected("kid", "The token does not name its key.")
        key = await self._jwks.key(kid)
        if key is None:
            raise _Rejected("kid", "The token's key is not one of the issuer's.")
        known = self._verified.get(token)
        if known is not None and known[0] is key:
            self._verified.move_to_end(token)
            self._check_times(known[1])
            return known[1]
        claims = self._verify(token, key)
        self._verified[token] = (key, claims)
        while len(self._verified) > VERIFIED_TOKENS_MAX:
            self._verified.popitem(last=False)
        return claims

    def _verify(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=self._settings.oidc_issuer,
                audience=self._settings.oidc_audience or None,
                # Times are checked below, on our own clock.
                options={
                    "require": ["exp", "iss", "sub"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": bool(self._settings.oidc_audience),
                },
            )
        except jwt.InvalidIssuerError as error:
            raise _Rejected("issuer", "The token is of another issuer.") from error
        except jwt.InvalidAudienceError as error:
            raise _Rejected("audience", "The token is not for this API.") from error
        except jwt.MissingRequiredClaimError as error:
            raise _Rejected("incomplete", f"The token has no {error.claim}.") from error
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise _Rejected("signature", "The token is not valid.") from error
        self._check_times(claims)
        parties = self._settings.authorized_parties
        if parties and claims.get("azp") not in parties:
            raise _Rejected("audience", "The token was given to another application.")
        if not 0 < len(claims["sub"]) <= MAX_SUBJECT_CHARACTERS:
            raise _Rejected("subject", "The token does not say whose it is.")
        return claims

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now, leeway = self._clock.now().timestamp(), self._settings.oidc_leeway_seconds
        for name in ("exp", "nbf", "iat"):
            value = claims.get(name)
            if value is not None and (not isinstance(value, int | float) or not math.isfinite(value)):
                raise _Rejected("times", f"The token's {name} is no time.")
        if now >= claims["exp"] + leeway:
            raise _Rejected("expired", "The token has expired.")
        if claims.get("nbf", 0) > now + leeway or claims.get("iat", 0) > now + leeway:
            raise _Rejected("times", "The token is not valid yet.")

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        settings = self._settings
        roles = _roles(_at(claims, settings.oidc_roles_claim))
        franchisee_id = _id(_at(claims, settings.oidc_franchisee_claim), FRANCHISEE_ID)
        if franchisee_id is None:
            # A franchisee sees its own data only: without knowing whose, it is none.
            roles -= {Role.FRANCHISEE}
        name = _at(claims, settings.oidc_name_claim)
        return Principal(
            subject=claims["sub"],
            roles=roles,
            franchisee_id=franchisee_id,
            name=name[:MAX_NAME_CHARACTERS] if isinstance(name, str) else None,
            phone=self._phone(claims),
        )

    def _phone(self, claims: Mapping[str, Any]) -> str | None:
        """Only what the issuer says that it verified: whoever has a phone is taken for whoever paid with it."""
        phone = _at(claims, self._settings.oidc_phone_claim)
        verified = _at(claims, self._settings.oidc_phone_verified_claim) is True
        return phone if verified and isinstance(phone, str) and 0 < len(phone) <= MAX_PHONE_CHARACTERS else None


def _bearer(authorization: str | None) -> str:
    if authorization is None:
        raise _Rejected("missing", "Send a bearer token in the Authorization header.")
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or not token.isascii() or len(token) > MAX_TOKEN_CHARACTERS:
        raise _Rejected("malformed", "The Authorization header has no bearer token.")
    return token


def _header(token: str) -> Mapping[str, Any]:
    try:
        return jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:
        raise _Rejected("malformed", "The token is not a JWT.") from error


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim at `public_metadata.roles`; a claim whose own name has dots (an URL) is found by it as a whole."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def _roles(claim: Any) -> frozenset[Role]:
    """From a list, or a text with spaces or commas between. What is no role of ours gives nothing; `guest` cannot be claimed."""
    names = claim.replace(",", " ").split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return frozenset(Role(name) for name in names if isinstance(name, str) and name in set(Role)) - {Role.GUEST}


def _id(claim: Any, prefixed: PrefixedId) -> int | None:
    if isinstance(claim, int) and not isinstance(claim, bool):
        return claim if 0 < claim <= BIGINT_MAX else None
    if not isinstance(claim, str):
        return None
    try:
        return prefixed.parse(claim if "_" in claim else f"{prefixed.prefix}_{claim}")
    except ValueError:
        return None
