"""Ids are passed in, so that a test can replay a run."""

import secrets
import uuid
from typing import Protocol

ID_TAG_LENGTH = 20
"""OCPP 1.6 IdToken is CiString20."""


class Ids(Protocol):
    """Where new identifiers come from."""

    def new(self) -> str:
        """A fresh unique id: 32 hex digits, at most 36 characters as OCPP-J and AMQP want."""
        ...

    def id_tag(self) -> str:
        """A fresh idTag: upper-case hex, 20 characters (some chargers take nothing else; ocpp.md row 54)."""
        ...


class SystemIds:
    """Ids from the machine's randomness."""

    def new(self) -> str:
        """A random 128-bit id in hex."""
        return uuid.uuid4().hex  # noqa: TID251  (the one place)

    def id_tag(self) -> str:
        """80 random bits in upper-case hex: nobody guesses a paid session's tag."""
        return secrets.token_hex(ID_TAG_LENGTH // 2).upper()
