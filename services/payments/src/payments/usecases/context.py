"""What every use case works with."""

import asyncio
from dataclasses import dataclass, field

from chassis.database import Database
from chassis.messaging import Bus
from chassis.runtime import Clock, Service, Worker
from chassis.telemetry import Telemetry
from chassis.web import GuestSigner
from payments.metrics import Metrics
from payments.settings import PaymentsSettings
from payments.webhook_inbox import WebhookInbox
from razorpay_client import Razorpay

DRAWN_AT_ONCE = 2
"""Threads that draw: the largest picture takes a tenth of a second of a core, a sticker half of that."""


@dataclass(frozen=True, slots=True)
class Payments:
    """The service's collaborators."""

    service: Service
    settings: PaymentsSettings
    clock: Clock
    database: Database
    bus: Bus
    """Asks charging: whose site it is, what a kWh costs there."""
    razorpay: Razorpay
    telemetry: Telemetry
    metrics: Metrics
    inbox: WebhookInbox
    """Stores webhooks before they are answered."""
    webhooks: Worker
    """Works stored webhooks off."""
    refunds: Worker
    """Brings owed refunds to Razorpay."""
    invoices: Worker
    """Numbers invoices that are due."""
    guests: GuestSigner | None = None
    """Signs guests' credentials; None: there are none."""
    drawing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(DRAWN_AT_ONCE))
    """Who draws a picture or a sticker: the others wait their turn, the event loop never does."""

    @property
    def stopping(self) -> bool:
        """Whether the service is asked to end: loops take up nothing new."""
        return self.service.stopping.is_set()
