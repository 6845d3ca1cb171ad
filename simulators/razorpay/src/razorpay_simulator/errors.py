"""Razorpay's error answers: one exception, and the wordings that more than one place needs."""

from typing import Any

BAD_REQUEST = "BAD_REQUEST_ERROR"
GATEWAY = "GATEWAY_ERROR"
SERVER = "SERVER_ERROR"

# Wordings from Razorpay's documentation. A client that matches on one of these is tested against the real text.
UNKNOWN_ID = "The id provided does not exist"
UNKNOWN_URL = "The requested URL was not found on the server."
SERVER_TROUBLE = "We are facing some trouble completing your request at the moment. Please try again shortly."
INPUT_REQUIRED = "The input field is required"
NOTES_INVALID = "Notes validation failed."
AMOUNT_BELOW_MINIMUM = "The amount must be at least INR 1.00"

KEY_REUSED = "Different request with the same idempotency key has already been processed."
KEY_IN_PROGRESS = "Another request with the same idempotency key is still in progress."
PAYMENT_BUSY = "Request failed because another payment operation is in progress."

REFUND_BALANCE = (
    "Your account does not have enough balance to carry out the refund operation. "
    "You can add funds to your account from your Razorpay dashboard or capture new payments."
)
REFUND_BALANCE_SEEN = "invalid request sent"
TRANSFER_BALANCE = "Transfer cannot be made due to insufficient balance"
REVERSAL_BALANCE = "The linked account does not have sufficient balance to process reversal."
ACCOUNT_LOCKED = "Merchant activation form has been locked for editing by admin"

# Razorpay publishes no wording for these; the sandbox's own, each in one place.
LINKED_ACCOUNT_NOT_ACTIVATED = "Linked account is not activated for transfers"
TRANSFER_AFTER_REFUND = "Transfer on a payment cannot be requested once a refund has been initiated"
REVERSE_ALL_ON_PART = "reverse_all is possible with the refund of the whole payment only"
LINKED_ACCOUNT_NOT_LIVE = "Linked account is not activated for payments"
"""Razorpay's wording is not known."""
NOT_AS_LINKED_ACCOUNT = "The sandbox does not serve this to a linked account (X-Razorpay-Account)"
TOO_MANY_WEBHOOKS = "Only 30 webhooks can be set up for an account"
TOO_MANY_REQUESTS = "Too many requests"
BODY_NOT_JSON = "The request body could not be parsed as JSON."


class ApiError(Exception):
    """An error answer. `body()` is what goes over the wire; keys that are None are sent as null, except `field`."""

    def __init__(
        self,
        description: str,
        *,
        status: int = 400,
        code: str = BAD_REQUEST,
        field: str | None = None,
        source: str | None = "business",
        step: str | None = "payment_initiation",
        reason: str | None = "input_validation_failed",
    ) -> None:
        super().__init__(description)
        self.description = description
        self.status = status
        self.code = code
        self.field = field
        self.source = source
        self.step = step
        self.reason = reason

    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {
            "code": self.code,
            "description": self.description,
            "source": self.source,
            "step": self.step,
            "reason": self.reason,
            "metadata": {},
        }
        if self.field is not None:
            error["field"] = self.field
        return {"error": error}


def not_applicable(description: str, *, status: int = 400) -> ApiError:
    """The family of errors whose source, step and reason are the literal text `NA`."""
    return ApiError(description, status=status, source="NA", step="NA", reason="NA")


def invalid_id(value: object, *, field: str | None = None) -> ApiError:
    return ApiError(f"{value} is not a valid id", field=field)


def unknown_id() -> ApiError:
    return ApiError(UNKNOWN_ID)


def server_error(description: str = SERVER_TROUBLE, *, status: int = 500) -> ApiError:
    return ApiError(description, status=status, code=SERVER, source=None, step=None, reason=None)


class ControlError(Exception):
    """A control call (`/_sandbox`) that asks for something impossible, such as paying a closed QR code: HTTP 400."""
