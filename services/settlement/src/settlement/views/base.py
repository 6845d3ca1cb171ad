"""What the models share: ids, amounts, texts with limits."""

from typing import Annotated

from pydantic import Field, StringConstraints

from chassis.web import PrefixedId

FranchiseeId = Annotated[int, PrefixedId("frn")]
LedgerEntryId = Annotated[int, PrefixedId("led")]
TransferId = Annotated[int, PrefixedId("xfr")]
TransactionId = Annotated[int, PrefixedId("txn")]
JournalId = Annotated[int, PrefixedId("jnl")]
QrPaymentId = Annotated[int, PrefixedId("qrp")]
ReversalId = Annotated[int, PrefixedId("rvs")]
RefundId = Annotated[int, PrefixedId("rfd")]
StationId = Annotated[int, PrefixedId("stn")]
SettlementId = Annotated[str, StringConstraints(pattern=r"^setl_[A-Za-z0-9]{1,30}$")]
"""Razorpay's own: settlements are theirs."""

Paise = Annotated[int, Field(description="paise")]
BasisPoints = Annotated[int, Field(ge=0, le=10_000, description="hundredths of a percent")]
Words = Annotated[str, Field(min_length=1, max_length=100)]
