"""Razorpay's API as every service of ours calls it: one transport, one reading of its errors, one set of settings."""

from razorpay_client.api import PAGE_SIZE, PAGES_MAX, Razorpay
from razorpay_client.errors import OutcomeUnknown, Permanent, RazorpayError, Retryable
from razorpay_client.settings import LIVE_KEY_PREFIX, LIVE_URL, RazorpaySettings

__all__ = [
    "LIVE_KEY_PREFIX",
    "LIVE_URL",
    "PAGES_MAX",
    "PAGE_SIZE",
    "OutcomeUnknown",
    "Permanent",
    "Razorpay",
    "RazorpayError",
    "RazorpaySettings",
    "Retryable",
]
