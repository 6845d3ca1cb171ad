"""docker-compose.yml, `make run` and the services' settings agree; whoever adds a service or a setting is told what to add."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.topology import SERVICES
from testkit.servers import Servers
from voltlync.credentials import Credentials
from voltlync.dotenv import credentials_from, dotenv
from voltlync.plan import DATABASE_SERVICES, Installation, Ports
from voltlync.settings_page import settings_of

ROOT = Path(__file__).resolve().parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SIMULATORS = ("razorpay", "identity")  # charge points are simulated from outside: `charger-simulator`


def compose_name(package: str) -> str:
    return package.replace("_", "-")


def read_by_image(name: str) -> bool:
    """Variables of the recipe itself (deploy/docker/Dockerfile), not of a service."""
    return name == "VOLTLYNC_HEALTH_URL"


def known_anywhere() -> set[str]:
    return {setting.variable for package in SERVICES for setting in settings_of(package)}


def test_every_service_and_simulator_is_in_compose() -> None:
    wanted = {compose_name(package) for package in SERVICES} | {f"{name}-simulator" for name in SIMULATORS}
    assert wanted <= COMPOSE["services"].keys(), "add it to docker-compose.yml, with its own broker user and database role"
    members = {path.parent.name for path in (ROOT / "services").glob("*/pyproject.toml")}
    assert members == {compose_name(package) for package in SERVICES}, "contracts.topology.SERVICES and services/ differ"


@pytest.mark.parametrize("package", SERVICES)
def test_compose_gives_a_service_what_its_settings_require(package: str) -> None:
    given = COMPOSE["services"][compose_name(package)]["environment"]
    required = {setting.variable for setting in settings_of(package) if setting.required}
    assert required <= given.keys(), f"docker-compose.yml: {compose_name(package)} lacks {sorted(required - given.keys())}"
    unknown = {name for name in given if not read_by_image(name)} - known_anywhere()
    assert not unknown, f"docker-compose.yml: no service has a setting {sorted(unknown)}"


@pytest.mark.parametrize("package", SERVICES)
def test_make_run_gives_a_service_what_its_settings_require(package: str, servers: Servers, tmp_path: Path) -> None:
    installation = Installation(servers, Credentials.make(), Ports(), tmp_path)
    given = installation.environment(package)
    required = {setting.variable for setting in settings_of(package) if setting.required}
    assert required <= given.keys(), f"voltlync/plan.py: {package} lacks {sorted(required - given.keys())}"
    assert not given.keys() - known_anywhere(), (
        f"voltlync/plan.py: no service has a setting {sorted(given.keys() - known_anywhere())}"
    )


@pytest.mark.parametrize("package", SERVICES)
def test_each_service_has_users_of_its_own(package: str) -> None:
    environment = COMPOSE["services"][compose_name(package)]["environment"]
    assert f"amqp://{package}:${{{package.upper()}_BROKER_PASSWORD:?}}@" in environment["VOLTLYNC_AMQP_URL"]
    if package in DATABASE_SERVICES:
        assert f"//voltlync_{package}:${{{package.upper()}_DATABASE_PASSWORD:?}}@" in environment["VOLTLYNC_DATABASE_URL"]
    else:
        assert "VOLTLYNC_DATABASE_URL" not in environment


def test_dotenv_answers_every_question_that_compose_asks() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    answered = dict(line.split("=", 1) for line in dotenv(Credentials.make()).splitlines() if line and not line.startswith("#"))
    assert asked <= answered.keys(), "voltlync/dotenv.py"
    assert all(answered.values())
    provision = COMPOSE["services"]["provision"]["environment"]
    told = {name: answered[name] for name in provision if name in answered}
    assert credentials_from(told).broker_passwords["payments"] == answered["PAYMENTS_BROKER_PASSWORD"]


@pytest.mark.parametrize("name", [compose_name(package) for package in SERVICES])
def test_services_run_with_the_least_that_they_need(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["build"]["args"]["MEMBER"] == f"services/{name}"
    assert service["build"]["args"]["PACKAGE"] == name.replace("-", "_")
    dockerfile = (ROOT / service["build"]["dockerfile"]).read_text()
    assert re.search(r"^USER [1-9]\d*$", dockerfile, re.MULTILINE), "images run as a numeric user that is not root"


def test_only_the_doors_are_published_beyond_this_box() -> None:
    public = {
        name: port
        for name, service in COMPOSE["services"].items()
        for port in service.get("ports", [])
        if not str(port).startswith("127.0.0.1:")
    }
    assert public == {"ocpp-gateway": "9000:9000", "api-gateway": "8080:8080"}


@pytest.mark.parametrize("package", SERVICES)
def test_no_setting_that_names_an_address_keeps_its_default_in_a_container(package: str) -> None:
    """127.0.0.1 is another machine there."""
    given = COMPOSE["services"][compose_name(package)]["environment"]
    local = {
        setting.variable for setting in settings_of(package) if setting.default.startswith(("127.0.0.1", "http://127.0.0.1"))
    }
    assert local <= given.keys(), f"docker-compose.yml: {compose_name(package)} needs {sorted(local - given.keys())}"


def test_tls_is_laid_over_the_same_gateway() -> None:
    over: dict[str, Any] = yaml.safe_load((ROOT / "deploy/docker/compose.tls.yml").read_text())["services"]
    assert over.keys() <= COMPOSE["services"].keys()
    given = over["ocpp-gateway"]["environment"]
    assert given.keys() <= {setting.variable for setting in settings_of("ocpp_gateway")}
    assert given.keys().isdisjoint(COMPOSE["services"]["ocpp-gateway"]["environment"])
    assert over["ocpp-gateway"]["ports"] == [f"{given['VOLTLYNC_OCPP_TLS_PORT']}:{given['VOLTLYNC_OCPP_TLS_PORT']}"]
    (mount,) = over["ocpp-gateway"]["volumes"]
    folder = mount.rsplit(":", 2)[1]
    assert {Path(given["VOLTLYNC_OCPP_TLS_CERTIFICATE"]).parent, Path(given["VOLTLYNC_OCPP_TLS_KEY"]).parent} == {Path(folder)}
