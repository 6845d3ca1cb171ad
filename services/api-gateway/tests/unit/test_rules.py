"""What needs no server: settings, paths, and the merging of documents."""

import pytest
from pydantic import ValidationError

from api_gateway.__main__ import keygen
from api_gateway.openapi import merge
from api_gateway.routing import is_plain, service_of
from api_gateway.settings import ApiGatewaySettings
from chassis.web import PrincipalSigner

BASE = {
    "amqp_url": "amqp://x/",
    "redis_url": "redis://x/0",
    "oidc_issuer": "https://issuer.example",
    "principal_private_key": "k",
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"oidc_audience": ""},
        {"limit_caller": "many"},
        {"limit_public": ""},
        {"trusted_proxies": "everyone"},
        {"jwks_stale_seconds": 10},
        {"oidc_leeway_seconds": 1000},
        {"door_port": 70000},
    ],
)
def test_settings_that_make_no_sense_stop_the_door_at_its_start(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ApiGatewaySettings(**{**BASE, **wrong})


def test_a_key_pair_fits_together() -> None:
    private, public = (line.partition("=")[2] for line in keygen().splitlines())
    assert PrincipalSigner(private).public_key == public


def test_every_noun_has_one_owner() -> None:
    assert service_of("/v1/chargers/chg_1/connectors/1") == "charging"
    assert service_of("/v1/public/qr-codes/x") == "payments"
    assert service_of("/v1/ledger-entries") == "settlement"
    for path in ("/v1", "/v1/", "/v1/public", "/v1/nothing", "/v2/stations", "stations", "/webhooks/razorpay"):
        assert service_of(path) is None


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("/v1/stations", True),
        ("/v1/stations/stn_1", True),
        ("/firmware/wall-v1.2.bin", True),
        ("/v1/a%20b", True),
        ("/v1/..", False),
        ("/v1/./a", False),
        ("/v1//a", False),
        ("/v1/a/", False),
        ("/v1/%2E", False),
        ("/v1/a%2fb", False),
        ("/v1/a\\b", False),
        ("/v1/a\tb", False),
        ("/v1/é", False),
    ],
)
def test_a_plain_path_means_the_same_to_everyone(path: str, plain: bool) -> None:
    assert is_plain(path) is plain


def _document(path: str, name: str, schemas: dict[str, object]) -> dict[str, object]:
    operation = {
        "operationId": "show",
        "responses": {"200": {"description": "OK", "x": {"$ref": f"#/components/schemas/{name}"}}},
    }
    return {"paths": {path: {"get": operation}}, "components": {"schemas": schemas}}


def test_schemas_of_one_name_are_kept_apart_also_where_they_only_refer_to_different_ones() -> None:
    same = {"Problem": {"type": "object"}}
    page = {"items": {"$ref": "#/components/schemas/View"}}
    first = _document("/v1/stations", "Page", {**same, "Page": page, "View": {"type": "string"}})
    second = _document("/v1/payments", "Page", {**same, "Page": page, "View": {"type": "integer"}})
    merged = merge({"charging": first, "payments": second})
    schemas = merged["components"]["schemas"]
    assert set(schemas) == {"Problem", "Page", "View", "PaymentsPage", "PaymentsView"}
    assert schemas["PaymentsPage"] == {"items": {"$ref": "#/components/schemas/PaymentsView"}}
    operation = merged["paths"]["/v1/payments"]["get"]
    assert operation["responses"]["200"]["x"] == {"$ref": "#/components/schemas/PaymentsPage"}
    assert operation["operationId"] == "payments_show"


def test_a_property_called_like_a_renamed_schema_keeps_its_name() -> None:
    first = _document("/v1/stations", "View", {"View": {"properties": {"a": {}}}})
    second = _document("/v1/payments", "View", {"View": {"properties": {"View": {}, "schemas": {"View": {}}}}})
    merged = merge({"charging": first, "payments": second})
    assert merged["components"]["schemas"]["PaymentsView"]["properties"].keys() == {"View", "schemas"}


def test_a_service_shows_only_what_is_routed_to_it() -> None:
    merged = merge({"payments": _document("/v1/stations", "View", {"View": {}})})
    assert merged["paths"] == {}
    assert merged["x-missing-services"] == ["charging", "settlement", "firmware", "journal"]
