"""The tables of the schema `charging`. Each column says what it holds; a test holds the migrations against these pages."""

from charging.tables.authorization import local_lists, reservations
from charging.tables.base import Time, identity, metadata, one_of
from charging.tables.commands import command_batches, commands
from charging.tables.configuration import configuration_keys, configurations
from charging.tables.network import chargers, connectors, stations, tariffs
from charging.tables.reports import charger_errors, signal_quality, unknown_charge_points
from charging.tables.sessions import id_tags, meter_values, orphans, start_requests, stop_attempts, transactions
from charging.tables.smart_charging import charging_profiles
from charging.tables.upkeep import deadline_notices, gateways

__all__ = [
    "Time",
    "charger_errors",
    "chargers",
    "charging_profiles",
    "command_batches",
    "commands",
    "configuration_keys",
    "configurations",
    "connectors",
    "deadline_notices",
    "gateways",
    "id_tags",
    "identity",
    "local_lists",
    "metadata",
    "meter_values",
    "one_of",
    "orphans",
    "reservations",
    "signal_quality",
    "start_requests",
    "stations",
    "stop_attempts",
    "tariffs",
    "transactions",
    "unknown_charge_points",
]
