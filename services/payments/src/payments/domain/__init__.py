"""The rules of paying without an app. Pure: no I/O, no clock, no ids; money, contracts and the standard library only."""
