"""Whatever arrives, handling a frame neither raises nor leaves a charger without the answer it could have had."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.base import contract_for
from ocpp_gateway import frames
from ocpp_gateway.actions import ROUTES, AskCharging, AskLane, TellLane
from ocpp_gateway.sanitize import TABLES
from ocpp_gateway.validation import is_valid

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=20,
)
known_names = sorted(
    {name for table in TABLES.values() for name in table.fields} | {"sampledValue", "value", "unit", "measurand"}
)
near_payloads = st.dictionaries(
    st.sampled_from(known_names),
    st.recursive(
        json_values,
        lambda inner: st.dictionaries(st.sampled_from(known_names), inner, max_size=5) | st.lists(inner, max_size=3),
        max_leaves=10,
    ),
    max_size=8,
)
message_ids = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40) | st.integers(0, 2**31)
TRANSACTION_ACTIONS = ("MeterValues", "StartTransaction", "StopTransaction")


@given(st.binary(max_size=2000) | st.text(max_size=2000).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"[" * 100_000)
@example(b'[2,"1",' + b"9" * 5000 + b"]")
@example(b'"\\"' * 5000)
@example(b'[2,"\\ud800","Heartbeat",{}]')
@settings(max_examples=200, deadline=None)
def test_no_bytes_make_reading_or_handling_raise(one_charger, data):
    one_charger.connection.frame(data)
    assert one_charger.connection.ended is None
    assert one_charger.failures() == 0


@given(json_values)
@settings(max_examples=150, deadline=None)
def test_no_json_makes_handling_raise(one_charger, message):
    one_charger.connection.frame(orjson.dumps(message, option=orjson.OPT_NON_STR_KEYS) if _dumps(message) else b"[]")
    assert one_charger.failures() == 0


def _dumps(value) -> bool:
    try:
        orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        return False
    return True


@given(st.sampled_from(sorted(ROUTES)), near_payloads | json_values, message_ids)
@settings(max_examples=150, deadline=None)
def test_every_call_gets_exactly_one_answer_and_events_fit_their_contracts(one_charger, action, payload, message_id):
    if not _dumps([payload, message_id]):
        return
    wire = one_charger
    wire.clear()
    wire.connection.frame(orjson.dumps([2, message_id, action, payload]))
    assert wire.failures() == 0
    route = ROUTES[action]
    asked = isinstance(route, AskCharging) and wire.tasks
    assert len(wire.sent) + bool(asked) == 1
    for event in wire.events:
        body = orjson.loads(event.message("gw-1").body)
        model = contract_for(event.event_type).model_validate(body)
        assert model.charge_point_id == "CP-1"
        for number in _integers(body):
            assert abs(number) <= 2**53  # what a database can hold
        assert b"\\u0000" not in event.message("gw-1").body  # nor a NUL
    if wire.sent:
        answer = orjson.loads(wire.sent[0])
        assert answer[1] == message_id
        assert answer[0] in {3, 4}
        if action in TRANSACTION_ACTIONS and isinstance(payload, dict):
            assert answer[0] == 3, "a transaction message is never refused for what could be understood"
            assert isinstance(route, TellLane | AskLane)
            assert len(wire.events) == 1


def _integers(value):
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in {"epoch", "data"}:
                yield from _integers(item)
    elif isinstance(value, list):
        for item in value:
            yield from _integers(item)
    elif type(value) is int:
        yield value


@pytest.mark.parametrize(
    ("broken", "repaired"),
    [
        (b'[2,"1","StopTransaction",{"transactionId":,"meterStop":5}]', {"transactionId": None, "meterStop": 5}),
        (b'[2,"1","MeterValues",{"sampledValue":[,{"value":"1"}]}]', {"sampledValue": [{"value": "1"}]}),
        (b'[2,"1","MeterValues",{"a":[1,,2,],}]', {"a": [1, 2]}),
        (b'[2,"1","X",{"a":",,]:,}"}]', {"a": ",,]:,}"}),
        (b'[2,"1","X",{"a":"x\\u0000y\\\\u0000"}]', {"a": "xy\\u0000"}),
        (b'[2,"1","X",{"a":NaN}]', {"a": None}),
    ],
)
def test_known_defects_are_repaired_and_texts_left_alone(broken, repaired):
    assert frames.read(broken)[0][3] == repaired


@given(st.dictionaries(st.text(max_size=10), st.text(max_size=30) | st.integers(-(2**53), 2**53), max_size=5))
def test_what_is_json_is_read_as_it_is(payload):
    try:
        data = orjson.dumps([2, "1", "X", payload])
    except orjson.JSONEncodeError:
        return
    if b"\\u0000" not in data:
        assert frames.read(data) == [[2, "1", "X", payload]]


@pytest.mark.parametrize("missing", ["timestamp", "sampledValue"])
def test_a_stop_whose_transaction_data_lack_something_is_answered_all_the_same(one_charger, missing):
    data = {"timestamp": "2026-01-05T05:31:03Z", "sampledValue": [{"value": "16012000"}]}
    del data[missing]
    wire = one_charger
    wire.clear()
    stop = {"transactionId": 711, "meterStop": 16012000, "timestamp": "2026-01-05T05:31:03Z", "transactionData": [data]}
    wire.connection.frame(orjson.dumps([2, "1", "StopTransaction", stop]))
    assert wire.failures() == 0
    assert [event.event_type for event in wire.events] == ["ocpp_gateway.stop_transaction_received.v1"]
    assert orjson.loads(wire.sent[0])[:2] == [3, "1"]


@pytest.mark.parametrize("frame", [b"[3,%b,{}]", b'[3,"1",%b]', b"[4,%b]", b'[4,"1",%b]', b'[4,"1","GenericError",%b]'])
@pytest.mark.parametrize("brackets", [b"[]", b"{}"])
def test_answers_that_nest_very_deep_are_nobodys_and_no_defect_of_ours(one_charger, frame, brackets):
    opened = b"[" if brackets == b"[]" else b'{"a":'
    before = one_charger.failures()
    one_charger.connection.frame(frame % (opened * 1000 + b"1" + brackets[1:] * 1000))
    assert one_charger.failures() == before


def test_cut_off_messages_keep_their_id():
    with pytest.raises(frames.Unreadable) as answer:
        frames.read(b'[3,"id-7",{"configurationKey":[]')
    assert (answer.value.message_type, answer.value.message_id) == (3, "id-7")


def test_depth_is_bounded():
    deep: list = []
    for _ in range(40):
        deep = [deep]
    assert frames.too_deep(deep)
    assert not frames.too_deep({"a": [{"b": 1}]})


def test_error_codes_are_spelt_as_ocpp_16_spells_them():
    assert frames.ErrorCode.FORMATION_VIOLATION == "FormationViolation"
    assert frames.ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION == "OccurenceConstraintViolation"
    error = orjson.loads(frames.call_error(b'"1"', frames.ErrorCode.NOT_IMPLEMENTED, "x" * 400))
    assert error == [4, "1", "NotImplemented", "x" * 255, {}]


def test_valid_messages_are_valid_and_the_clock_of_1970_is_no_reason_to_refuse():
    meter_values = {"connectorId": 1, "meterValue": [{"timestamp": "3:11:55Z", "sampledValue": [{"value": "1"}]}]}
    assert is_valid("MeterValues", meter_values)
    assert is_valid("Heartbeat", {})
    fields = ROUTES["MeterValues"].fields(meter_values, {}, datetime(2026, 1, 5, tzinfo=UTC))
    assert fields["meter_value"][0]["timestamp"] is None
