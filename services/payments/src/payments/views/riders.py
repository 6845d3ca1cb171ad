"""Riders' proofs and guests' credentials."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from chassis.web import Body
from payments.domain.proof import REFERENCE_DIGITS
from payments.views.base import RiderId


class ProofOfPayment(Body):
    """What only the payer knows: the UPI address, and the end of the bank's reference of a payment from it."""

    vpa: Annotated[str, Field(min_length=3, max_length=255, description="the UPI address that was paid from")]
    reference_ends: Annotated[
        str,
        Field(
            pattern=rf"^[0-9]{{{REFERENCE_DIGITS}}}$",
            description="the last six digits of the UPI reference number, as the UPI app shows it",
        ),
    ]


class GuestTokenView(BaseModel):
    """A bearer token for the door. It sees what this payer paid by QR code, and nothing else."""

    access_token: str
    expires_at: datetime
    rider_id: RiderId
