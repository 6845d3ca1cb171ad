"""`python -m charger_simulator`."""

from charger_simulator.cli import app

if __name__ == "__main__":
    app(prog_name="charger-simulator")
