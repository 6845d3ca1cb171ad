"""What chargers said of themselves, as people read it: errors and signal quality."""

from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, Field

from charging.domain.signal import SignalWords, bit_error_rate, signal_dbm, signal_words
from charging.views.base import ChargerErrorId, ChargerId, StationId, View
from chassis.web import PageQuery


class ChargerErrorView(View):
    """An error that a charger reported, from its first report until NoError."""

    id: ChargerErrorId
    charger_id: ChargerId
    charge_point_id: str
    station_id: StationId
    connector_id: int = Field(description="0 is the charger itself")
    error_code: str = Field(description="OCPP 1.6 §7.6")
    vendor_id: str = Field(description="empty: none")
    vendor_error_code: str = Field(description="empty: none")
    status: str = Field(description="the connector's, with the last report")
    info: str
    open: bool
    opened_at: datetime
    last_seen_at: datetime
    occurrences: int
    resolved_at: datetime | None
    resolution: str | None = Field(description="what resolved it")


class ChargerErrorQuery(PageQuery):
    """Filters of the list."""

    charger_id: ChargerId | None = None
    station_id: StationId | None = None
    connector_id: int | None = Field(None, ge=0)
    open: bool | None = Field(None, description="true: not resolved yet")
    error_code: str | None = Field(None, max_length=50)
    since: AwareDatetime | None = Field(
        None, description="seen from then on; null: the last 7 days, and whatever is open", strict=False
    )


class SignalQualityView(View):
    """One report of a charger's modem."""

    charger_id: ChargerId
    charge_point_id: str
    received_at: datetime
    rssi: int = Field(description="0 to 31, 99: not known (3GPP TS 27.007)")
    ber: int = Field(description="0 to 7, 99: not known")
    quality: SignalWords = Field(description="the RSSI in words")
    dbm: int | None = Field(description="the RSSI in dBm; null: not known")
    bit_error_rate: str | None = Field(description="the BER as a range; null: not known")

    @classmethod
    def of(cls, row: Any) -> "SignalQualityView":
        """From a row of signal_quality joined with its charger."""
        return cls(
            charger_id=row.charger_id,
            charge_point_id=row.charge_point_id,
            received_at=row.received_at,
            rssi=row.rssi,
            ber=row.ber,
            quality=signal_words(row.rssi),
            dbm=signal_dbm(row.rssi),
            bit_error_rate=bit_error_rate(row.ber),
        )


class SignalQualityQuery(PageQuery):
    """Filters of the history."""

    charger_id: ChargerId | None = None
    station_id: StationId | None = None
    since: AwareDatetime | None = Field(None, description="received from then on", strict=False)
    latest: bool = Field(False, description="true: only the newest report of each charger")
