"""When a payout that was taken back by hand is made again, and what is said of it."""

from dataclasses import replace

import pytest

from settlement.domain.pay_again import Attempt, TakenBack, history, why_not
from settlement.domain.transfer import UNSENT, TransferStatus, advance

WHOLE = TakenBack(status=TransferStatus.PROCESSED, amount_paise=5393, reversed_paise=5393, made_good=False)


@pytest.mark.parametrize("status", [TransferStatus.PROCESSED, TransferStatus.SETTLED])
def test_what_came_back_whole_is_paid_again(status: TransferStatus) -> None:
    assert why_not(replace(WHOLE, status=status)) is None


def test_anything_else_says_why_not() -> None:
    refused = [
        replace(WHOLE, status=TransferStatus.REVERSED),
        replace(WHOLE, status=TransferStatus.FAILED),
        replace(WHOLE, status=TransferStatus.ACCEPTED),
        replace(WHOLE, reversed_paise=0),
        replace(WHOLE, reversed_paise=5392),
        replace(WHOLE, made_good=True),
    ]
    reasons = [why_not(transfer) for transfer in refused]
    assert None not in reasons
    assert len(set(reasons)) == len(refused), "each has a reason of its own"
    assert all(why_not(replace(WHOLE, status=status)) for status in UNSENT)


def test_no_word_of_razorpays_brings_a_reversed_transfer_back() -> None:
    assert {advance(TransferStatus.REVERSED, seen) for seen in TransferStatus} == {TransferStatus.REVERSED}


def test_the_history_names_both_sides() -> None:
    attempts = [
        Attempt(3, 1, TransferStatus.FAILED),
        Attempt(5, 2, TransferStatus.REVERSED),
        Attempt(9, 3, TransferStatus.REVERSED),
        Attempt(12, 4, TransferStatus.SETTLED),
    ]
    assert history(attempts, 3) == []
    assert history(attempts, 5) == ["It was taken back whole at Razorpay; xfr_9 pays it again."]
    assert history(attempts, 12) == ["It pays again what xfr_5 and xfr_9 had paid and somebody took back whole at Razorpay."]
    assert [name in " ".join(history(attempts, 9)) for name in ("xfr_5", "xfr_12")] == [True, True]
