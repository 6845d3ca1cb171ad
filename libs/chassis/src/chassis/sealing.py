"""Values that one service hands to another through tables, outbox and broker, and that nobody may read on the way.

    box = SealingBox.of(settings.command_secrets_key)
    sealed = box.seal(b"40 hex digits", purpose="command")     # text; another one each time
    box.open(sealed, purpose="command")

AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce; `purpose` is authenticated, so a value sealed for one thing can't be
slipped into another's place. The key is shared by the services that seal and open, and kept where their other secrets are.
"""

import base64
import binascii
import secrets
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12


class Unopenable(Exception):
    """Sealed with another key, for another purpose, or not sealed at all."""


class SealingBox:
    """Seals and opens with one key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a sealing key has {KEY_BYTES} bytes, this one has {len(key)}")
        self._cipher = AESGCM(key)

    @classmethod
    def of(cls, text: str) -> Self:
        """From a setting: base64url, 32 bytes. Raises ValueError in words that don't tell the key."""
        try:
            key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            raise ValueError("a sealing key is base64url text of 32 bytes") from None
        return cls(key)

    @staticmethod
    def new_key() -> str:
        """A fresh key for a setting."""
        return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).rstrip(b"=").decode()

    def seal(self, value: bytes, *, purpose: str) -> str:
        """Text that only the key opens."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return base64.urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, value, purpose.encode())).decode()

    def open(self, sealed: str, *, purpose: str) -> bytes:
        """The value. Raises Unopenable."""
        try:
            raw = base64.urlsafe_b64decode(sealed)
            return self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], purpose.encode())
        except (binascii.Error, ValueError, InvalidTag) as error:
            raise Unopenable("this can't be opened with our key, for this purpose") from error
