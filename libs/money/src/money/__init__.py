"""Paise, basis points and watt-hours: the bill, the split, the fee and the forecast. Pure: no I/O, no clock, no ids.

Every amount is an integer in the unit that its name ends with: `_paise` (1/100 of a rupee), `_wh`, `_bps` (1/10000),
`_paise_per_kwh`, `_w`, `_ms`. A float never enters; a figure is rounded once, by `divide_half_up`.
"""

from money.bill import MIN_REFUND_PAISE, Bill, all_in_paise_per_kwh, energy_and_gst_paise, final_bill
from money.credit_note import CreditNoteLines, credit_note_lines
from money.derivation import Derivation
from money.errors import MeterRanBackwardsError, MoneyError, NegativeQuantityError, RateOutOfRangeError, SplitExceedsGrossError
from money.explain_bill import (
    explain_bill,
    explain_credit_note,
    explain_energy_charge,
    explain_given_back,
    explain_hold_released,
    explain_invoice,
    explain_reduction,
    explain_wallet_bill,
    kwh,
    percent,
)
from money.fee import ESTIMATED_FEE_BPS, Fee, FeeSource, estimated_fee, resolve_fee
from money.financial_year import INDIA, FinancialYear, india_date
from money.forecast import UNLIMITED_WH, energy_affordable_wh, forecast_stop, milliseconds_until_wh
from money.gst_states import GST_STATES, is_gstin, state_code, state_tax_name
from money.invoice import InvoiceLines, invoice_lines
from money.reduction import Reduction, RefundExceedsSupplyError, supply_reduction
from money.rounding import BASIS_POINTS, WH_PER_KWH, divide_half_up
from money.settlement import Split, TdsBase, calculate_settlement
from money.text import rupees

__all__ = [
    "BASIS_POINTS",
    "ESTIMATED_FEE_BPS",
    "GST_STATES",
    "INDIA",
    "MIN_REFUND_PAISE",
    "UNLIMITED_WH",
    "WH_PER_KWH",
    "Bill",
    "CreditNoteLines",
    "Derivation",
    "Fee",
    "FeeSource",
    "FinancialYear",
    "InvoiceLines",
    "MeterRanBackwardsError",
    "MoneyError",
    "NegativeQuantityError",
    "RateOutOfRangeError",
    "Reduction",
    "RefundExceedsSupplyError",
    "Split",
    "SplitExceedsGrossError",
    "TdsBase",
    "all_in_paise_per_kwh",
    "calculate_settlement",
    "credit_note_lines",
    "divide_half_up",
    "energy_affordable_wh",
    "energy_and_gst_paise",
    "estimated_fee",
    "explain_bill",
    "explain_credit_note",
    "explain_energy_charge",
    "explain_given_back",
    "explain_hold_released",
    "explain_invoice",
    "explain_reduction",
    "explain_wallet_bill",
    "final_bill",
    "forecast_stop",
    "india_date",
    "invoice_lines",
    "is_gstin",
    "kwh",
    "milliseconds_until_wh",
    "percent",
    "resolve_fee",
    "rupees",
    "state_code",
    "state_tax_name",
    "supply_reduction",
]
