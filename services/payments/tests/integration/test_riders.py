"""Riders register with an account, and whoever they paid as before is merged into them, in any order and at once."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from chassis.database import Database
from chassis.web import Role
from chassis.web.principal import Principal, Provider
from payments.domain import rider
from payments.repository import riders
from payments.tables import qr_payments
from razorpay_simulator import QrPayment

from .conftest import World

PHONE = "+919000090000"


def account(subject: str = "user_a", phone: str | None = PHONE) -> Principal:
    """Somebody signed in at the identity provider."""
    return Principal(subject, frozenset({Role.RIDER}), phone=phone)


async def register(world: World, caller: Principal, **kwargs: Any) -> dict[str, Any]:
    registered: dict[str, Any] = await world.call("POST", "/v1/riders/me", caller=caller, **kwargs)
    return registered


async def payer_of(world: World, razorpay_id: str) -> str:
    return str((await world.payment(razorpay_id))["rider_id"])


async def test_a_fresh_account_becomes_a_rider_at_first_use_and_once(world: World) -> None:
    assert (await world.call("GET", "/v1/riders/me", caller=account(), status=409))["detail"].startswith("Register first")
    at_once = await asyncio.gather(*(register(world, account()) for _ in range(3)))
    me = await world.call("GET", "/v1/riders/me", caller=account())
    assert at_once == [me] * 3
    assert (me["kind"], me["phone"], me["merged_into_id"]) == ("REGISTERED", "******0000", None)
    assert await world.admin.fetchval("SELECT count(*) FROM riders") == 1
    wallet = await world.call("GET", "/v1/wallets/me", caller=account())
    assert (wallet["rider_id"], wallet["balance_paise"], wallet["available_paise"]) == (me["id"], 0, 0)
    # Two accounts are two riders; one without a verified phone is one all the same.
    other = await register(world, account("user_b", None))
    assert (other["kind"], other["phone"]) == ("REGISTERED", None)
    assert other["id"] != me["id"]


async def test_who_paid_with_the_verified_phone_is_merged_and_so_is_who_paid_from_its_address(world: World) -> None:
    qr = await world.qr_code()
    # From one address without a phone: a guest. Then by phone from the same address: another rider, by the phone.
    by_vpa = await world.pay(qr, 1_000, vpa="asha@okaxis")
    by_both = await world.pay(qr, 1_100, vpa="asha@okaxis", contact="9000090000")
    stranger = await world.pay(qr, 1_200, vpa="ravi@okaxis")
    guest, by_phone = await payer_of(world, by_vpa), await payer_of(world, by_both)
    # That the phone came with a known address told whose it is: one rider, a guest with a phone.
    assert guest == by_phone
    me = await register(world, account())
    assert {await payer_of(world, paid) for paid in (by_vpa, by_both)} == {me["id"]}
    assert await payer_of(world, stranger) not in (me["id"], guest)
    assert me["vpas"] == ["as***@okaxis"]
    # The old row stays and points; look-ups by it follow.
    old = await world.call("GET", f"/v1/riders/{guest}")
    assert (old["merged_into_id"], old["phone"], old["vpas"]) == (me["id"], None, [])
    found = await world.call("GET", f"/v1/payments?rider_id={guest}")
    assert [item["razorpay_payment_id"] for item in found["items"]] == [by_both, by_vpa]
    mine = await world.call("GET", "/v1/riders/me/payments", caller=account())
    assert mine["items"] == found["items"]
    # And whatever is paid from the address, or with the phone, is this rider's from now on.
    later = await world.pay(qr, 1_300, vpa="asha@okaxis")
    assert await payer_of(world, later) == me["id"]
    assert await register(world, account()) == me


async def test_an_address_that_a_payment_by_phone_came_from_brings_its_guest_along(world: World) -> None:
    qr = await world.qr_code()
    with_phone = await world.pay(qr, 1_000, vpa="asha@ybl", contact=PHONE)
    lone = await world.pay(qr, 1_000, vpa="asha@okaxis")
    # Paid with both: the phone tells who, and the address stays its guest's.
    both = await world.pay(qr, 1_000, vpa="asha@okaxis", contact=PHONE)
    assert await payer_of(world, both) == await payer_of(world, with_phone) != await payer_of(world, lone)
    me = await register(world, account())
    assert {await payer_of(world, paid) for paid in (with_phone, lone, both)} == {me["id"]}
    assert len(await world.admin.fetch("SELECT 1 FROM riders WHERE merged_into_id IS NOT NULL")) == 2


async def test_no_registered_rider_is_merged_and_no_phone_is_taken_from_one(world: World) -> None:
    first = await register(world, account("user_a"))
    second = await register(world, account("user_b"))
    assert (first["phone"], second["phone"]) == ("******0000", None)
    assert world.metric("rider_phone_conflicts_total") == 1
    # A phone of a payment is no verified one: a registered rider without a phone does not get it so.
    qr = await world.qr_code()
    await world.admin.execute("INSERT INTO rider_vpas VALUES ('b@okaxis', $1, now())", int(second["id"][4:]))
    await world.pay(qr, 1_000, vpa="b@okaxis", contact="+919111111111")
    assert (await world.call("GET", "/v1/riders/me", caller=account("user_b", None)))["phone"] is None


async def test_a_phone_that_changed_at_the_provider_follows(world: World) -> None:
    qr = await world.qr_code()
    paid = await world.pay(qr, 1_000, vpa="asha@okaxis", contact="+919111111111")
    me = await register(world, account())
    assert await payer_of(world, paid) != me["id"]
    moved = await register(world, account(phone="+91 91111 11111"))
    assert (moved["id"], moved["phone"]) == (me["id"], "******1111")
    assert await payer_of(world, paid) == me["id"]


async def test_payments_and_registrations_at_once_end_at_one_rider(world: World) -> None:
    qrs = [await world.qr_code(f"CP-{number}") for number in range(4)]

    def pay(number: int) -> str:
        how = QrPayment(amount=1_000 + number, vpa=f"asha{number % 3}@okaxis", contact=PHONE)
        return str(world.razorpay.pay(qrs[number % 4]["razorpay_qr_code_id"], how)["payment"]["id"])

    paid = [pay(number) for number in range(8)]  # their webhooks are on their way while the riders register
    registered = await asyncio.gather(*(register(world, account()) for _ in range(3)))
    await world.quiet()
    assert len({me["id"] for me in registered}) == 1
    await register(world, account())
    assert {await payer_of(world, razorpay_id) for razorpay_id in paid} == {registered[0]["id"]}


@pytest.mark.parametrize("path", ["/v1/riders/me", "/v1/wallets/me", "/v1/wallets/me/sessions"])
async def test_staff_have_no_me(world: World, path: str) -> None:
    await world.call("GET", path, role=Role.OPERATOR, status=403)


async def test_a_guests_credential_is_no_account(world: World) -> None:
    guest = Principal("upi_guest|rdr_1", frozenset({Role.RIDER}), rider_id=1, provider=Provider.UPI_GUEST)
    await register(world, guest, status=409)


TOKENS = "/v1/public/riders/guest-tokens"


async def proof_of(world: World, razorpay_id: str, vpa: str) -> dict[str, str]:
    return {"vpa": vpa, "reference_ends": (await world.payment(razorpay_id))["rrn"][-6:]}


def wrong(proof: dict[str, str]) -> dict[str, str]:
    return {**proof, "reference_ends": f"{(int(proof['reference_ends']) + 1) % 1_000_000:06d}"}


async def test_a_guest_is_let_in_by_a_payment_and_sees_its_own_alone(world: World) -> None:
    qr = await world.qr_code()
    paid = await world.pay(qr, 1_000, vpa="Asha@okaxis")
    await world.pay(qr, 1_000, vpa="ravi@okaxis")
    proof = await proof_of(world, paid, " asha@OKAXIS ")
    for bad in (wrong(proof), {**proof, "vpa": "ravi@okaxis"}, {**proof, "vpa": "nobody@okaxis"}):
        await world.call("POST", TOKENS, json=bad, status=404)
    given = await world.call("POST", TOKENS, json=proof, status=201)
    number = int(given["rider_id"].removeprefix("rdr_"))
    guest = Principal("upi_guest", frozenset({Role.GUEST}), rider_id=number, provider=Provider.UPI_GUEST)
    seen = await world.call("GET", "/v1/riders/me/payments", caller=guest)
    assert [item["razorpay_payment_id"] for item in seen["items"]] == [paid]
    for path in ("/v1/wallets/me", "/v1/wallets/me/entries", "/v1/payments"):
        await world.call("GET", path, caller=guest, status=403)
    # The payment's owner registers: the guest's credential, which proved one payment, ends, and a new one is not given.
    me = await register(world, account(phone=None))
    claimed = await world.call("POST", "/v1/riders/me/claims", caller=account(phone=None), json=proof)
    assert (claimed["id"], claimed["vpas"]) == (me["id"], ["as***@okaxis"])
    for path in ("", "/payments", "/invoices", "/credit-notes"):
        problem = await world.call("GET", f"/v1/riders/me{path}", caller=guest, status=409)
        assert problem["detail"] == "This UPI address belongs to an account: sign in with it."
    await world.call("POST", TOKENS, json=proof, status=409)
    # Claimed again it is the same; by somebody else it is not had.
    assert await world.call("POST", "/v1/riders/me/claims", caller=account(phone=None), json=proof) == claimed
    await register(world, account("user_b", None))
    await world.call("POST", "/v1/riders/me/claims", caller=account("user_b", None), json=proof, status=409)


async def test_two_who_claim_at_once_are_not_both_given(world: World) -> None:
    proof = await proof_of(world, await world.pay(await world.qr_code(), 1_000, vpa="asha@okaxis"), "asha@okaxis")
    callers = [account("user_a", None), account("user_b", None)]
    for caller in callers:
        await register(world, caller)

    async def claim(caller: Principal) -> int:
        path = "/v1/riders/me/claims"
        headers = world.headers("POST", path, caller=caller)
        async with world.http.post(f"{world.url}{path}", json=proof, headers=headers) as answer:
            return answer.status

    assert sorted(await asyncio.gather(*(claim(caller) for caller in callers))) == [200, 409]
    assert await world.admin.fetchval("SELECT count(*) FROM riders WHERE merged_into_id IS NOT NULL") == 1


async def test_who_guesses_a_reference_is_stopped_for_an_hour(world: World) -> None:
    proof = await proof_of(world, await world.pay(await world.qr_code(), 1_000, vpa="asha@okaxis"), "asha@okaxis")
    for _ in range(5):
        await world.call("POST", TOKENS, json=wrong(proof), status=404)
    await world.call("POST", TOKENS, json=proof, status=429)
    assert world.metric("proof_refused_total") == 1
    await world.jump(3_601)
    await world.call("POST", TOKENS, json=proof, status=201)
    # An old payment proves nothing any more.
    await world.jump(180 * 86_400)
    await world.call("POST", TOKENS, json=proof, status=404)


async def test_a_registration_waits_for_a_payment_whose_rider_is_being_resolved(world: World) -> None:
    paid = await world.pay(await world.qr_code(), 1_000, vpa="asha@okaxis")
    database = next(part for part in world.service._parts if isinstance(part, Database))
    async with database.transaction() as uow:
        # A payment is being recorded: its rider is known, its row is not there yet.
        payer = rider.identity(contact=PHONE, vpa="asha@okaxis")
        await riders.take_turns(uow.connection, [payer])
        guest, _ = await riders.resolve(uow.connection, payer, now=uow.now)
        registering = asyncio.create_task(register(world, account()))
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while not registering.done() and not await world.admin.fetchval(waits):
            await asyncio.sleep(0.01)
        assert not registering.done()
        await uow.connection.execute(update(qr_payments).where(qr_payments.c.razorpay_payment_id == paid).values(rider_id=guest))
    me = await registering
    assert await payer_of(world, paid) == me["id"]
    assert (await world.call("GET", f"/v1/riders/rdr_{guest}"))["merged_into_id"] == me["id"]
