"""Tokens: good ones per persona, and each kind of bad one that a verifier must refuse."""

import base64
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any, Literal, get_args

import jwt

from identity_simulator.keys import KeyRing, SigningKey
from identity_simulator.personas import Persona

LIFETIME_SECONDS = 3600

Flaw = Literal[
    "expired",
    "not_yet_valid",
    "wrong_kid",
    "no_kid",
    "alg_none",
    "hs256_public_key",
    "wrong_issuer",
    "wrong_audience",
    "wrong_key",
]
FLAWS: tuple[Flaw, ...] = get_args(Flaw)


def claims_of(
    persona: Persona, *, issuer: str, audience: str, client_id: str, now: datetime, lifetime_seconds: float, extra: dict[str, Any]
) -> dict[str, Any]:
    """What a token of this persona says. Shape of Clerk's session tokens: `sub`, `azp`, and our own `roles`."""
    issued = int(now.timestamp())
    return {
        "iss": issuer,
        "aud": audience,
        "azp": client_id,
        "sub": persona.subject,
        "roles": [persona.role],
        "name": persona.name,
        "email": persona.email,
        "iat": issued,
        "nbf": issued,
        "exp": issued + int(lifetime_seconds),
        **persona.claims,
        **extra,
    }


def sign(keys: KeyRing, claims: dict[str, Any], flaw: Flaw | None = None) -> str:
    """RS256 by the current key; or, with `flaw`, wrong in exactly that one way.

    wrong_kid names a key that was never published. wrong_key is signed by another key under the current kid.
    hs256_public_key is an HMAC keyed with the public key's PEM: what a verifier accepts that trusts the token's own `alg`.
    """
    key, claims = keys.current, dict(claims)
    match flaw:
        case "alg_none":
            return jwt.encode(claims, "", algorithm="none", headers={"kid": key.kid})
        case "hs256_public_key":
            return _hs256(claims, key)
        case "wrong_kid":
            return jwt.encode(claims, SigningKey.generate().private, algorithm="RS256", headers={"kid": "never-published"})
        case "no_kid":
            return jwt.encode(claims, key.private, algorithm="RS256")
        case "wrong_key":
            return jwt.encode(claims, SigningKey.generate().private, algorithm="RS256", headers={"kid": key.kid})
        case "expired":
            lifetime = claims["exp"] - claims["iat"]
            # Past by an hour: no leeway that anyone sensible configures reaches so far.
            claims |= {
                "exp": claims["iat"] - 3600,
                "iat": claims["iat"] - 3600 - lifetime,
                "nbf": claims["iat"] - 3600 - lifetime,
            }
        case "not_yet_valid":
            claims["nbf"] = claims["iat"] + 3600
        case "wrong_issuer":
            claims["iss"] = "https://issuer.of.somebody.else.example"
        case "wrong_audience":
            claims |= {"aud": "another-api", "azp": "another-app"}
        case None:
            pass
    return jwt.encode(claims, key.private, algorithm="RS256", headers={"kid": key.kid})


def _hs256(claims: dict[str, Any], key: SigningKey) -> str:
    # By hand: PyJWT refuses, rightly, to key an HMAC with a PEM.
    parts = [_segment({"alg": "HS256", "typ": "JWT", "kid": key.kid}), _segment(claims)]
    signature = hmac.new(key.public_pem, b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def _segment(value: dict[str, Any]) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")
