"""A guest's token is good from payments' key alone, for the door alone, for a quarter of an hour."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.web import GuestSigner, GuestVerifier, PrincipalSigner, Provider, Role
from chassis.web.principal import raw_key

NOW = datetime(2026, 12, 1, 6, 0, tzinfo=UTC)
ISSUED = int(NOW.timestamp())
KEYS, OTHERS = PrincipalSigner.generate(), PrincipalSigner.generate()
CLAIMS: dict[str, Any] = {
    "iss": "voltlync-payments",
    "aud": "voltlync-door",
    "sub": "upi_guest|rdr_17",
    "rider_id": 17,
    "iat": ISSUED,
    "exp": ISSUED + 900,
}


def signed(key: str = KEYS.private_key, **changed: object) -> str:
    claims = {name: value for name, value in (CLAIMS | changed).items() if value is not None}
    return jwt.encode(claims, Ed25519PrivateKey.from_private_bytes(raw_key(key)), algorithm="EdDSA")


def test_a_guest_is_the_rider_of_the_proved_payment_and_has_no_other_role() -> None:
    token, expires_at = GuestSigner(KEYS.private_key).sign(17, now=NOW)
    assert expires_at == NOW + timedelta(minutes=15)
    verifier = GuestVerifier(KEYS.public_key)
    guest = verifier.verify(token, now=NOW + timedelta(minutes=14))
    assert guest is not None
    assert (guest.provider, guest.rider_id, guest.roles) == (Provider.UPI_GUEST, 17, {Role.GUEST})
    assert verifier.verify(token, now=expires_at) is None
    assert verifier.verify(signed(), now=NOW) == guest


@pytest.mark.parametrize(
    "token",
    [
        signed(OTHERS.private_key),
        signed(iss="voltlync-door"),
        signed(aud="payments"),
        signed(exp=ISSUED + 901),
        signed(iat=ISSUED + 60),
        signed(rider_id=None),
        signed(rider_id="17"),
        signed(rider_id=True),
        signed(rider_id=0),
        jwt.encode(CLAIMS, None, algorithm="none"),
        jwt.encode(CLAIMS, KEYS.public_key, algorithm="HS256"),
        "nonsense",
    ],
)
def test_nothing_else_is_a_guest(token: str) -> None:
    assert GuestVerifier(KEYS.public_key).verify(token, now=NOW) is None
