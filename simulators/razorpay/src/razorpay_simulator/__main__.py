"""`python -m razorpay_simulator`."""

from razorpay_simulator.cli import app

if __name__ == "__main__":
    app(prog_name="razorpay-simulator")
