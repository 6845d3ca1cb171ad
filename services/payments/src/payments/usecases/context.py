"""What every use case works with."""

from dataclasses import dataclass

from chassis.database import Database
from chassis.runtime import Clock, Service, Worker
from chassis.telemetry import Telemetry
from payments.metrics import Metrics
from payments.settings import PaymentsSettings
from razorpay_client import Razorpay


@dataclass(frozen=True, slots=True)
class Payments:
    """The service's collaborators."""

    service: Service
    settings: PaymentsSettings
    clock: Clock
    database: Database
    razorpay: Razorpay
    telemetry: Telemetry
    metrics: Metrics
    webhooks: Worker
    """Works stored webhooks off."""
    refunds: Worker
    """Brings owed refunds to Razorpay."""

    @property
    def stopping(self) -> bool:
        """Whether the service is asked to end: loops take up nothing new."""
        return self.service.stopping.is_set()
