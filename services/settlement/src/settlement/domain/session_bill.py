"""A session's bill, whoever paid it: by QR code as payments says it, from a wallet in the same words."""

from pydantic import computed_field

from contracts.payments import PaymentBilled
from contracts.wallets import WalletSessionBilled


class WalletBill(WalletSessionBilled):
    """A wallet's bill in the words of a payment's. Gross is what was billed (architecture §3): no more was taken for the session,
    so nothing goes back; and no fee is in it, as the recharge's is our expense.
    """

    qr_payment_id: None = None
    razorpay_payment_id: None = None
    refund_paise: int = 0
    residue_paise: int = 0
    platform_fee_paise: int = 0
    collected_by_franchisee_id: None = None
    collected_by_account: None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def paid_paise(self) -> int:
        """What the rider paid for the session."""
        return self.billed_paise


SessionBill = PaymentBilled | WalletBill


def read_bill(kept: dict[str, object]) -> SessionBill:
    """A bill that was kept as JSON."""
    return (WalletBill if kept.get("wallet_session_id") is not None else PaymentBilled).model_validate(kept)
