"""What may be posted to the webhooks' route, by strangers and by a Razorpay that errs: each has its answer, none a second effect.

The world has one payment, recorded from a genuine event. An attack may leave the event that it is (a row of its own, or one more
delivery of an old one); what money, riders and messages are made of stays row for row as it was.
"""

import asyncio
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from contracts.payments import RazorpayEventReceived
from payments.domain.webhook import signature
from payments.usecases.receive_webhook import BODY_BYTES_MAX

from .conftest import SECRET, World
from .test_webhooks import credited

FULL_WIDTH = {ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789abcdef"}


@dataclass(frozen=True)
class Attack:
    """One request, and its right answer."""

    status: int
    body: Callable[[dict[str, Any]], bytes] = lambda event: json.dumps(event).encode()
    """From the genuine event."""
    signed: Callable[[bytes], str | None] = lambda body: signature(body, SECRET)
    event_id: str | None = "evt_genuine"
    headers: tuple[tuple[str, str], ...] = ()
    state: str | None = None
    """What becomes of the event that it leaves; None: it leaves none."""


def _as(**changes: Any) -> Callable[[dict[str, Any]], bytes]:
    """The event with other fields at its top."""
    return lambda event: json.dumps(event | changes).encode()


def _paying(**changes: Any) -> Callable[[dict[str, Any]], bytes]:
    """The event with other fields in its payment."""

    def body(event: dict[str, Any]) -> bytes:
        told = json.loads(json.dumps(event))
        told["payload"]["payment"]["entity"] |= changes
        return json.dumps(told).encode()

    return body


def _on_code(**changes: Any) -> Callable[[dict[str, Any]], bytes]:
    """A new payment on a QR code that is otherwise."""

    def body(event: dict[str, Any]) -> bytes:
        told = json.loads(_paying(id="pay_new")(event))
        told["payload"]["qr_code"]["entity"] |= changes
        return json.dumps(told).encode()

    return body


def _written(find: str, write: str) -> Callable[[dict[str, Any]], bytes]:
    """The genuine bytes with a text in them replaced."""

    def body(event: dict[str, Any]) -> bytes:
        text = json.dumps(event)
        assert find in text
        return text.replace(find, write, 1).encode()

    return body


FOREIGN = {"voltlync_environment": "somebody-elses", "voltlync_qr_code": "1"}
SETTLED = {"settlement": {"entity": {"id": "setl_1", "entity": "settlement", "amount": 1524}}}
HALF = "a\ud800b"
DEEP = "[" * 5_000 + "]" * 5_000
PACKED = (("Content-Encoding", "gzip"),)
DIGITS = "9" * 5_000

ATTACKS = {
    # Who did not sign it.
    "no signature": Attack(401, signed=lambda body: None),
    "an empty signature": Attack(401, signed=lambda body: ""),
    "of another body": Attack(401, signed=lambda body: signature(body + b" ", SECRET)),
    "with a secret of long ago": Attack(401, signed=lambda body: signature(body, "a-secret-of-long-ago")),
    "with no secret": Attack(401, signed=lambda body: signature(body, "")),
    "in upper case": Attack(401, signed=lambda body: signature(body, SECRET).upper()),
    "with a name before it": Attack(401, signed=lambda body: f"sha256={signature(body, SECRET)}"),
    "beyond ASCII": Attack(401, signed=lambda body: "न" * 64),
    "in full-width digits": Attack(401, signed=lambda body: signature(body, SECRET).translate(FULL_WIDTH)),
    "far too long": Attack(401, signed=lambda body: signature(body, SECRET) * 60),
    "cut short": Attack(401, signed=lambda body: signature(body, SECRET)[:-1]),
    "serialised anew": Attack(
        401, body=lambda event: json.dumps(event, indent=1).encode(), signed=lambda body: signature(_compact(body), SECRET)
    ),
    # What is too much, or no body at all.
    "too large": Attack(413, body=lambda event: json.dumps(event).encode() + b" " * BODY_BYTES_MAX),
    # Nothing is unpacked: the signature is of the bytes as they came.
    "a bomb that unpacks to 64 MiB": Attack(
        200, body=lambda event: gzip.compress(bytes(64 << 20)), headers=PACKED, event_id="evt_z", state="FAILED"
    ),
    "packed after signing": Attack(
        401,
        body=lambda event: gzip.compress(json.dumps(event).encode()),
        signed=lambda body: signature(gzip.decompress(body), SECRET),
        headers=PACKED,
    ),
    "said to be packed": Attack(200, headers=PACKED),
    # The same again.
    "replayed": Attack(200),
    "replayed as plain text": Attack(200, headers=(("Content-Type", "text/plain"),)),
    "replayed without an id": Attack(200, event_id=None, state="HANDLED"),
    "replayed under another id": Attack(200, event_id="evt_other", state="HANDLED"),
    "its id with a body of another amount": Attack(200, body=_paying(amount=99_999), state="HANDLED"),
    "of another account": Attack(200, body=_as(account_id="acc_somebody"), event_id="evt_a", state="HANDLED"),
    "of years ago": Attack(200, body=_as(created_at=1_500_000_000), event_id="evt_o", state="HANDLED"),
    "of times to come": Attack(200, body=_as(created_at=10**30), event_id="evt_f", state="HANDLED"),
    # What is not ours.
    "of another environment": Attack(200, body=_on_code(notes=FOREIGN, id="qr_foreign"), event_id="evt_e", state="IGNORED"),
    "an event that we don't know": Attack(200, body=_as(event="invoice.paid"), event_id="evt_i", state="IGNORED"),
    # What Razorpay would never write, and signs all the same.
    "no JSON": Attack(200, body=lambda event: b"nonsense", event_id="evt_n", state="FAILED"),
    "no UTF-8": Attack(200, body=lambda event: b"\xff\xfe{}", event_id="evt_u", state="FAILED"),
    "deeply nested": Attack(200, body=_written('"payload":', f'"deep": {DEEP}, "payload":'), event_id="evt_d", state="FAILED"),
    "a number of 5,000 digits": Attack(200, body=_written("10000", DIGITS), event_id="evt_9", state="FAILED"),
    "an amount beyond any": Attack(200, body=_paying(id="pay_new", amount=10**18), event_id="evt_b", state="FAILED"),
    "an amount that is no number": Attack(200, body=_paying(id="pay_new", amount=float("nan")), event_id="evt_q", state="FAILED"),
    "a field told twice": Attack(
        200, body=_written('"amount": 10000', '"amount": 10000, "amount": 99999'), event_id="evt_t", state="HANDLED"
    ),
    "an event told twice": Attack(
        200, body=_written('"event": "qr', '"event": "invoice.paid", "event": "qr'), event_id="evt_v", state="HANDLED"
    ),
    "a NUL in a name": Attack(200, body=_as(event="a\0b"), event_id="evt_0", state="IGNORED"),
    "half a character in a name": Attack(200, body=_as(event="a\ud800b"), event_id="evt_h", state="IGNORED"),
}  # fmt: skip


def _compact(body: bytes) -> bytes:
    return json.dumps(json.loads(body)).encode()


async def counts(world: World) -> dict[str, int]:
    """Rows of every table."""
    names = [row[0] for row in await world.admin.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'payments'")]
    each = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM payments.\"{name}\"" for name in names)  # noqa: S608
    return dict(await world.admin.fetch(each))


async def attack(world: World, one: Attack, event: dict[str, Any]) -> int:
    """Post it; the status."""
    body = one.body(event)
    headers: list[tuple[str, Any]] = [("Content-Type", "application/json"), *one.headers]
    if one.event_id is not None:
        headers.append(("X-Razorpay-Event-Id", one.event_id))
    if (signed := one.signed(body)) is not None:
        headers.append(("X-Razorpay-Signature", signed))
    async with world.http.post(f"{world.url}/webhooks/razorpay", data=body, headers=dict(headers)) as answer:
        await answer.read()
        return answer.status


async def recorded(world: World) -> dict[str, Any]:
    """A genuine event, worked: its payment waits for the charger."""
    qr = await world.qr_code("CP-5")
    event = credited(world, qr_code={"id": qr["razorpay_qr_code_id"]})
    assert await attack(world, Attack(200), event) == 200
    await world.quiet()
    assert (await world.payment("pay_HO2fEpc9JeOQU5"))["state"] == "START_REQUESTED"
    return event


async def test_each_attack_has_its_answer_and_none_an_effect(world: World) -> None:
    event = await recorded(world)
    money = await world.admin.fetch("SELECT * FROM qr_payments")
    wrong: list[str] = []
    before = await counts(world)
    for name, one in ATTACKS.items():
        last = await world.admin.fetchval("SELECT max(id) FROM webhook_events")
        status = await attack(world, one, event)
        await world.quiet()
        after = await counts(world)
        changed = {table for table in after if after[table] != before[table]}
        allowed = {"webhook_events"} if one.state is not None else {"webhook_repeats"} if one.status == 200 else set()
        states = [row["state"] for row in await world.admin.fetch("SELECT state FROM webhook_events WHERE id > $1", last)]
        if (status, changed, states) != (one.status, allowed, [] if one.state is None else [one.state]):
            wrong.append(f"{name}: {status}, changed {sorted(changed)}, events {states}")
        before = after
    assert wrong == []
    assert await world.admin.fetch("SELECT * FROM qr_payments") == money
    refused = sum(one.status == 401 for one in ATTACKS.values())
    assert world.metric("webhook_rejected_total") == refused


async def test_a_body_with_any_one_byte_changed_is_refused(world: World) -> None:
    event = await recorded(world)
    body = json.dumps(event).encode()
    signed = signature(body, SECRET)
    before = await counts(world)
    step = len(body) // 40
    tampered = [body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] for at in range(0, len(body), step)]
    tampered += [body + b"\n", body[:-1], b"\xef\xbb\xbf" + body]
    answers = await asyncio.gather(*(world.post_event(each, signature=signed, event_id="evt_genuine") for each in tampered))
    assert set(answers) == {401}
    assert await counts(world) == before


@pytest.mark.parametrize(
    "payload", ["a\0b", HALF, float("inf"), 10**400], ids=["NUL", "half a character", "infinity", "a googol"]
)
async def test_what_no_message_can_bear_is_failed_at_once(world: World, payload: Any) -> None:
    """Settlement's events go on as they came. One that can't is for a person to see, and is not tried again for hours."""
    settled = json.loads(json.dumps(SETTLED))
    settled["settlement"]["entity"]["utr"] = payload
    body = json.dumps({"event": "settlement.processed", "payload": settled, "created_at": 1}).encode()
    assert await world.post_event(body, signature=signature(body, SECRET), event_id="evt_s") == 200
    await world.quiet()
    state = await world.admin.fetchval("SELECT state FROM webhook_events WHERE event = 'settlement.processed'")
    assert state == ("FAILED" if payload == HALF else "HANDLED")
    assert len(await world.said(RazorpayEventReceived)) == (state == "HANDLED")
