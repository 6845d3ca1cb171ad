"""What an operator may give back of a bill, and what that does to its lines."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.payments import BorneBy
from money import rupees, supply_reduction
from payments.domain.errors import ConflictError


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An operator's refund that was decided before, as far as the next one depends on it."""

    amount_paise: int
    energy_charge_paise: int
    gst_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """An operator's refund: amount = energy charge + gst + goodwill. The `_before_` figures are what earlier ones took off."""

    number: int
    amount_paise: int
    energy_charge_paise: int
    gst_paise: int
    goodwill_paise: int
    energy_charge_before_paise: int
    gst_before_paise: int
    borne_by: BorneBy


def refundable_paise(*, energy_charge_paise: int, gst_paise: int, given: Sequence[Given]) -> int:
    """What may still be given back: energy and GST as billed, less all that operators decided so far, however far it came.

    The payment's own refund is paid less everything billed, so with these together never more goes back than was paid; and
    Razorpay's fee, which it keeps, is given back by neither.
    """
    return energy_charge_paise + gst_paise - sum(refund.amount_paise for refund in given)


def decide(
    *,
    amount_paise: int,
    energy_charge_paise: int,
    gst_paise: int,
    franchised: bool,
    borne_by: BorneBy | None,
    given: Sequence[Given],
) -> Decision:
    """The bill's next operators' refund.

    `borne_by` None: by whoever shared the energy charge, so the supply is reduced; PLATFORM: goodwill, the supply stands.
    At a site of our own only the platform can bear it. Raises ConflictError, in words for the operator.
    """
    left = refundable_paise(energy_charge_paise=energy_charge_paise, gst_paise=gst_paise, given=given)
    if amount_paise > left:
        billed = f"the {rupees(max(left, 0))} that were billed for energy and GST and not given back yet"
        raise ConflictError(f"{rupees(amount_paise)} is more than {billed}.")
    if borne_by is BorneBy.FRANCHISEE and not franchised:
        raise ConflictError("The site is the platform's own: there is no franchisee to bear it.")
    energy_before = sum(refund.energy_charge_paise for refund in given)
    gst_before = sum(refund.gst_paise for refund in given)
    goodwill = borne_by is BorneBy.PLATFORM
    reduction = supply_reduction(
        amount_paise=0 if goodwill else amount_paise,
        before_paise=energy_before + gst_before,
        energy_charge_paise=energy_charge_paise,
        gst_paise=gst_paise,
    )
    return Decision(
        number=len(given) + 1,
        amount_paise=amount_paise,
        energy_charge_paise=reduction.energy_charge_paise,
        gst_paise=reduction.gst_paise,
        goodwill_paise=amount_paise if goodwill else 0,
        energy_charge_before_paise=energy_before,
        gst_before_paise=gst_before,
        borne_by=BorneBy.PLATFORM if goodwill or not franchised else BorneBy.FRANCHISEE,
    )
