"""YAML scripts, the fleet, and the command."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from charger_simulator import ChargePoint, Quirks
from charger_simulator import script as scripts
from charger_simulator.fleet import Fleet, FleetOptions

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.yaml"))


@pytest.fixture
def made(world, monkeypatch):
    """The world settles the charge points that scripts and fleets make, too."""
    make = ChargePoint.__init__

    def remember(cp, *args, **fields):
        make(cp, *args, **fields)
        world.charge_points.append(cp)

    monkeypatch.setattr(ChargePoint, "__init__", remember)
    return world


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "script.yaml"
    path.write_text(text)
    return path


async def test_a_script_is_played(made, tmp_path):
    script = scripts.load(
        write(
            tmp_path,
            """
            charge_points:
              - id: CP1
                meter_start_wh: 500
                quirks: [wrong_stop_reason]
                settings: {reconnect_jitter: 0.0, configuration: {MeterValueSampleInterval: "30"}}
                steps:
                  - plug
                  - swipe: CARD
                  - expect: {action: StartTransaction, response: {transactionId: 101}}
                  - power: 3600
                  - wait: 100
                  - disconnect: 20
                  - expect: {connected: true, within: 30}
                  - quirks: [no_meter_values]
                  - repeat: {times: 2, steps: [{wait: 40}, {call: Heartbeat}]}
                  - call: {action: Nonsense}
                  - quirks: {stop_reason: Odd}
                  - fault: GroundFailure
                  - clear_fault
                  - expect: {meter_wh_min: 700}
                  - unplug
                  - expect: {action: StopTransaction, request: {reason: Odd, meterStop: 700}}
                  - reboot
                  - expect: {booted: true}
            """,
        )
    )
    script.url = made.csms.url
    told: list[str] = []
    playing = made.background(scripts.run(script, made.clock, told.append))
    while not playing.done():
        await made.clock.advance(1)
    assert playing.result() == []
    assert made.csms.sent("StopTransaction")[0]["meterStop"] == 700
    # 30, 60 and 90 s; at 100 s the network goes, at 120 s it is back and the queued one is sent.
    assert len(made.csms.sent("MeterValues")) == 4
    assert len(made.csms.sent("BootNotification")) == 2
    assert told[0] == "10:00:00 CP1 booted"
    assert "10:00:00 CP1 power watts=3600" in told
    assert told[-1].endswith("CP1 done")


async def test_an_expectation_that_does_not_come_true_fails_the_script(made, tmp_path):
    path = write(
        tmp_path, "charge_points: [{id: A, steps: [{expect: {status: Charging, within: 5}}, plug]}, {id: B, steps: [plug]}]"
    )
    script = scripts.load(path)
    script.url = made.csms.url
    playing = made.background(scripts.run(script, made.clock, lambda _: None))
    await asyncio.sleep(0)
    while not playing.done():
        await made.clock.advance(1)
    (failure,) = playing.result()
    assert failure.startswith("A: expected {'status': 'Charging', 'within': 5.0}")
    assert [item["status"] for item in made.csms.sent("StatusNotification") if item["connectorId"] == 1].count("Preparing") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("charge_points: []", "at least 1"),
        ("charge_points: [{id: A, steps: [{jump: 3}]}]", "step 1: one of wait"),
        ("charge_points: [{id: A, steps: [plug, {wait: soon}]}]", "step 2 .wait."),
        ("charge_points: [{id: A, steps: [{expect: {within: 3}}]}]", "either an action or a state"),
        ("charge_points: [{id: A, quirks: [no_such]}]", "no behaviour is named 'no_such'"),
        ("charge_points: [{id: A, quirks: {no_such: 1}}]", "Extra inputs"),
        ("charge_points: [", "no YAML"),
    ],
)
def test_what_is_no_script_is_refused_with_the_place(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        scripts.load(write(tmp_path, text))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_scripts(path):
    assert scripts.load(path).charge_points


async def test_a_fleet_connects_charges_and_leaves_cleanly(made):
    told: list[str] = []
    options = FleetOptions(
        made.csms.url, 30, id_format="F{n:03d}", password="pw-{id}", id_tag="FLEET", duration_seconds=60, connects_per_second=10
    )
    fleet = Fleet(options, made.clock, told.append)
    running = made.background(fleet.run())
    await asyncio.sleep(0)
    while not running.done():
        await made.clock.advance(1)
    await running
    assert len(made.csms.sent("BootNotification")) == 30
    assert len(made.csms.sent("StartTransaction")) == 30
    assert len(made.csms.sent("MeterValues")) >= 30
    assert {request.path for request in made.csms.requests} == {f"/ocpp/F{n:03d}" for n in range(1, 31)}
    assert "connected 30/30 booted 30 charging 30 refused 0" in told[3]
    assert made.csms.closed_with == [1000] * 30
    assert not any(cp.log for cp in fleet.charge_points)


async def test_the_command_plays_a_script_against_a_real_server(csms, tmp_path):
    path = write(tmp_path, "charge_points: [{id: CLI, steps: [plug, {swipe: CARD}, {expect: {status: Charging}}, unplug]}]")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "charger_simulator", "run", str(path), "--url", csms.url, "--password", "secret",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=dict(os.environ),
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert "CLI plug" in out.decode()
    # The end of the script is a clean Close, not a lost connection.
    assert csms.closed_with == [1000]
    assert csms.sent("StartTransaction")[0]["idTag"] == "CARD"


def test_the_command_says_what_is_wrong(tmp_path):
    def invoke(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "charger_simulator", *arguments], capture_output=True, text=True, check=False
        )

    assert invoke("run", str(tmp_path / "none.yaml")).returncode == 2
    without_url = invoke("run", str(write(tmp_path, "charge_points: [{id: A}]")))
    assert without_url.returncode == 2
    assert "--url" in without_url.stderr
    listing = invoke("quirks")
    assert listing.returncode == 0
    assert "ignores_stop" in listing.stdout
    assert all(name in listing.stdout for name in Quirks.model_fields)
