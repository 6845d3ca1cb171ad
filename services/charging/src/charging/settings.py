"""What can be set, with defaults and a sentence each."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field, SecretStr

from charging.domain.effects import EffectTimeouts
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
    busy_wait_seconds: float = Field(15, ge=0, le=60, description="a start waits so long for a busy connector")
    flap_disconnects: int = Field(3, ge=2, description="MAX_DISCONNECT_RESETS_WITHOUT_PROGRESS")
    flap_progress_wh: int = Field(10, ge=1, description="energy between two drops that counts as progress")
    stop_confirm_seconds: float = Field(60, gt=0, description="a stop must show within this, else it is repeated and escalated")
    stop_latency_ms: int = Field(2000, ge=0, description="from deciding on a stop until the energy is off")
    deadline_sweep_seconds: float = Field(1, gt=0, le=60, description="how often due columns are looked for")
    stale_sweep_seconds: float = Field(1800, gt=0, description="how often the sweep for sessions without any deadline runs")
    offline_cap: bool = Field(
        False, description="prepaid sessions get a charging profile that falls to 0 A when their budget may be used up (B18)"
    )
    command_deadline_seconds: float = Field(300, gt=0, description="an operator's command waits so long")
    command_timeout_seconds: int = Field(30, ge=1, le=600, description="how long a charger may take to answer")
    command_wait_max_seconds: float = Field(25, gt=0, le=29, description="longest ?wait= of a command")
    charger_errors_kept_days: int = Field(365, ge=7, description="resolved errors of chargers are kept so long")
    signal_quality_kept_days: int = Field(90, ge=1, description="reports of signal quality are kept so long")
    unknown_charge_points_kept_days: int = Field(30, ge=1, description="an unregistered charge point is remembered so long")
    quirk_profiles_dir: Path | None = Field(None, description="YAML files with quirk profiles of your own, beside the packaged")
    command_batch_max: int = Field(500, ge=1, le=5000, description="most chargers of one POST /v1/commands")
    command_secrets_key: SecretStr | None = Field(
        None,
        description="32 bytes, base64url, the same for charging and the gateways: seals passwords on their way to chargers; "
        "none: nothing secret can be sent",
    )
    effect_reset_soft_seconds: float = Field(900, gt=0, description="a soft reset must show its BootNotification within this")
    effect_reset_hard_seconds: float = Field(300, gt=0, description="the same for a hard one")
    effect_start_seconds: float = Field(
        150, gt=0, description="an accepted RemoteStart its StartTransaction: plug-in time and slack"
    )
    effect_stop_seconds: float = Field(75, gt=0, description="an accepted RemoteStop its end: stop_confirm_seconds and slack")
    effect_status_seconds: float = Field(60, gt=0, description="UnlockConnector and ChangeAvailability their status")
    effect_message_seconds: float = Field(60, gt=0, description="a TriggerMessage its message")
    credentials_handover_seconds: float = Field(86_400, gt=0, description="both passwords are accepted at most so long")
    configuration_enabled: bool = Field(True, description="whether chargers are configured on connect at all")
    configuration_file: Path | None = Field(None, description="YAML with desired keys of your own, instead of the packaged")
    configuration_settle_seconds: float = Field(
        30, ge=0, description="quiet after a connect or boot before a charger is asked anything (rows 13, 14)"
    )
    configuration_at_once: int = Field(
        20, ge=1, description="chargers configured at once: no second storm after a storm of returns"
    )
    configuration_recheck_seconds: float = Field(86_400, gt=0, description="how often it is read anew")
    configuration_postpone_seconds: float = Field(60, gt=0, description="a busy charger is looked at again after this")
    configuration_retry_seconds: float = Field(900, gt=0, description="one that hung or dropped is asked again after this")
    configuration_interruptions_max: int = Field(3, ge=1, description="after so many on one firmware it is left alone")
    configuration_sweep_seconds: float = Field(5, gt=0, description="how often chargers are looked for that are due")
    gateway_lost_seconds: float = Field(30, gt=0, description="a gateway without a lease this long is lost")

    def effect_timeouts(self) -> EffectTimeouts:
        """How long the effects of commands may take."""
        return EffectTimeouts(
            reset_soft=timedelta(seconds=self.effect_reset_soft_seconds),
            reset_hard=timedelta(seconds=self.effect_reset_hard_seconds),
            start=timedelta(seconds=self.effect_start_seconds),
            stop=timedelta(seconds=self.effect_stop_seconds),
            status=timedelta(seconds=self.effect_status_seconds),
            message=timedelta(seconds=self.effect_message_seconds),
            handover=timedelta(seconds=self.credentials_handover_seconds),
        )

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
