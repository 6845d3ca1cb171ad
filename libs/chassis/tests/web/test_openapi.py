"""The document that clients are generated from says what the server does."""

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import TypeAdapter, ValidationError

from chassis.web import PrefixedId

from .conftest import StationId, World

pytestmark = pytest.mark.servers


async def test_the_document_is_valid_and_complete(world: World) -> None:
    _, openapi, _ = await world.client.call("GET", "/openapi.json", roles=None)
    OpenAPIV31SpecValidator(openapi).validate()
    operation = openapi["paths"]["/v1/stations"]["post"]
    assert operation["operationId"] == "create_station"
    assert operation["summary"] == "Create a station"
    assert operation["description"] == "Adds a station. The name must be free."
    assert operation["tags"] == ["stations"]
    assert operation["x-roles"] == ["admin"]
    assert operation["security"] == [{"bearer": []}]
    assert [(p["name"], p["in"]) for p in operation["parameters"]] == [("Idempotency-Key", "header")]
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/StationCreate")
    assert operation["responses"]["201"]["content"]["application/json"]["schema"]["$ref"].endswith("/StationView")
    assert {"400", "401", "403", "409", "413", "415", "422", "423", "500", "503"} <= operation["responses"].keys()
    problem = openapi["components"]["responses"]["Problem422"]["content"]["application/problem+json"]["schema"]
    assert problem == {"$ref": "#/components/schemas/ProblemDocument"}
    assert "StationQuery" not in openapi["components"]["schemas"]
    money = openapi["components"]["schemas"]["StationCreate"]["properties"]["tariff_paise_per_kwh"]
    assert (money["type"], money["description"]) == ("integer", "paise per kWh")


async def test_lists_show_their_query_and_public_routes_ask_for_nothing(world: World) -> None:
    _, openapi, _ = await world.client.call("GET", "/openapi.json", roles=None)
    listing = openapi["paths"]["/v1/stations"]["get"]
    parameters = {parameter["name"]: parameter for parameter in listing["parameters"]}
    assert set(parameters) == {"limit", "cursor", "kind", "name"}
    assert parameters["limit"]["schema"]["maximum"] == 100
    assert "Idempotency-Key" not in parameters
    page = openapi["components"]["schemas"][
        listing["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].split("/")[-1]
    ]
    assert page["properties"]["items"]["items"]["$ref"].endswith("/StationView")
    station_id = openapi["paths"]["/v1/stations/{station_id}"]["get"]["parameters"][0]
    assert station_id["schema"] == {"type": "string", "pattern": "^stn_[1-9][0-9]{0,18}$", "examples": ["stn_17"]}
    hello = openapi["paths"]["/v1/public/hello"]["get"]
    assert (hello["security"], hello["x-roles"]) == ([], ["public"])
    assert openapi["paths"]["/v1/stations/{station_id}"]["delete"]["responses"].keys() >= {"204"}
    assert "/v1/raw" not in openapi["paths"]


def test_a_prefixed_id_is_text_outside_and_a_number_inside() -> None:
    adapter = TypeAdapter(StationId)
    assert adapter.validate_json('"stn_17"') == 17
    assert adapter.validate_python(17) == 17
    assert adapter.dump_json(17) == b'"stn_17"'
    assert adapter.validate_json(f'"stn_{2**63 - 1}"') == 2**63 - 1
    for wrong in ["17", '"17"', '"chg_17"', '"stn_0"', '"stn_01"', f'"stn_{2**63}"', '"stn_17 "', '"stn_1\\n"', "null", "true"]:
        with pytest.raises(ValidationError):
            adapter.validate_json(wrong)
    with pytest.raises(ValueError, match="stn_17"):
        PrefixedId("stn").parse("stn_")
