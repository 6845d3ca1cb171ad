"""Razorpay's REST API over HTTP: who may ask, what is asked, and what goes wrong on the way."""

import base64
import binascii
import hmac
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import orjson
from aiohttp import web

from razorpay_simulator.entities import JsonObject
from razorpay_simulator.errors import (
    BODY_NOT_JSON,
    NOT_AS_LINKED_ACCOUNT,
    PAYMENT_BUSY,
    UNKNOWN_URL,
    ApiError,
    not_applicable,
    server_error,
)
from razorpay_simulator.faults import HTML_ERROR, FaultRule, Faults, RequestLog, RequestRecord
from razorpay_simulator.idempotency import (
    REFUND_HEADER,
    REFUND_KEYS,
    TRANSFER_HEADER,
    TRANSFER_KEYS,
    KeyRules,
)
from razorpay_simulator.world import Nouns, World

ACCOUNT_HEADER = "X-Razorpay-Account"
LAST_BMP_CHARACTER = 0xFFFF
_log = logging.getLogger(__name__)
_BODY: web.RequestKey[Any] = web.RequestKey("body", object)
LINKED_VIEW = {
    ("POST", "/v1/payments/qr_codes"),
    ("GET", "/v1/payments/qr_codes"),
    ("GET", "/v1/payments/qr_codes/{id}"),
    ("PATCH", "/v1/payments/qr_codes/{id}"),
    ("GET", "/v1/payments/qr_codes/{id}/payments"),
    ("POST", "/v1/payments/qr_codes/{id}/close"),
    ("GET", "/v1/payments"),
    ("GET", "/v1/payments/{id}"),
    ("GET", "/v1/payments/{id}/refunds"),
    ("GET", "/v1/payments/{id}/refunds/{refund}"),
    ("GET", "/v1/refunds"),
    ("GET", "/v1/refunds/{id}"),
    ("PATCH", "/v1/refunds/{id}"),
    ("GET", "/v1/transfers"),
    ("GET", "/v1/transfers/{id}"),
    ("GET", "/v1/settlements"),
    ("GET", "/v1/settlements/{id}"),
    ("GET", "/v1/settlements/recon/combined"),
}
"""What a request may see and do as a linked account: its own QR codes, payments, refunds, transfers and settlements. Elsewhere
the header would silently show the parent's world."""
_SLOW: web.RequestKey[float] = web.RequestKey("slow", float)
_WORLD: web.RequestKey[World] = web.RequestKey("world", World)

Answer = JsonObject | list[object]
Handler = Callable[[web.Request], Awaitable[Answer]]


class RestApi:
    """Routes under /v1 and /v2. Every answer is JSON; every failure has Razorpay's error body."""

    def __init__(self, worlds: Sequence[World], faults: Faults, log: RequestLog, never: Callable[[], Awaitable[None]]) -> None:
        self._worlds = worlds
        self._faults = faults
        self._log = log
        self._never = never

    def add_routes(self, router: web.UrlDispatcher) -> None:
        plain: list[tuple[str, str, Callable[[web.Request], Answer]]] = [
            ("POST", "/v1/orders", lambda r: _n(r).orders.create(r[_BODY])),
            ("GET", "/v1/orders", lambda r: _n(r).orders.fetch_all(r.query, _expand(r))),
            ("GET", "/v1/orders/{id}", lambda r: _n(r).orders.fetch(_id(r), _expand(r))),
            ("PATCH", "/v1/orders/{id}", lambda r: _n(r).orders.update(_id(r), r[_BODY])),
            ("GET", "/v1/orders/{id}/payments", lambda r: _n(r).orders.payments(_id(r))),
            ("POST", "/v1/payments/qr_codes", lambda r: _n(r).qr_codes.create(r[_BODY], _account(r))),
            ("GET", "/v1/payments/qr_codes", lambda r: _n(r).qr_codes.fetch_all(r.query, _account(r))),
            ("GET", "/v1/payments/qr_codes/{id}", lambda r: _n(r).qr_codes.fetch(_id(r), _account(r))),
            ("PATCH", "/v1/payments/qr_codes/{id}", lambda r: _n(r).qr_codes.update(_id(r), r[_BODY], _account(r))),
            ("GET", "/v1/payments/qr_codes/{id}/payments", lambda r: _n(r).qr_codes.payments(_id(r), r.query, _account(r))),
            ("POST", "/v1/payments/qr_codes/{id}/close", lambda r: _n(r).qr_codes.close(_id(r), _account(r))),
            ("GET", "/v1/payments", lambda r: _n(r).payments.fetch_all(r.query, _expand(r), _account(r))),
            ("GET", "/v1/payments/{id}", lambda r: _n(r).payments.fetch(_id(r), _expand(r), _account(r))),
            ("PATCH", "/v1/payments/{id}", lambda r: _n(r).payments.update(_id(r), r[_BODY])),
            ("GET", "/v1/payments/{id}/transfers", lambda r: _n(r).transfers.of_payment(_id(r))),
            ("GET", "/v1/payments/{id}/refunds", lambda r: _n(r).refunds.fetch_all(r.query, _id(r), _account(r))),
            (
                "GET",
                "/v1/payments/{id}/refunds/{refund}",
                lambda r: _n(r).refunds.fetch(r.match_info["refund"], _id(r), _account(r)),
            ),
            ("GET", "/v1/refunds", lambda r: _n(r).refunds.fetch_all(r.query, None, _account(r))),
            ("GET", "/v1/refunds/{id}", lambda r: _n(r).refunds.fetch(_id(r), None, _account(r))),
            ("PATCH", "/v1/refunds/{id}", lambda r: _n(r).refunds.update(_id(r), r[_BODY], _account(r))),
            ("GET", "/v1/transfers", lambda r: _n(r).transfers.fetch_all(r.query, _expand(r), _account(r))),
            ("GET", "/v1/transfers/{id}", lambda r: _n(r).transfers.fetch(_id(r), _expand(r), _account(r))),
            ("PATCH", "/v1/transfers/{id}", lambda r: _n(r).transfers.update(_id(r), r[_BODY])),
            ("POST", "/v1/transfers/{id}/reversals", lambda r: _n(r).transfers.reverse(_id(r), r[_BODY])),
            ("GET", "/v1/transfers/{id}/reversals", lambda r: _n(r).transfers.reversals(_id(r))),
            ("GET", "/v1/settlements", lambda r: _n(r).settlements.fetch_all(r.query, _account(r))),
            ("GET", "/v1/settlements/recon/combined", lambda r: _n(r).settlements.recon(r.query, _account(r))),
            ("GET", "/v1/settlements/{id}", lambda r: _n(r).settlements.fetch(_id(r), _account(r))),
            ("POST", "/v1/webhooks", lambda r: _n(r).receivers.create(r[_BODY], None)),
            ("GET", "/v1/webhooks", lambda r: _n(r).receivers.fetch_all(r.query, None)),
            ("GET", "/v1/webhooks/{id}", lambda r: _n(r).receivers.fetch(_id(r), None)),
            ("PUT", "/v1/webhooks/{id}", lambda r: _n(r).receivers.update(_id(r), r[_BODY], None)),
            ("POST", "/v2/accounts/{id}/webhooks", lambda r: _n(r).receivers.create(r[_BODY], _id(r))),
            ("GET", "/v2/accounts/{id}/webhooks", lambda r: _n(r).receivers.fetch_all(r.query, _id(r))),
            ("GET", "/v2/accounts/{id}/webhooks/{sub}", lambda r: _n(r).receivers.fetch(_sub(r), _id(r))),
            ("PATCH", "/v2/accounts/{id}/webhooks/{sub}", lambda r: _n(r).receivers.update(_sub(r), r[_BODY], _id(r))),
            ("DELETE", "/v2/accounts/{id}/webhooks/{sub}", lambda r: _n(r).receivers.delete(_sub(r), _id(r))),
            ("POST", "/v2/accounts", lambda r: _n(r).accounts.create(r[_BODY])),
            ("GET", "/v2/accounts/{id}", lambda r: _n(r).accounts.fetch(_id(r))),
            ("PATCH", "/v2/accounts/{id}", lambda r: _n(r).accounts.update(_id(r), r[_BODY])),
            ("DELETE", "/v2/accounts/{id}", lambda r: _n(r).accounts.delete(_id(r))),
            ("POST", "/v2/accounts/{id}/stakeholders", lambda r: _n(r).accounts.create_stakeholder(_id(r), r[_BODY])),
            ("GET", "/v2/accounts/{id}/stakeholders", lambda r: _n(r).accounts.stakeholders(_id(r))),
            ("GET", "/v2/accounts/{id}/stakeholders/{sub}", lambda r: _n(r).accounts.stakeholder(_id(r), _sub(r))),
            (
                "PATCH",
                "/v2/accounts/{id}/stakeholders/{sub}",
                lambda r: _n(r).accounts.update_stakeholder(_id(r), _sub(r), r[_BODY]),
            ),
            ("POST", "/v2/accounts/{id}/products", lambda r: _n(r).products.request(_id(r), r[_BODY])),
            ("GET", "/v2/accounts/{id}/products/{sub}", lambda r: _n(r).products.fetch(_id(r), _sub(r))),
            ("PATCH", "/v2/accounts/{id}/products/{sub}", lambda r: _n(r).products.update(_id(r), _sub(r), r[_BODY])),
        ]
        for method, path, call in plain:
            router.add_route(method, path, self._gate(self._plain(call), linked=(method, path) in LINKED_VIEW))
        router.add_route("POST", "/v1/payments/{id}/refund", self._gate(self._refund_payment, linked=True))
        router.add_route("POST", "/v1/payments/{id}/capture", self._gate(self._capture))
        router.add_route("POST", "/v1/payments/{id}/transfers", self._gate(self._transfer_payment))
        router.add_route("POST", "/v1/refunds", self._gate(self._refund, linked=True))
        router.add_route("POST", "/v1/transfers", self._gate(self._transfer))
        for version in ("/v1", "/v2"):
            router.add_route("*", version + "/{rest:.*}", self._gate(self._unknown))

    # -- handlers

    def _plain(self, call: Callable[[web.Request], Answer]) -> Handler:
        async def handle(request: web.Request) -> Answer:
            await self._take_time(request)
            return call(request)

        return handle

    async def _refund_payment(self, request: web.Request) -> JsonObject:
        payment_id = _id(request)
        return await self._keyed(
            request,
            REFUND_KEYS,
            lambda: _n(request).refunds.create(payment_id, request[_BODY], _account(request)),
            payment_id=payment_id,
        )

    async def _transfer_payment(self, request: web.Request) -> JsonObject:
        payment_id = _id(request)
        with _one_operation(request[_WORLD].core.busy_payments, payment_id):
            await self._take_time(request)
            return _n(request).transfers.create_from_payment(payment_id, request[_BODY])

    async def _capture(self, request: web.Request) -> JsonObject:
        payment_id = _id(request)
        with _one_operation(request[_WORLD].core.busy_payments, payment_id):
            await self._take_time(request)
            return _n(request).orders.capture(payment_id, request[_BODY])

    async def _refund(self, request: web.Request) -> JsonObject:
        """The other door to a refund: its payment is named in the body."""
        body = request[_BODY]
        if not isinstance(body, dict) or not isinstance(body.get("payment_id"), str):
            raise ApiError("The payment id field is required.", field="payment_id")
        payment_id, rest = body["payment_id"], {key: value for key, value in body.items() if key != "payment_id"}
        return await self._keyed(
            request,
            REFUND_KEYS,
            lambda: _n(request).refunds.create(payment_id, rest, _account(request)),
            payment_id=payment_id,
        )

    async def _transfer(self, request: web.Request) -> JsonObject:
        return await self._keyed(request, TRANSFER_KEYS, lambda: _n(request).transfers.create(request[_BODY]))

    async def _unknown(self, _request: web.Request) -> JsonObject:
        raise ApiError(UNKNOWN_URL)

    async def _keyed(
        self, request: web.Request, rules: KeyRules, create: Callable[[], JsonObject], *, payment_id: str | None = None
    ) -> JsonObject:
        """Create at most once per idempotency key, and one operation at a time on a payment."""
        key, keys, account = request.headers.get(rules.header), request[_WORLD].keys, _account(request)
        if key is not None:
            stored = keys.stored(rules, key, request.path, request[_BODY], account=account)
            if stored is not None:
                await self._take_time(request)
                return stored
        busy = request[_WORLD].core.busy_payments
        with _one_operation(busy, payment_id), keys.under_way(rules, key, account) if key is not None else nullcontext():
            await self._take_time(request)
            answer = create()
        if key is not None:
            keys.keep(rules, key, request.path, request[_BODY], answer, account=account)
        return answer

    async def _take_time(self, request: web.Request) -> None:
        if request[_SLOW]:
            await request[_WORLD].core.clock.sleep(request[_SLOW])

    # -- the way in and out

    def _gate(self, handler: Handler, *, linked: bool = False) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            record = RequestRecord(
                at=self._worlds[0].core.timestamp(),
                method=request.method,
                path=request.path,
                query=dict(request.query),
                idempotency_key=request.headers.get(REFUND_HEADER) or request.headers.get(TRANSFER_HEADER),
                account=request.headers.get(ACCOUNT_HEADER),
                body=None,
            )
            self._log.add(record)
            record.status, record.answer, response = await self._serve(request, handler, record, linked=linked)
            return response

        return handle

    async def _serve(
        self, request: web.Request, handler: Handler, record: RequestRecord, *, linked: bool
    ) -> tuple[int | None, Any, web.StreamResponse]:
        """Status and answer for the log (None: never answered), and the response."""
        try:
            request[_WORLD] = world = self._authenticate(request)
            record.mode = world.settings.mode
            request[_BODY] = record.body = await _read(request)
            if record.account is not None and not linked:
                raise ApiError(NOT_AS_LINKED_ACCOUNT)
        except ApiError as error:
            return _json(error.status, error.body())
        fault = self._faults.take(record)
        request[_SLOW] = 0.0
        if fault is not None:
            record.fault = f"{fault.kind} {fault.when}"
            if fault.when == "before_effect":
                if fault.kind != "slow":
                    return await self._fail(request, fault)
                request[_SLOW] = fault.seconds
        try:
            answer = await handler(request)
            if request.method != "GET":
                world.save()
            await world.webhooks.answer_may_go()
            result = _json(200, answer)
        except ApiError as error:
            result = _json(error.status, error.body())
        except Exception:  # noqa: BLE001  # the edge of a request
            _log.exception("%s %s failed inside the sandbox", request.method, request.path)
            result = _json(500, server_error().body())
        if fault is not None and fault.when == "after_effect":
            if fault.kind != "slow":
                return await self._fail(request, fault)
            await world.core.clock.sleep(fault.seconds)
        return result

    async def _fail(self, request: web.Request, fault: FaultRule) -> tuple[int | None, Any, web.StreamResponse]:
        match fault.kind:
            case "html":
                status = fault.status or 502
                return status, HTML_ERROR, web.Response(status=status, text=HTML_ERROR, content_type="text/html")
            case "hang" | "reset":
                if fault.kind == "hang":
                    await self._never()
                if request.transport is not None:
                    request.transport.abort()
                return None, None, web.Response()
            case _:
                return _json(*fault.answer())

    def _authenticate(self, request: web.Request) -> World:
        """The world whose keys the request bears."""
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True) if scheme == "Basic" else b""
        except binascii.Error:
            given = b""
        key_id, _, secret = given.partition(b":")
        for world in self._worlds:
            if hmac.compare_digest(key_id, world.settings.key_id.encode()):
                if not hmac.compare_digest(secret, world.settings.key_secret.encode()):
                    raise not_applicable("The api secret provided is invalid", status=401)
                return world
        raise not_applicable("The api key provided is invalid", status=401)


def _n(request: web.Request) -> Nouns:
    return request[_WORLD].nouns


def _account(request: web.Request) -> str | None:
    """The linked account as which the request looks at things."""
    account_id, core = request.headers.get(ACCOUNT_HEADER), request[_WORLD].core
    return None if account_id is None else core.find(core.state.accounts, account_id, "acc_").id


@contextmanager
def _one_operation(busy: set[str], payment_id: str | None) -> Iterator[None]:
    """Razorpay refuses a second operation on a payment while one is under way."""
    if payment_id is None:
        yield
        return
    if payment_id in busy:
        raise ApiError(PAYMENT_BUSY)
    busy.add(payment_id)
    try:
        yield
    finally:
        busy.discard(payment_id)


async def _read(request: web.Request) -> Any:
    """The parsed body; None where there is none. An emoji is a server error at Razorpay, and here."""
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise ApiError("The request body is too large.", status=413) from None
    if not raw.strip():
        return None
    try:
        body = orjson.loads(raw)
    except ValueError:
        raise ApiError(BODY_NOT_JSON) from None
    if any(ord(character) > LAST_BMP_CHARACTER for character in orjson.dumps(body).decode()):
        raise server_error()
    return body


def _json(status: int, answer: Answer) -> tuple[int, Answer, web.Response]:
    return status, answer, web.Response(status=status, body=orjson.dumps(answer), content_type="application/json")


def _id(request: web.Request) -> str:
    return request.match_info["id"]


def _sub(request: web.Request) -> str:
    return request.match_info["sub"]


def _expand(request: web.Request) -> list[str]:
    return request.query.getall("expand[]", [])
