"""The broker's plan: nothing bound that nobody sends, nobody writing another's exchange, one lane per charger for ever."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import LaneEvent, Query, all_contracts
from contracts.charging import ChargerCredentialsChanged, StartRequested
from contracts.ocpp_gateway import AuthorizeRequested
from contracts.payments import PaymentBilled
from contracts.topology import (
    GATEWAYS_EXCHANGE,
    LANE_COUNT,
    LANE_QUEUES,
    LANE_WRITERS,
    RETRY_DELAYS_SECONDS,
    SERVICES,
    TOPOLOGY,
    address_of,
    exchange_for,
    gateway_address,
    gateway_credentials_queue,
    gateway_queue,
    lane_of,
    permissions,
    plan,
    retried_queues,
)

PLAN = plan()
QUEUES = dict(PLAN.queues)
RIGHTS = {right.user: right for right in permissions()}


def test_what_is_bound_is_a_message_that_somebody_sends() -> None:
    known = all_contracts()
    for queue in TOPOLOGY.queues:
        for bound in queue.binds:
            assert bound in known, f"{queue.name} waits for {bound}, which nobody sends"
            assert not issubclass(known[bound], LaneEvent), f"{bound} goes through lanes"


def test_every_queue_is_a_quorum_queue_with_a_place_for_its_dead() -> None:
    bound = {(queue, exchange, key) for queue, exchange, key in PLAN.bindings}
    for queue in TOPOLOGY.queues:
        assert QUEUES[queue.name]["x-queue-type"] == "quorum"
        assert (f"{queue.name}.dead", f"{queue.consumer}.dead", f"{queue.name}.dead") in bound
        assert f"{queue.name}.dead" in QUEUES


def test_everything_bound_exists() -> None:
    exchanges = {name for name, _ in PLAN.exchanges}
    for queue, exchange, _ in PLAN.bindings:
        assert queue in QUEUES
        assert exchange in exchanges


def test_a_lane_has_one_consumer_at_a_time_and_takes_from_every_writer() -> None:
    assert len(LANE_QUEUES) == LANE_COUNT == 16
    for lane, queue in enumerate(LANE_QUEUES):
        assert QUEUES[queue]["x-single-active-consumer"] is True
        for writer in LANE_WRITERS:
            assert (queue, f"{writer}.lanes", f"{lane:02d}") in PLAN.bindings


# A new rule would send a charger's next event past the one before it: these figures never change.
LANES = {"CP-1": 10, "CP-2": 0, "BLR-0042": 11, "चार्जर": 5}


def test_a_chargers_lane_never_changes() -> None:
    assert {name: lane_of(name) for name in LANES} == LANES


@given(name=st.text(min_size=1, max_size=64))
def test_every_charger_has_a_lane(name: str) -> None:
    assert 0 <= lane_of(name) < LANE_COUNT


def test_a_retry_comes_back_to_its_queue_alone() -> None:
    """Through the default exchange: a repeat never reaches the other consumers of the event. Nor does the message say whither."""
    retried = [queue.name for queue in retried_queues()]
    assert retried == ["charging.events", "payments.events", "settlement.events"]
    for name in retried:
        for seconds in RETRY_DELAYS_SECONDS:
            arguments = QUEUES[f"{name}.retry.{seconds}s"]
            assert arguments["x-message-ttl"] == seconds * 1000
            assert (arguments["x-dead-letter-exchange"], arguments["x-dead-letter-routing-key"]) == ("", name)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_writes_its_own_exchanges_only(service: str) -> None:
    write = RIGHTS[service].write
    for other, _ in PLAN.exchanges:
        own = other in (service, f"{service}.lanes", f"{service}.dead", f"{service}.retry", f"{service}.gateways")
        assert bool(re.match(write, other)) == own, f"{service} and {other}"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_its_own_queues_only(service: str) -> None:
    for queue in TOPOLOGY.queues:
        assert bool(re.match(RIGHTS[service].read, queue.name)) == (queue.consumer == service), queue.name


def test_nobody_declares_but_gateways_their_own() -> None:
    for service in SERVICES:
        assert not re.match(RIGHTS[service].configure, "settlement.events")
    gateway = RIGHTS["ocpp_gateway"].configure
    assert re.match(gateway, gateway_queue("gw-1"))
    assert re.match(gateway, gateway_credentials_queue("gw-1"))


def test_addresses() -> None:
    start = StartRequested.model_construct(charge_point_id="CP-1")
    to = address_of(start, sender="payments")
    assert (to.exchange, to.routing_key, to.mandatory) == ("payments.lanes", f"{lane_of('CP-1'):02d}", True)
    billed = address_of(PaymentBilled.model_construct(), sender="payments")
    assert (billed.exchange, billed.routing_key, billed.mandatory) == ("payments", PaymentBilled.TYPE, False)
    question = address_of(AuthorizeRequested.model_construct(), sender="ocpp_gateway")
    assert (question.exchange, question.mandatory) == ("ocpp_gateway", True)
    assert gateway_address("gw-1").exchange == GATEWAYS_EXCHANGE
    assert exchange_for(ChargerCredentialsChanged.TYPE) == "charging"


@pytest.mark.parametrize("model", [m for m in all_contracts().values() if issubclass(m, Query)], ids=lambda m: m.TYPE)
def test_a_question_reaches_exactly_one_queue_or_a_lane(model: type[Query]) -> None:
    assert len(TOPOLOGY.bound_queues(model.TYPE)) == 1
