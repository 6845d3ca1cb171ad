"""What a report of an error or a signal means, and how much of an address is kept."""

import pytest

from charging.domain.charger_errors import ErrorIdentity, reported_error, said_text
from charging.domain.signal import bit_error_rate, signal_dbm, signal_words
from charging.usecases.unknown_charge_points import network_of


@pytest.mark.parametrize(
    ("error_code", "vendor_id", "vendor_error_code", "identity"),
    [
        ("NoError", None, None, None),
        ("NoError", "null", "0x0000", None),  # row 48: ABB Terra, healthy
        ("NoError", "ABB", "0x0017", None),
        ("noerror", None, None, None),
        (" ", None, None, None),
        ("GroundFailure", None, None, ErrorIdentity("GroundFailure", "", "")),
        ("OtherError", "ABB", "0x0017", ErrorIdentity("OtherError", "ABB", "0x0017")),
        ("OtherError", "null", "0x0000", ErrorIdentity("OtherError", "", "")),
        ("OtherError", "", "000", ErrorIdentity("OtherError", "", "")),
        ("OtherError", "", "0", ErrorIdentity("OtherError", "", "")),
        ("OtherError", "", "0x", ErrorIdentity("OtherError", "", "0x")),
        ("OtherError", "", "E-10", ErrorIdentity("OtherError", "", "E-10")),
    ],
)
def test_an_error_is_what_its_code_says_whatever_the_other_fields_hold(error_code, vendor_id, vendor_error_code, identity):
    assert reported_error(error_code, vendor_id, vendor_error_code) == identity


def test_ways_of_saying_nothing():
    assert [said_text(text) for text in (None, "null", " NULL ", "None", "hot")] == ["", "", "", "", "hot"]


@pytest.mark.parametrize(
    ("rssi", "words", "dbm"),
    [(99, "no signal", None), (0, "no signal", -113), (1, "weak", -111), (9, "weak", -95), (10, "fair", -93),
     (14, "fair", -85), (15, "good", -83), (31, "good", -51)],
)  # fmt: skip
def test_a_signal_in_words(rssi, words, dbm):
    assert (signal_words(rssi), signal_dbm(rssi)) == (words, dbm)


def test_a_bit_error_rate_in_words():
    assert [bit_error_rate(ber) for ber in (0, 3, 7, 99)] == ["under 0.2 %", "0.8 % to 1.6 %", "over 12.8 %", None]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.0/24"),
        ("::ffff:203.0.113.9", "203.0.113.0/24"),
        ("2001:db8:1234:5678::9", "2001:db8:1234::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("not an address", None),
        (None, None),
    ],
)
def test_of_an_address_the_network_is_kept(address, network):
    assert network_of(address) == network
