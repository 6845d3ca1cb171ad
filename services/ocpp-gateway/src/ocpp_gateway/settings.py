"""What can be set at the gateway. Every limit of ocpp.md Part 0 that is the gateway's own is here, with its default."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from chassis.runtime.settings import RedisSettings, ServiceSettings

MEBIBYTE = 1024 * 1024


class GatewaySettings(ServiceSettings, RedisSettings):
    """Environment variables are prefixed VOLTLYNC_ (`VOLTLYNC_GATEWAY_NAME`)."""

    gateway_name: str = Field(
        "gw-1",
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="stable name: of the command queue, the lease and the spool. A StatefulSet's pod name",
    )
    ocpp_host: str = Field("0.0.0.0", description="where chargers connect")  # noqa: S104  (chargers come from outside)
    ocpp_port: int = Field(9000, ge=0, le=65535, description="port that chargers connect to; 0 takes a free one")
    ocpp_plain: bool = Field(True, description="whether chargers may connect without TLS (security profile 1)")
    ocpp_tls_port: int = Field(9443, ge=0, le=65535, description="port for chargers with TLS (profile 2); 0 takes a free one")
    ocpp_tls_certificate: Path | None = Field(None, description="PEM: the server's certificate and its chain; turns TLS on")
    ocpp_tls_key: Path | None = Field(None, description="PEM: its private key, without a password")
    ocpp_tls_ciphers: str | None = Field(
        None,
        description="OpenSSL names of the ciphers of TLS 1.2; null: those without known weakness; older boxes may need more",
    )
    ocpp_tls_look_seconds: float = Field(60.0, gt=0, description="how often the files are looked at for a new certificate")
    gateway_data_dir: Path = Field(
        Path("var/ocpp-gateway"), description="the gateway's own volume: its spool and its last credentials projection"
    )

    heartbeat_interval_seconds: int = Field(
        40, ge=1, description="handed out in BootNotification.conf; a third of the silence limit"
    )
    silence_seconds: float = Field(120.0, gt=0, description="no frame of any kind for so long closes the socket")
    ping_seconds: float = Field(
        25.0, gt=0, description="a WebSocket ping goes out so often: some boxes drop a socket idle for 30 s"
    )
    frame_bytes_max: int = Field(MEBIBYTE, ge=1024, description="a longer message closes the socket with 1009")
    in_flight_max: int = Field(32, ge=1, description="CALLs of one charger in work at once; beyond it its socket is not read")
    unsent_bytes_max: int = Field(
        4 * MEBIBYTE, ge=1024, description="answers a charger has not taken; beyond it the socket is closed (it does not read)"
    )
    decision_seconds: float = Field(
        10.0, gt=0, description="how long charging may take to decide a StartTransaction or Authorize"
    )
    confirm_seconds: float = Field(5.0, gt=0, description="an event the broker has not confirmed by then goes to the spool")

    broker_wait_seconds: float = Field(
        10.0, ge=0, description="how long the start waits for RabbitMQ; then chargers are let in all the same, into the spool"
    )

    settle_seconds: float = Field(20.0, ge=0, description="a fresh socket without a Boot gets commands only after so long")
    command_secrets_key: SecretStr | None = Field(
        None, description="the same as charging's: opens passwords on their way to chargers; none: such commands fail"
    )
    call_timeouts_max: int = Field(3, ge=1, description="CALLs in a row without an answer that close the socket as UNRESPONSIVE")
    commands_on_wire_max: int = Field(
        200,
        ge=1,
        description="CALLs of ours without an answer at once, over all sockets; RemoteStop and RemoteStart go beyond it",
    )
    commands_waiting_max: int = Field(32, ge=1, description="commands waiting for one charger; more are NOT_SENT at once")

    handshakes_at_once: int = Field(
        64, ge=1, description="handshakes in work at once; the others wait in line, chargers with a session ahead"
    )
    handshake_seconds: float = Field(20.0, gt=0, description="a connection whose request is not complete by then is closed")
    handshakes_unfinished_max: int = Field(
        8192, ge=1, description="connections without a complete request; one more costs the oldest its place"
    )
    session_hint_seconds: float = Field(
        900.0, gt=0, description="a charger is taken to bear a session so long after its last word about one"
    )

    registry_seconds: float = Field(10.0, gt=0, description="how often leases in Redis are asserted again")
    lease_seconds: float = Field(30.0, gt=0, description="the gateway's lease lapses after so long without being asserted")

    spool_bytes_max: int = Field(
        1024 * MEBIBYTE, ge=MEBIBYTE, description="most bytes waiting in the spool; a full one answers nobody"
    )
    spool_segment_bytes: int = Field(16 * MEBIBYTE, ge=4096, description="a spool file is closed at this size")

    drain_spread_seconds: float = Field(
        5.0, ge=0, description="SIGTERM closes the sockets evenly over so long: no reconnect storm"
    )
    drop_without_close: tuple[str, ...] = Field(
        (),
        description="vendor or vendor/model (any case) of boxes that never come back after a Close frame (ocpp.md row 8): "
        "when we stop, their TCP connection is dropped instead",
    )

    @model_validator(mode="after")
    def _some_door(self) -> Self:
        if (self.ocpp_tls_certificate is None) != (self.ocpp_tls_key is None):
            raise ValueError("ocpp_tls_certificate and ocpp_tls_key go together")
        if not self.ocpp_plain and self.ocpp_tls_certificate is None:
            raise ValueError("without ocpp_plain there must be a certificate: nobody could connect")
        return self
