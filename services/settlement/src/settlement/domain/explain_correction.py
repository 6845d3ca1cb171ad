"""How the amounts of a correction came about (B9): each the difference of two splits of the same session."""

from collections.abc import Mapping

from money import Derivation, rupees
from settlement.domain.correction import Correction, SplitFigures, correction_of

LINES: Mapping[str, str] = {
    "refund": "what goes back to the rider",
    "gst": "GST",
    "commission": "our commission",
    "tds": "the tax withheld",
    "payout": "the payout",
}


def explain_correction(
    entry: SplitFigures, correction: Correction, *, first_entry_id: int, refund_number: int, **parts: int
) -> list[Derivation]:
    """Every line of a correction. `parts`: of the energy charge and GST given back now and, `_before_`, earlier, in paise.

    A line's formula takes two figures: all that is off the session's split with this refund, less what was off before it.
    """
    before_energy, before_gst = parts["energy_charge_before_paise"], parts["gst_before_paise"]
    earlier = None
    if before_energy + before_gst:
        earlier = correction_of(
            entry,
            energy_charge_paise=before_energy,
            gst_paise=before_gst,
            energy_charge_before_paise=0,
            gst_before_paise=0,
        )
    made = []
    for line, words in LINES.items():
        paise = getattr(correction, f"{line}_paise")
        before = getattr(earlier, f"{line}_paise") if earlier is not None else 0
        sentence = f"With refund {refund_number} {words} stays as it was."
        if paise:
            sentence = f"With refund {refund_number} {words} {'grows' if paise > 0 else 'falls'} by {rupees(abs(paise))}."
        made.append(
            Derivation(
                name=line,
                paise=paise,
                sentence=sentence,
                formula="off_with_this_refund_paise - off_before_it_paise",
                inputs={"off_with_this_refund_paise": before + paise, "off_before_it_paise": before},
                sources={
                    "off_with_this_refund_paise": f"led_{first_entry_id} with refunds up to {refund_number}",
                    "off_before_it_paise": f"led_{first_entry_id} with the refunds before",
                },
            )
        )
    return made
