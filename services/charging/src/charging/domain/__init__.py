"""The rules of charging, pure: no I/O, no clock, no ids."""
