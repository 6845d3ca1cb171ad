"""Payments, as the API shows them and as banks change their minds about them."""

from typing import Any

import pytest

from razorpay_simulator import RazorpaySimulator
from testkit.clock import SteppingClock

PAYMENTS = "/v1/payments"


async def test_a_failed_payment_at_a_code_may_be_credited_late(
    api: Any, paid: Any, sandbox: RazorpaySimulator, receiver: Any, clock: SteppingClock
) -> None:
    failed = await paid(20_000, outcome="failed", late_after=60)
    assert failed["acquirer_data"] == {"rrn": None}
    await clock.advance(60)
    events = ["qr_code.created", "payment.failed", "qr_code.credited", "payment.captured"]
    assert sorted(receiver.events) == sorted(events)
    (credited,) = receiver.of("qr_code.credited")
    assert credited.json["payload"]["payment"]["entity"]["id"] == failed["id"], "the same payment"
    assert (await api("GET", f"{PAYMENTS}/{failed['id']}"))[1]["status"] == "captured"


async def test_a_late_payment_for_a_code_that_is_closed_goes_back(
    api: Any, qr_body: Any, sandbox: RazorpaySimulator, receiver: Any
) -> None:
    _, qr = await api("POST", f"{PAYMENTS}/qr_codes", qr_body)
    _, answer = await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": 20_000, "outcome": "failed"})
    await api("POST", f"{PAYMENTS}/qr_codes/{qr['id']}/close")
    _, late = await api("POST", f"/_sandbox/payments/{answer['payment']['id']}/authorize")
    assert (late["event_ids"], late["payment"]["refund_status"]) == ([], "full")
    await sandbox.wait_idle()
    assert receiver.of("qr_code.credited") == []


async def test_expansions(api: Any, paid: Any, sandbox: RazorpaySimulator) -> None:
    payment = await paid(20_000)
    path = f"{PAYMENTS}/{payment['id']}"
    _, shown = await api("GET", f"{path}?expand[]=transaction&expand[]=refunds&expand[]=offers&expand[]=card&expand[]=emi")
    assert (shown["transaction"]["credit"], shown["transaction"]["fee"], shown["transaction"]["settlement_id"]) == (
        20_000 - 472,
        472,
        None,
    )
    assert "settlement" not in shown["transaction"]
    assert (shown["refunds"]["count"], shown["offers"]["count"], shown["card"], shown["emi"]) == (0, 0, None, None)
    settlement = sandbox.settle_own()
    _, shown = await api("GET", f"{path}?expand[]=transaction.settlement")
    assert shown["transaction"]["settlement"] == settlement
    _, listed = await api("GET", f"{PAYMENTS}?expand[]=transaction")
    assert listed["items"][0]["transaction"]["entity_id"] == payment["id"]
    status, answer = await api("GET", f"{path}?expand[]=refunds&expand[]=colour")
    assert (status, answer["error"]["field"]) == (400, "expand.1")
    assert answer["error"]["description"].startswith("Value of each expand must be one of following types: card, emi, ")


async def test_a_payment_that_did_nothing_has_no_transaction(api: Any, paid: Any) -> None:
    payment = await paid(20_000, outcome="failed")
    assert (await api("GET", f"{PAYMENTS}/{payment['id']}?expand[]=transaction"))[1]["transaction"] is None


async def test_only_notes_can_be_changed(api: Any, paid: Any) -> None:
    payment = await paid(20_000)
    _, changed = await api("PATCH", f"{PAYMENTS}/{payment['id']}", {"notes": {"a": "b"}})
    assert changed == payment | {"notes": {"a": "b"}}
    assert (await api("PATCH", f"{PAYMENTS}/{payment['id']}", {"amount": 5}))[0] == 400


async def test_a_code_payment_arrives_captured(api: Any, paid: Any) -> None:
    payment = await paid(20_000)
    _, answer = await api("POST", f"{PAYMENTS}/{payment['id']}/capture", {"amount": 20_000, "currency": "INR"})
    assert answer["error"]["description"] == "This payment has already been captured"


async def test_upi_has_a_limit(api: Any, qr_body: Any) -> None:
    _, qr = await api("POST", f"{PAYMENTS}/qr_codes", qr_body)
    assert (await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": 1_00_000_00}))[0] == 200
    status, answer = await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": 1_00_000_01})
    assert (status, answer["error"]) == (400, "UPI carries at most 10000000 paise in one payment")


@pytest.mark.parametrize(("key", "status"), [("rzp_test_sandbox0000001", 400), ("rzp_live_sandbox0000001", 200)])
async def test_codes_of_the_test_mode_may_be_unpayable_as_razorpays_are(
    build: Any, connect: Any, qr_body: Any, key: str, status: int
) -> None:
    api = connect(await build(key_id=key, test_qr_payable=False))
    _, qr = await api("POST", f"{PAYMENTS}/qr_codes", qr_body)
    assert (await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": 500}))[0] == status
