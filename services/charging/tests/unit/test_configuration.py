"""Desired and reported configuration: what is asked for, in what order, and what is left alone (domain/configuration.py)."""

import pytest

from charging.domain.configuration import Configuration, Desired, Key, KeyAnswer, answer_of, desired_of, same
from charging.domain.quirk_profiles import QuirkProfile
from charging.domain.redaction import HIDDEN, is_secret, redact_payload, redact_response
from charging.domain.states import CommandStatus
from charging.platform_configuration import ConfigurationInvalid, load_configuration
from charging.quirk_profiles import load_profiles

PROFILES = load_profiles()
PLATFORM = load_configuration(None, PROFILES)
ENERGY = "Energy.Active.Import.Register"
PAIR = f"{ENERGY},Power.Active.Import"


def listing(**values):
    return {"configurationKey": [{"key": key, "readonly": False, "value": value} for key, value in values.items()]}


def of(*wished, **reported):
    known = Configuration({})
    known.wish(wished)
    known.take_listing(listing(**reported), None)
    return known


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("true", "True"),
        ("30", " 030 "),
        ("30", "30.0"),
        (PAIR, f'"{ENERGY}" , power.active.import'),
        ("", " , "),
    ],
)
def test_values_that_mean_the_same(one, other):
    assert same(one, other)


@pytest.mark.parametrize(("one", "other"), [("30", "300"), ("true", "false"), (PAIR, ENERGY), ("1", "true")])
def test_values_that_differ(one, other):
    assert not same(one, other)


def test_keys_are_matched_without_regard_to_case_and_asked_for_as_the_charger_spells_them():
    known = of(Desired("ResetRetries", "1"), resetRETRIES="3")
    key = known.next_change()
    assert key is not None
    assert key.key == "resetRETRIES"
    assert known.drift == 1
    assert of(Desired("ResetRetries", "1"), resetRETRIES="1").next_change() is None


def test_a_range_that_holds_asks_for_nothing():
    wish = Desired("ConnectionTimeOut", "90", between=(60, 120))
    assert of(wish, ConnectionTimeOut="120").next_change() is None
    beyond = of(wish, ConnectionTimeOut="121").next_change()
    assert beyond is not None
    assert beyond.desired == "90"
    assert of(wish, ConnectionTimeOut="soon").next_change() is not None


def test_read_only_keys_and_those_that_were_declined_are_left_alone():
    known = of(Desired("A", "1"), Desired("B", "1"), Desired("C", "1"))
    known.take_listing({"configurationKey": [{"key": "A", "readonly": True, "value": "2"}]}, None)
    key = known.next_change()
    assert key is not None
    assert key.name == "b"
    key.sent = "1"
    known.asked("b", KeyAnswer.REJECTED)
    after = known.next_change()
    assert after is not None
    assert after.name == "c"


def test_energy_alone_where_the_pair_is_declined_and_it_stays_so():
    wish = Desired("MeterValuesSampledData", PAIR, fallbacks=(ENERGY,))
    known = of(wish, MeterValuesSampledData="Voltage")
    key = known.next_change()
    assert key is not None
    key.sent = key.desired
    known.asked(key.name, KeyAnswer.REJECTED)
    again = known.next_change()
    assert again is not None
    assert again.desired == ENERGY
    assert again.fallback
    again.sent = ENERGY
    known.asked(again.name, KeyAnswer.ACCEPTED)
    known.take_listing(listing(MeterValuesSampledData=ENERGY), None)
    assert known.next_change() is None
    assert known.drift == 0
    known.wish([wish])  # the next day
    assert known.next_change() is None
    assert known.keys["metervaluessampleddata"].desired == ENERGY
    known.forget_probes()  # another firmware
    known.wish([wish])
    pair = known.next_change()
    assert pair is not None
    assert pair.desired == PAIR


def test_another_wish_is_asked_for_although_the_first_was_settled():
    known = of(Desired("A", "1"), A="0")
    known.keys["a"].sent = "1"
    known.asked("a", KeyAnswer.REJECTED)
    assert known.next_change() is None
    known.wish([Desired("A", "2")])
    assert known.next_change() is known.keys["a"]


def test_profile_then_person_and_denied_keys():
    profile = QuirkProfile(
        configuration={"FreeMode": "false", "resetretries": "2"}, denied_keys=frozenset({"websocketpinginterval"})
    )
    wished = desired_of(PLATFORM.keys, profile, {"resetretries": ("ResetRetries", "5")})
    by = {each.key.casefold(): each.value for each in wished}
    assert by["freemode"] == "false"
    assert by["resetretries"] == "5"
    assert "websocketpinginterval" not in by


def test_listings_as_chargers_write_them():
    known = of(Desired("A", "1"))
    known.take_listing(
        {"configurationKey": [{"key": "A", "value": 1}, {"key": " B ", "value": True}, {"key": ""}, "C", None, {"value": "x"}]},
        None,
    )
    assert known.keys["a"].reported == "1"
    assert known.keys["b"].reported == "true"
    assert set(known.keys) == {"a", "b"}
    known.take_listing({"configurationKey": "none", "unknownKey": ["a"]}, None)
    assert known.keys["a"].reported is None


@pytest.mark.parametrize(
    ("status", "said", "answer"),
    [
        (CommandStatus.ANSWERED, "Accepted", KeyAnswer.ACCEPTED),
        (CommandStatus.ANSWERED, "RebootRequired", KeyAnswer.REBOOT_REQUIRED),
        (CommandStatus.REJECTED, "NotSupported", KeyAnswer.NOT_SUPPORTED),
        (CommandStatus.REJECTED, "Rejected", KeyAnswer.REJECTED),
        (CommandStatus.CALL_ERROR, "InternalError", KeyAnswer.ERROR),
        (CommandStatus.TIMED_OUT, "TIMED_OUT", KeyAnswer.NO_ANSWER),
        (CommandStatus.UNKNOWN, "UNKNOWN", KeyAnswer.NO_ANSWER),
        (CommandStatus.EXPIRED, "EXPIRED", None),
    ],
)
def test_what_an_outcome_says_of_a_key(status, said, answer):
    assert answer_of(status, said) is answer


@pytest.mark.parametrize(
    "key",
    ["AuthorizationKey", "StationPassword", "WifiKey", "wifi_passphrase", "SimPin", "APNPassword", "VendorSecret"],
)
def test_secrets_are_known_by_name_and_kept_nowhere(key):
    assert is_secret(key)
    assert redact_payload("ChangeConfiguration", {"key": key, "value": "hunter2"})["value"] == HIDDEN
    listed = redact_response("GetConfiguration", {"configurationKey": [{"key": key, "readonly": False, "value": "hunter2"}]})
    assert listed is not None
    assert "hunter2" not in str(listed)
    known = of(**{key: "hunter2"})
    assert known.keys[key.casefold()].reported == HIDDEN


@pytest.mark.parametrize("key", [each.key for each in PLATFORM.keys] + ["GetConfigurationMaxKeys", "SupportedFeatureProfiles"])
def test_ordinary_keys_are_no_secrets(key):
    assert not is_secret(key)


def test_the_packaged_file_asks_for_every_key_of_the_design_page_in_its_order():
    names = [each.key for each in PLATFORM.keys]
    assert names[:4] == ["HeartbeatInterval", "WebSocketPingInterval", "MeterValueSampleInterval", "MeterValuesSampledData"]
    assert {"TransactionMessageAttempts", "TransactionMessageRetryInterval", "ConnectionTimeOut", "ResetRetries"} <= set(names)
    assert len(names) == 21


def test_a_file_that_cannot_be_used_says_why(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("keys:\n  - {key: WifiPassword, value: x, why: y}\n")
    with pytest.raises(ConfigurationInvalid, match="WifiPassword is a secret"):
        load_configuration(file, PROFILES)
    file.write_text("keys:\n  - {key: A, value: x, why: y}\n")
    assert load_configuration(file, PROFILES).version != PLATFORM.version


def test_a_key_row_starts_unknown():
    assert Configuration({"a": Key("a", "A")}).drift == 0
