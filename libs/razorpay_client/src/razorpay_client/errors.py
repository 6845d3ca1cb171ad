"""What a call that brought no answer leaves certain (razorpay.md 0a, §6; docs/decisions/0007): exactly three kinds.

RazorpayError
├── Permanent         refused for what was asked: the same request fails again
├── Retryable         it had no effect: the same request, with the same key, may be sent later
└── OutcomeUnknown    it may have had its effect: look before anything else is sent
"""

PASSING_DESCRIPTIONS = (
    "does not have enough balance",
    "insufficient balance",
    "still in progress",
    "in progress with the same idempotency key",
    "too many requests",
)
"""Refusals that pass with time (razorpay.md §4, §5.5)."""

PASSING_DESCRIPTIONS_OF_REFUNDS = (*PASSING_DESCRIPTIONS, "invalid request sent", "another payment operation is in progress")
"""A refund's low balance also comes as the bare "invalid request sent" (razorpay.md §4); elsewhere those words are final."""

NO_EFFECT_STATUSES = frozenset({401, 403, 408, 409, 429})
"""Refused before anything was done. Wrong keys (401) are ours to mend, and no reason to call a payment failed. 409: the key's
first request is still under way, and a repeat will get its answer."""

KEY_TAKEN_DESCRIPTION = "different request with the same idempotency key"
"""Comes as 400 or as 409 (razorpay.md §4): the key was used up by another body, so this one is refused for ever."""


class RazorpayError(Exception):
    """A call that brought no answer. `status` is None where no HTTP answer came."""

    def __init__(
        self,
        description: str,
        *,
        status: int | None = None,
        code: str | None = None,
        field: str | None = None,
        reason: str | None = None,
        body: str = "",
    ) -> None:
        super().__init__(description)
        self.description = description
        self.status = status
        self.code = code
        self.field = field
        self.reason = reason
        self.body = body

    @property
    def low_balance(self) -> bool:
        """Whether it waits for our balance at Razorpay."""
        return "balance" in self.description.lower()


class Permanent(RazorpayError):
    """Refused for what was asked."""


class Retryable(RazorpayError):
    """It had no effect, and may be sent again later."""


class OutcomeUnknown(RazorpayError):
    """It may have had its effect."""


def without_answer(*, reads: bool) -> type[RazorpayError]:
    """Which error a request is that may have been received and was not answered; one that changes nothing had no effect."""
    return Retryable if reads else OutcomeUnknown


def kind_of(status: int, description: str, *, told: bool, reads: bool, refunds: bool = False) -> type[RazorpayError]:
    """Which of the three an answer is.

    `told`: the body is an error of Razorpay's own; `reads`: the request changes nothing; `refunds`: it asks for a refund.
    """
    passing = PASSING_DESCRIPTIONS_OF_REFUNDS if refunds else PASSING_DESCRIPTIONS
    lowered = description.lower()
    if 400 <= status < 500:
        if told and KEY_TAKEN_DESCRIPTION in lowered:
            return Permanent
        if status in NO_EFFECT_STATUSES or any(text in lowered for text in passing):
            return Retryable
        if told:
            return Permanent
    # 5xx, a proxy's HTML, a redirect, an answer that is no JSON: the effect may have happened behind it.
    return without_answer(reads=reads)
