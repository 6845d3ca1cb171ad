"""Quirk profiles: whom they match, how several merge, what an override wins, and what a bad file is told."""

from pathlib import Path

import pytest

from charging.domain.quirk_profiles import Profile, QuirkCatalogue, QuirkProfile, firmware_matches, version_of
from charging.domain.stopping import DEFAULT_ESCALATION, StopMeans
from charging.quirk_profiles import QuirkProfilesInvalid, load_profiles
from charging.quirk_profiles.__main__ import with_table


def profile(name, *, vendor="ACME*", model=(), firmware=None, local=False, **quirks):
    return Profile(name=name, file=f"{name}.yaml", vendors=(vendor,), models=model, firmware=firmware, quirks=quirks, local=local)


@pytest.fixture(scope="module")
def packaged():
    return load_profiles()


# --- matching ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "firmware", "matches"),
    [
        ("<=1.8.21", "1.8.21", True),
        ("<=1.8.21", "1.8.22", False),
        ("<=1.8.21", "1.8", True),
        ("<=1.8.21", "1.10", False),  # by number, not by text
        (">=6.0 <6.8", "v6.7.38-rc1", True),
        (">=6.0 <6.8", "6.8.0", False),
        (">=6.0,<6.8", "5.99", False),
        ("==4.2.2", "4.2.2", True),
        ("==4.2", "4.2.0", True),
        ("==4.2.2", "4.2.20", False),
        ("<3", "SW:A1B_2.8", True),
        ("<3", "no number at all", False),
        ("5.7.*", "5.7.18", True),
        ("5.7.*", "5.17.18", False),
        ("gwm-*", "GWM-07.020-03", True),
    ],
)
def test_firmware_is_compared_by_number_or_by_glob(pattern, firmware, matches):
    assert firmware_matches(pattern, firmware) is matches


def test_the_number_of_a_firmware_version_is_its_first_dotted_one():
    assert version_of("SW:A1B_2.8") == (2, 8)
    assert version_of("rev 7") == (7,)
    assert version_of("beta") is None


def test_vendor_and_model_are_globs_without_regard_to_case_and_space():
    terra = profile("terra", vendor="abb*", model=("Terra AC*",))
    assert terra.matches(" ABB  ", "TERRA AC W22", None)
    assert not terra.matches("ABB", "Eve", None)
    assert not terra.matches("ABB", None, None)
    assert not terra.matches(None, "Terra AC", None)
    bounded = profile("bounded", firmware="<=2")
    assert bounded.matches("Acme", "Any", "1.9")
    assert not bounded.matches("Acme", "Any", None)  # nobody knows which firmware that is


# --- merging ---------------------------------------------------------------------------------------------------------------


def test_the_more_specific_profile_wins_field_by_field():
    catalogue = QuirkCatalogue(
        [
            profile("exact", model=("One",), settle_seconds=40),
            profile("one-old", model=("O*",), firmware="<2", settle_seconds=30, call_timeout_seconds=90),
            profile("one", model=("O*",), settle_seconds=20, call_timeout_seconds=80, energy_unit="kWh"),
            profile("acme", settle_seconds=10, call_timeout_seconds=70, energy_unit="Wh", stop_by_reported_id=True),
        ]
    )
    merged = catalogue.profile_of("Acme", "One", "1.0")
    assert (merged.settle_seconds, merged.call_timeout_seconds, merged.energy_unit) == (40, 90, "kWh")
    assert merged.stop_by_reported_id
    applied = catalogue.applied("Acme", "One", "1.0")
    assert [p.name for p in applied.profiles] == ["acme", "one", "one-old", "exact"]
    assert applied.origins == {
        "settle_seconds": ("exact",),
        "call_timeout_seconds": ("one-old",),
        "energy_unit": ("one",),
        "stop_by_reported_id": ("acme",),
    }
    assert catalogue.profile_of("Other", "One", "1.0") == QuirkProfile()


def test_what_one_profile_found_harmful_another_does_not_allow():
    catalogue = QuirkCatalogue(
        [
            profile("acme", denied_actions=["TriggerMessage:BootNotification"], denied_keys=["MeterValuesSampledData"]),
            profile("one", model=("One",), denied_actions=["Reset"], denied_keys=[]),
        ]
    )
    merged = catalogue.profile_of("Acme", "One", None)
    assert merged.denies("Reset")
    assert merged.denies("TriggerMessage", {"requestedMessage": "BootNotification"})
    assert not merged.denies("TriggerMessage", {"requestedMessage": "MeterValues"})
    assert merged.denies_key("METERVALUESSAMPLEDDATA")
    assert not merged.denies_key("HeartbeatInterval")


def test_no_stop_escalates_to_what_is_denied():
    catalogue = QuirkCatalogue([profile("acme", denied_actions=["Reset", "SetChargingProfile"])])
    assert catalogue.profile_of("Acme", "One", None).stop_escalation == (StopMeans.INOPERATIVE,)
    allowed = catalogue.profile_of("Acme", "One", None, {"denied_actions": ["SetChargingProfile:x"]})
    assert allowed.stop_escalation == DEFAULT_ESCALATION


def test_configuration_merges_key_by_key():
    catalogue = QuirkCatalogue(
        [
            profile("acme", configuration={"WebSocketPingInterval": "20", "FreeMode": "true"}),
            profile("one", model=("One",), configuration={"websocketpinginterval": "10"}),
        ]
    )
    assert dict(catalogue.profile_of("Acme", "One", None).configuration) == {"FreeMode": "true", "websocketpinginterval": "10"}
    override = {"configuration": {"FreeMode": None, "HeartbeatInterval": "30"}}
    applied = catalogue.applied("Acme", "One", None, override)
    assert dict(applied.effective.configuration) == {"websocketpinginterval": "10", "HeartbeatInterval": "30"}
    assert applied.origins["configuration"] == ("acme", "one", "override")


def test_an_override_always_wins_even_over_what_is_denied():
    catalogue = QuirkCatalogue([profile("acme", denied_actions=["Reset"], energy_unit="kWh", stop_by_reported_id=True)])
    override = {"denied_actions": [], "energy_unit": "Wh", "stop_by_reported_id": False, "stop_escalation": []}
    merged = catalogue.profile_of("Acme", "One", None, override)
    assert (merged.denies("Reset"), merged.energy_unit, merged.stop_by_reported_id) == (False, "Wh", False)
    assert merged.stop_escalation == ()
    assert catalogue.profile_of("Acme", "One", None).denies("Reset")  # the model's own is untouched
    assert catalogue.applied("Acme", "One", None, override).origins["denied_actions"] == ("override",)
    # A charger that has not booted yet has its override all the same, and a word of another release means nothing.
    odd = {"stop_escalation": ["RESET_HARD", "EXPLODE"], "colour": "red"}
    assert catalogue.profile_of(None, None, None, odd).stop_escalation == (StopMeans.RESET_HARD,)
    assert catalogue.profile_of(None, None, None, {}).stop_escalation == DEFAULT_ESCALATION


# --- the packaged ones -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vendor", "model", "firmware", "expected"),
    [
        ("ABB", "Terra AC W22-T-0", "1.8.21", {"settle_seconds": 30, "denied_keys": frozenset({"metervaluessampleddata"})}),
        ("ABB", "Terra AC W22-T-0", "1.8.32", {"settle_seconds": None, "denied_keys": frozenset()}),
        ("OpenEVSE", "OpenEVSE", "4.2.2", {"energy_unit": "kWh"}),
        ("OpenEVSE", "OpenEVSE", "5.0", {"energy_unit": None}),
        ("United Chargers Inc.", "Grizzl-E Smart", "5.621", {"session_relative_register": True}),
        ("Simpson & Partners", "7 Plus", "1", {"stop_by_reported_id": True}),
        ("FoxESS", "A022KP1", "2.0.1", {"close_without_frame": True}),
        ("Wall Box Chargers", "PLP1-0-2-4", "5.7.18", {"settle_seconds": 30}),
        ("StarCharge", "Artemis", "3", {"call_timeout_seconds": 60}),
        ("Acme", "One", "1", {"energy_unit": None, "settle_seconds": None, "denied_actions": frozenset()}),
    ],
)
def test_the_packaged_profiles_know_their_models(packaged, vendor, model, firmware, expected):
    found = packaged.profile_of(vendor, model, firmware)
    assert {name: getattr(found, name) for name in expected} == expected


def test_a_box_that_must_be_told_to_take_remote_starts_is(packaged):  # row 85
    charx = packaged.profile_of("Phoenix Contact", "CHARX SEC-3100", "1.9.0")
    assert charx.configuration["FreeMode"] == "true"


def test_every_packaged_profile_has_evidence_in_the_quirk_table_and_matches_something_it_names(packaged):
    rows = set()
    for found in packaged.profiles:
        assert found.evidence, found.name
        assert all(1 <= evidence.row <= 94 for evidence in found.evidence), found.name
        rows |= {evidence.row for evidence in found.evidence}
        plain = found.vendors[0].replace("*", "")
        model = found.models[0].replace("*", " ") if found.models else "anything"
        assert QuirkCatalogue([found]).applied(plain, model, None).profiles or found.firmware is not None
    assert {8, 13, 14, 51, 61, 62, 85, 88, 94} <= rows


# --- files -----------------------------------------------------------------------------------------------------------------

LOCAL = """
profiles:
  - name: acme-one
    match: {vendor: Acme, model: One}
    quirks: {energy_unit: kWh, configuration: {HeartbeatInterval: "60"}}
    evidence: [{row: 61, source: "our own bench", says: "kWh labelled Wh"}]
"""


def test_a_directory_adds_profiles_without_code_and_replaces_ours_by_name(tmp_path):
    (tmp_path / "acme.yaml").write_text(LOCAL)
    replaced = LOCAL.replace("acme-one", "openevse-kwh").replace("vendor: Acme", "vendor: OpenEVSE")
    (tmp_path / "evse.yaml").write_text(replaced)
    (tmp_path / "notes.txt").write_text("not a profile")
    catalogue = load_profiles(tmp_path)
    assert catalogue.profile_of("ACME", "one", None).energy_unit == "kWh"
    assert catalogue.profile_of("OpenEVSE", "OpenEVSE", "4.2.2").energy_unit is None
    assert catalogue.profile_of("OpenEVSE", "One", None).energy_unit == "kWh"
    assert catalogue.profile_of("ABB", "Terra AC", "1.0").settle_seconds == 30


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("profiles: [", "bad.yaml: not YAML"),
        ("[]", "bad.yaml: the file: "),
        ("profiles: []", "bad.yaml: profiles: "),
        (LOCAL.replace("energy_unit", "energy_units"), "bad.yaml: profiles.0.quirks.energy_units: "),
        (LOCAL.replace("kWh,", "MWh,"), "bad.yaml: profiles.0.quirks.energy_unit: "),
        (LOCAL.replace("model: One", "firmware: '~1.0 <2'"), "bad.yaml: profiles.0.match.firmware: "),
        (LOCAL.replace("model: One", "firmware: 1.0"), "bad.yaml: profiles.0.match.firmware: "),
        (LOCAL.replace('{row: 61, source: "our own bench", says: "kWh labelled Wh"}', ""), "bad.yaml: profiles.0.evidence: "),
        (LOCAL + LOCAL.replace("profiles:\n", ""), "bad.yaml: profile acme-one is in bad.yaml already"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_field(tmp_path, text, told):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(QuirkProfilesInvalid) as error:
        load_profiles(tmp_path)
    assert str(error.value).startswith(told)


def test_a_directory_that_is_not_there_is_said(tmp_path):
    with pytest.raises(QuirkProfilesInvalid, match="VOLTLYNC_QUIRK_PROFILES_DIR"):
        load_profiles(tmp_path / "nowhere")


def test_the_page_shows_the_packaged_profiles():
    page = (Path(__file__).parents[4] / "docs" / "quirk-profiles.md").read_text()
    assert with_table(page) == page, "run `python -m charging.quirk_profiles --write docs/quirk-profiles.md`"
