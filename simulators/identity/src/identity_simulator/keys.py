"""The issuer's RS256 keys: one that signs, and the older ones that tokens in use were signed with."""

import base64
import secrets
from dataclasses import dataclass, field
from typing import Any, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

KEY_BITS = 2048
"""RFC 7518 §3.3 asks for at least as much with RS256."""

PUBLIC_EXPONENT = 65537


@dataclass(frozen=True)
class SigningKey:
    """A key and its id."""

    kid: str
    private: RSAPrivateKey

    @classmethod
    def generate(cls) -> Self:
        return cls(f"sandbox-{secrets.token_hex(4)}", generate_private_key(PUBLIC_EXPONENT, KEY_BITS))

    @property
    def public_pem(self) -> bytes:
        """What an attacker knows too: the tests sign HS256 with it."""
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def private_pem(self) -> str:
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def jwk(self) -> dict[str, str]:
        """The public half as RFC 7517 has it."""
        numbers = self.private.public_key().public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.kid,
            "n": _base64url(numbers.n),
            "e": _base64url(numbers.e),
        }


@dataclass
class KeyRing:
    """The newest key signs; all are published until retired."""

    keys: list[SigningKey] = field(default_factory=lambda: [SigningKey.generate()])

    @property
    def current(self) -> SigningKey:
        return self.keys[-1]

    def rotate(self, *, keep_old: bool = True) -> SigningKey:
        """A new key signs from now on. Without `keep_old` the older ones are withdrawn, and with them the tokens they signed."""
        self.keys = [*(self.keys if keep_old else []), SigningKey.generate()]
        return self.current

    def jwks(self) -> dict[str, Any]:
        return {"keys": [key.jwk() for key in self.keys]}

    def dump(self) -> list[dict[str, str]]:
        return [{"kid": key.kid, "private_pem": key.private_pem()} for key in self.keys]

    @classmethod
    def load(cls, dumped: list[dict[str, str]]) -> Self:
        """Raises ValueError when what was saved is no list of RSA keys."""
        keys = []
        for entry in dumped:
            private = serialization.load_pem_private_key(entry["private_pem"].encode(), password=None)
            if not isinstance(private, RSAPrivateKey):
                raise ValueError("the saved key is not RSA")  # noqa: TRY004  (what was saved is wrong, not a type of ours)
            keys.append(SigningKey(entry["kid"], private))
        return cls(keys) if keys else cls()


def _base64url(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
