"""What a charge point is like when it behaves. Misbehaviour is `quirks.py`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Properties of the simulated hardware and its timing. All seconds run on the injected clock, except where said otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    voltage_v: int = Field(230, gt=0, description="Phase voltage: reported, and used to turn ampere limits into watts.")
    phases: int = Field(1, ge=1, le=3, description="Phases the station charges on.")
    serial_number: str | None = Field(None, max_length=25, description="Sent in BootNotification; the id, cut to 25, if absent.")
    configuration: dict[str, str] = Field(default={}, description="OCPP configuration keys that differ from our defaults.")
    unlock_result: str = Field("Unlocked", description="Answer to UnlockConnector: Unlocked, UnlockFailed or NotSupported.")
    data_transfer_vendor: str | None = Field(None, description="vendorId whose DataTransfer is Accepted; all others are unknown.")
    reboot_seconds: float = Field(5, ge=0, description="From power-off to the first attempt to connect.")
    soft_reset_flush_seconds: float = Field(10, ge=0, description="How long a soft reset waits for queued transaction messages.")
    boot_retry_seconds: float = Field(30, gt=0, description="Until BootNotification is tried again if it was not answered.")
    call_timeout_seconds: float = Field(30, gt=0, description="How long an answer to our CALL is waited for (OCPP-J 4.1.1).")
    unanswered_calls_max: int = Field(3, ge=1, description="CALLs in a row, nothing received meanwhile, that end the socket.")
    reconnect_seconds_min: float = Field(1, gt=0, description="First pause after a failed or lost connection; doubles.")
    reconnect_seconds_max: float = Field(60, gt=0, description="Longest pause between attempts to connect.")
    reconnect_jitter: float = Field(0.2, ge=0, lt=1, description="Part by which a pause varies, decided by the id alone.")
    log_size: int = Field(1000, ge=0, description="Frames and exchanges kept in memory per charge point; 0 keeps none.")
    queue_size_max: int = Field(
        10_000, ge=1, description="Transaction messages kept while offline; MeterValues beyond are dropped."
    )
    connect_guard_seconds: float = Field(
        30, gt=0, description="Real seconds for TCP, TLS and handshake: guards I/O, not behaviour."
    )
    close_guard_seconds: float = Field(2, gt=0, description="Real seconds for the peer's Close frame: guards I/O, not behaviour.")
