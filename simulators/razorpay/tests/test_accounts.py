"""Linked accounts: the form, the stakeholder, the product, and what the events say."""

from typing import Any

import pytest

from razorpay_simulator import RazorpaySimulator
from testkit.clock import SteppingClock

ACCOUNTS = "/v2/accounts"


def changed(body: Any, path: str, value: Any) -> Any:
    """The body with one nested field set, or removed for None."""
    *parents, last = path.split(".")
    target = body
    for name in parents:
        target = target[name]
    if value is None:
        target.pop(last)
    else:
        target[last] = value
    return body


async def test_a_new_account_has_no_kyc_state(api: Any, account_body: Any) -> None:
    status, account = await api("POST", ACCOUNTS, account_body)
    assert status == 200
    assert account | {"id": "", "created_at": 0} == account_body | {
        "id": "",
        "created_at": 0,
        "status": "created",
        "customer_facing_business_name": "Acme Volts",
        "notes": [],
    }


@pytest.mark.parametrize(
    ("path", "value", "description"),
    [
        ("business_type", "xyz", "Invalid business type: xyz"),
        ("type", "marketplace", "Invalid type: marketplace"),
        ("email", None, "The email field is required."),
        ("email", "nobody", "The email must be a valid email address."),
        ("phone", "123", "The phone must be between 8 and 15 characters."),
        ("legal_business_name", "Acm", "The legal business name must be at least 4 characters."),
        ("contact_name", "see www.x.example", "Please enter a valid name. Links, emails and HTML tags are not allowed."),
        ("profile.subcategory", "electric_vehicle_charging", "Invalid business subcategory for business category: utilities"),
        ("profile.subcategory", "Electricity", "Invalid business subcategory for business category: utilities"),
        ("profile.category", "energy", "Invalid business category: energy"),
        ("profile.addresses.registered.street2", None, "The street2 field is required."),
        ("profile.addresses.registered.postal_code", "5600", "The postal code must be 6 characters."),
        (
            "profile.addresses.registered.state",
            "BAVARIA",
            "State name entered is incorrect. Please provide correct state name.",
        ),
        ("legal_info.pan", "AAAPL1234C", "The pan format is invalid."),
        ("legal_info.gst", "9", "The gst format is invalid."),
        ("reference_id", "franchisee 7", "The code format is invalid."),
        ("reference_id", "f7", "The code must be at least 3 characters."),
        ("reference_id", "franchisee_" + "7" * 10, "The code may not be greater than 20 characters."),
        ("notes", "x", "Notes validation failed."),
    ],
)
async def test_refusals(api: Any, account_body: Any, path: str, value: Any, description: str) -> None:
    status, answer = await api("POST", ACCOUNTS, changed(account_body, path, value))
    assert (status, answer["error"]["description"]) == (400, description)


async def test_email_and_reference_are_unique(api: Any, account_body: Any) -> None:
    _, account = await api("POST", ACCOUNTS, account_body)
    _, answer = await api("POST", ACCOUNTS, account_body)
    assert answer["error"]["description"] == f"Merchant email already exists for account - {account['id'][4:]}"
    _, answer = await api("POST", ACCOUNTS, account_body | {"email": "other@x.example"})
    assert answer["error"]["description"] == "The code has already been taken."


async def test_an_emoji_is_a_server_error(api: Any, account_body: Any) -> None:
    status, answer = await api("POST", ACCOUNTS, account_body | {"contact_name": "Asha \N{HIGH VOLTAGE SIGN}\N{ROCKET}"})
    assert (status, answer["error"]["code"]) == (500, "SERVER_ERROR")


async def test_unknown_accounts(api: Any) -> None:
    status, answer = await api("GET", f"{ACCOUNTS}/acc_AAAAAAAAAAAAAA")
    assert (status, answer["error"]["reason"]) == (400, "linked_account_id_does_not_exist")


async def test_the_way_to_activation(
    build: Any, connect: Any, receiver: Any, clock: SteppingClock, account_body: Any, bank: Any
) -> None:
    sandbox = await build(activation_seconds=3600)
    api = connect(sandbox)
    body = changed(account_body, "legal_info.gst", None)
    _, account = await api("POST", ACCOUNTS, body)
    path = f"{ACCOUNTS}/{account['id']}"
    _, product = await api("POST", f"{path}/products", {"product_name": "route", "tnc_accepted": True})
    missing = [requirement["field_reference"] for requirement in product["requirements"]]
    assert missing == ["settlements.account_number", "settlements.ifsc_code", "settlements.beneficiary_name", "legal_info.gst"]

    products = f"{path}/products/{product['id']}"
    for settlements, text in [
        (bank | {"account_type": "savings"}, "account_type is/are not required and should not be sent"),
        (bank | {"ifsc_code": "HDFC"}, "Invalid IFSC Code."),
        (bank | {"account_number": "12"}, "The account number must be between 5 and 20 characters."),
    ]:
        assert (await api("PATCH", products, {"settlements": settlements}))[1]["error"]["description"] == text
    _, product = await api("PATCH", products, {"settlements": bank})
    assert [r["field_reference"] for r in product["requirements"]] == ["legal_info.gst"]
    await api("PATCH", path, {"legal_info": {"gst": "29AABCU9603R1ZM"}})
    assert (await api("GET", products))[1]["activation_status"] == "under_review"
    locked = "Merchant activation form has been locked for editing by admin"
    assert (await api("PATCH", path, {"contact_name": "Asha R"}))[1]["error"]["description"] == locked
    assert (await api("PATCH", path, {"notes": {"a": "b"}}))[0] == 200

    await clock.advance(3600)
    assert (await api("GET", products))[1]["activation_status"] == "activated"
    assert sorted(receiver.events) == [
        "account.activated",
        "account.under_review",
        "product.route.activated",
        "product.route.under_review",
    ]
    (event,) = receiver.of("product.route.activated")
    assert event.json["account_id"] == account["id"]
    assert event.json["payload"]["merchant_product"]["data"] == []


async def test_a_decision_stops_the_activation_timer(
    build: Any, connect: Any, clock: SteppingClock, account_body: Any, bank: Any
) -> None:
    sandbox = await build(activation_seconds=3600)
    api = connect(sandbox)
    _, account = await api("POST", ACCOUNTS, account_body)
    path = f"{ACCOUNTS}/{account['id']}/products"
    _, product = await api("POST", path, {"product_name": "route"})
    await api("PATCH", f"{path}/{product['id']}", {"settlements": bank})
    question = {"field_reference": "settlements.ifsc_code", "description": "Not known."}
    sandbox.move_kyc(account["id"], "needs_clarification", [question])
    await clock.advance(7200)
    assert (await api("GET", f"{path}/{product['id']}"))[1]["activation_status"] == "needs_clarification"
    await api("PATCH", f"{path}/{product['id']}", {"settlements": bank | {"ifsc_code": "HDFC0000318"}})
    await clock.advance(3600)
    assert (await api("GET", f"{path}/{product['id']}"))[1]["activation_status"] == "activated"


async def test_a_rejected_account_is_not_activated_by_the_timer(
    build: Any, connect: Any, clock: SteppingClock, account_body: Any, bank: Any, receiver: Any
) -> None:
    sandbox = await build(activation_seconds=3600)
    api = connect(sandbox)
    _, account = await api("POST", ACCOUNTS, account_body)
    path = f"{ACCOUNTS}/{account['id']}/products"
    _, product = await api("POST", path, {"product_name": "route"})
    await api("PATCH", f"{path}/{product['id']}", {"settlements": bank})
    sandbox.move_kyc(account["id"], "rejected")
    await clock.advance(7200)
    assert receiver.of("account.activated") == []


async def test_an_individual_needs_the_owners_pan(api: Any, account_body: Any, bank: Any) -> None:
    body = {name: value for name, value in account_body.items() if name != "legal_info"} | {"business_type": "individual"}
    _, account = await api("POST", ACCOUNTS, body)
    path = f"{ACCOUNTS}/{account['id']}"
    _, product = await api("POST", f"{path}/products", {"product_name": "route"})
    _, product = await api("PATCH", f"{path}/products/{product['id']}", {"settlements": bank})
    assert [r["field_reference"] for r in product["requirements"]] == ["individual.kyc.pan"]
    holder = {"name": "Asha Rao", "email": "asha@x.example", "kyc": {"pan": "AAACL1234C"}}
    assert (await api("POST", f"{path}/stakeholders", holder))[1]["error"]["description"] == "The pan format is invalid."
    _, made = await api("POST", f"{path}/stakeholders", holder | {"kyc": {"pan": "AVOPB1111K"}})
    assert (await api("GET", f"{path}/products/{product['id']}"))[1]["activation_status"] == "under_review"
    _, answer = await api("POST", f"{path}/stakeholders", holder)
    assert answer["error"]["description"] == "Stakeholders cannot be more than one for Route product."
    _, edited = await api("PATCH", f"{path}/stakeholders/{made['id']}", {"percentage_ownership": 50})
    assert edited["percentage_ownership"] == 50


@pytest.mark.parametrize(
    ("state", "activation", "activated", "live", "hold_funds"),
    [
        ("instantly_activated", "instantly_activated", True, True, True),
        ("payments_enabled", "instantly_activated", True, True, False),
        ("under_review", "under_review", True, True, True),
        ("needs_clarification", "needs_clarification", True, True, True),
        ("activated_kyc_pending", "activated_kyc_pending", True, True, False),
        ("activated", "activated", True, True, False),
        ("rejected", "rejected", True, True, True),
        ("suspended", None, False, False, True),
    ],
)
async def test_account_events_carry_the_documented_flags(
    api: Any,
    sandbox: RazorpaySimulator,
    receiver: Any,
    account_body: Any,
    state: str,
    activation: str | None,
    activated: bool,
    live: bool,
    hold_funds: bool,
) -> None:
    _, account = await api("POST", ACCOUNTS, account_body)
    await api("POST", f"/_sandbox/accounts/{account['id']}/kyc", {"state": state})
    await sandbox.wait_idle()
    (post,) = receiver.of(f"account.{state}")
    entity = post.json["payload"]["account"]["entity"]
    assert post.json["account_id"] == account["id"]
    assert entity["id"] == account["id"].removeprefix("acc_")
    assert entity["merchant_detail"]["activation_status"] == activation
    assert (entity["activated"], entity["live"], entity["hold_funds"]) == (activated, live, hold_funds)


async def test_a_hold_leaves_the_activation(api: Any, sandbox: RazorpaySimulator, activated: Any, receiver: Any) -> None:
    account = await activated()
    for state, held in [("funds_hold", True), ("funds_unhold", False)]:
        _, answer = await api("POST", f"/_sandbox/accounts/{account}/kyc", {"state": state})
        assert (answer["activation"], answer["hold_funds"]) == ("activated", held)


async def test_a_reviewer_may_ask(api: Any, sandbox: RazorpaySimulator, activated: Any, receiver: Any) -> None:
    account = await activated()
    question = {"field_reference": "settlements.ifsc_code", "description": "Max retry exceeded for bank account details."}
    await api("POST", f"/_sandbox/accounts/{account}/kyc", {"state": "needs_clarification", "clarifications": [question]})
    await sandbox.wait_idle()
    (post,) = receiver.of("product.route.needs_clarification")
    (requirement,) = post.json["payload"]["merchant_product"]["data"]["requirements"]
    assert requirement | question == requirement
    assert requirement["reason_code"] == "needs_clarification"


@pytest.mark.parametrize(("family", "prefixes"), [("account", {"account"}), ("product", {"product"})])
async def test_one_family_of_events_may_be_chosen(
    build: Any, connect: Any, receiver: Any, account_body: Any, family: str, prefixes: set[str]
) -> None:
    sandbox = await build(kyc_events=family)
    api = connect(sandbox)
    _, account = await api("POST", ACCOUNTS, account_body)
    await api("POST", f"{ACCOUNTS}/{account['id']}/products", {"product_name": "route"})
    sandbox.move_kyc(account["id"], "activated")
    await sandbox.wait_idle()
    assert {event.partition(".")[0] for event in receiver.events} == prefixes


async def test_a_deleted_account_is_suspended(api: Any, activated: Any) -> None:
    account = await activated()
    _, gone = await api("DELETE", f"{ACCOUNTS}/{account}")
    assert gone["status"] == "suspended"
    assert gone["suspended_at"] > 0
