"""Firmware files, signed downloads, update campaigns."""
