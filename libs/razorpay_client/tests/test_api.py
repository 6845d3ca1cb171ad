"""The client over real HTTP against the sandbox: whatever happens to a call, its error says what is certain."""

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest

from chassis.runtime import Service, SystemClock
from chassis.telemetry import Telemetry
from razorpay_client import OutcomeUnknown, Permanent, Razorpay, RazorpayError, RazorpaySettings, Retryable, api
from razorpay_simulator import FaultRule, QrPayment, RazorpaySimulator, SandboxSettings

UNANSWERED_SECONDS = 0.2
"""For a client all of whose calls are never answered: no answer can be late."""


@dataclass
class World:
    service: Service
    sandbox: RazorpaySimulator
    razorpay: Razorpay
    telemetry: Telemetry

    def ended(self, operation: str, outcome: str) -> float:
        """How many calls of this operation ended so."""
        labels = {"operation": operation, "outcome": outcome}
        return self.telemetry.registry.get_sample_value("voltlync_tests_razorpay_calls_total", labels) or 0.0


async def made(url: str, *, key_id: str, key_secret: str, **more: object) -> tuple[Service, Razorpay, Telemetry]:
    settings = RazorpaySettings.model_validate(
        {
            "amqp_url": "amqp://nobody.invalid",
            "razorpay_key_id": key_id,
            "razorpay_key_secret": key_secret,
            "razorpay_api_url": url,
            **more,
        }
    )
    service = Service("tests", clock=SystemClock())
    telemetry = Telemetry(settings, service="tests", clock=service.clock)
    razorpay = service.add(Razorpay(settings, service=service, telemetry=telemetry))
    await service.start()
    return service, razorpay, telemetry


@pytest.fixture
async def world() -> AsyncIterator[World]:
    sandbox = RazorpaySimulator(SandboxSettings())
    await sandbox.start()
    service, razorpay, telemetry = await made(
        sandbox.base_url, key_id=sandbox.settings.key_id, key_secret=sandbox.settings.key_secret
    )
    yield World(service, sandbox, razorpay, telemetry)
    await service.stop()
    await sandbox.stop()


QR_CODE = {"type": "upi_qr", "usage": "multiple_use", "fixed_amount": False, "name": "CP-1"}
QR_PATH = "/v1/payments/qr_codes"


async def paid(world: World, amount: int = 10_000) -> str:
    qr_code = await world.razorpay.create_qr_code(QR_CODE)
    return str(world.sandbox.pay(qr_code["id"], QrPayment(amount=amount))["payment"]["id"])


async def test_an_answer_is_the_entity(world: World) -> None:
    qr_code = await world.razorpay.create_qr_code(QR_CODE)
    assert (await world.razorpay.fetch_qr_code(qr_code["id"]))["id"] == qr_code["id"]
    assert world.ended("create_qr_code", "answered") == 1
    assert world.service.work.count() == 0


async def test_a_refund_bears_its_key_and_a_repeat_makes_no_second_one(world: World) -> None:
    payment = await paid(world)
    first = await world.razorpay.create_refund(payment, key="qr_payment_17", body={"amount": 500})
    again = await world.razorpay.create_refund(payment, key="qr_payment_17", body={"amount": 500})
    assert first["id"] == again["id"]
    assert [refund["id"] for refund in await world.razorpay.refunds_of(payment)] == [first["id"]]
    asked = world.sandbox.requests("POST", f"/v1/payments/{payment}/refund")
    assert [request.idempotency_key for request in asked] == ["qr_payment_17"] * 2
    with pytest.raises(Permanent, match="Different request"):
        await world.razorpay.create_refund(payment, key="qr_payment_17", body={"amount": 501})


@pytest.mark.parametrize(
    ("fault", "writing", "reading"),
    [
        (FaultRule(kind="error", times=None), OutcomeUnknown, Retryable),
        (FaultRule(kind="html", times=None), OutcomeUnknown, Retryable),
        (FaultRule(kind="reset", times=None), OutcomeUnknown, Retryable),
        (FaultRule(kind="conflict", times=None), Retryable, Retryable),
        (FaultRule(kind="throttle", times=None), Retryable, Retryable),
        (FaultRule(kind="error", status=400, description="nonsense", times=None), Permanent, Permanent),
    ],
    ids=lambda value: value.kind if isinstance(value, FaultRule) else value.__name__,
)
async def test_a_fault_leaves_certain_what_it_leaves_certain(
    world: World, fault: FaultRule, writing: type[RazorpayError], reading: type[RazorpayError]
) -> None:
    world.sandbox.add_fault(fault)
    with pytest.raises(RazorpayError) as written:
        await world.razorpay.create_qr_code(QR_CODE)
    assert type(written.value) is writing
    with pytest.raises(RazorpayError) as read:
        await world.razorpay.fetch_qr_code("qr_0000000000000")
    assert type(read.value) is reading
    assert world.ended("create_qr_code", writing.__name__) == 1


async def test_silence_may_have_had_its_effect_where_something_was_to_change(world: World) -> None:
    world.sandbox.add_fault(FaultRule(kind="hang", times=None))
    keys = {"key_id": world.sandbox.settings.key_id, "key_secret": world.sandbox.settings.key_secret}
    for patience in ({"razorpay_read_seconds": UNANSWERED_SECONDS}, {"razorpay_call_seconds": UNANSWERED_SECONDS}):
        service, razorpay, _ = await made(world.sandbox.base_url, **keys, **patience)
        with pytest.raises(OutcomeUnknown):
            await razorpay.create_qr_code(QR_CODE)
        with pytest.raises(Retryable):
            await razorpay.fetch_qr_code("qr_0000000000000")
        await service.stop()


async def test_an_error_keeps_what_razorpays_own_sdk_drops(world: World) -> None:
    world.sandbox.add_fault(FaultRule(kind="html", path=QR_PATH))
    with pytest.raises(OutcomeUnknown) as proxy:
        await world.razorpay.create_qr_code(QR_CODE)
    assert proxy.value.status == 502
    assert "<html>" in proxy.value.body
    with pytest.raises(Permanent) as refused:
        await world.razorpay.create_qr_code({**QR_CODE, "usage": "sometimes"})
    assert (refused.value.status, refused.value.code, refused.value.field) == (400, "BAD_REQUEST_ERROR", "usage")


async def test_where_no_connection_comes_about_nothing_was_received() -> None:
    with socket.socket() as nobody:  # bound and never listening: connections are refused, and nobody else gets the port
        nobody.bind(("127.0.0.1", 0))
        service, razorpay, _ = await made(f"http://127.0.0.1:{nobody.getsockname()[1]}", key_id="rzp_test_1", key_secret="s")
        with pytest.raises(Retryable):
            await razorpay.create_qr_code(QR_CODE)
        await service.stop()


async def test_wrong_keys_are_ours_to_mend_and_had_no_effect(world: World) -> None:
    service, razorpay, _ = await made(world.sandbox.base_url, key_id="rzp_test_other", key_secret="wrong")
    with pytest.raises(Retryable) as refused:
        await razorpay.create_qr_code(QR_CODE)
    assert refused.value.status == 401
    await service.stop()


async def test_a_listing_is_whole_or_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PAGE_SIZE", 2)
    codes = {(await world.razorpay.create_qr_code(QR_CODE))["id"] for _ in range(5)}
    assert {code["id"] for code in await world.razorpay.qr_codes_since(0)} == codes
    monkeypatch.setattr(api, "PAGES_MAX", 2)
    with pytest.raises(Retryable, match="more than 4"):
        await world.razorpay.qr_codes_since(0)


async def test_an_unstarted_client_calls_nobody() -> None:
    service, razorpay, _ = await made("http://127.0.0.1:9", key_id="rzp_test_1", key_secret="s")
    unstarted = Razorpay(razorpay._settings, service=Service("other", clock=SystemClock()), telemetry=razorpay._telemetry)
    with pytest.raises(RuntimeError, match="before start"):
        await unstarted.fetch_payment("pay_1")
    await service.stop()


async def test_the_statement_of_a_day_comes_in_pages(world: World) -> None:
    payments = {await paid(world, 10_000 + number) for number in range(3)}
    own = world.sandbox.settle_own()
    assert own is not None
    assert (await world.razorpay.fetch_settlement(own["id"]))["utr"] == own["utr"]
    day = datetime.fromtimestamp(own["created_at"], timezone(timedelta(hours=5, minutes=30))).date()
    pages = [await world.razorpay.statement_page(day, count=2, skip=skip) for skip in (0, 2, 4)]
    assert [len(page) for page in pages] == [2, 1, 0]
    assert {row["entity_id"] for page in pages for row in page} == payments
    assert await world.razorpay.statement_page(day - timedelta(days=1), count=2, skip=0) == []
