"""The tables of the schema `charging`. Each column says what it holds; a test holds the migrations against these pages."""

from charging.tables.base import Time, identity, metadata, one_of
from charging.tables.commands import commands
from charging.tables.network import chargers, connectors, stations, tariffs
from charging.tables.reports import signal_quality
from charging.tables.sessions import id_tags, meter_values, orphans, start_requests, stop_attempts, transactions
from charging.tables.upkeep import deadline_notices, gateways

__all__ = [
    "Time",
    "chargers",
    "commands",
    "connectors",
    "deadline_notices",
    "gateways",
    "id_tags",
    "identity",
    "metadata",
    "meter_values",
    "one_of",
    "orphans",
    "signal_quality",
    "start_requests",
    "stations",
    "stop_attempts",
    "tariffs",
    "transactions",
]
