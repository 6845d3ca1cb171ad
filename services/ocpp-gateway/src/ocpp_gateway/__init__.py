"""Holds charger sockets; turns frames into events and commands into frames."""
