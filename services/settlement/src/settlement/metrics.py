"""What can go wrong in settlement, counted. Each failure has a runbook: docs/runbooks/settlement-*.md names the metric."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """The service's own counters, in its own registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(name, text, labels, registry=registry)

        self.entries_created = counter("voltlync_settlement_entries_created_total", "Ledger entries booked")
        self.bill_conflict = counter(
            "voltlync_settlement_bill_mismatches_total", "Second bills of a transaction with other figures than the first"
        )
        self.bills_unowned = counter(
            "voltlync_settlement_bills_unowned_total", "Bills that named a franchisee whom settlement does not have"
        )
        self.transfer_failed = counter("voltlync_settlement_transfer_failed_total", "Transfer attempts that failed definitively")
        self.transfer_given_up = counter(
            "voltlync_settlement_transfer_stuck_total", "Entries whose attempts are used up: a person has to look"
        )
        self.transfer_unknown = counter("voltlync_settlement_transfer_unknown_total", "Transfer calls whose outcome was unknown")
        self.transfer_twice = counter(
            "voltlync_settlement_transfer_twice_failed_total", "Transfers that live beside another of the same entry: paid twice"
        )
        self.transfer_mismatch = counter(
            "voltlync_settlement_transfer_mismatches_total", "Transfers that Razorpay tells of with another amount than ours"
        )
        self.entries_corrected = counter(
            "voltlync_settlement_entries_corrected_total", "Corrections of ledger entries after refunds that operators decided"
        )
        self.reversal_unknown = counter("voltlync_settlement_reversal_unknown_total", "Reversal calls whose outcome was unknown")
        self.reversal_failed = counter(
            "voltlync_settlement_reversal_failed_total", "Reversals that Razorpay refused: taken off the next payouts instead"
        )
        self.reversed_by_hand = counter(
            "voltlync_settlement_reversed_by_hand_total", "Transfers of which somebody took money back at Razorpay, not we"
        )
        self.settlement_mismatch = counter(
            "voltlync_settlement_settlement_mismatches_total", "Settlements whose amount is not the sum of our transfers in it"
        )
        self.books_conflict = counter(
            "voltlync_settlement_books_mismatches_total", "Events of money told again with other figures than were booked"
        )
        self.statement_rows = counter("voltlync_settlement_statement_rows_total", "Rows of Razorpay's statement kept")
        self.statement_rows_changed = counter(
            "voltlync_settlement_statement_rows_changed_total", "Rows that Razorpay showed again with other contents"
        )
        self.statement_read_failed = counter(
            "voltlync_settlement_statement_read_failed_total", "Pages of Razorpay's statement that did not come"
        )
        self.statement_fees_corrected = counter(
            "voltlync_settlement_statement_fees_corrected_total", "Payment fees put right by Razorpay's statement"
        )
        self.link_failed = counter("voltlync_settlement_link_failed_total", "Onboarding steps that Razorpay refused", ("step",))
        self.work_failed = counter("voltlync_settlement_work_failed_total", "Rows whose working off raised an error", ("worker",))
        self.books_differences = Gauge(
            "voltlync_settlement_books_differences", "Rows of the books that differ, by the nightly check: 0", registry=registry
        )
        self.exceptions_open = Gauge(
            "voltlync_settlement_recon_exceptions", "What does not agree with Razorpay's statement and waits for a person",
            ("kind",), registry=registry,
        )  # fmt: skip
        self.statement_age_seconds = Gauge(
            "voltlync_settlement_statement_age_seconds", "Time since the end of the last day whose statement was read whole",
            registry=registry,
        )  # fmt: skip
        self.unowned_open = Gauge(
            "voltlync_settlement_unowned_bills_open", "Bills without an owner that wait for a person", registry=registry
        )
        self.owed_by_franchisees = Gauge(
            "voltlync_settlement_owed_by_franchisees_paise", "What corrections took off payouts and nothing has made good yet",
            registry=registry,
        )  # fmt: skip
        self.entries = Gauge(
            "voltlync_settlement_entries", "Ledger entries not settled yet, by status and what they wait for",
            ("status", "hold_kind"), registry=registry,
        )  # fmt: skip
        self.entries_paise = Gauge(
            "voltlync_settlement_entries_payout_paise", "Payouts not settled yet, by status and what they wait for, in paise",
            ("status", "hold_kind"), registry=registry,
        )  # fmt: skip
        self.oldest_unsettled_seconds = Gauge(
            "voltlync_settlement_oldest_unsettled_seconds", "Age of the oldest entry that is neither settled nor on hold",
            registry=registry,
        )  # fmt: skip
