"""The payer's pages as HTML: one look, no script, nothing from elsewhere. All text from outside goes through `escape`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from razorpay_simulator import rupees
from razorpay_simulator.entities import Order, Payment, QrCode, Refund
from razorpay_simulator.settings import Mode
from razorpay_simulator.settlements import IST

_STYLE = Path(__file__).with_name("page.css").read_text()
BANK_ANSWERS = {
    "paid": "It pays",
    "failed": "It declines",
    "late": "It declines, and pays a minute later",
}


@dataclass(frozen=True)
class Entry:
    """What the payer typed, to be shown again beside what is wrong with it."""

    amount: str = ""
    vpa: str = "rider@okhdfcbank"
    contact: str = ""
    bank: str = "paid"
    tap: str = ""
    """Of one press of the button: a second press with the same value pays nothing more."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """Field → what is wrong with it; the field `form` is the whole."""


def document(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en-IN"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)} · Sandbox UPI</title><link rel="icon" href="data:,"><style>{_STYLE}</style></head><body>'
        '<a class="skip" href="#main">Skip to the content</a>'
        '<header><a href="/pay">Sandbox UPI</a></header>'
        f'<main id="main">{body}</main>'
        "<footer>A sandbox: no real money moves.</footer></body></html>\n"
    )


def home(
    codes: Iterable[tuple[Mode, QrCode]],
    orders: Iterable[tuple[Mode, Order]],
    payments: Iterable[Payment],
    *,
    query: str,
    pages: str,
    modes: int,
) -> str:
    """All that can be paid, and what was paid last."""
    listed = [
        _row(f"/pay/qr/{qr.id}", qr.name or "Without a name", _about(qr, mode if modes > 1 else None), qr.payment_amount)
        for mode, qr in codes
    ]
    due = [
        _row(f"/pay/orders/{order.id}", order.receipt or order.id, _about(order, mode if modes > 1 else None), order.amount_due)
        for mode, order in orders
    ]
    paid = [_row(f"/pay/payments/{p.id}", p.vpa, f"{_state(p)[0]} · {_when(p.created_at)}", p.amount) for p in payments]
    nothing = (
        f'<p>No active code matches “{escape(query)}”. <a href="/pay">Show all of them</a>.</p>'
        if query
        else '<p>No QR code is active.</p><p class="soft">A merchant makes one with <code>POST /v1/payments/qr_codes</code>; '
        "then it is here, to be paid as a rider would by scanning it.</p>"
    )
    search = (
        '<form class="search" role="search"><div><label for="q">Find a code by its name or id</label>'
        f'<input id="q" name="q" type="search" value="{escape(query)}"></div><button>Find</button></form>'
    )
    body = "<h1>Pay</h1>" + (search if listed or query else "") + "<h2>QR codes</h2>" + _list(listed, nothing) + pages
    if due:
        body += "<h2>Orders to be paid</h2>" + _list(due, "")
    if paid:
        body += "<h2>Last payments</h2>" + _list(paid, "")
    return document("Pay", body)


def code(qr: QrCode, payee: str, entry: Entry, *, returns: bool) -> str:
    """One QR code, with the form to pay it. `returns`: whether what is paid to a closed one goes back."""
    warning = ""
    if qr.status == "closed":
        fate = "What you pay goes back to you by itself." if returns else "This sandbox lets it be paid all the same."
        warning = f'<p class="card wait"><strong>This code is closed.</strong> {fate}</p>'
    name = qr.name or "Without a name"
    about = f'<p class="soft">{escape(qr.description)}</p>' if qr.description else ""
    head = f'<h1>{escape(name)}</h1>{about}<p class="soft">Paid to <strong>{escape(payee)}</strong></p>{warning}'
    return document(f"Pay {name}", _problems(entry) + head + _form(f"/pay/qr/{qr.id}", entry, fixed=qr.payment_amount))


def order(order: Order, payee: str, entry: Entry, attempts: Iterable[Payment]) -> str:
    """One order, with the form to pay it, or what became of it."""
    name = order.receipt or order.id
    head = f'<h1>Order {escape(name)}</h1><p class="soft">Paid to <strong>{escape(payee)}</strong></p>'
    tried = [_row(f"/pay/payments/{p.id}", _state(p)[0], _when(p.created_at), p.amount) for p in attempts]
    history = "<h2>Attempts</h2>" + _list(tried, "") if tried else ""
    if order.status == "paid":
        body = f'<p class="card good"><strong>This order is paid.</strong> {rupees.shown(order.amount_paid)}</p>'
    else:
        body = _form(f"/pay/orders/{order.id}", entry, fixed=None if order.partial else order.amount_due)
    return document(f"Order {name}", _problems(entry) + head + body + history)


def payment(payment: Payment, refunds: Iterable[Refund], paid_for: str, back: str) -> str:
    """What became of a payment, until now."""
    state, kind = _state(payment)
    facts = {
        "To": paid_for,
        "From": payment.vpa,
        "When": _when(payment.created_at),
        "RRN": payment.acquirer_data.get("rrn") or "none: nothing was paid",
        "Payment id": payment.id,
    }
    if payment.error_description:
        facts["Reason"] = payment.error_description
    listed = "".join(_refund(refund) for refund in refunds)
    none = '<p class="soft">None until now. What was not used comes back here.</p>' if payment.status != "failed" else ""
    returned = f"<h2>Refunds</h2>{listed or none}" if listed or none else ""
    body = (
        f'<h1 class="{kind}" role="status">{state}</h1>'
        f'<div class="card"><p class="big">{rupees.shown(payment.amount)}</p>{_facts(facts)}</div>{returned}'
        f'<nav aria-label="Payment"><a href="/pay/payments/{payment.id}">Look again</a>'
        f'<a href="{escape(back)}">Pay again</a></nav>'
    )
    return document(state, body)


def missing(what: str) -> str:
    body = (
        f'<h1>Not found</h1><p class="card problem" role="alert">There is no {escape(what)} in this sandbox. '
        'It may have been reset since. <a href="/pay">See what can be paid</a>.</p>'
    )
    return document("Not found", body)


def pages(number: int, more: bool, query: str) -> str:
    """Links to the neighbours of a page of codes."""
    find = f"&amp;q={escape(query)}" if query else ""
    before = f'<a href="/pay?page={number - 1}{find}" rel="prev">Newer</a>' if number > 1 else "<span></span>"
    after = f'<a href="/pay?page={number + 1}{find}" rel="next">Older</a>' if more else ""
    return f'<nav aria-label="Pages">{before}{after}</nav>' if number > 1 or more else ""


def _form(action: str, entry: Entry, *, fixed: int | None) -> str:
    if fixed is None:
        hint = "Such as 500, 500.50 or 1,23,456.78"
        amount = _input(
            "amount", "Amount in rupees (₹)", entry.amount, entry, hint, 'inputmode="decimal" class="amount" autofocus'
        )
        button = "Pay"
    else:
        amount, button = f'<p class="big">{rupees.shown(fixed)}</p>', f"Pay {rupees.shown(fixed)}"
    shape = 'autocapitalize="none" spellcheck="false"'
    vpa = _input("vpa", "Your UPI ID", entry.vpa, entry, "Such as asha@okaxis", shape)
    contact = _input("contact", "Phone, if the bank tells it (may be empty)", entry.contact, entry, "", 'inputmode="tel"')
    options = "".join(
        f'<option value="{value}"{" selected" if value == entry.bank else ""}>{text}</option>'
        for value, text in BANK_ANSWERS.items()
    )
    bank = f'<label for="bank">What the bank does</label><select id="bank" name="bank">{options}</select>'
    bent = " open" if entry.bank != "paid" or "contact" in entry.errors else ""
    return (
        f'<form class="card" method="post" action="{escape(action)}" novalidate>{amount}{vpa}'
        f"<details{bent}><summary>What only a sandbox can</summary>{contact}{bank}</details>"
        f'<input type="hidden" name="tap" value="{escape(entry.tap)}"><button>{button}</button></form>'
    )


def _input(name: str, label: str, value: str, entry: Entry, hint: str, more: str) -> str:
    wrong = entry.errors.get(name)
    told = [f"{name}-hint"] * bool(hint) + [f"{name}-error"] * bool(wrong)
    marks = (f' aria-describedby="{" ".join(told)}"' if told else "") + (' aria-invalid="true"' if wrong else "")
    return (
        f'<label for="{name}">{label}</label>'
        + (f'<p class="hint" id="{name}-hint">{hint}</p>' if hint else "")
        + f'<input id="{name}" name="{name}" value="{escape(value)}" autocomplete="off" {more}{marks}>'
        + (f'<p class="error" id="{name}-error">{escape(wrong)}</p>' if wrong else "")
    )


def _problems(entry: Entry) -> str:
    if not entry.errors:
        return ""
    lines = "".join(
        f"<li>{escape(text)}</li>" if name == "form" else f'<li><a href="#{name}">{escape(text)}</a></li>'
        for name, text in entry.errors.items()
    )
    return f'<div class="card problem" role="alert"><strong>Nothing was paid.</strong><ul>{lines}</ul></div>'


def _refund(refund: Refund) -> str:
    fast = refund.speed_requested == "optimum" and refund.speed_processed != "normal"
    state, kind = {
        "pending": ("On its way, at once" if fast else "On its way, within 7 working days", "wait"),
        "processed": ("Credited", "good"),
        "failed": ("Failed: the merchant keeps it until another try", "bad"),
    }[refund.status]
    facts = {"Asked": _when(refund.created_at), "RRN": refund.acquirer_data.get("rrn") or "not yet", "Refund id": refund.id}
    if refund.automatic:
        facts["By"] = "Razorpay itself: the merchant never took the money"
    return (
        f'<div class="card"><p class="big">{rupees.shown(refund.amount)}</p><p class="{kind}"><strong>{state}</strong></p>'
        f"{_facts(facts)}</div>"
    )


def _state(payment: Payment) -> tuple[str, str]:
    """A payment in words, and the colour of the news."""
    if payment.status == "failed":
        return ("Not paid", "bad")
    if payment.status == "authorized":
        return ("Paid, and not yet taken by the merchant", "wait")
    if not payment.captured:
        return ("Returned", "wait")
    if payment.refund_status == "full":
        return ("Paid, and refunded in full", "good")
    return ("Paid, and refunded in part" if payment.refund_status == "partial" else "Paid", "good")


def _about(record: QrCode | Order, mode: Mode | None) -> str:
    said = record.description if isinstance(record, QrCode) else None
    return " · ".join(part for part in (said, record.id, mode) if part)


def _row(link: str, name: str, about: str, amount: int | None) -> str:
    text = f"{escape(name)}<small>{escape(about)}</small>"
    price = "any amount" if amount is None else rupees.shown(amount)
    return f'<li><a href="{escape(link)}"><span>{text}</span><span class="sum">{price}</span></a></li>'


def _list(rows: list[str], nothing: str) -> str:
    return f'<ul class="list">{"".join(rows)}</ul>' if rows else f'<div class="card">{nothing}</div>'


def _facts(facts: Mapping[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items()) + "</dl>"


def _when(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone(IST).strftime("%d %b %Y, %H:%M:%S IST")
