"""What can go wrong in payments, counted. Each failure has a runbook: docs/runbooks/payments-*.md."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """The service's own counters, in its own registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, registry=registry)

        self.webhooks = counter(
            "voltlync_payments_webhooks_total", "Verified webhooks by event and by what became of them", "event", "state"
        )
        self.work_failed = counter(
            "voltlync_payments_work_failed_total", "Webhooks, refunds and invoices whose working off raised an error", "worker"
        )
        self.webhook_rejected = counter(
            "voltlync_payments_webhook_rejected_total", "Webhooks whose signature did not verify: answered 401, not stored"
        )
        self.webhook_turned_away = counter(
            "voltlync_payments_webhook_turned_away_total", "Verified webhooks answered 503: too many waited to be stored"
        )
        self.payment_found = counter(
            "voltlync_payments_payments_found_total", "Payments of ours that no event told of, found by asking Razorpay", "event"
        )
        self.webhook_failed = counter(
            "voltlync_payments_webhook_failed_total", "Verified webhooks that could not be handled and were given up"
        )
        self.not_served = counter("voltlync_payments_not_served_total", "Payments that go back whole, by reason", "reason")
        self.start_unanswered = counter(
            "voltlync_payments_start_unanswered_total", "Payments chased because charging had not answered in time"
        )
        self.unanswered = gauge(
            "voltlync_payments_unanswered", "Payments that wait for charging's answer past their deadline now"
        )
        self.zero_energy_stopped = counter(
            "voltlync_payments_zero_energy_stopped_total", "Paid sessions that ended without confirmed energy"
        )
        self.billing_failed = counter(
            "voltlync_payments_billing_failed_total", "Ended sessions of which no honest bill could be made"
        )
        self.refund_unknown = counter("voltlync_payments_refund_unknown_total", "Refund calls whose outcome was unknown")
        self.refund_failed = counter("voltlync_payments_refund_failed_total", "Refund attempts that failed definitively")
        self.refund_given_up = counter(
            "voltlync_payments_refund_given_up_total", "Refunds whose attempts are used up: a person has to look"
        )
        self.refunds_overdue = gauge(
            "voltlync_payments_refunds_overdue", "Refunds owed for too long that Razorpay does not have now"
        )
        self.refunds_stuck = gauge(
            "voltlync_payments_refunds_stuck", "Refunds that Razorpay has for more than ten days and does not end"
        )
        self.residue = counter("voltlync_payments_residue_paise_total", "Paise owed to riders that are too few to refund")
        self.wrong_account = counter(
            "voltlync_payments_wrong_account_total", "Payments that reached another account than their QR code's owner's"
        )
        self.wrong_owner = counter(
            "voltlync_payments_wrong_owner_total", "Sessions at a site whose owner is not who took the payment"
        )
        self.direct_code_closed = counter(
            "voltlync_payments_direct_code_closed_total", "Franchisees' own QR codes that were closed without their asking"
        )
        self.invoices = counter("voltlync_payments_invoices_issued_total", "Invoices that were issued")
        self.credit_notes = counter("voltlync_payments_credit_notes_issued_total", "Credit notes that were issued")
        self.invoice_failed = counter(
            "voltlync_payments_invoice_failed_total",
            "Tries to make an invoice of a bill, or a refund's credit note, that came to nothing",
        )
        self.invoices_waiting = gauge(
            "voltlync_payments_invoices_waiting",
            "Bills without an invoice, and refunds without a credit note, for more than five minutes now",
        )
        self.wallet_unanswered = gauge(
            "voltlync_payments_wallet_unanswered", "Wallets' sessions that wait for charging's answer past their deadline now"
        )
        self.wallets_differing = gauge(
            "voltlync_payments_wallets_differing",
            "Wallets that are not what their entries and holds make them: 0, by the nightly count",
        )
        self.recharge_failed = counter("voltlync_payments_recharge_failed_total", "Orders of recharges that Razorpay refused")
        self.recharge_mismatch = counter(
            "voltlync_payments_recharge_mismatches_total",
            "Payments of recharges of another amount than asked, or second ones",
        )
        self.proof_refused = counter(
            "voltlync_payments_proof_refused_total", "Proofs of payments refused unseen: too many wrong tries for one UPI address"
        )
        self.rider_phone_taken = counter(
            "voltlync_payments_rider_phone_conflicts_total", "Verified phones that another registered rider has already"
        )
        self.qr_code_failed = counter("voltlync_payments_qr_code_failed_total", "QR codes that Razorpay refused")
