"""The HTTP door: method and path → use case, roles."""

from chassis.web import ADMIN, FINANCE, FRANCHISEE, OPERATOR, STAFF, Errors, Route
from settlement.domain import errors
from settlement.usecases.assign_bill import assign_unowned_bill, list_unowned_bills
from settlement.usecases.enter_fee import correct_fee, enter_refund_charge
from settlement.usecases.explain import explain_bank_settlement, explain_ledger_entry, explain_route_transfer
from settlement.usecases.manage_franchisee import create_franchisee, create_terms, patch_franchisee
from settlement.usecases.manage_tax_rules import create_tax_rule, list_tax_rules
from settlement.usecases.print_statement import (
    print_statement_csv,
    print_statement_pdf,
    print_statement_xlsx,
    show_statement,
)
from settlement.usecases.read_statement import ask_for_reading, list_readings, show_reading
from settlement.usecases.receive_commission import enter_commission_receipt, withdraw_commission_receipt
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
from settlement.usecases.see_payouts import list_payouts, look_up_payout, show_daily, show_summary
from settlement.usecases.see_receivables import list_commission_receipts, list_receivables, show_receivable
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
        "POST", "/v1/franchisees", create_franchisee, roles=ADMIN | FINANCE, status=201,
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
    Route(
        "GET", "/v1/franchisees/{franchisee_id}/receivables", show_receivable, roles=READERS,
        summary="What a franchisee who collects itself owes us, by age",
    ),
    Route(
        "GET", "/v1/franchisees/{franchisee_id}/commission-receipts", list_commission_receipts, roles=READERS,
        summary="What a franchisee paid us of it",
    ),
    Route(
        "POST", "/v1/franchisees/{franchisee_id}/commission-receipts", enter_commission_receipt, roles=BOOKKEEPERS, status=201,
        summary="Enter what a franchisee paid us of its commission",
    ),
    Route(
        "POST", "/v1/commission-receipts/{receipt_id}/withdraw", withdraw_commission_receipt, roles=BOOKKEEPERS,
        summary="Take back a receipt that was entered by mistake",
    ),
    Route("GET", "/v1/receivables", list_receivables, roles=BOOKKEEPERS, summary="Who owes us commission, and for how long"),
    Route(
        "GET", "/v1/franchisees/{franchisee_id}/summary", show_summary, roles=READERS,
        summary="Earned, paid, on its way, on hold and why",
    ),
    Route("GET", "/v1/franchisees/{franchisee_id}/daily", show_daily, roles=READERS, summary="The same by day, for a chart"),
    Route(
        "GET", "/v1/franchisees/{franchisee_id}/payouts", list_payouts, roles=READERS,
        summary="Payouts to the bank, newest first, and those expected",
    ),
    Route(
        "GET", "/v1/payouts", look_up_payout, roles=READERS, summary="The sessions behind a line of a bank statement, by its UTR"
    ),
    Route(
        "GET", "/v1/franchisees/{franchisee_id}/statements/{month}.pdf", print_statement_pdf, roles=READERS,
        summary="A month's statement as PDF",
    ),
    Route(
        "GET", "/v1/franchisees/{franchisee_id}/statements/{month}.csv", print_statement_csv, roles=READERS,
        summary="A month's statement as CSV, every session in it",
    ),
    Route(
        "GET", "/v1/franchisees/{franchisee_id}/statements/{month}.xlsx", print_statement_xlsx, roles=READERS,
        summary="A month's statement as a spreadsheet, every session in it",
    ),
    Route(
        "GET", "/v1/franchisees/{franchisee_id}/statements/{month}", show_statement, roles=READERS,
        summary="A month's statement: opening balance, earned, paid, closing balance",
    ),
    Route(
        "GET", "/v1/ledger-entries/{ledger_entry_id}/explanation", explain_ledger_entry, roles=READERS,
        summary="How every amount of a session's split came about",
    ),
    Route(
        "GET", "/v1/transfers/{transfer_id}/explanation", explain_route_transfer, roles=READERS,
        summary="What a transfer pays, and what it cost",
    ),
    Route(
        "GET", "/v1/settlements/{settlement_id}/explanation", explain_bank_settlement, roles=READERS,
        summary="What a line of a bank statement is made of",
    ),
    Route("GET", "/v1/tax-rules", list_tax_rules, roles=READERS, summary="What is withheld as income tax, from whom, since when"),
    Route(
        "POST", "/v1/tax-rules", create_tax_rule, roles=ADMIN | FINANCE, status=201,
        summary="A new rule of TDS, from a day to come",
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
    errors.NoSuchReceipt: (404, "No such receipt"),
    errors.ReceiptExists: (409, "Entered already"),
    errors.ReceiptWithdrawn: (409, "Withdrawn already"),
    errors.FeeStillOpen: (409, "The fee is not final yet"),
    errors.NothingToCorrect: (409, "Nothing to correct"),
    errors.EmailTaken: (409, "The e-mail address is taken"),
    errors.TermsExist: (409, "There are such terms already"),
    errors.TaxRuleExists: (409, "There is such a rule already"),
    errors.NotHeldForReview: (409, "Not held for review"),
    errors.BillAssigned: (409, "The bill has its owner"),
    errors.NothingToRetry: (409, "Nothing to retry"),
}
