"""What the outbox may give up: a wish whose deadline has passed and which no queue takes. Never a fact."""

from datetime import timedelta
from typing import ClassVar

import pytest
import sqlalchemy as sa
from pydantic import AwareDatetime, BaseModel

from chassis.database import outbox as outbox_module

from .conftest import THINGS, Probe, Thing, To, mount_events, until

NOWHERE = To("probe.lanes", "78", mandatory=True)


class Wish(BaseModel):
    """Something that nobody may do after its deadline."""

    TYPE: ClassVar[str] = "probe.thing_wished.v1"
    name: str
    deadline: AwareDatetime


async def unpublished(probe: Probe) -> list[str]:
    async with probe.database.reading() as uow:
        rows = await uow.connection.execute(sa.text("SELECT type FROM probe.outbox WHERE published_at IS NULL ORDER BY id"))
        return [row.type for row in rows]


def given_up(probe: Probe) -> float:
    labels = {"type": Wish.TYPE}
    return probe.telemetry.registry.get_sample_value("voltlync_outbox_given_up_total", labels) or 0.0


async def test_a_wish_that_came_too_late_gives_way_to_what_waits_behind_it(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "BLOCKED_SECONDS", (0.05,))
    await mount_events(probe)
    now = probe.service.clock.now()
    async with probe.database.transaction() as uow:
        for name in ("late", "late too"):
            uow.publish(Wish(name=name, deadline=now - timedelta(seconds=1)), subject="charger/1", to=NOWHERE)
        uow.publish(Thing(name="next gateway"), subject="charger/1", to=THINGS)
    await until(lambda: _stored(probe, ["next gateway"]))
    assert given_up(probe) == 2

    async def gone() -> bool:
        return await unpublished(probe) == []

    await until(gone)


async def test_a_wish_in_time_and_a_fact_of_any_age_wait(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "BLOCKED_SECONDS", (0.02,))
    await mount_events(probe)
    later = probe.service.clock.now() + timedelta(days=1)
    async with probe.database.transaction() as uow:
        uow.publish(Wish(name="in time", deadline=later), subject="charger/1", to=NOWHERE)
        uow.publish(Thing(name="fact"), subject="thing/2", to=NOWHERE)
        uow.publish(Wish(name="in time, behind a fact", deadline=later), subject="thing/2", to=NOWHERE)
        uow.publish(Thing(name="other"), subject="thing/3", to=THINGS)
    await until(lambda: _stored(probe, ["other"]))

    async def tried_often() -> bool:
        return probe.metric("voltlync_outbox_failures_total") >= 12

    await until(tried_often)
    assert await unpublished(probe) == [Wish.TYPE, Thing.TYPE, Wish.TYPE]
    assert given_up(probe) == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{}", b'{"deadline": null}', b'{"deadline": 17}', b'{"deadline": "soon"}',
     b'{"deadline": "2020-01-01T00:00:00"}'],
)  # fmt: skip
def test_a_body_without_an_aware_deadline_has_none(body: bytes) -> None:
    assert outbox_module._deadline_of(body) is None


def test_a_deadline_is_read_as_our_models_write_it() -> None:
    written = Wish.model_validate({"name": "x", "deadline": "2026-11-22T18:30:00.123456+05:30"})
    assert outbox_module._deadline_of(written.model_dump_json().encode()) == written.deadline
    utc = Wish.model_validate({"name": "x", "deadline": "2026-11-22T13:00:00Z"})
    assert outbox_module._deadline_of(utc.model_dump_json().encode()) == utc.deadline


async def _stored(probe: Probe, names: list[str]) -> bool:
    return await probe.stored() == names
