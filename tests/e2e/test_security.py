"""Who may do what, tried on every route of the OpenAPI documents through the real door, and on every service's own port.

The routes are read from the running services: a new one is tried without anybody's doing. What a franchisee or a rider owns is
read from the lists that they themselves are shown, so that a new kind of thing is tried as soon as it has a list.
"""

import re
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import asyncpg
import pytest

from chassis.web import Principal, PrincipalSigner, Role
from identity_simulator import FLAWS
from tests.e2e.accounts import accounted_for
from tests.e2e.doors import NOT_THERE, Operation, Said, all_of, operations, rows, say, token_of, web_of
from tests.e2e.world import Site, World

ROLES = [role.value for role in Role]
ID = re.compile(r'"([a-z]{3}_[1-9][0-9]{0,18})"')
SHARED = {"qpr", "trf", "txr"}
"""Kinds that belong to nobody in particular: a network-wide tariff, a profile of quirks."""


@pytest.fixture
async def unchanged(world: World) -> AsyncIterator[None]:
    """No row more or less in any table, and Razorpay was not asked."""
    admin = await asyncpg.connect(world.dsn)
    await world.rest()
    before = await rows(world, admin)
    assert before["payments.idempotency_keys"] >= 0
    yield
    await world.rest()
    after = await rows(world, admin)
    await admin.close()
    assert {name: count for name, count in after.items() if count != before[name]} == {}


def wrong(asked: list[Any], answers: list[Said], right: set[int]) -> list[str]:
    """Who was answered with another status."""
    return [
        f"{what}: {said.status} {said.text[:200]}" for what, said in zip(asked, answers, strict=True) if said.status not in right
    ]


@pytest.mark.usefixtures("unchanged")
async def test_who_is_not_in_a_routes_list_is_refused_before_anything_happens(world: World) -> None:
    guarded = [operation for operation in operations(world) if not operation.public]
    assert len(guarded) > 80
    tokens = {role: await token_of(world, role) for role in ROLES}
    asked = [(operation, role) for operation in guarded for role in ROLES if role not in operation.roles]
    assert {role for _, role in asked} >= {"franchisee", "rider", "guest"}
    answers = await all_of(partial(say, world, each, each.filled(), token=tokens[role]) for each, role in asked)
    assert wrong(asked, answers, {403}) == []
    assert [str(each) for each, said in zip(asked, answers, strict=True) if not said.by_role] == []


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("flaw", [None, "another application's", "no role", *FLAWS])
async def test_without_a_good_token_there_is_nothing(world: World, flaw: Any) -> None:
    token, right = None, 401
    if flaw == "another application's":
        token = world.identity.token("admin", client_id="somebody-elses-app")
    elif flaw == "no role":
        token, right = world.identity.token("admin", roles=[]), 403
    elif flaw is not None:
        token = world.identity.token("admin", flaw=flaw)
    guarded = [operation for operation in operations(world) if not operation.public]
    answers = await all_of(partial(say, world, each, each.filled(), token=token) for each in guarded)
    assert wrong(guarded, answers, {right}) == []


async def test_who_is_in_a_routes_list_is_not_refused_for_the_role(world: World) -> None:
    tokens = {role: await token_of(world, role, franchisee_id=f"frn_{NOT_THERE}", rider_id=f"rdr_{NOT_THERE}") for role in ROLES}
    asked = [(operation, role) for operation in operations(world) for role in ROLES if role in operation.roles]
    answers = await all_of(partial(say, world, each, each.filled(), token=tokens[role]) for each, role in asked)
    assert [f"{each[0]} as {each[1]}: {said}" for each, said in zip(asked, answers, strict=True) if said.by_role] == []
    assert wrong(asked, answers, {*range(200, 300), 400, 403, 404, 409, 415, 422, 503}) == []


@pytest.mark.usefixtures("unchanged")
async def test_a_services_own_port_takes_nobodys_word_for_who_he_is(world: World) -> None:
    """Its port is no door: without the real door's signature over this very call there is no caller."""
    somebody = Principal("user_admin", frozenset({Role.ADMIN}))
    forger = PrincipalSigner.generate()
    door = world.signer
    now = world.clock.now()
    asked, calls = [], []
    for operation in operations(world):
        if operation.public:
            continue
        asked_for, url = operation.filled(), web_of(world, operation.service).url
        path = asked_for.partition("?")[0]
        call = {"audience": operation.service, "method": operation.method, "path": path, "now": now}
        forged = {
            "unsigned": {},
            "not a token": {"X-Voltlync-Principal": "admin"},
            "signed by another": forger.headers(somebody, **call),
            "for another service": door.headers(somebody, **{**call, "audience": "another"}),
            "for another method": door.headers(somebody, **{**call, "method": "OPTIONS"}),
            "for another path": door.headers(somebody, **{**call, "path": f"{path}/other"}),
            "a door's of yesterday": door.headers(somebody, **{**call, "now": now.replace(year=now.year - 1)}),
        }
        for how, headers in forged.items():
            asked.append((str(operation), how))
            calls.append(partial(say, world, operation, asked_for, url=url, **headers))
        asked.append((str(operation), "signed, through the door, without a token"))
        calls.append(partial(say, world, operation, asked_for, **door.headers(somebody, **call)))
    assert wrong(asked, await all_of(calls), {401}) == []


# What is another's


async def shown_to(world: World, role: str, **claims: Any) -> dict[str, set[str]]:
    """Every id that somebody finds in the lists that are open to him: prefix → ids."""
    token = await token_of(world, role, **claims)
    lists = [operation for operation in operations(world) if operation.lists and role in operation.roles]
    answers = await all_of(partial(say, world, each, each.filled(), token=token) for each in lists)
    found: dict[str, set[str]] = {}
    for said in answers:
        for each in ID.findall(said.text):
            found.setdefault(each.partition("_")[0], set()).add(each)
    return found


async def tried_on(world: World, role: str, theirs: dict[str, set[str]], **claims: Any) -> list[str]:
    """Somebody tries what is another's on every route that takes such an id, in path or query; what he got that he should not."""
    token = await token_of(world, role, **claims)
    asked: list[tuple[Operation, str]] = []
    for operation in operations(world):
        if role not in operation.roles:
            continue
        prefixes = {parameter.prefix for parameter in operation.in_path} & set(theirs)
        if prefixes:
            asked += [(operation, operation.filled({p: each})) for p in prefixes if p for each in sorted(theirs[p])[:2]]
        for parameter in operation.parameters:
            if parameter.place == "query" and parameter.prefix in theirs and operation.method == "GET":
                asked += [
                    (operation, operation.filled(**{parameter.name: each})) for each in sorted(theirs[parameter.prefix])[:2]
                ]
    answers = await all_of(partial(say, world, each, path, token=token) for each, path in asked)
    got = []
    for (operation, path), said in zip(asked, answers, strict=True):
        others = {each for ids in theirs.values() for each in ids} & set(ID.findall(said.text))
        if said.status == 200 and not others and operation.method == "GET" and '"items":[]' in said.text:
            continue  # a list without anything in it
        if said.status not in (403, 404):
            got.append(f"{operation.method} {path} as {role}: {said.status} {said.text[:200]}")
    return got


async def test_no_body_of_a_franchisees_riders_or_guests_names_what_could_be_anothers(world: World) -> None:
    """Whose it is says their token. A route that takes an id in its body has to be tried with another's, and named here."""
    theirs = {"franchisee", "rider", "guest", "public"}
    named = {(str(each), name) for each in operations(world) if each.roles & theirs for name in each.ids_in_body}
    staff = {name for each in operations(world) if not each.roles & theirs for name in each.ids_in_body}
    assert staff >= {"station_id", "franchisee_id"}, "ids in bodies are found"
    # The charger and connector to start at: anybody may, at any that is free.
    assert named == {("POST /v1/wallets/me/sessions", name) for name in ("charge_point_id", "connector_id")}


async def _served(world: World) -> tuple[Site, dict[str, Any]]:
    """A franchisee's site after a session that was paid, billed, transferred and settled."""
    site = await world.open_site(rated_power_w=60_000)
    await site.point.plug()
    paid = world.pay(site, 10_000, vpa=f"{site.point.id.lower()}@okaxis")
    await world.rest()
    await world.pass_seconds(111)
    await site.point.unplug()
    return site, await accounted_for(world, site, paid)


async def test_nobody_sees_or_touches_what_is_another_franchisees_or_riders(world: World) -> None:
    (one, paid_one), (other, paid_other) = await _served(world), await _served(world)
    assert one.franchisee is not None
    assert other.franchisee is not None
    claims = [{"franchisee_id": site.franchisee["id"]} for site in (one, other) if site.franchisee]
    mine, theirs = [await shown_to(world, "franchisee", **each) for each in claims]
    common = {prefix: mine[prefix] & theirs.get(prefix, set()) for prefix in mine}
    assert {prefix: ids for prefix, ids in common.items() if ids and prefix not in SHARED} == {}, "both are shown the same"
    own = {prefix: ids - common.get(prefix, set()) for prefix, ids in theirs.items()}
    own = {prefix: ids for prefix, ids in own.items() if ids}
    assert {"frn", "led", "xfr", "txn", "stn", "chg"} <= set(own), own
    assert await tried_on(world, "franchisee", own, **claims[0]) == []
    for role in ("rider", "guest"):
        riders = [{"rider_id": payment["rider_id"]} for payment in (paid_one, paid_other)]
        assert riders[0] != riders[1]
        mine, theirs = [await shown_to(world, role, **each) for each in riders]
        own = {"rdr": {riders[1]["rider_id"]}, "qrp": {paid_other["id"]}, "txn": {paid_other["transaction_id"]}}
        for prefix, ids in theirs.items():
            own[prefix] = own.get(prefix, set()) | (ids - mine.get(prefix, set()))
        assert await tried_on(world, role, {prefix: ids for prefix, ids in own.items() if ids}, **riders[0]) == []
