"""What can be seen of a service from outside: metrics, traces, logs, errors.

telemetry = Telemetry(settings, service="payments")          # in app.py: an object, nothing global
configure_process(settings, service="payments")               # in __main__.py: logs and Sentry belong to the process
with telemetry.span("refund.issue", refund_id=17): ...
headers = {"traceparent": current_traceparent()}
"""

from chassis.telemetry.masking import mask, mask_phone, mask_text, mask_vpa
from chassis.telemetry.process import configure_process
from chassis.telemetry.telemetry import Telemetry, current_trace_id, current_traceparent

__all__ = [
    "Telemetry",
    "configure_process",
    "current_trace_id",
    "current_traceparent",
    "mask",
    "mask_phone",
    "mask_text",
    "mask_vpa",
]
