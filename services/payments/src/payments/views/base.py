"""What the models share: ids, and texts with limits."""

from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import Field

from chassis.telemetry import mask_phone, mask_vpa
from chassis.web import PrefixedId

QrCodeId = Annotated[int, PrefixedId("qrc")]
QrPaymentId = Annotated[int, PrefixedId("qrp")]
RefundId = Annotated[int, PrefixedId("rfd")]
RiderId = Annotated[int, PrefixedId("rdr")]
WebhookEventId = Annotated[int, PrefixedId("whe")]
TransactionId = Annotated[int, PrefixedId("txn")]
StationId = Annotated[int, PrefixedId("stn")]
FranchiseeId = Annotated[int, PrefixedId("frn")]
WalletSessionId = Annotated[int, PrefixedId("wse")]

ChargePointText = Annotated[str, Field(min_length=1, max_length=64, description="the charger's identity, as in its OCPP URL")]


_MASKS: Mapping[str, Callable[[str], str]] = {"vpa": mask_vpa, "contact": mask_phone, "phone": mask_phone}
"""Columns with personal data."""
