"""The pure rules: who knocks, what time a charger means, and what the tables make of odd payloads."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_gateway.handshake import (
    asking_to_upgrade,
    basic_password,
    charge_point_id_of,
    choose_subprotocol,
    hash_password,
    password_matches,
)
from ocpp_gateway.sanitize import MISSING, TABLES, Choice, Text, Whole, sanitize
from ocpp_gateway.timestamps import charger_time, ocpp_time
from ocpp_gateway.validation import is_valid

NOW = datetime(2026, 11, 22, 17, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("path", "identity"),
    [
        ("/ocpp/CP1", "CP1"),
        ("///charger", "charger"),
        ("/ocpp/CP1/", "CP1"),
        ("/ws://10.0.0.5:9000/CP_1/SERIAL", "SERIAL"),
        ("/RDAM%20123", "RDAM 123"),
        ("/RDAM%2520123", "RDAM%20123"),  # once, not until nothing is left to decode
        ("/ocpp/A%2FB", "A/B"),
        ("/ocpp/CP1?token=/x", "CP1"),
        ("/", None),
        ("/ocpp/" + "x" * 65, None),
        ("/ocpp/a%00b", None),
        ("/ocpp/a%0Ab", None),
    ],
)
def test_the_identity_is_the_last_segment(path, identity):
    assert charge_point_id_of(path) == identity


@given(st.text(max_size=200))
def test_no_path_and_no_header_raises(text):
    charge_point_id_of(text)
    basic_password(text)
    basic_password(f"Basic {text}")
    choose_subprotocol(text)


def test_the_password_is_bytes_after_the_first_colon():
    header = "Basic " + base64.b64encode(b"CP1:\xff:\x00x").decode()
    assert basic_password(header) == b"\xff:\x00x"
    assert basic_password(None) is None
    assert basic_password("Bearer x") is None
    assert basic_password("Basic " + base64.b64encode(b"no colon").decode()) is None


@given(st.binary(min_size=20, max_size=20))
def test_a_key_is_the_same_in_every_spelling(key):
    as_text = hash_password("salt", key.hex().encode())
    as_bytes = hash_password("salt", key)
    for stored in (as_text, as_bytes):
        for presented in (key, key.hex().encode(), key.hex().upper().encode()):
            assert password_matches("salt", stored, presented)
    assert not password_matches("salt", as_text, key[:-1] + bytes([key[-1] ^ 1]))
    assert not password_matches("other", as_text, key)
    assert not password_matches("salt", "", key)


def test_a_text_password_is_case_sensitive():
    stored = hash_password("s", b"Secret")
    assert password_matches("s", stored, b"Secret")
    assert not password_matches("s", stored, b"secret")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T17:03:00Z", NOW),
        ("2026-11-22T22:33:00+05:30", NOW),
        ("2026-11-22T22:33:00", NOW),  # India's local time: the nearest offset
        ("2026-11-22T17:03:00", NOW),
        ("2026-11-22T3:11:55Z", datetime(2026, 11, 22, 3, 11, 55, tzinfo=UTC)),
        ("2026/11/22 17:03", NOW),
        ("2026-11-19T22:33:00", datetime(2026, 11, 19, 22, 33, tzinfo=UTC)),  # a replay: nothing tells its zone
        ("1970-01-01T00:00:00Z", None),
        ("2026-11-24T17:03:01Z", None),
        ("3:11:55Z", None),
        ("0001-01-01T00:00:00", None),
        ("9999-12-31T23:59:59-10:00", None),
        ("", None),
        (None, None),
        (1234567890, None),
    ],
)
def test_charger_times(text, moment):
    assert charger_time(text, NOW) == moment


@given(st.text(max_size=60) | st.datetimes().map(str) | st.datetimes(timezones=st.timezones()).map(lambda d: d.isoformat()))
def test_no_text_makes_a_time_that_is_not_plausible(text):
    moment = charger_time(text, NOW)
    if moment is not None:
        assert moment.tzinfo is UTC
        assert datetime(2015, 1, 1, tzinfo=UTC) <= moment < datetime(2026, 11, 23, 17, 4, tzinfo=UTC)


def test_our_times_are_plain():
    assert ocpp_time(NOW.replace(microsecond=5)) == "2026-11-22T17:03:00Z"


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5, 5),
        (10.0, 10),
        ("10", 10),
        (26008.333, 26008),
        (0.5, 1),
        (-0.5, -1),
        ("1234,5", 1235),
        (" 7 ", 7),
        (-1, -1),
        (2**60, MISSING),
        (1e300, MISSING),
        (float("inf"), MISSING),
        ("NaN", MISSING),
        ("abc", MISSING),
        ("9" * 5000, MISSING),
        (True, MISSING),
        (None, MISSING),
        ([], MISSING),
        ({}, MISSING),
    ],
)
def test_whole_numbers(value, number):
    assert Whole().clean(value) == number


@pytest.mark.parametrize(
    ("value", "text"),
    [("abcdef", "abcd"), (" x ", "x"), (604.213, "604."), (0.0, "0.0"), (True, "true"), (None, MISSING), ([1], MISSING)],
)
def test_texts(value, text):
    assert Text(4).clean(value) == text


@pytest.mark.parametrize(
    ("value", "member"),
    [("One", "One"), ("one", "One"), ("uno", "One"), ("three", "Other"), ([], "Other"), ({}, "Other"), (None, MISSING)],
)
def test_choices(value, member):
    assert Choice(("One", "Two", "Other"), otherwise="Other", aliases={"uno": "One"}).clean(value) == member


CASES = [
    # (action, as sent, as understood, original), by row of ocpp.md
    (
        "StopTransaction",
        {"transactionId": 5, "meterStop": 26008.333, "timestamp": "t"},
        {"transactionId": 5, "meterStop": 26008, "timestamp": "t"},
        {"meterStop": 26008.333},
    ),
    ("StopTransaction", {"transactionId": None, "meterStop": 1, "timestamp": "t"}, {"meterStop": 1, "timestamp": "t"}, {}),
    (
        "StopTransaction",
        {"meterStop": 1, "disconnectReason": "EVDisconnected", "connectorId": 1},
        {"meterStop": 1, "timestamp": "", "reason": "EVDisconnected"},
        {},
    ),
    (
        "StopTransaction",
        {"meterStop": 1, "reason": "AppStop", "timestamp": "t"},
        {"meterStop": 1, "timestamp": "t", "reason": "Other"},
        {"reason": "AppStop"},
    ),
    (
        "StopTransaction",
        {"meterStop": 1, "reason": "", "timestamp": "t"},
        {"meterStop": 1, "timestamp": "t", "reason": "Other"},
        {"reason": ""},
    ),
    (
        "StatusNotification",
        {"connectorId": 1, "status": "charging", "errorCode": "Error"},
        {"connectorId": 1, "status": "Charging", "errorCode": "OtherError"},
        {"status": "charging", "errorCode": "Error"},
    ),
    (
        "StatusNotification",
        {"connectorId": 1, "status": "Available", "info": "x" * 80, "errorCode": "NoError"},
        {"connectorId": 1, "status": "Available", "errorCode": "NoError", "info": "x" * 50},
        {"info": "x" * 80},
    ),
    (
        "BootNotification",
        {"chargePointVendor": "", "chargePointSerialNumber": "s" * 26},
        {"chargePointVendor": "", "chargePointModel": "", "chargePointSerialNumber": "s" * 25},
        {"chargePointSerialNumber": "s" * 26},
    ),
    (
        "StartTransaction",
        {"connectorId": 1, "idTag": "T" * 21, "meterStart": 0, "timestamp": "t", "reservationId": -1},
        {"connectorId": 1, "idTag": "T" * 20, "meterStart": 0, "timestamp": "t"},
        {"idTag": "T" * 21, "reservationId": -1},
    ),
    ("Authorize", {"connectorId": 2, "idTag": "A"}, {"idTag": "A"}, {}),
    (
        "MeterValues",
        {"connectorId": 1, "meterValue": [{"timestamp": "t", "sampledValue": []}]},
        {"connectorId": 1, "meterValue": [{"timestamp": "t", "sampledValue": []}]},
        {},
    ),
    (
        "MeterValues",
        {
            "connectorId": 1,
            "transactionId": 1936029036,
            "meterValue": [
                {
                    "timestamp": "t",
                    "sampledValue": [
                        {"value": 604.213, "unit": "Hz", "context": "odd", "measurand": "Frequency"},
                        {"measurand": "Magic", "value": "9"},
                        {"unit": "Wh"},
                    ],
                }
            ],
        },
        {
            "connectorId": 1,
            "transactionId": 1936029036,
            "meterValue": [
                {"timestamp": "t", "sampledValue": [{"value": "604.213", "context": "Other", "measurand": "Frequency"}]}
            ],
        },
        {},
    ),
]


@pytest.mark.parametrize(("action", "sent", "understood", "original"), CASES)
def test_what_the_tables_make_of_it(action, sent, understood, original):
    clean, kept = sanitize(TABLES[action], sent)
    assert clean == understood
    assert kept == original
    assert is_valid(action, clean)


@pytest.mark.parametrize(
    ("head", "understood"),
    [
        ("GET / HTTP/1.1|Upgrade: websocket|Host: x", "GET / HTTP/1.1|Connection: Upgrade|Upgrade: websocket|Host: x"),
        (
            "GET / HTTP/1.1|Host: x|connection: keep-alive|upgrade: WebSocket",
            "GET / HTTP/1.1|Connection: Upgrade|Host: x|upgrade: WebSocket",
        ),
        ("GET / HTTP/1.1|Upgrade: websocket|Connection: close", "GET / HTTP/1.1|Connection: Upgrade|Upgrade: websocket"),
        ("GET / HTTP/1.1|Connection: keep-alive, Upgrade|Upgrade: websocket", None),
        ("GET /metrics HTTP/1.1|Host: x", None),
        ("GET / HTTP/1.1|X-Upgrade: websocket|Host: x", None),
        ("", None),
    ],
)
def test_a_forgotten_connection_header_is_supplied(head, understood):  # row 4
    wire = head.replace("|", "\r\n").encode()
    assert asking_to_upgrade(wire) == (wire if understood is None else understood.replace("|", "\r\n").encode())
