"""`python -m identity_simulator`."""

from identity_simulator.cli import app

app()
