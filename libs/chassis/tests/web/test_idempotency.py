"""One key, one effect, one answer."""

import asyncio

import pytest
import sqlalchemy as sa

from chassis.database.tables import idempotency_keys
from chassis.web.idempotency import CLAIM_SECONDS

from .conftest import World, stations

pytestmark = pytest.mark.servers

STATION = {"name": "Indiranagar", "tariff_paise_per_kwh": 1800}
KEY = {"Idempotency-Key": "2f4a"}


async def count(world: World, table: sa.Table) -> int:
    async with world.toy.database.reading() as uow:
        return int((await uow.connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


async def test_a_repeat_gets_the_first_answer_and_does_nothing(world: World) -> None:
    first = await world.client.call("POST", "/v1/stations", json=STATION, headers=KEY)
    again = await world.client.call("POST", "/v1/stations", json=STATION, headers=KEY)
    assert first[:2] == again[:2]
    assert "Idempotent-Replayed" not in first[2]
    assert again[2]["Idempotent-Replayed"] == "true"
    assert (world.toy.calls, await count(world, stations)) == (1, 1)


async def test_two_at_once_are_one(world: World) -> None:
    world.toy.gate.set()
    body = {**STATION, "name": "wait"}
    answers = await asyncio.gather(*(world.client.call("POST", "/v1/stations", json=body, headers=KEY) for _ in range(5)))
    assert {status for status, _, _ in answers} == {201}
    assert {body["id"] for _, body, _ in answers} == {"stn_1"}
    assert (world.toy.calls, await count(world, stations)) == (1, 1)


async def test_the_same_key_for_another_request_is_a_conflict(world: World) -> None:
    await world.client.call("POST", "/v1/stations", json=STATION, headers=KEY)
    status, problem, _ = await world.client.call("POST", "/v1/stations", json={**STATION, "name": "Other"}, headers=KEY)
    assert (status, problem["type"]) == (409, "urn:voltlync:problem:idempotency-key-reused")
    assert await count(world, stations) == 1


async def test_a_key_belongs_to_its_caller_and_its_route(world: World) -> None:
    await world.client.call("POST", "/v1/stations", json=STATION, headers=KEY)
    status, other, _ = await world.client.call("POST", "/v1/stations", json={**STATION, "name": "B"}, headers=KEY, subject="balu")
    assert (status, other["id"]) == (201, "stn_2")
    status, _, headers = await world.client.call("POST", "/v1/stations/stn_5/reboots", json={"kind": "Soft"}, headers=KEY)
    assert (status, "Idempotent-Replayed" in headers) == (202, False)


async def test_a_refused_request_leaves_its_key_free(world: World) -> None:
    refused = {**STATION, "name": "refused"}
    assert (await world.client.call("POST", "/v1/stations", json=refused, headers=KEY))[0] == 409
    assert await count(world, idempotency_keys) == 0
    assert (await world.client.call("POST", "/v1/stations", json=STATION, headers=KEY))[0] == 201


async def test_a_use_case_with_its_own_transactions_is_claimed_before_and_answered_after(world: World) -> None:
    path, body = "/v1/stations/stn_5/reboots", {"kind": "Hard"}
    first = asyncio.ensure_future(world.client.call("POST", path, json=body, headers=KEY))
    await world.toy.arrived.get()
    status, problem, headers = await world.client.call("POST", path, json=body, headers=KEY)
    assert (status, problem["type"]) == (409, "urn:voltlync:problem:idempotency-key-in-progress")
    assert headers["Retry-After"] == "2"
    world.toy.gate.set()
    assert (await first)[0] == 202
    status, _, headers = await world.client.call("POST", path, json=body, headers=KEY)
    assert (status, headers["Location"], headers["Idempotent-Replayed"]) == (202, "/v1/reboots/5", "true")
    assert world.toy.calls == 1


async def test_a_claim_whose_work_failed_is_given_back(world: World) -> None:
    path, body = "/v1/stations/stn_13/reboots", {"kind": "Soft"}
    for attempt in (1, 2):
        assert (await world.client.call("POST", path, json=body, headers=KEY))[0] == 423
        assert (world.toy.calls, await count(world, idempotency_keys)) == (attempt, 0)


async def test_a_claim_of_a_process_that_died_is_free_after_a_while(world: World) -> None:
    path, body = "/v1/stations/stn_5/reboots", {"kind": "Hard"}
    dying = asyncio.ensure_future(world.client.call("POST", path, json=body, headers=KEY))
    await world.toy.arrived.get()
    await world.client.clock.advance(CLAIM_SECONDS - 1)
    assert (await world.client.call("POST", path, json=body, headers=KEY))[0] == 409
    await world.client.clock.advance(2)
    repeat = asyncio.ensure_future(world.client.call("POST", path, json=body, headers=KEY))
    await world.toy.arrived.get()
    world.toy.gate.set()
    assert (await repeat)[0] == 202
    await dying


async def all_kept(world: World) -> str:
    async with world.toy.database.reading() as uow:
        return repr((await uow.connection.execute(sa.select(idempotency_keys))).all())


@pytest.mark.parametrize("what", ["keys", "fetched"])
async def test_a_secret_is_shown_once_and_stored_nowhere(world: World, what: str) -> None:
    path = f"/v1/stations/stn_5/{what}"
    status, first, _ = await world.client.call("POST", path, headers=KEY)
    assert (status, first["password"]) == (201, "hunter1")
    for _ in range(2):
        status, problem, headers = await world.client.call("POST", path, headers=KEY)
        assert (status, problem["type"]) == (409, "urn:voltlync:problem:idempotency-answer-shown-once")
        assert problem["detail"] == "The answer holds a secret and is not kept. Ask for another key."
        assert "Retry-After" not in headers, "a repeat would never get it"
    assert world.toy.calls == 1
    assert (await count(world, idempotency_keys), "hunter" in await all_kept(world)) == (1, False)
    status, other, _ = await world.client.call("POST", path, headers={"Idempotency-Key": "another"})
    assert (status, other["password"]) == (201, "hunter2")


async def test_a_secret_that_is_being_made_is_in_progress_like_any_other(world: World) -> None:
    path = "/v1/stations/stn_1/fetched"
    first = asyncio.ensure_future(world.client.call("POST", path, headers=KEY))
    await world.toy.arrived.get()
    status, problem, _ = await world.client.call("POST", path, headers=KEY)
    assert (status, problem["type"]) == (409, "urn:voltlync:problem:idempotency-key-in-progress")
    world.toy.gate.set()
    assert (await first)[0] == 201


async def test_two_at_once_show_a_secret_to_one(world: World) -> None:
    world.toy.gate.set()
    answers = await asyncio.gather(*(world.client.call("POST", "/v1/stations/stn_1/keys", headers=KEY) for _ in range(4)))
    assert sorted(status for status, _, _ in answers) == [201, 409, 409, 409]
    assert world.toy.calls == 1


@pytest.mark.parametrize("wrong", ["", "with space", "x" * 256, "schlüssel"])
async def test_a_key_is_short_printable_text(world: World, wrong: str) -> None:
    status, problem, _ = await world.client.call("POST", "/v1/stations", json=STATION, headers={"Idempotency-Key": wrong})
    assert (status, problem["errors"][0]["pointer"]) == (422, "#/header/Idempotency-Key")
