"""A modem's +CSQ figures (3GPP TS 27.007 §8.5) in words."""

from enum import StrEnum

UNKNOWN = 99
"""Not known or not detectable."""

WEAK_FROM, FAIR_FROM, GOOD_FROM = 1, 10, 15
"""RSSI from which it is weak (-111 dBm), fair (-93 dBm), good (-83 dBm): the usual reading of +CSQ."""

BIT_ERROR_RATES = ("under 0.2 %", "0.2 % to 0.4 %", "0.4 % to 0.8 %", "0.8 % to 1.6 %", "1.6 % to 3.2 %",
                   "3.2 % to 6.4 %", "6.4 % to 12.8 %", "over 12.8 %")  # fmt: skip
"""BER 0 to 7 (3GPP TS 45.008 §8.2.4)."""


class SignalWords(StrEnum):
    """How good a signal is."""

    NO_SIGNAL = "no signal"
    WEAK = "weak"
    FAIR = "fair"
    GOOD = "good"


def signal_words(rssi: int) -> SignalWords:
    """RSSI 0 to 31 or 99."""
    if rssi == UNKNOWN or rssi < WEAK_FROM:
        return SignalWords.NO_SIGNAL
    if rssi < FAIR_FROM:
        return SignalWords.WEAK
    return SignalWords.FAIR if rssi < GOOD_FROM else SignalWords.GOOD


def signal_dbm(rssi: int) -> int | None:
    """-113 dBm (or less) to -51 dBm (or more), in steps of 2; None where it is not known."""
    return None if rssi == UNKNOWN else 2 * rssi - 113


def bit_error_rate(ber: int) -> str | None:
    """BER 0 to 7 as a range; None where it is not known."""
    return BIT_ERROR_RATES[ber] if ber < len(BIT_ERROR_RATES) else None
