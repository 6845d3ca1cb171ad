"""Double-entry books: the chart of accounts, and one balanced journal per event of money.

    event of money ──its facts──> Journal: postings, each on one side, debits = credits ──> never changed, only reversed

An event of money is a frozen class of facts with a key. `journal()` is the whole of its accounting, so the same facts always
give the same postings: in the handler that hears the event, in the nightly check, and in `voltlync books verify`, which
takes the facts from the raw records of the services. Amounts are whole paise, none negative; a line of nothing is no line.
"""

from settlement.domain.books.adjustments import AdjustmentBooked
from settlement.domain.books.chart import ACCOUNTS, CHART, Account, AccountKind, Side
from settlement.domain.books.corrections import (
    EntryCorrected,
    EntryNetted,
    OperatorRefundDecided,
    ReversalApplied,
    TransferReversed,
    WalletSessionRefunded,
)
from settlement.domain.books.direct import (
    CommissionReceived,
    DirectBilled,
    DirectCaptured,
    DirectEntryBooked,
    DirectFeeRecorded,
    DirectRefunded,
)
from settlement.domain.books.journal import (
    Journal,
    MoneyEvent,
    Posting,
    UnbalancedJournal,
    credit,
    debit,
    fee_parts,
    reversal_of,
    standing,
)
from settlement.domain.books.kinds import KINDS
from settlement.domain.books.payments import (
    PaymentBilled,
    PaymentCaptured,
    PaymentFeeCorrected,
    PaymentFeeRecorded,
    PaymentGivenBack,
    RefundCharged,
    RefundProcessed,
)
from settlement.domain.books.payouts import (
    EntryBooked,
    OwnSettled,
    TransferCharged,
    TransferClaimed,
    TransferProcessed,
    TransferSettled,
    payout_account,
)
from settlement.domain.books.wallets import RechargeCaptured, RechargeFeeCorrected, RechargeFeeRecorded, WalletSessionBilled

__all__ = [
    "ACCOUNTS",
    "CHART",
    "KINDS",
    "Account",
    "AccountKind",
    "AdjustmentBooked",
    "CommissionReceived",
    "DirectBilled",
    "DirectCaptured",
    "DirectEntryBooked",
    "DirectFeeRecorded",
    "DirectRefunded",
    "EntryBooked",
    "EntryCorrected",
    "EntryNetted",
    "Journal",
    "MoneyEvent",
    "OperatorRefundDecided",
    "OwnSettled",
    "PaymentBilled",
    "PaymentCaptured",
    "PaymentFeeCorrected",
    "PaymentFeeRecorded",
    "PaymentGivenBack",
    "Posting",
    "RechargeCaptured",
    "RechargeFeeCorrected",
    "RechargeFeeRecorded",
    "RefundCharged",
    "RefundProcessed",
    "ReversalApplied",
    "Side",
    "TransferCharged",
    "TransferClaimed",
    "TransferProcessed",
    "TransferReversed",
    "TransferSettled",
    "UnbalancedJournal",
    "WalletSessionBilled",
    "WalletSessionRefunded",
    "credit",
    "debit",
    "fee_parts",
    "payout_account",
    "reversal_of",
    "standing",
]
