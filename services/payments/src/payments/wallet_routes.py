"""The HTTP door of riders and wallets: rows of `payments.routes`, which are many. What is called `me` stands before ids."""

from chassis.web import ADMIN, FINANCE, GUEST, PUBLIC, RIDER, STAFF, Route
from payments.usecases.count_wallets import show_wallet_control
from payments.usecases.explain_wallet_session import explain_my_session, explain_wallet_session
from payments.usecases.print_invoice import print_my_credit_note, print_my_invoice
from payments.usecases.prove_payment import claim_guest, issue_guest_token
from payments.usecases.recharge_wallet import recharge_wallet
from payments.usecases.refund_wallet_session import refund_wallet_session
from payments.usecases.register_rider import register_rider
from payments.usecases.show_invoices import list_my_credit_notes, list_my_invoices
from payments.usecases.show_wallets import (
    list_entries,
    list_my_entries,
    list_my_payments,
    list_my_recharges,
    list_my_sessions,
    list_recharge_payments,
    list_sessions,
    list_wallets,
    show_me,
    show_my_recharge,
    show_my_session,
    show_my_wallet,
    show_wallet,
)
from payments.usecases.start_wallet_session import start_wallet_session, stop_wallet_session

RIDER_ROUTES = (
    Route("POST", "/v1/riders/me", register_rider, roles=RIDER, summary="Register: my rider and wallet, and whom I paid as"),
    Route("GET", "/v1/riders/me", show_me, roles=RIDER | GUEST, summary="Show my rider"),
    Route("POST", "/v1/riders/me/claims", claim_guest, roles=RIDER, summary="Have what I paid as a guest, by proving a payment"),
    Route(
        "POST",
        "/v1/public/riders/guest-tokens",
        issue_guest_token,
        roles=PUBLIC,
        status=201,
        summary="Sign in as a guest for a quarter of an hour, by proving a payment",
        shown_once="Prove the payment again.",
    ),
    Route("GET", "/v1/riders/me/payments", list_my_payments, roles=RIDER | GUEST, summary="List what I paid by QR code"),
    Route("GET", "/v1/riders/me/invoices", list_my_invoices, roles=RIDER | GUEST, summary="List my invoices"),
    Route(
        "GET",
        "/v1/riders/me/invoices/{invoice_id}/invoice.pdf",
        print_my_invoice,
        roles=RIDER | GUEST,
        summary="Print one of my invoices: A5",
    ),
    Route("GET", "/v1/riders/me/credit-notes", list_my_credit_notes, roles=RIDER | GUEST, summary="List my credit notes"),
    Route(
        "GET",
        "/v1/riders/me/credit-notes/{credit_note_id}/credit-note.pdf",
        print_my_credit_note,
        roles=RIDER | GUEST,
        summary="Print one of my credit notes: A5",
    ),
)

WALLET_ROUTES = (
    Route("GET", "/v1/wallets/me", show_my_wallet, roles=RIDER, summary="Show my wallet"),
    Route("GET", "/v1/wallets/me/entries", list_my_entries, roles=RIDER, summary="List my wallet's movements"),
    Route("POST", "/v1/wallets/me/recharges", recharge_wallet, roles=RIDER, status=201, summary="Order a recharge of my wallet"),
    Route("GET", "/v1/wallets/me/recharges", list_my_recharges, roles=RIDER, summary="List my recharges"),
    Route("GET", "/v1/wallets/me/recharges/{recharge_id}", show_my_recharge, roles=RIDER, summary="Show one of my recharges"),
    Route(
        "POST",
        "/v1/wallets/me/sessions",
        start_wallet_session,
        roles=RIDER,
        status=201,
        summary="Start charging from my wallet",
    ),
    Route("GET", "/v1/wallets/me/sessions", list_my_sessions, roles=RIDER, summary="List my wallet's sessions"),
    Route("GET", "/v1/wallets/me/sessions/{session_id}", show_my_session, roles=RIDER, summary="Show one of my sessions"),
    Route(
        "GET",
        "/v1/wallets/me/sessions/{session_id}/explanation",
        explain_my_session,
        roles=RIDER,
        summary="Explain what one of my sessions cost",
    ),
    Route(
        "POST",
        "/v1/wallets/me/sessions/{session_id}/stop",
        stop_wallet_session,
        roles=RIDER,
        summary="Stop, or cancel, one of my sessions",
    ),
    Route("GET", "/v1/wallets", list_wallets, roles=STAFF, summary="List wallets"),
    Route("GET", "/v1/wallets/control", show_wallet_control, roles=STAFF, summary="Show what all wallets come to at a time"),
    Route(
        "GET",
        "/v1/wallets/recharge-payments",
        list_recharge_payments,
        roles=STAFF,
        summary="List payments that recharged wallets",
    ),
    Route("GET", "/v1/wallets/sessions", list_sessions, roles=STAFF, summary="List sessions that wallets pay, with bills"),
    Route(
        "POST",
        "/v1/wallets/sessions/{session_id}/refunds",
        refund_wallet_session,
        roles=ADMIN | FINANCE,
        status=201,
        summary="Give a part of a session that a wallet paid back into the wallet",
    ),
    Route(
        "GET",
        "/v1/wallets/sessions/{session_id}/explanation",
        explain_wallet_session,
        roles=STAFF,
        summary="Explain what a wallet's session cost",
    ),
    Route("GET", "/v1/wallets/{wallet_id}", show_wallet, roles=STAFF, summary="Show a wallet"),
    Route("GET", "/v1/wallets/{wallet_id}/entries", list_entries, roles=STAFF, summary="List a wallet's movements"),
)
