"""Razorpay's two idempotency headers: one answer per key, however often it is asked.

Only 2xx answers are stored: whether Razorpay replays errors is undocumented. A key is the account's, not the path's.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from razorpay_simulator.core import Core
from razorpay_simulator.entities import IdempotentAnswer, JsonObject
from razorpay_simulator.errors import KEY_IN_PROGRESS, KEY_REUSED, not_applicable

REFUND_HEADER = "X-Refund-Idempotency"
TRANSFER_HEADER = "X-Transfer-Idempotency"


class KeyRules(NamedTuple):
    """What a header's key may look like."""

    header: str
    shortest: int
    longest: int
    allowed: re.Pattern[str]
    wrong_characters: str


REFUND_KEYS = KeyRules(
    REFUND_HEADER,
    shortest=10,
    longest=255,
    allowed=re.compile(r"[A-Za-z0-9_-]*\Z"),
    wrong_characters="The idempotency key must only contain alphanumeric characters, underscores, and hyphens",
)
TRANSFER_KEYS = KeyRules(
    TRANSFER_HEADER,
    shortest=4,
    longest=36,
    allowed=re.compile(r"[A-Za-z0-9 _-]*\Z"),
    wrong_characters="The idempotency key must only contain alphanumeric characters, underscores, hyphens and spaces",
)


class IdempotencyKeys:
    """Keys under way and keys answered."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._under_way: set[str] = set()

    def stored(self, rules: KeyRules, key: str, path: str, body: Any, *, account: str | None = None) -> JsonObject | None:
        """The stored answer to the same request, or None for a new key. Raises for a bad, busy or reused key.

        A linked account's keys are its own.
        """
        if len(key) < rules.shortest:
            raise not_applicable(f"The idempotency key must be at least {rules.shortest} characters long.")
        if len(key) > rules.longest:
            raise not_applicable(f"The idempotency key must not be longer than {rules.longest} characters.")
        if not rules.allowed.match(key):
            raise not_applicable(rules.wrong_characters)
        name = _name(rules, key, account)
        if name in self._under_way:
            raise not_applicable(KEY_IN_PROGRESS, status=409)
        known = self._core.state.idempotency.get(name)
        if known is None:
            return None
        if (known.path, known.body) != (path, body):
            settings = self._core.settings
            refund = rules is REFUND_KEYS
            status = settings.key_reuse_status_refund if refund else settings.key_reuse_status_transfer
            raise not_applicable(KEY_REUSED, status=status)
        return known.answer

    @contextmanager
    def under_way(self, rules: KeyRules, key: str, account: str | None = None) -> Iterator[None]:
        """Meanwhile, the same key is refused."""
        name = _name(rules, key, account)
        self._under_way.add(name)
        try:
            yield
        finally:
            self._under_way.discard(name)

    def keep(self, rules: KeyRules, key: str, path: str, body: Any, answer: JsonObject, *, account: str | None = None) -> None:
        self._core.state.idempotency[_name(rules, key, account)] = IdempotentAnswer(path=path, body=body, answer=answer)


def _name(rules: KeyRules, key: str, account: str | None) -> str:
    return f"{rules.header}:{key}" if account is None else f"{rules.header}:{account}:{key}"
