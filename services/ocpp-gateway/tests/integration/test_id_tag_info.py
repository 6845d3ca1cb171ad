"""IdTagInfo (OCPP 1.6 §7.8) in the three answers that have it; a StopTransaction never waits long for it."""

import asyncio

import pytest

pytestmark = pytest.mark.servers

TOLD = {"status": "Expired", "expiry_date": "2026-01-05T04:00:00Z", "parent_id_tag": "FLEET"}
INFO = {"idTagInfo": {"status": "Expired", "expiryDate": "2026-01-05T04:00:00Z", "parentIdTag": "FLEET"}}
ACCEPTED = {"idTagInfo": {"status": "Accepted"}}


def stop(**more):
    return {"transactionId": 42, "meterStop": 99, "timestamp": "2026-01-05T04:31:00Z"} | more


@pytest.fixture
async def charger(gateway, charging, new_id):
    """One, connected."""
    charger_id = new_id()
    charging.add(charger_id)
    yield await gateway.connect(charger_id)
    charging.answering, charging.id_tag_info = True, {"status": "Accepted"}


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.002)


async def test_group_and_expiry_are_in_every_answer_about_a_tag(charger, charging):
    charging.id_tag_info = TOLD
    charging.decide = lambda event: TOLD | {"transaction_id": 42}
    assert (await charger.call("Authorize", {"idTag": "A"}))[2] == INFO
    start = {"connectorId": 1, "idTag": "A", "meterStart": 10, "timestamp": "2026-01-05T04:30:00Z"}
    assert (await charger.call("StartTransaction", start))[2] == {"transactionId": 42} | INFO
    assert (await charger.call("StopTransaction", stop(idTag=" A ")))[2] == INFO


@pytest.mark.parametrize("tag", [{}, {"idTag": ""}, {"idTag": "  "}, {"idTag": None}])
async def test_a_stop_without_a_tag_asks_nobody(charger, charging, tag):
    charging.id_tag_info = TOLD
    assert (await charger.call("StopTransaction", stop(**tag)))[2] == ACCEPTED


async def test_a_stop_is_answered_when_nobody_knows_its_tag_in_time(charger, charging, clock):
    charging.answering = False
    asked = len(charging.asked)
    await charger.send([2, "s", "StopTransaction", stop(idTag="A")])
    await until(lambda: charging.asked[asked:] == ["A"])
    await charger.call("Heartbeat", {})  # nothing waits behind it
    await clock.advance(3)
    assert (await charger.receive())[1:] == ["s", ACCEPTED]
