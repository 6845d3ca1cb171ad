"""A UPI address is no credential (features U3): who names one proves a payment from it, by the end of the bank's reference."""

from datetime import timedelta

REFERENCE_DIGITS = 6
"""The last of twelve. A payer reads them in the UPI app; nobody else is shown them."""

FAILURES_MAX = 5
FAILURES_WITHIN = timedelta(hours=1)
"""So many wrong tries for one address, then it rests: at this pace a million endings take 22 years."""

PAID_WITHIN = timedelta(days=180)
"""An older payment proves nothing any more: addresses and phones change hands."""
