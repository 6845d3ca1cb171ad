"""The network: all services but the gateway over the real servers, with fifty chargers at ten stations."""

from collections.abc import Mapping
from typing import Any

from tests.e2e.world import World
from tests.month.field import Box, Field
from tests.month.plan import DAY, FRANCHISEES, GST_BPS, SITES, boxes

REFUND_SPEED_FEE = 354
TRANSFER_SECONDS = 20.0


class Network(World):
    """A world whose chargers are a stand-in for the gateway's (`field`)."""

    sandbox: Mapping[str, Any] = {
        "opening_balance": 2_000_000,
        "linked_settlement_seconds": 2 * DAY,
        "transfer_seconds": TRANSFER_SECONDS,
        "instant_refund_fee": REFUND_SPEED_FEE,
        "log_size": 200_000,
    }
    charging: Mapping[str, Any] = {"configuration_enabled": False}
    field: Field

    async def _mount_field(self, values: Mapping[str, Any], port: int) -> None:
        self.field = self.services["ocpp_gateway"] = Field(values, self.servers.redis.url, self.clock)
        self.telemetries["ocpp_gateway"] = self.field.telemetry
        await self.field.start()

    async def open(self) -> None:
        """Franchisees, stations, chargers, tariffs, QR codes; every charger has booted and is free."""
        self.franchisees = [await self._franchise_of(number) for number in range(len(FRANCHISEES))]
        stations = []
        for number, site in enumerate(SITES, 1):
            owner = None if site.franchisee is None else self.franchisees[site.franchisee]["id"]
            place = {"city": "Bengaluru", "state": "Karnataka", "postal_code": "560001", "address": f"{number}, MG Road"}
            station = await self.api("POST", "/v1/stations", {"name": f"Station {number}", "franchisee_id": owner, **place})
            price = {"paise_per_kwh": site.paise_per_kwh, "gst_bps": GST_BPS}
            await self.api("POST", "/v1/tariffs", {"name": f"Tariff {number}", "station_id": station["id"], **price})
            stations.append(station)
        self.boxes = []
        for number, site in enumerate(boxes(), 1):
            name = f"CP-{number:03d}"
            station = stations[SITES.index(site)]
            wanted = {"charge_point_id": name, "station_id": station["id"], "name": f"Charger {number}"}
            await self.api("POST", "/v1/chargers", {**wanted, "connector_kind": site.kind, "rated_power_w": site.power_w})
            self.boxes.append(Box(name))
            self.field.boxes[name] = self.boxes[-1]
        await self.rest()
        for box in self.boxes:
            await self.api("POST", "/v1/qr-codes", {"charge_point_id": box.name, "connector_id": 1})
            await self.field.connect(box)
        await self.rest()
        listed = await self.api("GET", "/v1/qr-codes?limit=100")
        self.codes = {code["charge_point_id"]: code["razorpay_qr_code_id"] for code in listed["items"]}

    async def _franchise_of(self, number: int) -> dict[str, Any]:
        """Entered and linked; its KYC comes through when the plan says so."""
        place = {"city": "Bengaluru", "state": "Karnataka", "postal_code": "560038"}
        made = await self.api(
            "POST",
            "/v1/franchisees",
            {
                "legal_business_name": f"Franchisee {number} LLP",
                "business_type": "llp",
                "email": f"owner{number}@site.example",
                "phone": f"+9198000{number:05d}",
                "contact_name": "Farhan Shetty",
                "pan": "AAACS1234C",
                "address": {"street1": "12, 100 Feet Road", "street2": "Indiranagar", **place},
                "stakeholder": {"name": "Farhan Shetty", "email": f"owner{number}@site.example", "pan": "AAAPS1234D"},
                "bank": {"account_number": "50100012345678", "ifsc_code": "HDFC0000317", "beneficiary_name": "F Shetty"},
                "commission_bps": FRANCHISEES[number].commission_bps,
                "tds_bps": 10,
            },
        )
        await self.rest()
        franchisee: dict[str, Any] = await self.api("GET", f"/v1/franchisees/{made['id']}")
        return franchisee
