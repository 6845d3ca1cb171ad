"""What can be wrong with what is asked of settlement. The texts are written for the caller.

SettlementError
├── NoSuchFranchisee, NoSuchLedgerEntry, NoSuchTransfer, NoSuchSettlement, NoSuchUnownedBill, NoSuchJournal,
│   NoSuchReading, NoSuchException, NotInTheBooks, NoSuchReceipt                   404
├── EmailTaken, TermsExist, NotHeldForReview, NothingToRetry, BillAssigned, FeeStillOpen, NothingToCorrect,
│   ExceptionResolved, NothingToBook, ReceiptExists, ReceiptWithdrawn              409
└── ForbiddenTransition                                            never by a caller: the message is parked
"""


class SettlementError(Exception):
    """Base of the family."""


class NoSuchFranchisee(SettlementError):
    """No franchisee of this id, or not the caller's own."""

    def __init__(self, franchisee_id: int) -> None:
        super().__init__(f"frn_{franchisee_id} does not exist.")


class NoSuchLedgerEntry(SettlementError):
    """No ledger entry of this id, or not the caller's own."""

    def __init__(self, ledger_entry_id: int) -> None:
        super().__init__(f"led_{ledger_entry_id} does not exist.")


class NoSuchTransfer(SettlementError):
    """No transfer of this id, or not the caller's own."""

    def __init__(self, transfer_id: int) -> None:
        super().__init__(f"xfr_{transfer_id} does not exist.")


class NoSuchSettlement(SettlementError):
    """No settlement of this id, or not the caller's own."""

    def __init__(self, settlement_id: str) -> None:
        super().__init__(f"{settlement_id[:40]} does not exist.")


class NoSuchJournal(SettlementError):
    """No journal of this id."""

    def __init__(self, journal_id: int) -> None:
        super().__init__(f"jnl_{journal_id} does not exist.")


class NoSuchReading(SettlementError):
    """No reading of the statement of this id."""

    def __init__(self, reading_id: int) -> None:
        super().__init__(f"rec_{reading_id} does not exist.")


class NoSuchException(SettlementError):
    """No exception of this id."""

    def __init__(self, exception_id: int) -> None:
        super().__init__(f"exc_{exception_id} does not exist.")


class ExceptionResolved(SettlementError):
    """It is done with already."""

    def __init__(self, exception_id: int) -> None:
        super().__init__(f"exc_{exception_id} was resolved already.")


class NothingToBook(SettlementError):
    """What a record of ours stands for is booked with that record."""

    def __init__(self, exception_id: int) -> None:
        super().__init__(f"exc_{exception_id} is not about money that Razorpay moved without a record of ours.")


class NotInTheBooks(SettlementError):
    """No payment captured, or no refund processed, of this id."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"{subject} is not in the books.")


class FeeStillOpen(SettlementError):
    """While a session is open payments may still learn its fee, and the bill takes it."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"{subject} is neither billed nor given back: its fee is not final yet.")


class NothingToCorrect(SettlementError):
    """The figures are those that are booked."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"The books have these figures of {subject} already.")


class EmailTaken(SettlementError):
    """Razorpay wants one address per linked account."""

    def __init__(self) -> None:
        super().__init__("Another franchisee has this e-mail address; Razorpay takes each only once.")


class TermsExist(SettlementError):
    """Terms are added, never rewritten: entries were made on them."""

    def __init__(self) -> None:
        super().__init__("There are terms from this very moment already; terms are never rewritten.")


class TaxRuleExists(SettlementError):
    """Two rules for the same franchisees from the same day on would contradict each other."""

    def __init__(self) -> None:
        super().__init__("There is a rule for the same franchisees from that day already; rules are never rewritten.")


class NotHeldForReview(SettlementError):
    """Only an entry held for an implausible reading is released by a person."""

    def __init__(self, ledger_entry_id: int) -> None:
        super().__init__(f"led_{ledger_entry_id} is not held for review.")


class NothingToRetry(SettlementError):
    """Only what failed, or was found to be beyond our balance, is tried again by a person."""

    def __init__(self, ledger_entry_id: int) -> None:
        super().__init__(f"led_{ledger_entry_id} has not failed, nor was it found to be beyond our balance.")


class ForbiddenTransition(SettlementError):
    """A step that the state machine does not have."""

    def __init__(self, before: str, after: str) -> None:
        super().__init__(f"{before} does not become {after}")


class NoSuchUnownedBill(SettlementError):
    """No bill of this transaction came for an owner whom we don't have."""

    def __init__(self, transaction_id: int) -> None:
        super().__init__(f"No bill of txn_{transaction_id} lacks an owner.")


class BillAssigned(SettlementError):
    """Its owner was named already: another change is a correction for finance, not an assignment."""

    def __init__(self, transaction_id: int) -> None:
        super().__init__(f"The bill of txn_{transaction_id} has its ledger entry.")


class NoSuchReceipt(SettlementError):
    """No receipt of commission of this id."""

    def __init__(self, receipt_id: int) -> None:
        super().__init__(f"cmr_{receipt_id} does not exist.")


class ReceiptExists(SettlementError):
    """A bank reference is one payment, and is entered once."""

    def __init__(self, bank_reference: str) -> None:
        super().__init__(f"The receipt {bank_reference} of this franchisee was entered already.")


class ReceiptWithdrawn(SettlementError):
    """It was taken back already."""

    def __init__(self, receipt_id: int) -> None:
        super().__init__(f"cmr_{receipt_id} was withdrawn already.")
