"""A sandbox on a stepping clock, a receiver for its webhooks, and two ways to call it: plain HTTP and the real SDK."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
import pytest
import razorpay
from aiohttp import web

from razorpay_simulator import RandomIds, RazorpaySimulator, SandboxSettings, WebhookSettings
from testkit.clock import SteppingClock

SECRET = "whsec-current"
TURNS = 5  # event loop turns that a woken sleeper gets before the sandbox is asked whether it is idle

Json = Any
Api = Callable[..., Awaitable[tuple[int, Json]]]


@dataclass
class Post:
    """A webhook as it arrived."""

    body: bytes
    signature: str
    event_id: str

    @property
    def json(self) -> Json:
        return orjson.loads(self.body)

    @property
    def event(self) -> str:
        return str(self.json["event"])


@dataclass
class Receiver:
    """A webhook endpoint. `answers` are the next statuses to give (then 200); None hangs until `release`."""

    url: str = ""
    posts: list[Post] = field(default_factory=list)
    answers: list[int | None] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    on_post: Callable[[Post], Awaitable[None]] | None = None

    async def handle(self, request: web.Request) -> web.Response:
        signature = request.headers.get("X-Razorpay-Signature", "")
        post = Post(await request.read(), signature, request.headers["x-razorpay-event-id"])
        self.posts.append(post)
        if self.on_post is not None:
            await self.on_post(post)
        answer = self.answers.pop(0) if self.answers else 200
        if answer is None:
            await self.release.wait()
            answer = 200
        moved = {"Location": self.url + "/moved"} if 300 <= answer < 400 else {}
        return web.Response(status=answer, headers=moved)

    def of(self, event: str) -> list[Post]:
        return [post for post in self.posts if post.event == event]

    @property
    def events(self) -> list[str]:
        return [post.event for post in self.posts]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    receiver.release.set()
    await runner.cleanup()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """`await until(condition)`: lets everything else run until the condition holds (the test's timeout is the limit)."""

    async def wait(condition: Callable[[], object]) -> None:
        while not condition():  # state has no event of its own to wait for
            await asyncio.sleep(0)

    return wait


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
async def build(receiver: Receiver, clock: SteppingClock) -> AsyncIterator[Callable[..., Awaitable[RazorpaySimulator]]]:
    """Starts a sandbox with these settings, on the stepping clock, with the receiver subscribed to everything."""
    started: list[RazorpaySimulator] = []

    async def start(**settings: Any) -> RazorpaySimulator:
        settings.setdefault("webhooks", [WebhookSettings(url=receiver.url, secret=SECRET)])
        simulator = RazorpaySimulator(SandboxSettings(**settings), clock=clock, ids=RandomIds(seed=7))

        async def settle() -> None:
            for _ in range(TURNS):
                for _ in range(TURNS):
                    await asyncio.sleep(0)
                await simulator.wait_idle()

        clock.settle = settle
        await simulator.start()
        started.append(simulator)
        return simulator

    yield start
    for simulator in started:
        await simulator.stop()


@pytest.fixture
async def sandbox(build: Callable[..., Awaitable[RazorpaySimulator]]) -> RazorpaySimulator:
    return await build(opening_balance=100_000_00)


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Api]]:
    """`connect(simulator)` gives `api(method, path, body, headers=…)` → (status, parsed answer).

    With the settings of one of its worlds, it asks with that mode's keys.
    """
    async with aiohttp.ClientSession() as session:

        def to(simulator: RazorpaySimulator, mode: SandboxSettings | None = None) -> Api:
            chosen = mode or simulator.settings
            keys = f"{chosen.key_id}:{chosen.key_secret}"
            basic = "Basic " + base64.b64encode(keys.encode()).decode()

            async def api(method: str, path: str, body: Json = None, **options: Any) -> tuple[int, Json]:
                data = None if body is None else orjson.dumps(body)
                options["headers"] = {"Authorization": basic} | options.get("headers", {})
                async with session.request(method, simulator.base_url + path, data=data, **options) as response:
                    return response.status, orjson.loads(await response.read())

            return api

        yield to


@pytest.fixture
def api(sandbox: RazorpaySimulator, connect: Callable[..., Api]) -> Api:
    return connect(sandbox)


@pytest.fixture
def sdk(sandbox: RazorpaySimulator) -> razorpay.Client:
    """The real client. It blocks: call it through `asyncio.to_thread`."""
    return razorpay.Client(auth=(sandbox.settings.key_id, sandbox.settings.key_secret), base_url=sandbox.base_url)


QR = {"type": "upi_qr", "usage": "multiple_use", "name": "CHG-0042", "fixed_amount": False, "notes": {"charger": "CHG-0042"}}
ACCOUNT = {
    "email": "fr7@x.example",
    "phone": "9000090000",
    "type": "route",
    "reference_id": "franchisee_7",
    "legal_business_name": "Acme Volts",
    "business_type": "partnership",
    "contact_name": "Asha Rao",
    "profile": {
        "category": "utilities",
        "subcategory": "electricity",
        "addresses": {
            "registered": {
                "street1": "507, 1st block",
                "street2": "MG Road",
                "city": "Bengaluru",
                "state": "KARNATAKA",
                "postal_code": "560034",
                "country": "IN",
            }
        },
    },
    "legal_info": {"pan": "AAACL1234C", "gst": "29AABCU9603R1ZM"},
}
BANK = {"account_number": "1234567890123456", "ifsc_code": "HDFC0000317", "beneficiary_name": "Acme Volts"}


@pytest.fixture
def qr_body() -> Json:
    return orjson.loads(orjson.dumps(QR))


@pytest.fixture
def account_body() -> Json:
    return orjson.loads(orjson.dumps(ACCOUNT))


@pytest.fixture
def bank() -> Json:
    return dict(BANK)


@pytest.fixture
def paid(api: Api, qr_body: Json) -> Callable[..., Awaitable[Json]]:
    """Makes a QR code and pays it; returns the payment."""

    async def pay(amount: int = 20_000, **how: Any) -> Json:
        _, qr = await api("POST", "/v1/payments/qr_codes", qr_body)
        status, answer = await api("POST", f"/_sandbox/qr/{qr['id']}/pay", {"amount": amount, **how})
        assert status == 200, answer
        return answer["payment"]

    return pay


@pytest.fixture
def activated(api: Api, account_body: Json, bank: Json) -> Callable[..., Awaitable[str]]:
    """Makes a linked account with its product and bank account, and activates it; returns its id."""

    async def activate(number: int = 7, **changes: Any) -> str:
        body = account_body | {"email": f"fr{number}@x.example", "reference_id": f"franchisee_{number}"} | changes
        _, account = await api("POST", "/v2/accounts", body)
        _, product = await api("POST", f"/v2/accounts/{account['id']}/products", {"product_name": "route", "tnc_accepted": True})
        await api("PATCH", f"/v2/accounts/{account['id']}/products/{product['id']}", {"settlements": bank})
        status, _ = await api("POST", f"/_sandbox/accounts/{account['id']}/kyc", {"state": "activated"})
        assert status == 200
        return str(account["id"])

    return activate
