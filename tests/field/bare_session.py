"""Paid sessions over a bare socket: the central system's side is real, the charger's is the test's own."""

from typing import Any

from testkit.bare_charger import BareCharger
from testkit.field import PAID_PAISE, Field, Outlet

METER_START_WH = 1000
START = {"connectorId": 1, "meterStart": METER_START_WH, "timestamp": "2026-01-05T04:30:00Z"}


async def asked_to_start(field: Field, *, paise: int = PAID_PAISE, **outlet: Any) -> tuple[Outlet, BareCharger, dict[str, Any]]:
    """A rider has paid and a bare charger was told: (outlet, socket, the StartTransaction that it may send)."""
    made = await field.outlet(online=False, **outlet)
    bare = await field.bare(made)
    bare.answers["RemoteStartTransaction"] = {"status": "Accepted"}
    bare.answers["RemoteStopTransaction"] = {"status": "Accepted"}
    await bare.boot()
    await bare.status("Preparing")
    await field.paid_start(made, paise=paise)
    (asked,) = bare.calls("RemoteStartTransaction")
    return made, bare, START | {"idTag": asked["idTag"]}


async def started(field: Field, **asked: Any) -> tuple[Outlet, BareCharger, int]:
    """A paid session that has begun at 1000 Wh: (outlet, socket, transaction id)."""
    outlet, bare, start = await asked_to_start(field, **asked)
    answer = await bare.call("StartTransaction", start)
    assert answer["idTagInfo"]["status"] == "Accepted"
    await bare.status("Charging")
    await field.rest()
    return outlet, bare, answer["transactionId"]


def sample(wh: object, **fields: object) -> dict[str, object]:
    """A meterValue of the import register."""
    return {"timestamp": "2026-01-05T04:31:00Z", "sampledValue": [{"value": wh, "unit": "Wh", **fields}]}


async def read(field: Field, bare: BareCharger, *samples: dict[str, object], after: float = 60, **payload: object) -> None:
    """Some seconds later the charger sends a reading of the import register (or these sampledValues); the lane has taken it."""
    await field.pass_seconds(after)
    at = field.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    meter_value = {"timestamp": at, "sampledValue": list(samples)}
    assert await bare.call("MeterValues", {"connectorId": 1, "meterValue": [meter_value], **payload}) == {}
    await field.rest()


def wh(value: object, **fields: object) -> dict[str, object]:
    """A sampledValue of the import register in Wh."""
    return {"value": str(value), "unit": "Wh", "measurand": "Energy.Active.Import.Register", **fields}


async def stop(field: Field, bare: BareCharger, transaction_id: object, meter_stop: object, **fields: object) -> Any:
    """StopTransaction; its answer, once the lane has taken it."""
    at = field.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = await bare.call(
        "StopTransaction", {"transactionId": transaction_id, "meterStop": meter_stop, "timestamp": at, **fields}
    )
    await field.rest()
    return answer
