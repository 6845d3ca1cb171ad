"""Test and live: two worlds behind two keys. What they share is the linked accounts, and nothing else."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from razorpay_simulator import RazorpaySimulator, SandboxSettings, WebhookSettings
from razorpay_simulator.world import World

KEYS = {"other_key_id": "rzp_live_sandbox0000001", "other_key_secret": "live-secret"}


@pytest.fixture
async def sandbox(build: Any, receiver: Any) -> RazorpaySimulator:
    return await build(opening_balance=500_00, **KEYS, other_webhooks=[WebhookSettings(url=receiver.url, secret="whsec-live")])


@pytest.fixture
def live(sandbox: RazorpaySimulator) -> World:
    return sandbox.world("live")


@pytest.fixture
def live_api(live: World, sandbox: RazorpaySimulator, connect: Any) -> Any:
    return connect(sandbox, live.settings)


async def test_what_one_mode_made_does_not_exist_in_the_other(api: Any, live_api: Any, qr_body: Any) -> None:
    _, qr = await api("POST", "/v1/payments/qr_codes", qr_body)
    status, answer = await live_api("GET", f"/v1/payments/qr_codes/{qr['id']}")
    assert (status, answer["error"]["description"]) == (400, "The id provided does not exist")
    assert (await live_api("GET", "/v1/payments/qr_codes"))[1]["count"] == 0


async def test_each_mode_has_its_own_money_and_its_own_events(
    sandbox: RazorpaySimulator, live: World, live_api: Any, receiver: Any, qr_body: Any
) -> None:
    parent = sandbox.settings.account_id
    _, qr = await live_api("POST", "/v1/payments/qr_codes", qr_body)
    status, _ = await live_api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": 20_000})
    assert status == 400, "without ?mode=live the control API looks at the other world"
    status, _ = await live_api("POST", f"/_sandbox/qr/{qr['id']}/pay?mode=live", {"amount": 20_000})
    assert status == 200
    await sandbox.wait_idle()
    assert (sandbox.balances()[parent], live.balances()[parent]) == (500_00, 500_00 + 20_000 - 472)
    assert (len(sandbox.events), {event.event for event in live.events}) == (
        0,
        {"qr_code.created", "qr_code.credited", "payment.captured"},
    )
    assert {request.mode for request in sandbox.requests("POST", "/v1/*")} == {"live"}


async def test_an_idempotency_key_belongs_to_its_mode(
    sandbox: RazorpaySimulator, live: World, api: Any, live_api: Any, activated: Any
) -> None:
    body = {"account": await activated(), "amount": 500, "currency": "INR"}
    keyed = {"headers": {"X-Transfer-Idempotency": "txn_1"}}
    _, first = await api("POST", "/v1/transfers", body, **keyed)
    _, second = await live_api("POST", "/v1/transfers", body, **keyed)
    assert first["id"] != second["id"]
    assert (len(sandbox.state.transfers), len(live.state.transfers)) == (1, 1)


async def test_linked_accounts_are_both_modes(api: Any, live_api: Any, account_body: Any, activated: Any) -> None:
    account = await activated()
    assert (await live_api("GET", f"/v2/accounts/{account}"))[1]["id"] == account
    await live_api("PATCH", f"/v2/accounts/{account}", {"notes": {"seen": "live"}})
    assert (await api("GET", f"/v2/accounts/{account}"))[1]["notes"] == {"seen": "live"}


async def test_a_secret_opens_its_own_mode_only(sandbox: RazorpaySimulator, live: World, connect: Any) -> None:
    crossed = live.settings.model_copy(update={"key_secret": sandbox.settings.key_secret})
    status, answer = await connect(sandbox, crossed)("GET", "/v1/payments")
    assert (status, answer["error"]["description"]) == (401, "The api secret provided is invalid")


async def test_both_worlds_survive_a_restart(build: Any, connect: Any, account_body: Any, qr_body: Any, tmp_path: Path) -> None:
    file = tmp_path / "razorpay.json"
    first = await build(state_file=file, **KEYS)
    live_api = connect(first, first.world("live").settings)
    _, account = await live_api("POST", "/v2/accounts", account_body)
    _, qr = await live_api("POST", "/v1/payments/qr_codes", qr_body)
    await first.stop()
    second = await build(state_file=file, **KEYS)
    assert (await connect(second, second.world("live").settings)("GET", f"/v1/payments/qr_codes/{qr['id']}"))[0] == 200
    assert second.state.qr_codes == {}
    assert second.state.accounts[account["id"]] is second.world("live").state.accounts[account["id"]]


async def test_a_reset_is_of_both(sandbox: RazorpaySimulator, live: World, live_api: Any, qr_body: Any) -> None:
    await live_api("POST", "/v1/payments/qr_codes", qr_body)
    await sandbox.reset()
    assert live.state.qr_codes == {}
    assert live.balances() == {live.settings.account_id: 500_00}


@pytest.mark.parametrize("other", ["rzp_test_another", "sk_live_1"])
def test_two_keys_are_of_two_modes(other: str) -> None:
    with pytest.raises(ValidationError, match="two modes"):
        SandboxSettings(other_key_id=other)


async def test_a_mode_without_keys_is_not_there(build: Any, connect: Any) -> None:
    status, answer = await connect(await build())("GET", "/_sandbox/balances?mode=live")
    assert (status, answer["error"]) == (400, "this sandbox has no keys for the mode live")
