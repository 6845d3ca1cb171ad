"""Taking money back: what Razorpay is sent; and a kept bill read back, whoever paid it."""

from datetime import UTC, datetime

from contracts.payments import FeeSource, PaymentBilled
from contracts.wallets import WalletSessionBilled
from settlement.domain.reversal import request_body
from settlement.domain.session_bill import WalletBill, read_bill

NOW = datetime(2026, 12, 1, tzinfo=UTC)
SESSION = {
    "transaction_id": 9,
    "charge_point_id": "CP-1",
    "connector_id": 1,
    "station_id": 3,
    "franchisee_id": 7,
    "started_at": NOW,
    "stopped_at": NOW,
    "energy_wh": 3_333,
    "tariff_paise_per_kwh": 1_800,
    "gst_bps": 1_800,
    "energy_charge_paise": 5_999,
    "gst_paise": 1_080,
    "shortfall_paise": 0,
    "billed_at": NOW,
}


def test_a_reversal_bears_its_key_and_its_environment() -> None:
    assert request_body(amount_paise=500, key="txn_1_c1", environment="staging") == {
        "amount": 500,
        "notes": {"key": "txn_1_c1", "environment": "staging"},
    }


def test_a_bill_is_read_back_as_what_it_was() -> None:
    told = WalletSessionBilled(**SESSION, wallet_session_id=8, wallet_id=1, rider_id=1, held_paise=20_000, billed_paise=7_079)
    from_wallet = WalletBill.model_validate(told.model_dump())
    assert (from_wallet.paid_paise, from_wallet.refund_paise, from_wallet.platform_fee_paise) == (7_079, 0, 0)
    again = read_bill(from_wallet.model_dump(mode="json"))
    assert again == from_wallet
    scanned = PaymentBilled(
        **SESSION,
        qr_payment_id=17,
        razorpay_payment_id="pay_1",
        paid_paise=10_000,
        platform_fee_paise=236,
        fee_source=FeeSource.WEBHOOK,
        refund_paise=2_685,
        residue_paise=0,
    )
    assert read_bill(scanned.model_dump(mode="json")) == scanned
