"""Who is let in, and what the issuer is asked for it."""

import asyncio

import jwt
import pytest

from api_gateway.jwks import FORCED_FETCHES, FORCED_REFILL_SECONDS, RETRY_SECONDS, UNKNOWN_KID_SECONDS
from identity_simulator import FLAWS
from identity_simulator.keys import SigningKey

from .conftest import DoorClient, World

pytestmark = pytest.mark.servers

STATIONS = "/v1/stations"


async def test_a_good_token_becomes_a_principal_of_the_service_behind(world: World, door: DoorClient) -> None:
    status, seen, _ = await door.call("GET", STATIONS, role="finance")
    assert (status, seen["subject"], seen["roles"]) == (200, "user_finance", ["finance"])
    status, seen, _ = await door.call("GET", STATIONS, role="franchisee")
    assert (status, seen["roles"], seen["franchisee_id"]) == (200, ["franchisee"], 1)
    assert world.identity.jwks_requests == 1


@pytest.mark.parametrize("flaw", FLAWS)
async def test_a_bad_token_is_answered_401(world: World, door: DoorClient, flaw: str) -> None:
    status, problem, headers = await door.call("GET", STATIONS, token=world.identity.token("admin", flaw=flaw))  # type: ignore[arg-type]
    assert (status, problem["type"], headers["WWW-Authenticate"]) == (401, "urn:voltlync:problem:unauthenticated", "Bearer")
    # And the door still knows whom it knew.
    assert (await door.call("GET", STATIONS, role="admin"))[0] == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer a.b",
        "Bearer a.b.c",
        "Bearer é",
        "Bearer " + "x" * 8001,
        "Bearer e30.e30.e30",
    ],
)
async def test_what_is_no_token_is_answered_401(door: DoorClient, authorization: str) -> None:
    status, problem, _ = await door.call("GET", STATIONS, headers={"Authorization": authorization})
    assert (status, problem["status"]) in ((401, 401), (400, 400))
    assert (await door.call("GET", STATIONS))[0] == 401


async def test_expiry_allows_for_the_clocks_difference_and_no_more(world: World) -> None:
    door = await world.door(oidc_leeway_seconds=5)
    token = world.identity.token("admin", lifetime_seconds=60)
    await world.clock.advance(64)
    assert (await door.call("GET", STATIONS, token=token))[0] == 200
    await world.clock.advance(1)
    status, problem, _ = await door.call("GET", STATIONS, token=token)
    assert (status, problem["detail"]) == (401, "The token has expired.")
    assert door.metric("rejected_tokens_total", reason="expired") == 1


async def test_a_rotated_key_is_found_at_once(world: World, door: DoorClient) -> None:
    old = world.identity.token("admin")
    assert (await door.call("GET", STATIONS, token=old))[0] == 200
    world.identity.rotate()
    assert (await door.call("GET", STATIONS, role="admin"))[0] == 200
    assert (await door.call("GET", STATIONS, token=old))[0] == 200
    assert world.identity.jwks_requests == 2


async def test_a_withdrawn_key_is_forgotten_with_the_next_refresh(world: World, door: DoorClient) -> None:
    old = world.identity.token("admin")
    assert (await door.call("GET", STATIONS, token=old))[0] == 200
    world.identity.rotate(keep_old=False)
    await world.clock.advance(301)
    await door.call("GET", STATIONS, role="admin")
    await door.service.work.idle()
    assert (await door.call("GET", STATIONS, token=old))[0] == 401


async def test_a_flood_of_one_unknown_key_is_one_fetch(world: World, door: DoorClient) -> None:
    await door.call("GET", STATIONS, role="admin")
    token = world.identity.token("admin", flaw="wrong_kid")
    answers = await asyncio.gather(*(door.call("GET", STATIONS, token=token) for _ in range(50)))
    assert {status for status, _, _ in answers} == {401}
    assert world.identity.jwks_requests == 2
    await world.clock.advance(UNKNOWN_KID_SECONDS + 1)
    await door.call("GET", STATIONS, token=token)
    assert world.identity.jwks_requests == 3


async def test_a_flood_of_invented_keys_costs_the_issuer_a_few_fetches_and_hides_no_rotation(
    world: World, door: DoorClient
) -> None:
    await door.call("GET", STATIONS, role="admin")
    key = SigningKey.generate().private
    flood = [jwt.encode({}, key, algorithm="RS256", headers={"kid": f"invented-{number}"}) for number in range(60)]
    answers = [await door.call("GET", STATIONS, token=token) for token in flood]
    assert {status for status, _, _ in answers} <= {401, 429, 503}
    assert world.identity.jwks_requests == 1 + FORCED_FETCHES
    world.identity.rotate()
    await world.clock.advance(FORCED_REFILL_SECONDS)
    assert (await door.call("GET", STATIONS, role="admin"))[0] == 200


async def test_the_first_callers_share_one_fetch(world: World, door: DoorClient) -> None:
    answers = await asyncio.gather(*(door.call("GET", STATIONS, role="admin") for _ in range(20)))
    assert {status for status, _, _ in answers} == {200}
    assert world.identity.jwks_requests == 1


async def test_without_keys_nobody_is_let_in_and_nobody_refused_for_good(world: World, door: DoorClient) -> None:
    world.identity.jwks_available = False
    status, problem, headers = await door.call("GET", STATIONS, role="admin")
    assert (status, problem["type"]) == (503, "urn:voltlync:problem:identity-unavailable")
    assert int(headers["Retry-After"]) == RETRY_SECONDS
    world.identity.jwks_available = True
    assert (await door.call("GET", STATIONS, role="admin"))[0] == 503  # it is not asked again at once
    await world.clock.advance(RETRY_SECONDS)
    assert (await door.call("GET", STATIONS, role="admin"))[0] == 200
    assert door.metric("jwks_fetch_failures_total") == 1


async def test_stale_keys_serve_while_the_issuer_is_away_and_not_for_ever(world: World, door: DoorClient) -> None:
    token = world.identity.token("admin", lifetime_seconds=24 * 3600)
    assert (await door.call("GET", STATIONS, token=token))[0] == 200
    world.identity.jwks_available = False
    await world.clock.advance(3599)
    assert (await door.call("GET", STATIONS, token=token))[0] == 200
    await door.service.work.idle()
    await world.clock.advance(RETRY_SECONDS + 1)
    assert (await door.call("GET", STATIONS, token=token))[0] == 503
    world.identity.jwks_available = True
    await world.clock.advance(RETRY_SECONDS)
    assert (await door.call("GET", STATIONS, token=token))[0] == 200


async def test_slow_keys_make_nobody_wait_who_is_known(world: World, door: DoorClient) -> None:
    token = world.identity.token("admin")
    assert (await door.call("GET", STATIONS, token=token))[0] == 200
    await world.clock.advance(301)
    world.identity.jwks_delay_seconds = 60  # on the test's clock, which stands still: without a background fetch this would hang
    assert (await door.call("GET", STATIONS, token=token))[0] == 200
    assert (await door.call("GET", STATIONS, token=token))[0] == 200


async def test_a_discovery_document_of_another_issuer_is_not_believed(world: World) -> None:
    door = await world.door(oidc_issuer=world.identity.issuer + "/")
    assert (await door.call("GET", STATIONS, role="admin"))[0] == 503
    # With the keys' address given, the issuer is still compared letter by letter.
    door = await world.door(oidc_issuer=world.identity.issuer + "/", oidc_jwks_url=world.identity.jwks_url)
    status, problem, _ = await door.call("GET", STATIONS, role="admin")
    assert (status, problem["detail"]) == (401, "The token is of another issuer.")


async def test_clerks_way_no_audience_but_an_authorized_party(world: World) -> None:
    door = await world.door(
        oidc_audience="",
        oidc_authorized_parties="https://console.example, voltlync-web",
        oidc_roles_claim="public_metadata.roles",
    )
    token = world.identity.token("admin", aud="whatever", public_metadata={"roles": "operator finance"})
    status, seen, _ = await door.call("GET", STATIONS, token=token)
    assert (status, seen["roles"]) == (200, ["finance", "operator"])
    token = world.identity.token("admin", azp="https://evil.example", public_metadata={"roles": "admin"})
    assert (await door.call("GET", STATIONS, token=token))[0] == 401


@pytest.mark.parametrize("franchisee_id", [None, "", "stn_1", "frn_0", -1, True, ["frn_1"], "1e3", 2**70, "٣"])
async def test_a_franchisee_of_nobody_knows_what_sees_nothing(world: World, door: DoorClient, franchisee_id: object) -> None:
    token = world.identity.token("franchisee", franchisee_id=franchisee_id)
    assert (await door.call("GET", STATIONS, token=token))[0] == 403


async def test_roles_that_are_none_give_nothing(world: World, door: DoorClient) -> None:
    for roles in (["root"], "superuser", 7, None, {"admin": True}, ["guest"], [["admin"]]):
        token = world.identity.token("admin", roles=roles)
        assert (await door.call("GET", STATIONS, token=token))[0] == 403, roles


@pytest.mark.parametrize(
    "claims", [{"sub": ""}, {"sub": "x" * 256}, {"exp": "soon"}, {"exp": None}, {"nbf": []}, {"iat": "x"}, {"sub": 7}]
)
async def test_odd_claims_are_refused(world: World, door: DoorClient, claims: dict[str, object]) -> None:
    assert (await door.call("GET", STATIONS, token=world.identity.token("admin", **claims)))[0] == 401


async def test_names_of_any_script_travel(world: World, door: DoorClient) -> None:
    assert (await door.call("GET", STATIONS, token=world.identity.token("admin", name="ಆಶಾ राव", sub="आशा")))[0] == 200
