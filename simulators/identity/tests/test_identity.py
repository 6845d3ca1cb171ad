"""The issuer over real HTTP, seen as a verifier and a browser see it."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import jwt
import pytest
from typer.testing import CliRunner

from identity_simulator import FLAWS, PERSONAS, IdentitySimulator, NotInProduction
from identity_simulator.cli import app
from testkit.clock import SteppingClock

VERIFIER = "a-verifier-of-at-least-forty-three-characters-as-rfc-7636-asks"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
AUTHORIZE = {
    "response_type": "code",
    "client_id": "voltlync-web",
    "redirect_uri": "http://localhost:5173/signed-in",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": "xyz",
}


@pytest.fixture
async def identity(clock: SteppingClock) -> AsyncIterator[IdentitySimulator]:
    simulator = IdentitySimulator(clock=clock)
    await simulator.start()
    yield simulator
    await simulator.stop()


@pytest.fixture
async def http(identity: IdentitySimulator) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(identity.base_url) as session:
        yield session


async def verify(http: aiohttp.ClientSession, token: str, identity: IdentitySimulator, clock: SteppingClock) -> dict[str, object]:
    """As a careful verifier does, on the test's clock."""
    async with http.get("/.well-known/openid-configuration") as response:
        discovery = await response.json()
    async with http.get(urlsplit(discovery["jwks_uri"]).path) as response:
        keys = jwt.PyJWKSet.from_dict(await response.json())
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(
        token,
        keys[header["kid"]],
        algorithms=["RS256"],
        audience="voltlync",
        issuer=discovery["issuer"],
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )
    if not claims["nbf"] <= clock.now().timestamp() < claims["exp"]:
        raise jwt.ExpiredSignatureError
    return dict(claims)


@pytest.mark.parametrize("role", list(PERSONAS))
async def test_each_persona_gets_a_token_that_verifies(
    role: str, identity: IdentitySimulator, http: aiohttp.ClientSession, clock: SteppingClock
) -> None:
    async with http.post("/token", data={"grant_type": "client_credentials", "client_id": role}) as response:
        token = (await response.json())["access_token"]
    claims = await verify(http, token, identity, clock)
    assert claims["roles"] == [role]
    assert claims["sub"] == PERSONAS[role].subject
    assert claims.get("franchisee_id") == ("frn_1" if role == "franchisee" else None)
    async with http.get("/userinfo", headers={"Authorization": f"Bearer {token}"}) as response:
        assert (await response.json())["name"] == PERSONAS[role].name
    await clock.advance(3601)
    async with http.get("/userinfo", headers={"Authorization": f"Bearer {token}"}) as response:
        assert response.status == 401


@pytest.mark.parametrize("flaw", FLAWS)
async def test_each_flaw_is_refused_by_a_careful_verifier(
    flaw: str, identity: IdentitySimulator, http: aiohttp.ClientSession, clock: SteppingClock
) -> None:
    async with http.post("/_sandbox/token", json={"role": "admin", "flaw": flaw}) as response:
        token = (await response.json())["access_token"]
    with pytest.raises((jwt.InvalidTokenError, KeyError)):
        await verify(http, token, identity, clock)


async def test_the_wrong_algorithms_are_what_they_claim_to_be(identity: IdentitySimulator) -> None:
    assert jwt.get_unverified_header(identity.token("admin", flaw="alg_none"))["alg"] == "none"
    assert jwt.get_unverified_header(identity.token("admin", flaw="hs256_public_key"))["alg"] == "HS256"
    assert jwt.get_unverified_header(identity.token("admin", flaw="wrong_kid"))["kid"] not in identity.kids


async def test_rotation_keeps_or_withdraws_the_old_key(
    identity: IdentitySimulator, http: aiohttp.ClientSession, clock: SteppingClock
) -> None:
    old = identity.token("admin")
    async with http.post("/_sandbox/rotate") as response:
        assert len((await response.json())["kids"]) == 2
    assert jwt.get_unverified_header(identity.token("admin"))["kid"] != jwt.get_unverified_header(old)["kid"]
    await verify(http, old, identity, clock)
    await verify(http, identity.token("admin"), identity, clock)
    async with http.post("/_sandbox/rotate", json={"keep_old": False}) as response:
        assert len((await response.json())["kids"]) == 1
    with pytest.raises(KeyError):
        await verify(http, old, identity, clock)


async def test_a_browser_picks_a_persona_and_returns_with_a_code(
    identity: IdentitySimulator, http: aiohttp.ClientSession, clock: SteppingClock
) -> None:
    async with http.get("/authorize", params=AUTHORIZE) as response:
        page = await response.text()
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert page.count("<li>") == len(PERSONAS)
    async with http.get("/authorize", params={**AUTHORIZE, "persona": "finance"}, allow_redirects=False) as response:
        returned = parse_qs(urlsplit(response.headers["Location"]).query)
    assert returned["state"] == ["xyz"]
    form = {
        "grant_type": "authorization_code",
        "code": returned["code"][0],
        "redirect_uri": AUTHORIZE["redirect_uri"],
        "client_id": "voltlync-web",
        "code_verifier": VERIFIER,
    }
    async with http.post("/token", data=form) as response:
        tokens = await response.json()
    assert (await verify(http, tokens["access_token"], identity, clock))["roles"] == ["finance"]
    async with http.post("/token", data=form) as response:
        assert (await response.json())["error"] == "invalid_grant"  # a code works once


@pytest.mark.parametrize(
    "change", [{"code_verifier": "another"}, {"client_id": "another"}, {"redirect_uri": "http://localhost/"}, {"code": "x"}]
)
async def test_a_stolen_code_is_worth_nothing(http: aiohttp.ClientSession, change: dict[str, str]) -> None:
    async with http.get("/authorize", params={**AUTHORIZE, "persona": "admin"}, allow_redirects=False) as response:
        code = parse_qs(urlsplit(response.headers["Location"]).query)["code"][0]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": AUTHORIZE["redirect_uri"],
        "client_id": "voltlync-web",
        "code_verifier": VERIFIER,
    }
    async with http.post("/token", data={**form, **change}) as response:
        assert (response.status, (await response.json())["error"]) == (400, "invalid_grant")


async def test_a_code_lives_a_minute(http: aiohttp.ClientSession, clock: SteppingClock) -> None:
    async with http.get("/authorize", params={**AUTHORIZE, "persona": "admin"}, allow_redirects=False) as response:
        code = parse_qs(urlsplit(response.headers["Location"]).query)["code"][0]
    await clock.advance(61)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": AUTHORIZE["redirect_uri"]}
    async with http.post("/token", data={**form, "client_id": "voltlync-web", "code_verifier": VERIFIER}) as response:
        assert response.status == 400


async def test_nobody_is_sent_to_a_strange_address(http: aiohttp.ClientSession) -> None:
    for uri in [
        "https://evil.example/",
        "//evil.example",
        "javascript:alert(1)",
        "http://localhost@evil.example/",
        "http://[",
        "",
    ]:
        async with http.get("/authorize", params={**AUTHORIZE, "redirect_uri": uri}, allow_redirects=False) as response:
            assert response.status == 400, uri
            assert "Location" not in response.headers


async def test_plain_challenges_and_unknown_personas_are_refused(http: aiohttp.ClientSession) -> None:
    for change, error in [({"code_challenge_method": "plain"}, "invalid_request"), ({"persona": "root"}, "access_denied")]:
        async with http.get("/authorize", params={**AUTHORIZE, **change}, allow_redirects=False) as response:
            assert parse_qs(urlsplit(response.headers["Location"]).query) == {"error": [error], "state": ["xyz"]}


async def test_the_keys_can_be_away_and_slow(identity: IdentitySimulator, http: aiohttp.ClientSession) -> None:
    async with http.post("/_sandbox/jwks", json={"available": False}) as response:
        assert response.status == 200
    async with http.get("/.well-known/jwks.json") as response:
        assert response.status == 503
    async with http.get("/_sandbox/state") as response:
        assert (await response.json())["jwks"] == {"requests": 1, "available": False, "delay_seconds": 0.0}


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b'{"role": "root"}',
        b'{"role": "admin", "flaw": "x"}',
        b'{"role": ["admin"]}',
        b'{"role": "admin", "lifetime_seconds": 1e400}',
    ],
)
async def test_control_bodies_that_make_no_sense_are_answered_400(http: aiohttp.ClientSession, body: bytes) -> None:
    async with http.post("/_sandbox/token", data=body) as response:
        assert response.status == 400


async def test_unknown_clients_and_grants_are_answered_as_oauth_says(http: aiohttp.ClientSession) -> None:
    for form, error in [
        ({"grant_type": "client_credentials", "client_id": "root"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ]:
        async with http.post("/token", data=form) as response:
            assert (response.status, (await response.json())["error"]) == (400, error)


async def test_keys_survive_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "identity.json"
    first = IdentitySimulator(state_file=state)
    first.rotate()
    assert IdentitySimulator(state_file=state).kids == first.kids
    assert state.stat().st_mode & 0o077 == 0
    assert json.loads(state.read_text())["keys"]


def test_it_does_not_run_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLTLYNC_ENVIRONMENT", "production")
    with pytest.raises(NotInProduction):
        IdentitySimulator()
    result = CliRunner().invoke(app, ["serve"])
    assert result.exit_code == 2
    assert "does not run in production" in result.output
