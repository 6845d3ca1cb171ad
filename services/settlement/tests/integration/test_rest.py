"""Who sees what, and what bad input is told."""

from typing import Any

from chassis.web import Role
from contracts.settlement import AuditRecorded

from .conftest import FRANCHISEE, World


async def test_a_franchisee_sees_its_own_data_only(world: World) -> None:
    mine, theirs = await world.franchisee(1), await world.franchisee(2)
    bills = [world.bill(mine), world.bill(theirs)]
    for bill in bills:
        await world.publish(bill)
    await world.settle()
    settlements = [world.sandbox.settle(await world.account_of(number))[0] for number in (mine, theirs)]
    world.sandbox.settle_own()
    await world.settle()

    async def see(path: str, **options: Any) -> Any:
        return await world.call("GET", path, role=Role.FRANCHISEE, franchisee_id=mine, **options)

    for noun in ("franchisees", "ledger-entries", "transfers", "settlements"):
        assert len((await see(f"/v1/{noun}"))["items"]) == 1, noun
        assert len((await world.call("GET", f"/v1/{noun}"))["items"]) >= 2, noun
    for noun in ("ledger-entries", "transfers", "settlements"):
        filtered = await see(f"/v1/{noun}?franchisee_id=frn_{theirs}")
        assert filtered["items"] == [], noun
    entries = [await world.entry(bill) for bill in bills]
    own = [f"/v1/franchisees/frn_{mine}", f"/v1/franchisees/frn_{mine}/terms", f"/v1/ledger-entries/{entries[0]['id']}"]
    own += [f"/v1/transfers/{entries[0]['transfer_id']}", f"/v1/settlements/{settlements[0]['id']}"]
    for path in own:
        await see(path)
    others = [f"/v1/franchisees/frn_{theirs}", f"/v1/franchisees/frn_{theirs}/terms", f"/v1/ledger-entries/{entries[1]['id']}"]
    others += [f"/v1/transfers/{entries[1]['transfer_id']}", f"/v1/settlements/{settlements[1]['id']}"]
    for path in others:
        await see(path, status=404)
    # Somebody with the role and no franchisee of their own sees nothing at all.
    assert (await world.call("GET", "/v1/ledger-entries", role=Role.FRANCHISEE))["items"] == []


async def test_roles_are_kept_apart(world: World) -> None:
    closed = [
        (Role.FRANCHISEE, "PATCH", "/v1/franchisees/frn_1"),
        (Role.FRANCHISEE, "POST", "/v1/franchisees"),
        (Role.OPERATOR, "POST", "/v1/franchisees"),
        (Role.FRANCHISEE, "POST", "/v1/franchisees/frn_1/terms"),
        (Role.FRANCHISEE, "POST", "/v1/ledger-entries/led_1/release"),
        (Role.FRANCHISEE, "POST", "/v1/ledger-entries/led_1/retry"),
        (Role.OPERATOR, "POST", "/v1/franchisees/frn_1/terms"),
        (Role.OPERATOR, "POST", "/v1/ledger-entries/led_1/release"),
        (Role.RIDER, "GET", "/v1/franchisees"),
        (Role.RIDER, "GET", "/v1/ledger-entries"),
        (Role.RIDER, "GET", "/v1/transfers"),
        (Role.RIDER, "GET", "/v1/settlements"),
    ]
    for role, method, path in closed:
        await world.call(method, path, role=role, franchisee_id=1, json={}, status=403)


async def test_where_a_franchisees_money_goes_is_changed_by_few_and_told_by_the_accounts_end(world: World) -> None:
    franchisee_id = await world.franchisee()
    path, other = f"/v1/franchisees/frn_{franchisee_id}", {**FRANCHISEE["bank"], "account_number": "50100099990042"}
    problem = await world.call("PATCH", path, json={"bank": other}, role=Role.OPERATOR, status=403)
    assert problem["detail"] == "This needs one of these roles: admin, finance."
    assert (await world.call("GET", path))["bank"]["account_number_ends"] == FRANCHISEE["bank"]["account_number"][-4:]
    held = await world.call("PATCH", path, json={"operator_hold": True, "operator_reason": "Papers."}, role=Role.OPERATOR)
    assert held["operator_hold"]
    await world.call("PATCH", path, json={"bank": other}, role=Role.FINANCE)
    await world.settle()
    told = [record for record in await world.said(AuditRecorded) if record.action == "change"][-1]
    ends = FRANCHISEE["bank"]["account_number"][-4:]
    assert (told.before["bank_account_ends"], told.after["bank_account_ends"]) == (ends, "0042")
    assert "50100099990042" not in told.model_dump_json()


async def test_a_wrong_field_is_named_and_nothing_is_kept(world: World) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"email": "nobody"}, "#/body/email"),
        ({"commission_bps": 10_001}, "#/body/commission_bps"),
        ({"commission_bps": "1000"}, "#/body/commission_bps"),
        ({"pan": "12"}, "#/body/pan"),
        ({"address": {**FRANCHISEE["address"], "postal_code": "1"}}, "#/body/address/postal_code"),
        ({"bank": {**FRANCHISEE["bank"], "ifsc_code": "x"}}, "#/body/bank/ifsc_code"),
        ({"colour": "red"}, "#/body/colour"),
    ]
    for change, pointer in wrong:
        problem = await world.call("POST", "/v1/franchisees", json={**FRANCHISEE, **change}, status=422)
        assert pointer in [error["pointer"] for error in problem["errors"]], change
    assert await world.rows("SELECT id FROM franchisees") == []


async def test_what_does_not_exist_is_404(world: World) -> None:
    for path in ("franchisees/frn_9", "ledger-entries/led_9", "transfers/xfr_9", "settlements/setl_9"):
        await world.call("GET", f"/v1/{path}", status=404)


async def test_an_address_is_taken_once_and_a_repeated_request_once(world: World) -> None:
    key = {"Idempotency-Key": "create-acme-1"}
    first = await world.call("POST", "/v1/franchisees", json=FRANCHISEE, headers=dict(key), status=201)
    again = await world.call("POST", "/v1/franchisees", json=FRANCHISEE, headers=dict(key), status=201)
    assert first == again
    await world.call("POST", "/v1/franchisees", json={**FRANCHISEE, "email": "FR1@acme.example"}, status=409)
    await world.settle()
    assert len(world.sandbox.state.accounts) == 1


async def test_lists_go_in_pages_and_filter(world: World) -> None:
    franchisee_id = await world.franchisee()
    bills = [world.bill(franchisee_id) for _ in range(5)]
    for bill in bills:
        await world.publish(bill)
    await world.settle()
    seen: list[str] = []
    cursor = ""
    while True:
        page = await world.call("GET", f"/v1/ledger-entries?limit=2{cursor}")
        seen += [item["transaction_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [f"txn_{bill.transaction_id}" for bill in reversed(bills)]
    assert len((await world.call("GET", "/v1/transfers?status=PROCESSED"))["items"]) == 5
    assert (await world.call("GET", "/v1/transfers?status=FAILED"))["items"] == []
    await world.call("GET", "/v1/transfers?status=LOST", status=422)
