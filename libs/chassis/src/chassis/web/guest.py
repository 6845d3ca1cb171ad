"""UPI_GUEST, the second provider (feature A1): somebody who proved a payment, as a token of ours for a quarter of an hour.

Payments checks the proof and signs; the door verifies, as it does the identity provider's tokens, and makes the same Principal.
"""

from datetime import datetime, timedelta

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from chassis.web.ids import BIGINT_MAX
from chassis.web.principal import Principal, Provider, raw_key
from chassis.web.roles import GUEST

ALGORITHM = "EdDSA"
ISSUER = "voltlync-payments"
AUDIENCE = "voltlync-door"

LIFETIME = timedelta(minutes=15)
"""Long enough to look at a receipt, too short to be worth stealing."""


class GuestSigner:
    """Payments' half."""

    def __init__(self, private_key: str) -> None:
        """`private_key`: the 32 raw bytes in base64url. Raises ValueError for any other."""
        self._key = Ed25519PrivateKey.from_private_bytes(raw_key(private_key))

    def sign(self, rider_id: int, *, now: datetime) -> tuple[str, datetime]:
        """(a bearer token that says who paid, until when it does)."""
        expires_at = now + LIFETIME
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": f"upi_guest|rdr_{rider_id}",
            "rider_id": rider_id,
            "iat": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM), expires_at


class GuestVerifier:
    """The door's half."""

    def __init__(self, public_key: str) -> None:
        """`public_key`: the 32 raw bytes in base64url. Raises ValueError for any other."""
        self._key = Ed25519PublicKey.from_public_bytes(raw_key(public_key))

    def verify(self, token: str, *, now: datetime) -> Principal | None:
        """The guest; None for whatever is not exactly a token of ours that is good now."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                # Times are checked below, on the door's own clock.
                options={
                    "require": ["iss", "aud", "sub", "exp", "iat"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "strict_aud": True,
                },
            )
            issued, expires, rider_id = int(claims["iat"]), int(claims["exp"]), claims["rider_id"]
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError):
            return None
        good = issued <= now.timestamp() < expires <= issued + LIFETIME.total_seconds()
        if not good or type(rider_id) is not int or not 0 < rider_id <= BIGINT_MAX:
            return None
        return Principal(claims["sub"], GUEST, rider_id=rider_id, provider=Provider.UPI_GUEST)
