"""Which service answers for which noun. The door never joins: each list has one owner."""

from collections.abc import Mapping

NOUNS: Mapping[str, str] = {
    "stations": "charging",
    "chargers": "charging",
    "connectors": "charging",
    "tariffs": "charging",
    "id-tags": "charging",
    "transactions": "charging",
    "meter-values": "charging",
    "commands": "charging",
    "command-batches": "charging",
    "configurations": "charging",
    "charger-errors": "charging",
    "signal-quality": "charging",
    "quirk-profiles": "charging",
    "unknown-charge-points": "charging",
    "start-requests": "charging",
    "reservations": "charging",
    "qr-codes": "payments",
    "payments": "payments",
    "refunds": "payments",
    "credit-notes": "payments",
    "invoices": "payments",
    "riders": "payments",
    "wallets": "payments",
    "webhook-events": "payments",
    "franchisees": "settlement",
    "commission-receipts": "settlement",
    "receivables": "settlement",
    "ledger-entries": "settlement",
    "transfers": "settlement",
    "settlements": "settlement",
    "reversals": "settlement",
    "payouts": "settlement",
    "tax-rules": "settlement",
    "books": "settlement",
    "reconciliations": "settlement",
    "firmware": "firmware",
    "firmware-updates": "firmware",
    "ocpp-messages": "journal",
    "audit-events": "journal",
}
"""`/v1/<noun>` and all below it, and `/v1/public/<noun>` without a caller."""

SERVICES: tuple[str, ...] = tuple(dict.fromkeys(NOUNS.values()))

WEBHOOKS: Mapping[str, str] = {"/webhooks/razorpay": "payments"}
"""Passed on byte by byte: the receiver checks the signature over what was sent."""

DOWNLOADS = ("/firmware/{filename}", "firmware")
"""Chargers have no token: the file's signed, expiring query is checked by the service."""


def service_of(path: str) -> str | None:
    """The owner of a path of the API, `/v1/stations/stn_1` or `/v1/public/qr-codes/…`; None for no such noun."""
    steps = path.split("/")
    if len(steps) < 3 or steps[1] != "v1":
        return None
    noun = steps[2] if steps[2] != "public" else (steps[3] if len(steps) > 3 else "")
    return NOUNS.get(noun)


def is_plain(raw_path: str) -> bool:
    """Whether a raw path means the same to everyone on its way: no dot segments, no hidden slashes, nothing beyond ASCII.

    Else a path could pass the door as one noun and arrive as another.
    """
    lowered = raw_path.lower()
    if not raw_path.isascii() or any(hidden in lowered for hidden in ("%2f", "%5c", "%2e", "%00", "\\")):
        return False
    return all(" " < character < "\x7f" for character in raw_path) and not {"", ".", ".."} & set(raw_path.split("/")[1:])
