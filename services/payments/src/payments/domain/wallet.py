"""A rider's wallet: what may be put in, and how much of it a session may put aside."""

from dataclasses import dataclass
from enum import StrEnum

from money import rupees
from payments.domain.errors import ConflictError


class EntryKind(StrEnum):
    """Why a wallet's balance moved."""

    RECHARGE = "RECHARGE"
    """A payment of the rider's came in."""
    SESSION = "SESSION"
    """A session was billed."""
    REFUND = "REFUND"
    """An operator gave a part of a bill back."""


@dataclass(frozen=True, slots=True)
class WalletLimits:
    """What a wallet may hold and take, in paise: prepaid instruments of small value have a cap by the regulator's rules."""

    recharge_min_paise: int
    recharge_max_paise: int
    balance_max_paise: int
    session_min_paise: int
    """Less than this is not worth starting for: the charger would be stopped before it is ready."""


def check_recharge(amount_paise: int, *, balance_paise: int, limits: WalletLimits) -> None:
    """Whether an order of this amount may be made. Raises ConflictError with a sentence for the rider.

    Judged when it is asked for. What has been paid is the rider's, and is credited whatever the balance is by then.
    """
    if not limits.recharge_min_paise <= amount_paise <= limits.recharge_max_paise:
        least, most = rupees(limits.recharge_min_paise), rupees(limits.recharge_max_paise)
        raise ConflictError(f"A recharge is of {least} to {most}.")
    if balance_paise + amount_paise > limits.balance_max_paise:
        raise ConflictError(
            f"A wallet may hold {rupees(limits.balance_max_paise)}: with {rupees(balance_paise)} in it,"
            f" {rupees(max(0, limits.balance_max_paise - balance_paise))} more can be added."
        )


def hold_of(*, available_paise: int, limit_paise: int | None, limits: WalletLimits) -> int:
    """How much is put aside for a session: all that is free, or the rider's own limit where that is less.

    Raises ConflictError where it is too little to start for.
    """
    held = available_paise if limit_paise is None else min(available_paise, limit_paise)
    if held < limits.session_min_paise:
        raise ConflictError(
            f"A session needs {rupees(limits.session_min_paise)} at least; {rupees(held)} can be put aside for it."
        )
    return held
