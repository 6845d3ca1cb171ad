"""The caller, as the door vouches for it: a compact Ed25519 JWT for one service, one method, one path, 30 seconds.

The door holds the private key, services only the public one: a service can verify callers and never make one up.
"""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from chassis.web.problems import Problem
from chassis.web.roles import Role, Roles

PRINCIPAL_HEADER = "X-Voltlync-Principal"

ISSUER = "voltlync-door"

LIFETIME_SECONDS = 30
"""Long enough for the way from the door to the service, too short to be worth stealing from a log."""

CLOCK_LEEWAY_SECONDS = 5
"""The door and a service may run on machines whose clocks differ by this much."""


class Provider(StrEnum):
    """Who knows the caller (feature A1). Either makes a Principal; only who seeks a rider's row asks which."""

    OIDC = "oidc"
    """The issuer of the settings: Clerk in production."""
    UPI_GUEST = "upi_guest"
    """Ourselves: somebody who proved a payment, for a while, and has no account."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls. `subject` is the provider's; `franchisee_id` and `rider_id` bound what the caller may see.

    `rider_id` is a guest's alone: an account's rider is payments' to find, by provider and subject.
    """

    subject: str
    roles: Roles
    franchisee_id: int | None = None
    rider_id: int | None = None
    name: str | None = None
    provider: Provider = Provider.OIDC
    phone: str | None = None
    """As the provider has it, and only where it says that it verified it. Personal."""

    def has(self, *roles: Role) -> bool:
        """Whether the caller has one of these roles."""
        return not self.roles.isdisjoint(roles)


class PrincipalSigner:
    """The door's half. Tests of a service make one of their own: `PrincipalSigner.generate()`."""

    def __init__(self, private_key: str) -> None:
        """`private_key`: the 32 raw bytes in base64url, from `python -m api_gateway keygen`. Raises ValueError for any other."""
        self._key = Ed25519PrivateKey.from_private_bytes(raw_key(private_key))

    @classmethod
    def generate(cls) -> Self:
        """With a fresh key pair."""
        return cls(_encode(Ed25519PrivateKey.generate().private_bytes_raw()))

    @property
    def private_key(self) -> str:
        """For VOLTLYNC_PRINCIPAL_PRIVATE_KEY of the door."""
        return _encode(self._key.private_bytes_raw())

    @property
    def public_key(self) -> str:
        """For VOLTLYNC_PRINCIPAL_PUBLIC_KEY of every service."""
        return _encode(self._key.public_key().public_bytes_raw())

    def sign(self, principal: Principal, *, audience: str, method: str, path: str, now: datetime) -> str:
        """The token for one call of one service. `path` is the raw path without the query."""
        issued = int(now.timestamp())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": audience,
            "sub": principal.subject,
            "provider": principal.provider.value,
            "roles": sorted(principal.roles),
            "method": method,
            "path": path,
            "iat": issued,
            "exp": issued + LIFETIME_SECONDS,
        }
        optional = {name: getattr(principal, name) for name in ("franchisee_id", "rider_id", "name", "phone")}
        claims |= {name: value for name, value in optional.items() if value is not None}
        return jwt.encode(claims, self._key, algorithm="EdDSA")

    def headers(self, principal: Principal, *, audience: str, method: str, path: str, now: datetime) -> dict[str, str]:
        """The same as request headers."""
        return {PRINCIPAL_HEADER: self.sign(principal, audience=audience, method=method, path=path, now=now)}


class PrincipalVerifier:
    """A service's half: who is this call from, if the door says so?"""

    def __init__(self, public_key: str, *, audience: str) -> None:
        """Raises ValueError when the key is no raw Ed25519 key in base64url."""
        self._key = Ed25519PublicKey.from_public_bytes(raw_key(public_key))
        self._audience = audience

    def verify(self, token: str, *, method: str, path: str, now: datetime) -> Principal:
        """Raises Problem 401: whatever does not fit exactly is no caller."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=["EdDSA"],
                issuer=ISSUER,
                audience=self._audience,
                # Times are checked below, on the service's own clock.
                options={
                    "require": ["iss", "aud", "sub", "exp", "iat"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "strict_aud": True,
                },
            )
            issued, expires, at = int(claims["iat"]), int(claims["exp"]), now.timestamp()
            roles = frozenset(Role(role) for role in claims["roles"])
            principal = Principal(
                str(claims["sub"]),
                roles,
                claims.get("franchisee_id"),
                claims.get("rider_id"),
                claims.get("name"),
                Provider(claims.get("provider", Provider.OIDC)),
                claims.get("phone"),
            )
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError) as error:
            raise unauthenticated("The principal token is not valid.") from error
        if not issued - CLOCK_LEEWAY_SECONDS <= at < expires + CLOCK_LEEWAY_SECONDS or expires - issued > LIFETIME_SECONDS:
            raise unauthenticated("The principal token has expired.")
        if claims.get("method") != method or claims.get("path") != path:
            raise unauthenticated("The principal token is for another call.")
        return principal


def unauthenticated(detail: str) -> Problem:
    """401 with the challenge that RFC 9110 asks for."""
    return Problem(401, "Sign in first", detail, type="unauthenticated", headers={"WWW-Authenticate": "Bearer"})


def forbidden(roles: Roles) -> Problem:
    """403, and which roles would do."""
    wanted = ", ".join(sorted(roles)) or "none: this route is closed"
    return Problem(403, "Not for this role", f"This needs one of these roles: {wanted}.", type="forbidden", roles=sorted(roles))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw_key(text: str) -> bytes:
    """The 32 bytes of an Ed25519 key in base64url. Raises ValueError."""
    try:
        return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("an Ed25519 key is 32 raw bytes in base64url") from error
