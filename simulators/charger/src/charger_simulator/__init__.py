"""Scriptable OCPP 1.6-J charge points, honest and misbehaving."""
