"""Imports every module of contracts, so that the registry is whole."""

from contracts import charging, ocpp_gateway, payments, settlement, wallets

__all__ = ["charging", "ocpp_gateway", "payments", "settlement", "wallets"]
