"""What can be set, with defaults and a sentence each."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from charging.domain.limits import Limits
from chassis.runtime.settings import DatabaseSettings, RedisSettings, ServiceSettings


class ChargingSettings(ServiceSettings, DatabaseSettings, RedisSettings):
    """Variables are prefixed VOLTLYNC_ (`VOLTLYNC_DISCONNECT_SUSPENSION_SECONDS`). The windows are ocpp.md Part 0's."""

    disconnect_suspension_seconds: float = Field(180, gt=0, description="a dropped charger's sessions are finalized after this")
    gateway_suspension_seconds: float = Field(900, gt=0, description="the same when our own gateway went away")
    boot_sign_of_life_seconds: float = Field(180, gt=0, description="a rebooted charger must speak of its session within this")
    resume_gap_max_seconds: float = Field(900, gt=0, description="MAX_RESUME_GAP_SECONDS: longer silence is stale")
    socket_grace_seconds: float = Field(300, gt=0, description="an AC socket reporting Available lives on so long")
    available_stop_wait_seconds: float = Field(5, gt=0, description="a Type-2 or CCS reporting Available has so long")
    busy_wait_seconds: float = Field(15, ge=0, le=60, description="a start waits so long for a busy connector, then it is refused")
    flap_disconnects: int = Field(3, ge=2, description="MAX_DISCONNECT_RESETS_WITHOUT_PROGRESS")
    flap_progress_wh: int = Field(10, ge=1, description="energy between two drops that counts as progress")
    stop_confirm_seconds: float = Field(60, gt=0, description="a stop must show within this, else it is repeated and escalated")
    stop_latency_ms: int = Field(2000, ge=0, description="from deciding on a stop until the energy is off")
    deadline_sweep_seconds: float = Field(1, gt=0, le=60, description="how often due columns are looked for")
    stale_sweep_seconds: float = Field(1800, gt=0, description="how often the sweep for sessions without any deadline runs")
    command_deadline_seconds: float = Field(300, gt=0, description="an operator's command waits so long")
    command_timeout_seconds: int = Field(30, ge=1, le=600, description="how long a charger may take to answer")
    command_wait_max_seconds: float = Field(25, gt=0, le=29, description="longest ?wait= of a command")
    quirk_profiles_dir: Path | None = Field(None, description="YAML files with quirk profiles of your own, beside the packaged")
    gateway_lost_seconds: float = Field(30, gt=0, description="a gateway without a lease this long is lost")

    def limits(self) -> Limits:
        """The domain's limits."""
        return Limits(
            disconnect_suspension=timedelta(seconds=self.disconnect_suspension_seconds),
            gateway_suspension=timedelta(seconds=self.gateway_suspension_seconds),
            boot_sign_of_life=timedelta(seconds=self.boot_sign_of_life_seconds),
            resume_gap_max=timedelta(seconds=self.resume_gap_max_seconds),
            socket_grace=timedelta(seconds=self.socket_grace_seconds),
            available_stop_wait=timedelta(seconds=self.available_stop_wait_seconds),
            busy_wait=timedelta(seconds=self.busy_wait_seconds),
            flap_disconnects=self.flap_disconnects,
            flap_progress_wh=self.flap_progress_wh,
            stop_confirm=timedelta(seconds=self.stop_confirm_seconds),
            stop_latency_ms=self.stop_latency_ms,
            stop_lookahead=timedelta(seconds=self.deadline_sweep_seconds),
        )
