"""A sandbox that speaks Razorpay's REST API and sends its signed webhooks."""

from razorpay_simulator.clock import Clock, SystemClock
from razorpay_simulator.errors import ControlError
from razorpay_simulator.faults import FaultRule, RequestRecord
from razorpay_simulator.ids import Ids, RandomIds
from razorpay_simulator.orders import OrderPayment
from razorpay_simulator.outcomes import OutcomeRule
from razorpay_simulator.payments import PaymentPatch
from razorpay_simulator.qr_codes import QrPayment
from razorpay_simulator.settings import SandboxSettings, WebhookSettings
from razorpay_simulator.settlements import Adjustment
from razorpay_simulator.simulator import RazorpaySimulator
from razorpay_simulator.webhook_rules import WebhookRule

__all__ = [
    "Adjustment",
    "Clock",
    "ControlError",
    "FaultRule",
    "Ids",
    "OrderPayment",
    "OutcomeRule",
    "PaymentPatch",
    "QrPayment",
    "RandomIds",
    "RazorpaySimulator",
    "RequestRecord",
    "SandboxSettings",
    "SystemClock",
    "WebhookRule",
    "WebhookSettings",
]
