"""Scriptable OCPP 1.6-J charge points, honest and misbehaving."""

from charger_simulator.charge_point import ChargePoint, Handler
from charger_simulator.clock import Clock, SystemClock
from charger_simulator.connection import ConnectFailed
from charger_simulator.connector import Connector, Transaction
from charger_simulator.frames import CallTimeout, Exchange, Frame, NotConnected, OcppError, SimulatorError
from charger_simulator.quirks import BEHAVIOURS, Quirks
from charger_simulator.settings import Settings

__all__ = [
    "BEHAVIOURS",
    "CallTimeout",
    "ChargePoint",
    "Clock",
    "ConnectFailed",
    "Connector",
    "Exchange",
    "Frame",
    "Handler",
    "NotConnected",
    "OcppError",
    "Quirks",
    "Settings",
    "SimulatorError",
    "SystemClock",
    "Transaction",
]
