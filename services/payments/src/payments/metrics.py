"""What can go wrong in payments, counted. Each failure has a runbook of its name in docs/runbooks/."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """The service's own counters, in its own registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"voltlync_payments_{name}_total", text, labels, registry=registry)

        self.webhooks = counter("webhooks", "Verified webhooks by event and by what became of them", ("event", "state"))
        self.webhook_rejected = counter("webhook_rejected", "Webhooks whose signature did not verify")
        self.webhook_failed = counter("webhook_failed", "Verified webhooks that could not be handled and were given up")
        self.not_served = counter("not_served", "Payments that go back whole, by reason", ("reason",))
        self.start_unanswered = counter("start_unanswered", "Payments chased because charging had not answered in time")
        self.unanswered = Gauge(
            "voltlync_payments_unanswered", "Payments that wait for charging's answer past their deadline now", registry=registry
        )
        self.zero_energy_stopped = counter("zero_energy_stopped", "Paid sessions that ended without confirmed energy")
        self.billing_failed = counter("billing_failed", "Ended sessions of which no honest bill could be made")
        self.refund_unknown = counter("refund_unknown", "Refund calls whose outcome was unknown")
        self.refund_failed = counter("refund_failed", "Refund attempts that failed definitively")
        self.refund_given_up = counter("refund_given_up", "Refunds whose attempts are used up: a person has to look")
        self.refunds_overdue = Gauge(
            "voltlync_payments_refunds_overdue", "Refunds owed for too long that Razorpay does not have", registry=registry
        )
        self.residue = counter("residue_paise", "Paise owed to riders that are too few to refund")
        self.qr_code_failed = counter("qr_code_failed", "QR codes that Razorpay refused")
