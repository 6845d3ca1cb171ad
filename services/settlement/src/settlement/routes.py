"""The HTTP door: method and path → use case, roles."""

from chassis.web import ADMIN, FINANCE, FRANCHISEE, OPERATOR, STAFF, Errors, Route
from settlement.domain import errors
from settlement.usecases.assign_bill import assign_unowned_bill, list_unowned_bills
from settlement.usecases.enter_fee import correct_fee, enter_refund_charge
from settlement.usecases.manage_franchisee import create_franchisee, create_terms, patch_franchisee
from settlement.usecases.read_statement import ask_for_reading, list_readings, show_reading
from settlement.usecases.release_entry import release_ledger_entry, retry_ledger_entry
from settlement.usecases.see import (
    get_franchisee,
    get_ledger_entry,
    get_settlement,
    get_transfer,
    list_franchisees,
    list_ledger_entries,
    list_reversals,
    list_settlements,
    list_terms,
    list_transfers,
)
from settlement.usecases.see_books import list_accounts, list_journals, show_journal, show_trial_balance
from settlement.usecases.see_statement import (
    list_days,
    list_exceptions,
    list_rows,
    resolve_exception,
    show_exception,
)

READERS = STAFF | FRANCHISEE
BOOKKEEPERS = ADMIN | FINANCE

ROUTES = (
    Route(
        "POST", "/v1/franchisees", create_franchisee, roles=ADMIN | OPERATOR, status=201,
        summary="Enter a franchisee; its onboarding at Razorpay begins",
    ),
    Route("GET", "/v1/franchisees", list_franchisees, roles=READERS, summary="Franchisees; a franchisee sees itself"),
    Route("GET", "/v1/franchisees/{franchisee_id}", get_franchisee, roles=READERS, summary="A franchisee, and if it is paid"),
    Route(
        "PATCH", "/v1/franchisees/{franchisee_id}", patch_franchisee, roles=ADMIN | OPERATOR | FINANCE,
        summary="Hold or release payouts, correct details",
    ),
    Route("GET", "/v1/franchisees/{franchisee_id}/terms", list_terms, roles=READERS, summary="Commission and TDS over time"),
    Route(
        "POST", "/v1/franchisees/{franchisee_id}/terms", create_terms, roles=ADMIN | FINANCE, status=201,
        summary="New terms, for sessions to come",
    ),
    Route("GET", "/v1/ledger-entries", list_ledger_entries, roles=READERS, summary="Ledger entries, newest first"),
    Route(
        "GET", "/v1/ledger-entries/unowned-bills", list_unowned_bills, roles=STAFF,
        summary="Bills that name a franchisee who does not exist: they wait for a person",
    ),
    Route(
        "POST", "/v1/ledger-entries/unowned-bills/{transaction_id}/assign", assign_unowned_bill,
        roles=ADMIN | FINANCE, status=201, summary="Say whose such a bill is: it is booked and paid out",
    ),
    Route("GET", "/v1/ledger-entries/{ledger_entry_id}", get_ledger_entry, roles=READERS, summary="A session's split and payout"),
    Route(
        "POST", "/v1/ledger-entries/{ledger_entry_id}/release", release_ledger_entry, roles=ADMIN | FINANCE,
        summary="Let the payout of an implausible session go",
    ),
    Route(
        "POST", "/v1/ledger-entries/{ledger_entry_id}/retry", retry_ledger_entry, roles=ADMIN | FINANCE,
        summary="Try a failed payout once more, now",
    ),
    Route("GET", "/v1/transfers", list_transfers, roles=READERS, summary="Transfers to linked accounts, newest first"),
    Route("GET", "/v1/transfers/{transfer_id}", get_transfer, roles=READERS, summary="A transfer and the entries it pays"),
    Route("GET", "/v1/reversals", list_reversals, roles=READERS, summary="What was taken back of transfers, newest first"),
    Route("GET", "/v1/settlements", list_settlements, roles=READERS, summary="What Razorpay paid to banks, newest first"),
    Route("GET", "/v1/settlements/{settlement_id}", get_settlement, roles=READERS, summary="One settlement, with its UTR"),
    Route("GET", "/v1/books/accounts", list_accounts, roles=BOOKKEEPERS, summary="The chart of accounts with balances"),
    Route(
        "GET", "/v1/books/trial-balance", show_trial_balance, roles=BOOKKEEPERS,
        summary="All accounts at a time, and that both sides are equal",
    ),
    Route("GET", "/v1/books/journals", list_journals, roles=BOOKKEEPERS, summary="Journals with their lines, newest first"),
    Route(
        "POST", "/v1/books/fee-corrections", correct_fee, roles=BOOKKEEPERS, status=201,
        summary="Enter another fee on a payment than was known when it ended",
    ),
    Route(
        "POST", "/v1/books/refund-charges", enter_refund_charge, roles=BOOKKEEPERS, status=201,
        summary="Enter what Razorpay charged for a refund's speed",
    ),
    Route("GET", "/v1/books/journals/{journal_id}", show_journal, roles=BOOKKEEPERS, summary="One journal with its lines"),
    Route(
        "POST", "/v1/reconciliations", ask_for_reading, roles=BOOKKEEPERS, status=201,
        summary="Read Razorpay's statement of some days now",
    ),
    Route("GET", "/v1/reconciliations", list_readings, roles=BOOKKEEPERS, summary="Readings of the statement, newest first"),
    Route("GET", "/v1/reconciliations/days", list_days, roles=BOOKKEEPERS, summary="Days whose statement was read whole"),
    Route("GET", "/v1/reconciliations/rows", list_rows, roles=BOOKKEEPERS, summary="Rows of Razorpay's statement as they came"),
    Route(
        "GET", "/v1/reconciliations/exceptions", list_exceptions, roles=BOOKKEEPERS,
        summary="What does not agree with Razorpay's statement, and what to do",
    ),
    Route(
        "GET", "/v1/reconciliations/exceptions/{exception_id}", show_exception, roles=BOOKKEEPERS,
        summary="One exception with Razorpay's rows",
    ),
    Route(
        "POST", "/v1/reconciliations/exceptions/{exception_id}/resolve", resolve_exception, roles=BOOKKEEPERS,
        summary="Say why an exception is done with",
    ),
    Route("GET", "/v1/reconciliations/{reading_id}", show_reading, roles=BOOKKEEPERS, summary="One reading, and how far it is"),
)  # fmt: skip

ERRORS: Errors = {
    errors.NoSuchFranchisee: (404, "No such franchisee"),
    errors.NoSuchLedgerEntry: (404, "No such ledger entry"),
    errors.NoSuchTransfer: (404, "No such transfer"),
    errors.NoSuchSettlement: (404, "No such settlement"),
    errors.NoSuchUnownedBill: (404, "No such bill"),
    errors.NoSuchJournal: (404, "No such journal"),
    errors.NoSuchReading: (404, "No such reading"),
    errors.NoSuchException: (404, "No such exception"),
    errors.ExceptionResolved: (409, "The exception is resolved"),
    errors.NothingToBook: (409, "Nothing to book"),
    errors.NotInTheBooks: (404, "Not in the books"),
    errors.FeeStillOpen: (409, "The fee is not final yet"),
    errors.NothingToCorrect: (409, "Nothing to correct"),
    errors.EmailTaken: (409, "The e-mail address is taken"),
    errors.TermsExist: (409, "There are such terms already"),
    errors.NotHeldForReview: (409, "Not held for review"),
    errors.BillAssigned: (409, "The bill has its owner"),
    errors.NothingToRetry: (409, "Nothing to retry"),
}
