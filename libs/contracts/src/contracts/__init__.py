"""Every event, command and query that crosses a service boundary, and the broker topology. Pydantic models, no logic.

A message's `TYPE` is what stands in AMQP's `type` property. Events are facts, in the past tense, with one producer;
commands are wishes, with one addressee; queries are questions answered by RPC. Contracts are versioned (`.v1`) and only
ever extended: a consumer ignores fields it does not know.
"""

from contracts.base import Command, Contract, Event, LaneEvent, Query, all_contracts, contract_for

__all__ = ["Command", "Contract", "Event", "LaneEvent", "Query", "all_contracts", "contract_for"]
