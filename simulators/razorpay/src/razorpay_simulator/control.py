"""The control API under `/_sandbox`: what payers, reviewers, banks and bad luck do. No authentication."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from razorpay_simulator.entities import JsonObject
from razorpay_simulator.errors import ControlError
from razorpay_simulator.faults import FaultRule
from razorpay_simulator.kyc import KycMove
from razorpay_simulator.orders import OrderPayment
from razorpay_simulator.outcomes import OutcomeRule
from razorpay_simulator.payments import PaymentPatch
from razorpay_simulator.qr_codes import QrPayment
from razorpay_simulator.settings import WebhookSettings
from razorpay_simulator.settlements import Adjustment
from razorpay_simulator.webhook_rules import WebhookRule
from razorpay_simulator.world import World

if TYPE_CHECKING:
    from razorpay_simulator.simulator import RazorpaySimulator

M = TypeVar("M", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class KycOrder(_Strict):
    state: KycMove
    clarifications: list[JsonObject] = Field(
        default_factory=list, description='Of needs_clarification: `{"field_reference": …, "description": …}`.'
    )


class SettleOrder(_Strict):
    account: str | None = Field(default=None, description="A linked account; None: all of them.")
    own: bool = Field(default=False, description="The parent's balance instead.")


class FundsOrder(_Strict):
    amount: int = Field(default=0, description="Added to the balance; negative: taken from it.")
    reserve: int | None = Field(default=None, ge=0, description="How far the balance may be overdrawn from now on.")


class ClockOrder(_Strict):
    forward: float = Field(ge=0, description="Seconds to skip.")


class EndpointPatch(_Strict):
    secret: str | None = Field(default=None, min_length=1, description="From the next event on; retries keep the old one.")
    events: list[str] | None = None
    enabled: bool | None = None


class EventOrder(_Strict):
    event: str
    payload: dict[str, JsonObject]
    account_id: str | None = None
    event_id: str | None = None
    secret: str | None = None


class ControlApi:
    """Routes over the simulator's methods. Errors: 400 for the impossible, 422 for a body of the wrong shape."""

    def __init__(self, simulator: "RazorpaySimulator") -> None:
        self._simulator = simulator

    def add_routes(self, router: web.UrlDispatcher) -> None:
        routes: list[tuple[str, str, Callable[[web.Request], Awaitable[Any]]]] = [
            ("GET", "/health", self._health),
            ("POST", "/reset", self._reset),
            ("GET", "/clock", self._time),
            ("POST", "/clock", self._set_clock),
            ("POST", "/qr/{id}/pay", self._pay),
            ("POST", "/orders/{id}/pay", self._pay_order),
            ("PATCH", "/payments/{id}", self._patch_payment),
            ("POST", "/payments/{id}/authorize", self._authorize),
            ("POST", "/accounts/{id}/kyc", self._kyc),
            ("POST", "/accounts/{id}/penny-test-failure", self._penny_test),
            ("POST", "/settle", self._settle),
            ("GET", "/balances", self._balances),
            ("POST", "/funds", self._funds),
            ("POST", "/adjustments", self._adjust),
            ("GET", "/outcomes", self._outcomes),
            ("POST", "/outcomes", self._add_outcome),
            ("DELETE", "/outcomes", self._clear_outcomes),
            ("GET", "/faults", self._faults),
            ("POST", "/faults", self._add_fault),
            ("DELETE", "/faults", self._clear_faults),
            ("GET", "/requests", self._requests),
            ("GET", "/webhook-rules", self._rules),
            ("POST", "/webhook-rules", self._add_rule),
            ("DELETE", "/webhook-rules", self._clear_rules),
            ("GET", "/webhooks", self._webhooks),
            ("POST", "/webhooks", self._add_webhook),
            ("PATCH", "/webhooks/{id}", self._patch_webhook),
            ("DELETE", "/webhooks/{id}", self._delete_webhook),
            ("GET", "/events", self._events),
            ("POST", "/events", self._send_event),
            ("POST", "/events/replay", self._replay_all),
            ("POST", "/events/{id}/replay", self._replay),
            ("GET", "/deliveries", self._deliveries),
        ]
        for method, path, handler in routes:
            router.add_route(method, "/_sandbox" + path, _answering(handler))

    async def _health(self, _request: web.Request) -> JsonObject:
        return {"status": "ok", "pending": self._simulator.pending}

    async def _reset(self, _request: web.Request) -> JsonObject:
        await self._simulator.reset()
        return {}

    async def _time(self, _request: web.Request) -> JsonObject:
        return {"now": self._simulator.now()}

    async def _set_clock(self, request: web.Request) -> JsonObject:
        return {"now": self._simulator.set_clock_forward((await _parse(request, ClockOrder)).forward)}

    def _world(self, request: web.Request) -> World:
        """`?mode=live` looks at that world; without it, at the one of the settings' own key."""
        mode = request.query.get("mode")
        return self._simulator if mode is None else self._simulator.world(mode)

    async def _pay(self, request: web.Request) -> JsonObject:
        return self._world(request).pay(request.match_info["id"], await _parse(request, QrPayment))

    async def _pay_order(self, request: web.Request) -> JsonObject:
        return self._world(request).pay_order(request.match_info["id"], await _parse(request, OrderPayment))

    async def _authorize(self, request: web.Request) -> JsonObject:
        return self._world(request).authorize_payment(request.match_info["id"])

    async def _patch_payment(self, request: web.Request) -> JsonObject:
        return self._world(request).patch_payment(request.match_info["id"], await _parse(request, PaymentPatch))

    async def _kyc(self, request: web.Request) -> JsonObject:
        order = await _parse(request, KycOrder)
        return self._world(request).move_kyc(request.match_info["id"], order.state, order.clarifications)

    async def _penny_test(self, request: web.Request) -> JsonObject:
        return self._world(request).fail_penny_test(request.match_info["id"])

    async def _settle(self, request: web.Request) -> JsonObject:
        order = await _parse(request, SettleOrder)
        if order.own:
            own = self._world(request).settle_own()
            return {"settlements": [own] if own else []}
        return {"settlements": self._world(request).settle(order.account)}

    async def _balances(self, request: web.Request) -> JsonObject:
        world = self._world(request)
        return {"parent": world.settings.account_id, "balances": world.balances(), "reserve": world.core.reserve}

    async def _funds(self, request: web.Request) -> JsonObject:
        order, world = await _parse(request, FundsOrder), self._world(request)
        if order.reserve is not None:
            world.set_reserve(order.reserve)
        return {"balance": world.add_funds(order.amount) if order.amount else world.core.available, "reserve": world.core.reserve}

    async def _adjust(self, request: web.Request) -> JsonObject:
        return self._world(request).adjust(await _parse(request, Adjustment))

    async def _outcomes(self, request: web.Request) -> list[BaseModel]:
        return list(self._world(request).outcomes)

    async def _clear_outcomes(self, request: web.Request) -> JsonObject:
        self._world(request).clear_outcomes()
        return {}

    async def _add_outcome(self, request: web.Request) -> JsonObject:
        self._world(request).add_outcome(await _parse(request, OutcomeRule))
        return {}

    async def _faults(self, _request: web.Request) -> list[BaseModel]:
        return list(self._simulator.faults)

    async def _add_fault(self, request: web.Request) -> JsonObject:
        self._simulator.add_fault(await _parse(request, FaultRule))
        return {}

    async def _clear_faults(self, _request: web.Request) -> JsonObject:
        self._simulator.clear_faults()
        return {}

    async def _requests(self, request: web.Request) -> list[BaseModel]:
        return list(self._simulator.requests(request.query.get("method", "*"), request.query.get("path", "*")))

    async def _rules(self, request: web.Request) -> list[BaseModel]:
        return list(self._world(request).webhook_rules)

    async def _add_rule(self, request: web.Request) -> JsonObject:
        self._world(request).add_webhook_rule(await _parse(request, WebhookRule))
        return {}

    async def _clear_rules(self, request: web.Request) -> JsonObject:
        self._world(request).clear_webhook_rules()
        return {}

    async def _webhooks(self, request: web.Request) -> list[BaseModel]:
        return list(self._world(request).state.endpoints.values())

    async def _add_webhook(self, request: web.Request) -> BaseModel:
        wanted = await _parse(request, WebhookSettings)
        return self._world(request).webhooks.add_endpoint(wanted.url, wanted.secret, wanted.events)

    async def _patch_webhook(self, request: web.Request) -> BaseModel:
        patch = await _parse(request, EndpointPatch)
        return self._world(request).webhooks.change_endpoint(request.match_info["id"], **patch.model_dump())

    async def _delete_webhook(self, request: web.Request) -> BaseModel:
        return self._world(request).webhooks.remove_endpoint(request.match_info["id"])

    async def _events(self, request: web.Request) -> list[BaseModel]:
        return list(self._world(request).events)

    async def _send_event(self, request: web.Request) -> BaseModel:
        order = await _parse(request, EventOrder)
        return self._world(request).send_event(
            order.event, order.payload, account_id=order.account_id, event_id=order.event_id, secret=order.secret
        )

    async def _replay_all(self, request: web.Request) -> JsonObject:
        return {"replayed": self._world(request).webhooks.replay()}

    async def _replay(self, request: web.Request) -> JsonObject:
        return {"replayed": self._world(request).webhooks.replay(request.match_info["id"])}

    async def _deliveries(self, request: web.Request) -> list[BaseModel]:
        return list(self._world(request).attempts)


async def _parse(request: web.Request, shape: type[M]) -> M:
    return shape.model_validate_json(await request.read() or b"{}")


def _answering(handler: Callable[[web.Request], Awaitable[Any]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            return _json(200, await handler(request))
        except ControlError as error:
            return _json(400, {"error": str(error)})
        except ValidationError as error:
            return _json(422, {"error": error.errors(include_url=False, include_context=False, include_input=False)})

    return handle


def _json(status: int, answer: Any) -> web.Response:
    body = orjson.dumps(answer, default=lambda value: value.model_dump() if isinstance(value, BaseModel) else str(value))
    return web.Response(status=status, body=body, content_type="application/json")
