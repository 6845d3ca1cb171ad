"""A payout that somebody took back by hand at Razorpay is made again: when that is right, and what is said of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from settlement.domain.transfer import TransferStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """A transfer, and what was taken back of it so far."""

    status: TransferStatus
    amount_paise: int
    reversed_paise: int
    made_good: bool
    """Whether a part of what came back made a correction good: that part is not owed any more."""


def why_not(transfer: TakenBack) -> str | None:
    """Why a transfer may not be paid again; None: it may, for all of it came back and is owed as it was.

    In doubt it may not: what was not taken back for certain would be paid twice.
    """
    if transfer.status is TransferStatus.REVERSED:
        return "is paid again already."
    if transfer.status is TransferStatus.FAILED:
        return "failed: its entries go out by another transfer by themselves, or with POST /v1/ledger-entries/{id}/retry."
    if transfer.status not in (TransferStatus.PROCESSED, TransferStatus.SETTLED):
        return "is on its way: nothing of it was taken back."
    if transfer.reversed_paise == 0:
        return "was not taken back, as far as we know. Razorpay is asked now."
    if transfer.reversed_paise != transfer.amount_paise:
        back = f"{transfer.reversed_paise} of {transfer.amount_paise} paise"
        return f"was taken back in part ({back}), and only the whole is paid again. Razorpay is asked for more now."
    if transfer.made_good:
        return "was taken back for a rider's refund, in whole or in part: that is not owed any more."
    return None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A transfer of the same leading entry."""

    transfer_id: int
    number: int
    status: TransferStatus


def history(attempts: Sequence[Attempt], transfer_id: int) -> list[str]:
    """What a transfer's explanation says of being taken back and paid again. `attempts`: all of its entry, by number."""
    index = next(place for place, attempt in enumerate(attempts) if attempt.transfer_id == transfer_id)
    words = []
    before = [f"xfr_{attempt.transfer_id}" for attempt in attempts[:index] if attempt.status is TransferStatus.REVERSED]
    if before:
        words.append(f"It pays again what {' and '.join(before)} had paid and somebody took back whole at Razorpay.")
    if attempts[index].status is TransferStatus.REVERSED:
        words.append(f"It was taken back whole at Razorpay; xfr_{attempts[index + 1].transfer_id} pays it again.")
    return words
