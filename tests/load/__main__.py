"""`python -m tests.load NAME [options]`: one measurement by itself. Each says its options with --help."""

import sys
from importlib import import_module

NAMES = ("bench", "gateway", "payments", "storm", "webhooks")


def main() -> None:
    """Hand over to the measurement."""
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        raise SystemExit(f"usage: python -m tests.load {{{','.join(NAMES)}}} [options]")
    name = sys.argv.pop(1)
    sys.argv[0] = f"tests.load {name}"
    import_module(f"tests.load.{name}").main()


if __name__ == "__main__":
    main()
