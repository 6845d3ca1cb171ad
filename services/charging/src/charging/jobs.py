"""The clock door: sweep, seconds, use case."""

from charging.settings import ChargingSettings
from charging.usecases.show_reports import FORGET_SECONDS, forget_reports
from charging.usecases.sweep import LEASE_SWEEP_SECONDS, sweep_configurations, sweep_deadlines, sweep_gateways, sweep_stale
from chassis.runtime.sweeps import Sweep


def sweeps(settings: ChargingSettings) -> tuple[Sweep, ...]:
    """All run at start-up too: what fell due while we were down is finished then."""
    return (
        Sweep("deadlines", every_seconds=settings.deadline_sweep_seconds, function=sweep_deadlines),
        Sweep("gateways", every_seconds=LEASE_SWEEP_SECONDS, function=sweep_gateways),
        Sweep("forget-reports", every_seconds=FORGET_SECONDS, function=forget_reports),
        Sweep("configurations", every_seconds=settings.configuration_sweep_seconds, function=sweep_configurations),
        Sweep("stale", every_seconds=settings.stale_sweep_seconds, function=sweep_stale),
    )
