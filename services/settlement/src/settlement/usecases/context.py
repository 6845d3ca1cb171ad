"""What every use case works with."""

from dataclasses import dataclass

from chassis.database import Database
from chassis.messaging import Bus
from chassis.runtime import Clock, Worker
from chassis.telemetry import Telemetry
from razorpay_client import Razorpay
from settlement.metrics import Metrics
from settlement.settings import SettlementSettings


@dataclass(frozen=True, slots=True)
class Settlement:
    """The service's collaborators."""

    settings: SettlementSettings
    clock: Clock
    database: Database
    bus: Bus
    razorpay: Razorpay
    telemetry: Telemetry
    metrics: Metrics
    payouts: Worker
    """Brings due entries and transfers to Razorpay."""
    links: Worker
    """Takes franchisees through their onboarding."""
    settlements: Worker
    """Finds the transfers of settlements."""
    statement: Worker
    """Reads Razorpay's statement, and judges what it shows."""
