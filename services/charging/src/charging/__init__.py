"""Stations, chargers, tariffs, start requests, transactions, meter values, commands."""
