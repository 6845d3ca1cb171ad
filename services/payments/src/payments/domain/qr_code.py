"""A printed QR code: which connector its money is for, and how it is found again at Razorpay."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

ENVIRONMENT_NOTE = "voltlync_environment"
QR_CODE_NOTE = "voltlync_qr_code"
"""Razorpay keeps no idempotency key for QR codes: our environment and id ride in `notes`, in the entity and in its events."""
NOTE_CHARS_MAX = 256
"""Razorpay's limit on a note's value."""


class QrCodeStatus(StrEnum):
    """CREATING → ACTIVE → CLOSING → CLOSED, or FAILED where Razorpay refused it."""

    CREATING = "CREATING"
    """Our row is there; Razorpay has been asked, or will be. An unknown outcome stays here until it is found or not."""
    ACTIVE = "ACTIVE"
    CLOSING = "CLOSING"
    """Nobody is served on it any more; Razorpay is still to be told."""
    CLOSED = "CLOSED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Mark:
    """What our notes say: whose QR code it is, and which of theirs."""

    environment: str
    qr_code_id: int


def default_name(charge_point_id: str, connector_id: int) -> str:
    """What it is called where nobody named it."""
    return f"{charge_point_id} / {connector_id}"


def notes_for(*, environment: str, qr_code_id: int, charge_point_id: str, connector_id: int) -> dict[str, str]:
    """The notes of a QR code: ours to find it by, and the charger for whoever reads Razorpay's dashboard."""
    return {
        ENVIRONMENT_NOTE: environment,
        QR_CODE_NOTE: str(qr_code_id),
        "charger": charge_point_id[:NOTE_CHARS_MAX],
        "connector": str(connector_id),
    }


def read_mark(entity: Mapping[str, Any] | None) -> Mark | None:
    """Our mark in an entity's notes; None where there is none. `notes` is `[]` when empty, an object otherwise."""
    notes = entity.get("notes") if entity is not None else None
    if not isinstance(notes, Mapping):
        return None
    environment, number = notes.get(ENVIRONMENT_NOTE), str(notes.get(QR_CODE_NOTE, ""))
    if not isinstance(environment, str) or not (number.isascii() and number.isdigit()):
        return None
    return Mark(environment=environment, qr_code_id=int(number))
