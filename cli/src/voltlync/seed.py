"""A small network, made over the public REST API as an administrator would: repeatable, since each thing is looked for first.

Two stations of one franchisee, three chargers with a connector each, tariffs, a QR code on every connector.
"""

from collections.abc import Callable
from dataclasses import dataclass

from voltlync.money_text import rupees
from voltlync.world import Json, World, until

Say = Callable[[str], None]

# Razorpay activates a linked account after its review; the sandbox's reviewer takes no time, the events a moment.
ACTIVATION_SECONDS_MAX = 60.0
QR_CODE_SECONDS_MAX = 30.0
ONLINE_SECONDS_MAX = 30.0

BENGALURU: Json = {"city": "Bengaluru", "state": "Karnataka"}

FRANCHISEE: Json = {
    "legal_business_name": "Shetty Charging LLP",
    "business_type": "llp",
    "email": "farhan@site.example",
    "phone": "+919800000001",
    "contact_name": "Farhan Shetty",
    "pan": "AAEFS1234C",
    "gstin": "29AAEFS1234C1Z5",
    "address": {"street1": "12, 100 Feet Road", "street2": "Indiranagar", "postal_code": "560038", **BENGALURU},
    "stakeholder": {"name": "Farhan Shetty", "email": "farhan@site.example", "pan": "AAAPS1234D"},
    "bank": {"account_number": "50100012345678", "ifsc_code": "HDFC0000317", "beneficiary_name": "Shetty Charging LLP"},
    "commission_bps": 1000,
}


@dataclass(frozen=True)
class PlannedCharger:
    """A charger to be. A DC fast charger delivers in half a minute what a socket takes an hour for: better to watch."""

    charge_point_id: str
    station: str
    name: str
    connector_kind: str
    rated_power_w: int


STATIONS: tuple[Json, ...] = (
    {"name": "Indiranagar 100 Feet Road", "address": "12, 100 Feet Road", "postal_code": "560038", **BENGALURU},
    {"name": "Koramangala Forum", "address": "21, Hosur Road", "postal_code": "560095", **BENGALURU},
)

FAST_CHARGER = "BLR-IND-01"

CHARGERS = (
    PlannedCharger(FAST_CHARGER, "Indiranagar 100 Feet Road", "Indiranagar 1", "ccs", 120_000),
    PlannedCharger("BLR-IND-02", "Indiranagar 100 Feet Road", "Indiranagar 2", "socket", 3_300),
    PlannedCharger("BLR-KOR-01", "Koramangala Forum", "Koramangala 1", "type2", 22_000),
)

TARIFF: Json = {"name": "Bengaluru 2026", "paise_per_kwh": 1800, "gst_bps": 1800}


@dataclass(frozen=True)
class Network:
    """What there is, by the names above: the API's own objects."""

    franchisee: Json
    stations: dict[str, Json]
    chargers: dict[str, Json]
    qr_codes: dict[str, Json]


async def seed(world: World, say: Say) -> Network:
    """Make what is missing and say what there is. Raises Refused or TimeoutError with the reason."""
    franchisee = await _franchisee(world)
    say(f"franchisee  {franchisee['id']}  {franchisee['display_name']}, {franchisee['status']} at Razorpay")
    stations = {}
    for place in STATIONS:
        name = place["name"]
        stations[name] = await _found(world, "/v1/stations", "name", name) or await world.api(
            "POST", "/v1/stations", {**place, "franchisee_id": franchisee["id"]}, key=f"seed-station-{place['postal_code']}"
        )
        say(f"station     {stations[name]['id']}  {name}")
    if not await _found(world, "/v1/tariffs", "name", TARIFF["name"]):
        await world.api("POST", "/v1/tariffs", TARIFF, key="seed-tariff")
    say(f"tariff      {rupees(TARIFF['paise_per_kwh'])}/kWh, GST {TARIFF['gst_bps'] / 100:g} %, everywhere")
    chargers: dict[str, Json] = {}
    qr_codes: dict[str, Json] = {}
    for planned in CHARGERS:
        id_ = planned.charge_point_id
        chargers[id_] = await _charger(world, planned, stations[planned.station])
        qr_codes[id_] = await _qr_code(world, id_)
        say(
            f"charger     {chargers[id_]['id']}  {id_}, {planned.connector_kind} {planned.rated_power_w / 1000:g} kW, online, "
            f"QR code {qr_codes[id_]['id']}"
        )
    return Network(franchisee, stations, chargers, qr_codes)


async def _found(world: World, path: str, field: str, value: str) -> Json | None:
    return next((item for item in await world.all_of(path) if item[field] == value), None)


async def _franchisee(world: World) -> Json:
    found = await _found(world, "/v1/franchisees", "legal_business_name", FRANCHISEE["legal_business_name"])
    franchisee = found or await world.api("POST", "/v1/franchisees", FRANCHISEE, key="seed-franchisee")

    async def activated() -> Json | None:
        seen: Json = await world.api("GET", f"/v1/franchisees/{franchisee['id']}")
        return seen if seen["status"] == "ACTIVATED" else None

    return await until(f"{franchisee['id']} to be activated by Razorpay", activated, seconds_max=ACTIVATION_SECONDS_MAX)


async def _charger(world: World, planned: PlannedCharger, station: Json) -> Json:
    id_ = planned.charge_point_id
    charger = await _found(world, "/v1/chargers", "charge_point_id", id_)
    hardware = id_ in await world.chargers()
    if charger is None:
        body = {
            "charge_point_id": id_,
            "station_id": station["id"],
            "name": planned.name,
            "connector_kind": planned.connector_kind,
            "rated_power_w": planned.rated_power_w,
        }
        charger = await world.api("POST", "/v1/chargers", body)
        hardware = False
    elif not hardware:
        charger = {**charger, **await world.api("POST", f"/v1/chargers/{charger['id']}/credentials")}
    if not hardware:
        # The password is shown once: the charger's installer types it in.
        await world.charger(id_, body={"password": charger["password"], "rated_power_w": planned.rated_power_w})
    charger_id = charger["id"]

    async def online() -> Json | None:
        seen: Json = await world.api("GET", f"/v1/chargers/{charger_id}")
        return seen if seen["online"] else None

    return await until(f"{id_} to come online", online, seconds_max=ONLINE_SECONDS_MAX)


async def _qr_code(world: World, charge_point_id: str) -> Json:
    existing = await world.all_of(f"/v1/qr-codes?charge_point_id={charge_point_id}")
    qr_code = next((item for item in existing if item["status"] in ("ACTIVE", "CREATING")), None)
    if qr_code is None:
        qr_code = await world.api("POST", "/v1/qr-codes", {"charge_point_id": charge_point_id, "connector_id": 1})
    qr_code_id = qr_code["id"]

    async def active() -> Json | None:
        seen: Json = await world.api("GET", f"/v1/qr-codes/{qr_code_id}")
        return seen if seen["status"] == "ACTIVE" else None

    return await until(f"the QR code of {charge_point_id} to be made by Razorpay", active, seconds_max=QR_CODE_SECONDS_MAX)
