"""The HTTP door: method, path → use case, who may."""

from chassis.web import ADMIN, FINANCE, FRANCHISEE, OPERATOR, PUBLIC, STAFF, Route
from payments.domain.errors import (
    ConflictError,
    InvalidSignatureError,
    NotFoundError,
    ProviderUnavailableError,
    UnansweredError,
)
from payments.usecases.explain_amounts import (
    explain_credit_note_amounts,
    explain_invoice_amounts,
    explain_payment,
    explain_refund,
)
from payments.usecases.export_invoices import export_credit_notes, export_invoices
from payments.usecases.make_qr_code import close_qr_code, create_qr_code, regenerate_qr_code
from payments.usecases.print_invoice import print_credit_note, print_invoice
from payments.usecases.print_qr_code import draw_qr_code_png, draw_qr_code_svg, print_sticker
from payments.usecases.receive_webhook import BODY_BYTES_MAX, receive_webhook
from payments.usecases.refund_part import refund_part
from payments.usecases.replay_webhook_event import replay_webhook_event
from payments.usecases.retry_refund import retry_refund
from payments.usecases.show_invoices import list_credit_notes, list_invoices, show_credit_note, show_invoice
from payments.usecases.show_payments import list_payments, list_refunds, list_riders, show_payment, show_refund, show_rider
from payments.usecases.show_qr_codes import list_qr_codes, show_qr_code
from payments.usecases.show_revenue import show_revenue
from payments.usecases.show_webhook_events import list_webhook_events, show_webhook_event
from payments.wallet_routes import RIDER_ROUTES, WALLET_ROUTES

EXPORT_SECONDS_MAX = 300.0
"""A month of a large network goes out as it is read."""

ROUTES = (
    Route(
        "POST",
        "/webhooks/razorpay",
        receive_webhook,
        roles=PUBLIC,
        max_body_bytes=BODY_BYTES_MAX,
        summary="Razorpay's webhooks, known by their signature",
    ),
    Route("POST", "/v1/qr-codes", create_qr_code, roles=ADMIN | OPERATOR, status=201, summary="Create a connector's QR code"),
    Route("GET", "/v1/qr-codes", list_qr_codes, roles=STAFF, summary="List QR codes"),
    Route(
        "GET",
        "/v1/qr-codes/revenue",
        show_revenue,
        roles=STAFF | FRANCHISEE,
        summary="What QR codes brought in, per code, charger, station or day",
    ),
    Route("GET", "/v1/qr-codes/{qr_code_id}", show_qr_code, roles=STAFF, summary="Show a QR code"),
    Route("GET", "/v1/qr-codes/{qr_code_id}/image.png", draw_qr_code_png, roles=STAFF, summary="Draw a QR code as PNG"),
    Route("GET", "/v1/qr-codes/{qr_code_id}/image.svg", draw_qr_code_svg, roles=STAFF, summary="Draw a QR code as SVG"),
    Route(
        "GET",
        "/v1/qr-codes/{qr_code_id}/sticker.pdf",
        print_sticker,
        roles=STAFF,
        summary="Print the sticker of a connector: A6, with QR code, charger and price",
    ),
    Route("POST", "/v1/qr-codes/{qr_code_id}/close", close_qr_code, roles=ADMIN | OPERATOR, summary="Close a QR code"),
    Route(
        "POST",
        "/v1/qr-codes/{qr_code_id}/regenerate",
        regenerate_qr_code,
        roles=ADMIN | OPERATOR,
        status=201,
        summary="Close a QR code and make a new one in its place, the platform's or a franchisee's own",
    ),
    Route("GET", "/v1/payments", list_payments, roles=STAFF, summary="List payments"),
    Route("GET", "/v1/payments/{payment_id}", show_payment, roles=STAFF, summary="Show a payment, its bill and its refunds"),
    Route(
        "POST",
        "/v1/payments/{payment_id}/refunds",
        refund_part,
        roles=ADMIN | FINANCE,
        status=201,
        summary="Give a part of a billed payment back",
    ),
    Route("GET", "/v1/refunds", list_refunds, roles=STAFF, summary="List refunds"),
    Route("GET", "/v1/refunds/{refund_id}", show_refund, roles=STAFF, summary="Show a refund"),
    Route("POST", "/v1/refunds/{refund_id}/retry", retry_refund, roles=ADMIN | FINANCE, summary="Try a refund again now"),
    Route(
        "GET",
        "/v1/payments/{payment_id}/explanation",
        explain_payment,
        roles=STAFF,
        summary="Explain where every paisa of a payment went: readings, tariff, rounding, fee",
    ),
    Route("GET", "/v1/refunds/{refund_id}/explanation", explain_refund, roles=STAFF, summary="Explain a refund's amount"),
    Route("GET", "/v1/invoices", list_invoices, roles=STAFF, summary="List GST invoices"),
    Route(
        "GET",
        "/v1/invoices/export.csv",
        export_invoices,
        roles=ADMIN | FINANCE,
        timeout_seconds=EXPORT_SECONDS_MAX,
        summary="Export a month's invoices as CSV, for the GST return",
    ),
    Route("GET", "/v1/invoices/{invoice_id}", show_invoice, roles=STAFF, summary="Show a GST invoice"),
    Route("GET", "/v1/invoices/{invoice_id}/invoice.pdf", print_invoice, roles=STAFF, summary="Print a GST invoice: A5"),
    Route(
        "GET",
        "/v1/invoices/{invoice_id}/explanation",
        explain_invoice_amounts,
        roles=STAFF,
        summary="Explain an invoice's amounts: halves, round-off, fee",
    ),
    Route("GET", "/v1/credit-notes", list_credit_notes, roles=STAFF, summary="List credit notes"),
    Route(
        "GET",
        "/v1/credit-notes/export.csv",
        export_credit_notes,
        roles=ADMIN | FINANCE,
        timeout_seconds=EXPORT_SECONDS_MAX,
        summary="Export a month's credit notes as CSV, for the GST return",
    ),
    Route("GET", "/v1/credit-notes/{credit_note_id}", show_credit_note, roles=STAFF, summary="Show a credit note"),
    Route(
        "GET",
        "/v1/credit-notes/{credit_note_id}/credit-note.pdf",
        print_credit_note,
        roles=STAFF,
        summary="Print a credit note: A5",
    ),
    Route(
        "GET",
        "/v1/credit-notes/{credit_note_id}/explanation",
        explain_credit_note_amounts,
        roles=STAFF,
        summary="Explain a credit note's amounts: halves, round-off",
    ),
    *RIDER_ROUTES,
    Route("GET", "/v1/riders", list_riders, roles=STAFF, summary="List riders, masked"),
    Route("GET", "/v1/riders/{rider_id}", show_rider, roles=STAFF, summary="Show a rider, masked"),
    Route("GET", "/v1/webhook-events", list_webhook_events, roles=STAFF, summary="List Razorpay's webhook events"),
    Route(
        "GET", "/v1/webhook-events/{webhook_event_id}", show_webhook_event, roles=ADMIN, summary="Show a webhook event as it came"
    ),
    Route(
        "POST",
        "/v1/webhook-events/{webhook_event_id}/replay",
        replay_webhook_event,
        roles=ADMIN | OPERATOR,
        summary="Work a webhook event again, or preview what that would do",
    ),
    *WALLET_ROUTES,
)

ERRORS: dict[type[Exception], tuple[int, str]] = {
    InvalidSignatureError: (401, "The signature does not match"),
    NotFoundError: (404, "There is no such thing"),
    ConflictError: (409, "Not in this state"),
    ProviderUnavailableError: (502, "Razorpay refused"),
    UnansweredError: (503, "Not answered in time"),
}
