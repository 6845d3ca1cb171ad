"""What every use case of charging works with."""

from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter
from redis.asyncio import Redis

from charging.domain.limits import Limits
from charging.domain.quirk_profiles import QuirkCatalogue, QuirkProfile
from charging.platform_configuration import PlatformConfiguration
from charging.settings import ChargingSettings
from chassis.database import Database
from chassis.messaging import Bus
from chassis.runtime import Clock, Ids, Service
from chassis.sealing import SealingBox
from chassis.telemetry import Telemetry


class Metrics:
    """Failure metrics, each with a runbook in docs/runbooks/charging-*.md, and two that count the ordinary."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(what: str, help_text: str, *labels: str) -> Counter:
            return Counter(f"voltlync_charging_{what}_total", help_text, labels, registry=registry)

        self.disconnect_suspended = counter("disconnect_suspended", "Sessions suspended because a socket dropped")
        self.disconnect_stopped = counter("disconnect_stopped", "Sessions finalized because a charger did not come back")
        self.zero_energy_stopped = counter("zero_energy_stopped", "Paid sessions that ended without any confirmed energy")
        self.stale_suspended_swept = counter("stale_suspended_swept", "Sessions that only the 30-minute sweep finished")
        self.flap_stopped = counter("flap_stopped", "Sessions finalized because their charger kept dropping")
        self.stop_ignored = counter("stop_ignored", "Stops that had to be repeated or escalated", "means")
        self.meter_implausible = counter("meter_implausible", "Sessions whose meter contradicts itself, billed the smaller")
        self.late_energy = counter("late_energy", "Times that energy was reported after a session was final")
        self.orphan_stops = counter("orphan_stops", "StopTransactions that fit no session")
        self.start_refused = counter("start_refused", "Start requests that ended without a session", "reason")
        self.effects_not_seen = counter("command_effects_not_seen", "Commands that were accepted and showed no effect", "action")
        self.handovers_failed = counter("credentials_handovers_failed", "Passwords that a charger did not take over", "why")
        self.configuration_interrupted = counter(
            "configuration_interrupted", "Chargers that hung or dropped while they were configured"
        )
        self.configuration_given_up = counter("configuration_given_up", "Chargers left alone after that happened again and again")
        self.configured = counter("configured", "Configuration conversations brought to their end")
        self.sessions_started = counter("sessions_started", "Transactions accepted")
        self.sessions_stopped = counter("sessions_stopped", "Transactions finalized", "reason")


class MakeKnown(Protocol):
    """Of what make a charger is, as it said at boot, and its override: a `repository.Charger`, or a row with these columns."""

    @property
    def vendor(self) -> str | None: ...
    @property
    def model(self) -> str | None: ...
    @property
    def firmware_version(self) -> str | None: ...
    @property
    def quirks(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Charging:
    """The service's collaborators. The first argument of every use case."""

    service: Service
    settings: ChargingSettings
    limits: Limits
    clock: Clock
    ids: Ids
    database: Database
    bus: Bus
    redis: Redis
    metrics: Metrics
    telemetry: Telemetry
    quirk_profiles: QuirkCatalogue
    configuration: PlatformConfiguration
    sealing: SealingBox | None
    """For values that only a charger and its gateway may read; None where the installation has no key for it."""

    def quirk_profile_of(self, charger: MakeKnown) -> QuirkProfile:
        """What holds for a charger: profiles of its vendor, model and firmware, and its own override, which wins."""
        return self.quirk_profiles.profile_of(charger.vendor, charger.model, charger.firmware_version, charger.quirks)
