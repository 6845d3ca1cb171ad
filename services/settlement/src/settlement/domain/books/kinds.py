"""Every event of money by its kind."""

from collections.abc import Mapping

from settlement.domain.books.adjustments import AdjustmentBooked
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
from settlement.domain.books.journal import MoneyEvent
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
)
from settlement.domain.books.wallets import RechargeCaptured, RechargeFeeCorrected, RechargeFeeRecorded, WalletSessionBilled

KINDS: Mapping[str, type[MoneyEvent]] = {
    kind.KIND: kind
    for kind in (
        PaymentCaptured, PaymentFeeRecorded, PaymentFeeCorrected, PaymentBilled, PaymentGivenBack, RefundProcessed, RefundCharged,
        EntryBooked, TransferClaimed, TransferProcessed, TransferSettled, TransferCharged, OwnSettled,
        RechargeCaptured, RechargeFeeRecorded, RechargeFeeCorrected, WalletSessionBilled, WalletSessionRefunded,
        OperatorRefundDecided, EntryCorrected, EntryNetted, TransferReversed, ReversalApplied,
        AdjustmentBooked,
        DirectCaptured, DirectFeeRecorded, DirectBilled, DirectRefunded, DirectEntryBooked, CommissionReceived,
    )
}  # fmt: skip
"""Every event of money by its kind; a reversal is none of its own."""
